//! A pseudo-random walk through all valid plans, for tests that execute many plans of one program.

use super::impossible;
use crate::choice::{Choice, alternatives, output};
use crate::context::Context;
use crate::iteration::decided_before;
use crate::properties::Properties;
use crate::properties::pass::normalize;
use flinkrs_core::error::Result;

/// How often an operator without a valid alternative (because of pins) makes the walk start again.
const RESTARTS_MAX: usize = 32;

/// One valid choice per operator, each alternative of an operator as likely as the others.
///
/// Unlike the search for the cheapest, it knows no interests: all properties are kept.
pub(crate) fn random_choices(context: &Context, random: &mut Random) -> Result<Vec<Option<Choice>>> {
    let mut result = walk(context, random);
    for _ in 0..RESTARTS_MAX {
        if result.is_ok() {
            break;
        }
        result = walk(context, random);
    }
    result
}

fn walk(context: &Context, random: &mut Random) -> Result<Vec<Option<Choice>>> {
    let operators = context.plan.operators.len();
    let mut properties = vec![Properties::default(); operators];
    let mut chosen = vec![None; operators];
    for &id in &context.reachable {
        let op = context.operator(id);
        let inputs: Vec<&Properties> = decided_before(op).iter().map(|input| &properties[input.0 as usize]).collect();
        let mut choices = alternatives(context, op, &inputs);
        if choices.is_empty() {
            return Err(impossible(op));
        }
        let choice = choices.swap_remove(random.below(choices.len()));
        let provided = normalize(output(context, op, &choice, &inputs));
        properties[id.0 as usize] = provided;
        chosen[id.0 as usize] = Some(choice);
    }
    Ok(chosen)
}

/// SplitMix64: small, seeded, and good enough to pick alternatives.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((u128::from(bits) * limit as u128) >> 64) as usize
    }
}
