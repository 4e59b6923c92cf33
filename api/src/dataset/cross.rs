//! Cross: every record of one data set with every record of another.

use crate::dataset::DataSet;
use crate::program::Code;
use flinkrs_core::strategy::{DriverStrategy, Part};
use flinkrs_core::types::Data;
use flinkrs_core::{Collector, Operator};
use flinkrs_operators::NestedLoop;
use flinkrs_plan::{CrossHint, OperatorKind};
use std::marker::PhantomData;
use std::sync::Arc;

/// Two data sets to be crossed; what is made of each pair comes next.
pub struct CrossPair<L, R> {
    first: DataSet<L>,
    second: DataSet<R>,
    hint: CrossHint,
}

impl<L: Data> DataSet<L> {
    fn crossed<R: Data>(&self, second: &DataSet<R>, hint: CrossHint) -> CrossPair<L, R> {
        CrossPair { first: self.clone(), second: second.clone(), hint }
    }

    /// Every record with every record of `second`.
    pub fn cross<R: Data>(&self, second: &DataSet<R>) -> CrossPair<L, R> {
        self.crossed(second, CrossHint::OptimizerChooses)
    }

    /// [`cross`](DataSet::cross) with a second data set that is kept in every subtask.
    pub fn cross_with_tiny<R: Data>(&self, second: &DataSet<R>) -> CrossPair<L, R> {
        self.crossed(second, CrossHint::SecondIsSmall)
    }

    /// [`cross`](DataSet::cross) with a second data set so large that this one is kept in every subtask.
    pub fn cross_with_huge<R: Data>(&self, second: &DataSet<R>) -> CrossPair<L, R> {
        self.crossed(second, CrossHint::FirstIsSmall)
    }
}

struct CrossCode<L, R, O, F> {
    function: Arc<F>,
    records: PhantomData<fn(L, R) -> O>,
}

impl<L, R, O, F> Code for CrossCode<L, R, O, F>
where
    L: Data,
    R: Data,
    O: Data,
    F: Fn(&L, &R, &mut Collector<'_, O>) + Send + Sync + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        let Part::Driver(DriverStrategy::NestedLoop { inner }) = part else { return None };
        let f = Arc::clone(&self.function);
        let f = move |l: &L, r: &R, out: &mut Collector<'_, O>| f(l, r, out);
        Some(Box::new(NestedLoop::new(inner, f)))
    }
}

impl<L: Data, R: Data> CrossPair<L, R> {
    /// One record for each pair.
    pub fn map<O: Data>(&self, f: impl Fn(&L, &R) -> O + Send + Sync + 'static) -> DataSet<O> {
        self.flat_map(move |l, r, out| out.collect(f(l, r)))
    }

    /// Any number of records for each pair.
    pub fn flat_map<O: Data>(&self, f: impl Fn(&L, &R, &mut Collector<'_, O>) + Send + Sync + 'static) -> DataSet<O> {
        let code = CrossCode { function: Arc::new(f), records: PhantomData };
        let (first, second) = (&self.first, &self.second);
        first.env.add("Cross", OperatorKind::Cross { hint: self.hint }, &[first.id, second.id], code)
    }

    /// The pairs themselves.
    pub fn pairs(&self) -> DataSet<(L, R)> {
        self.map(|l, r| (l.clone(), r.clone()))
    }
}
