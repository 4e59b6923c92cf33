//! Record-wise transformations: map, flatMap, filter, and their forms for batches and partitions.

use crate::dataset::DataSet;
use crate::program::Plain;
use flinkrs_core::types::Data;
use flinkrs_core::{Collector, Result, RuntimeContext};
use flinkrs_operators::{
    FilterOperator, FlatMapOperator, Make, MapBatchesOperator, MapOperator, MapPartitionOperator, NoOpOperator, Records,
};
use flinkrs_plan::OperatorKind;
use std::sync::Arc;

/// A function that is made in each subtask, when the subtask opens.
fn rich<M, F>(make: &Arc<M>) -> Make<F>
where
    M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
{
    let make = Arc::clone(make);
    Box::new(move |context| make(context))
}

impl<T: Data> DataSet<T> {
    /// One record for each.
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> DataSet<U> {
        let f = Arc::new(f);
        self.map_rich(move |_| {
            let f = Arc::clone(&f);
            Ok(move |record| f(record))
        })
    }

    /// [`map`](DataSet::map) with a function that each subtask makes with its context: it may keep state, see
    /// broadcast sets and use accumulators.
    pub fn map_rich<U, F, M>(&self, make: M) -> DataSet<U>
    where
        U: Data,
        F: FnMut(T) -> U + Send + 'static,
        M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let code = Plain(move || MapOperator::<T, U, F>::new(rich(&make)));
        self.env.add("Map", OperatorKind::Map, &[self.id], code)
    }

    /// Any number of records for each.
    pub fn flat_map<U: Data>(&self, f: impl Fn(T, &mut Collector<'_, U>) + Send + Sync + 'static) -> DataSet<U> {
        let f = Arc::new(f);
        self.flat_map_rich(move |_| {
            let f = Arc::clone(&f);
            Ok(move |record: T, out: &mut Collector<'_, U>| f(record, out))
        })
    }

    /// [`flat_map`](DataSet::flat_map) with a function that each subtask makes with its context.
    pub fn flat_map_rich<U, F, M>(&self, make: M) -> DataSet<U>
    where
        U: Data,
        F: FnMut(T, &mut Collector<'_, U>) + Send + 'static,
        M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let code = Plain(move || FlatMapOperator::<T, U, F>::new(rich(&make)));
        self.env.add("FlatMap", OperatorKind::FlatMap, &[self.id], code)
    }

    /// The records for which `f` is true.
    pub fn filter(&self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> DataSet<T> {
        let f = Arc::new(f);
        self.filter_rich(move |_| {
            let f = Arc::clone(&f);
            Ok(move |record: &T| f(record))
        })
    }

    /// [`filter`](DataSet::filter) with a function that each subtask makes with its context.
    pub fn filter_rich<F, M>(&self, make: M) -> DataSet<T>
    where
        F: FnMut(&T) -> bool + Send + 'static,
        M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let code = Plain(move || FilterOperator::<T, F>::new(rich(&make)));
        self.env.add("Filter", OperatorKind::Filter, &[self.id], code)
    }

    /// A function of each batch, up to about a thousand records at a time: the form in which a loop over numbers is
    /// vectorized. What `f` leaves in the batch is dropped.
    pub fn map_batches<U: Data>(
        &self,
        f: impl Fn(&mut Vec<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        let f = Arc::new(f);
        self.map_batches_rich(move |_| {
            let f = Arc::clone(&f);
            Ok(move |records: &mut Vec<T>, out: &mut Collector<'_, U>| f(records, out))
        })
    }

    /// [`map_batches`](DataSet::map_batches) with a function that each subtask makes with its context.
    pub fn map_batches_rich<U, F, M>(&self, make: M) -> DataSet<U>
    where
        U: Data,
        F: FnMut(&mut Vec<T>, &mut Collector<'_, U>) + Send + 'static,
        M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let code = Plain(move || MapBatchesOperator::<T, U, F>::new(rich(&make)));
        self.env.add("MapBatches", OperatorKind::MapBatches, &[self.id], code)
    }

    /// A function that iterates over a whole partition; it runs once per subtask, on a thread of its own while it
    /// waits.
    pub fn map_partition<U: Data>(
        &self,
        f: impl Fn(&mut Records<'_, T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        let f = Arc::new(f);
        self.map_partition_rich(move |_| {
            let f = Arc::clone(&f);
            Ok(move |records: &mut Records<'_, T>, out: &mut Collector<'_, U>| f(records, out))
        })
    }

    /// [`map_partition`](DataSet::map_partition) with a function that each subtask makes with its context.
    pub fn map_partition_rich<U, F, M>(&self, make: M) -> DataSet<U>
    where
        U: Data,
        F: FnMut(&mut Records<'_, T>, &mut Collector<'_, U>) + Send + 'static,
        M: Fn(&RuntimeContext) -> Result<F> + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let code = Plain(move || MapPartitionOperator::<T, U, F>::new(rich(&make)));
        self.env.add("MapPartition", OperatorKind::MapPartition, &[self.id], code)
    }

    /// The records of both data sets.
    pub fn union(&self, other: &DataSet<T>) -> DataSet<T> {
        self.env.add("Union", OperatorKind::Union, &[self.id, other.id], Plain(|| NoOpOperator))
    }
}
