//! Partitioning and sorting: where records go, and in which order each partition is.

use crate::dataset::group::{bounds, by_key};
use crate::dataset::{DataSet, SortSpec};
use crate::program::{Code, Plain};
use flinkrs_core::function::{BroadcastBuilder, Partitioner};
use flinkrs_core::strategy::{Part, ShipStrategy};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Operator};
use flinkrs_operators::{
    CustomPartitioner, LimitOperator, NoOpOperator, RangeBounds, RangePartitioner, RangeSampler, RecordOrder,
    SortOperator,
};
use flinkrs_plan::{KeySpec, OperatorKind, PartitionMethod};
use std::marker::PhantomData;
use std::sync::Arc;

struct HashCode<T, S>(S, PhantomData<fn(T)>);

impl<T: Data, S: KeySelector<T>> Code for HashCode<T, S> {
    fn operator(&self, _part: Part) -> Option<Box<dyn Operator>> {
        None
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        by_key::<T, S>(&self.0, ship)
    }
}

struct RangeCode<T, S>(S, PhantomData<fn(T)>);

impl<T: Data, S: KeySelector<T>> Code for RangeCode<T, S> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        match part {
            Part::Sample { .. } => Some(Box::new(RangeSampler::<T, S>::new(self.0.clone()))),
            Part::RangeBounds { .. } => Some(Box::new(RangeBounds::<S::Key>::new())),
            _ => None,
        }
    }

    fn empty_batch(&self, part: Part, side: Option<u8>) -> Option<Batch> {
        (side.is_some() || matches!(part, Part::RangeBounds { .. })).then(|| Batch::new(Vec::<S::Key>::new()))
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        (ship == ShipStrategy::PartitionRange)
            .then(|| Box::new(RangePartitioner::<T, S>::new(self.0.clone())) as Box<dyn Partitioner>)
    }

    fn range_bounds(&self) -> Option<Box<dyn BroadcastBuilder>> {
        bounds::<S::Key>()
    }
}

struct CustomCode<T, S, P> {
    selector: S,
    function: Arc<P>,
    records: PhantomData<fn(T)>,
}

impl<T, S, P> Code for CustomCode<T, S, P>
where
    T: Data,
    S: KeySelector<T>,
    P: Fn(&S::Key, usize) -> usize + Send + Sync + 'static,
{
    fn operator(&self, _part: Part) -> Option<Box<dyn Operator>> {
        None
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        let function = Arc::clone(&self.function);
        (ship == ShipStrategy::PartitionCustom).then(|| {
            let function = move |key: &S::Key, partitions| function(key, partitions);
            Box::new(CustomPartitioner::<T, S, _>::new(self.selector.clone(), function)) as Box<dyn Partitioner>
        })
    }
}

struct SortCode<T, O>(O, PhantomData<fn(T)>);

impl<T: Data, O: RecordOrder<T>> Code for SortCode<T, O> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Sort { .. })
            .then(|| Box::new(SortOperator::<T, O>::new(self.0.clone())) as Box<dyn Operator>)
    }
}

impl<T: Data> DataSet<T> {
    fn partitioned(&self, method: PartitionMethod, key: KeySpec, code: impl Code + 'static) -> DataSet<T> {
        self.env.add("Partition", OperatorKind::Partition { method, key }, &[self.id], code)
    }

    /// Spreads the records by the hash of a key.
    pub fn partition_by_hash<S: KeySelector<T>>(&self, selector: S) -> DataSet<T> {
        let key = self.env.key_spec::<T, S>(&selector);
        self.partitioned(PartitionMethod::Hash, key, HashCode(selector, PhantomData))
    }

    /// Spreads the records by ranges of a key, of about equal size: partition `i` has smaller keys than `i + 1`.
    pub fn partition_by_range<S: KeySelector<T>>(&self, selector: S) -> DataSet<T> {
        let key = self.env.key_spec::<T, S>(&selector);
        self.partitioned(PartitionMethod::Range, key, RangeCode(selector, PhantomData))
    }

    /// Spreads the records by a function of key and number of partitions; a result outside of them fails the job.
    pub fn partition_custom<S: KeySelector<T>>(
        &self,
        selector: S,
        function: impl Fn(&S::Key, usize) -> usize + Send + Sync + 'static,
    ) -> DataSet<T> {
        let key = self.env.key_spec::<T, S>(&selector);
        let code = CustomCode { selector, function: Arc::new(function), records: PhantomData };
        self.partitioned(PartitionMethod::Custom, key, code)
    }

    /// Spreads the records evenly, in turn.
    pub fn rebalance(&self) -> DataSet<T> {
        self.partitioned(PartitionMethod::Rebalance, Vec::new(), Plain(|| NoOpOperator))
    }

    /// Sorts each partition: `sort_partition(Asc(f0))`, `sort_partition((Asc(f0), Desc(f1)))`.
    pub fn sort_partition<P: SortSpec<T>>(&self, order: P) -> DataSet<T> {
        let kind = OperatorKind::SortPartition { order: self.env.order_spec(&order) };
        self.env.add("SortPartition", kind, &[self.id], SortCode(order.order(), PhantomData))
    }

    /// Any `n` of the records; the first `n` if the data set is one sorted partition.
    pub fn first(&self, n: usize) -> DataSet<T> {
        let limit = |input: &DataSet<T>| -> DataSet<T> {
            let kind = OperatorKind::Limit { count: n as u64 };
            input.env.add("First", kind, &[input.id], Plain(move || LimitOperator::<T>::new(n)))
        };
        // The first step runs where the records are, so that their order counts.
        let here = limit(self);
        let parallelism = self.env.explicit_parallelism(self.id);
        self.env.change(here.id, |operator| operator.parallelism = parallelism);
        limit(&here).parallelism(1)
    }
}
