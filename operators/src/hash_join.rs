//! Hybrid hash join: one side is built into a table, the other probes it; what doesn't fit is joined from disk.

use crate::hash_join_core::JoinCore;
use crate::hash_join_probe::{Emit, Keeps};
use flinkrs_core::element::Superstep;
use flinkrs_core::strategy::{JoinType, Side};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use std::marker::PhantomData;

/// Joins two inputs on equal keys.
///
/// The function sees a pair, or one record alone where the join type keeps it; `Semi` and `Anti` show it the
/// first-side record alone. The order of the output is not specified.
///
/// In a loop a build side that has ended is kept from one superstep to the next, on disk too; one that has not is
/// read anew before the other side.
pub struct HybridHashJoin<L, R, O, SL, SR, F> {
    join: Box<dyn Operator>,
    #[expect(clippy::type_complexity, reason = "names what the operator is generic over")]
    types: PhantomData<fn(L, R, SL, SR, F) -> O>,
}

impl<L, R, O, SL, SR, F> HybridHashJoin<L, R, O, SL, SR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    F: FnMut(Option<&L>, Option<&R>, &mut Collector<'_, O>) + Send + 'static,
{
    /// A join with the table on side `build`.
    pub fn new(join_type: JoinType, build: Side, first_key: SL, second_key: SR, function: F) -> Self {
        let keeps = Keeps::new(join_type, build);
        let join: Box<dyn Operator> = match build {
            Side::First => Box::new(JoinCore::new(keeps, build, first_key, second_key, FirstBuilt(function))),
            Side::Second => Box::new(JoinCore::new(keeps, build, second_key, first_key, SecondBuilt(function))),
        };
        HybridHashJoin { join, types: PhantomData }
    }
}

/// The user function where the first side is built.
struct FirstBuilt<F>(F);

impl<B, P, O, F> Emit<B, P, O> for FirstBuilt<F>
where
    O: Data,
    F: FnMut(Option<&B>, Option<&P>, &mut Collector<'_, O>) + Send + 'static,
{
    #[inline(always)]
    fn emit(&mut self, build: Option<&B>, probe: Option<&P>, out: &mut Collector<'_, O>) {
        self.0(build, probe, out);
    }
}

/// The user function where the second side is built.
struct SecondBuilt<F>(F);

impl<B, P, O, F> Emit<B, P, O> for SecondBuilt<F>
where
    O: Data,
    F: FnMut(Option<&P>, Option<&B>, &mut Collector<'_, O>) + Send + 'static,
{
    #[inline(always)]
    fn emit(&mut self, build: Option<&B>, probe: Option<&P>, out: &mut Collector<'_, O>) {
        self.0(probe, build, out);
    }
}

impl<L: 'static, R: 'static, O: 'static, SL: 'static, SR: 'static, F: 'static> Operator
    for HybridHashJoin<L, R, O, SL, SR, F>
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.join.open(context)
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        self.join.process(input, batch, out)
    }

    fn close(&mut self) -> Result<()> {
        self.join.close()
    }

    fn preferred_input(&self) -> Option<usize> {
        self.join.preferred_input()
    }

    fn end_input(&mut self, input: usize, out: &mut dyn Output) -> Result<()> {
        self.join.end_input(input, out)
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.join.advance(out)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.join.superstep_end(superstep, out)
    }
}

#[cfg(test)]
mod tests;
