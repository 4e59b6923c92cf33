//! Loops: how a loop begins and closes, and what that means for the alternatives of its operators.
//!
//! ```text
//!   initial ─▶ LoopInput ─▶ step … ─▶ BulkIteration or DeltaIteration ─▶ result
//!                  ▲                        │
//!                  └──── fed back ──────────┘     FORWARD, by pointer
//! ```
//!
//! A loop may carry a partitioning around: its [`LoopInput`](OperatorKind::LoopInput) promises that its records are
//! spread by a key of one of its consumers. Then the initial input is shipped so, and so is what the step feeds back,
//! unless it already is. That is one more choice at the beginning, weighed like any other: the closing operator is
//! decided with the beginning's properties in view, as if that were one of its inputs.

use crate::choice::Choice;
use crate::context::Context;
use crate::properties::pass::input_key;
use crate::properties::{GlobalProperties, Partitioning, Properties};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy, Side};
use flinkrs_plan::{KeySpec, OperatorKind, Plan, PlanOperator};

/// Supersteps that a bulk iteration is taken to have at most, when costs are weighted by them.
const BULK_SUPERSTEPS_MAX: u32 = 100;

/// Supersteps with a full workset that a delta iteration is taken to be worth: the workset shrinks.
const DELTA_SUPERSTEPS_MAX: u32 = 8;

/// How often an operator of a loop is taken to run.
pub(crate) fn expected_supersteps(of: &flinkrs_plan::Loop) -> f64 {
    let max = if of.solution.is_some() { DELTA_SUPERSTEPS_MAX } else { BULK_SUPERSTEPS_MAX };
    f64::from(of.max_supersteps.min(max))
}

/// What has to be decided before an operator: its inputs, and for one that closes a loop also where that begins.
pub(crate) fn decided_before(op: &PlanOperator) -> Vec<OperatorId> {
    let mut inputs = op.inputs.clone();
    if let OperatorKind::BulkIteration { head, .. } | OperatorKind::DeltaIteration { head, .. } = op.kind {
        inputs.push(head);
    }
    inputs
}

/// Which input of a join or coGroup is a solution set.
pub(crate) fn solution_side(plan: &Plan, op: &PlanOperator) -> Option<Side> {
    let is_set = |side: &Side| match op.kind {
        OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } => {
            matches!(plan.operator(op.inputs[side.index()]).kind, OperatorKind::SolutionSet { .. })
        }
        _ => false,
    };
    [Side::First, Side::Second].into_iter().find(is_set)
}

/// Checks that joins with a solution set are lookups of it.
pub(crate) fn validate(plan: &Plan) -> Result<()> {
    for op in &plan.operators {
        let Some(side) = solution_side(plan, op) else { continue };
        let OperatorKind::Join { join_type, .. } = op.kind else { continue };
        let possible = match join_type {
            JoinType::Inner => true,
            JoinType::LeftOuter | JoinType::Semi | JoinType::Anti => side == Side::Second,
            JoinType::RightOuter => side == Side::First,
            JoinType::FullOuter => false,
        };
        if !possible {
            return Err(Error::plan(format!(
                "operator '{}' is a {} that keeps records of the solution set; a superstep only looks its records up, \
                 so keep those of the other input",
                op.name,
                op.kind.pact()
            )));
        }
    }
    Ok(())
}

/// The keys that a loop's beginning may promise to be spread by, with the consumer that has the code for each.
pub(crate) fn head_keys(context: &Context, head: OperatorId) -> Vec<(KeySpec, (OperatorId, u8))> {
    let mut keys: Vec<(KeySpec, (OperatorId, u8))> = Vec::new();
    let mut same_records = vec![head];
    for &id in &context.reachable {
        let op = context.operator(id);
        if context.parallelism(id) != context.parallelism(head) {
            continue;
        }
        for (i, _) in op.inputs.iter().enumerate().filter(|(_, input)| same_records.contains(input)) {
            let key = match &op.kind {
                OperatorKind::Partition { .. } | OperatorKind::GroupCombine { .. } => &[],
                _ => input_key(op, i),
            };
            if !key.is_empty() && !keys.iter().any(|(known, _)| known == key) {
                keys.push((key.to_vec(), (id, i as u8)));
            }
        }
        let keeps = matches!(op.kind, OperatorKind::Filter | OperatorKind::Union | OperatorKind::Limit { .. });
        if keeps && op.inputs.iter().any(|input| same_records.contains(input)) {
            same_records.push(id);
        }
    }
    keys
}

/// The ways to begin a loop: without a promise, or spread by a key.
pub(crate) fn begin(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<Choice> {
    let choice = |ship: ShipStrategy, by| {
        // Nothing travels from the solution set; the loop begins when all of it is there.
        let ships = [ship, ShipStrategy::Broadcast].into_iter().take(op.inputs.len()).collect();
        Choice { by, ..Choice::only(ships) }
    };
    let equal = context.equal_parallelism(op, 0);
    let mut choices = vec![choice(if equal { ShipStrategy::Forward } else { ShipStrategy::Rebalance }, None)];
    if context.parallelism(op.id) > 1 {
        for (key, by) in head_keys(context, op.id) {
            if equal && inputs[0].global.hashed_by(&key) {
                choices.push(choice(ShipStrategy::Forward, Some(by)));
            }
            choices.push(choice(ShipStrategy::PartitionHash, Some(by)));
        }
    }
    choices
}

/// What a loop's beginning promises of each superstep's records.
pub(crate) fn promised(context: &Context, choice: &Choice) -> Properties {
    let Some((consumer, input)) = choice.by else { return Properties::default() };
    let key = input_key(context.operator(consumer), usize::from(input)).to_vec();
    Properties { global: GlobalProperties::partitioned(Partitioning::Hash { key }), ..Properties::default() }
}

/// The ways to close a loop whose beginning has the last of `inputs`.
pub(crate) fn close(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<Choice> {
    let parallel = context.parallelism(op.id) > 1;
    let straight = |input: usize| {
        vec![if context.equal_parallelism(op, input) { ShipStrategy::Forward } else { ShipStrategy::Rebalance }]
    };
    let by_key = |input: usize, key: &[_]| {
        let mut ships = Vec::new();
        if context.equal_parallelism(op, input) && (!parallel || inputs[input].global.hashed_by(key)) {
            ships.push(ShipStrategy::Forward);
        }
        ships.push(ShipStrategy::PartitionHash);
        ships
    };
    let (head, promise) = promise(op, inputs);
    let by = promise.and_then(|key| head_keys(context, head).into_iter().find(|(known, _)| known == key));
    let feedback = |input: usize| match promise {
        Some(key) if parallel => by_key(input, key),
        _ => straight(input),
    };
    let ships: Vec<Vec<ShipStrategy>> = match &op.kind {
        OperatorKind::DeltaIteration { key, .. } if op.inputs.len() == 1 => {
            if promise.is_some_and(|promised| promised != key) {
                return Vec::new();
            }
            by_key(0, key).into_iter().map(|ship| vec![ship]).collect()
        }
        OperatorKind::DeltaIteration { key, .. } => both(&by_key(0, key), &feedback(1)),
        _ if op.inputs.len() == 1 => feedback(0).into_iter().map(|ship| vec![ship]).collect(),
        _ => both(&feedback(0), &straight(1)),
    };
    let by = by.map(|(_, by)| by);
    ships.into_iter().map(|ships| Choice { by, ..Choice::only(ships) }).collect()
}

fn both(first: &[ShipStrategy], second: &[ShipStrategy]) -> Vec<Vec<ShipStrategy>> {
    first.iter().flat_map(|a| second.iter().map(|b| vec![*a, *b])).collect()
}

/// The beginning of the loop that an operator closes, and the key by which that has its records spread.
fn promise<'a>(
    op: &PlanOperator,
    inputs: &[&'a Properties],
) -> (OperatorId, Option<&'a [flinkrs_core::types::KeyField]>) {
    let head = decided_before(op)[op.inputs.len()];
    let rule = inputs[op.inputs.len()].global.partitionings.first();
    (head, rule.map(Partitioning::key))
}

/// Whether an input that is the same in all supersteps stays with the operator, which then reads it only once.
pub(crate) fn keeps_constant(driver: DriverStrategy, input: u8) -> bool {
    match driver {
        DriverStrategy::HybridHash { build } => build.index() as u8 == input,
        DriverStrategy::Merge { .. } | DriverStrategy::NestedLoop { .. } => true,
        DriverStrategy::Only
        | DriverStrategy::HashGroup
        | DriverStrategy::SortedGroup
        | DriverStrategy::SolutionSet { .. } => false,
    }
}
