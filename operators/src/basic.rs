//! Operators that look at one record or one batch at a time: map, flat map, filter, map batches, limit, no-op.

use crate::rich::{Make, Rich};
use flinkrs_core::batch::batch_capacity;
use flinkrs_core::element::Superstep;
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Collector, Operator, Output, Result, RuntimeContext};
use std::marker::PhantomData;

/// Turns each record into one other.
pub struct MapOperator<T, U, F> {
    function: Rich<F>,
    buffer: Batch,
    types: PhantomData<fn(T) -> U>,
}

impl<T: Data, U: Data, F: FnMut(T) -> U + Send + 'static> MapOperator<T, U, F> {
    /// An operator that makes its function when it opens.
    pub fn new(make: Make<F>) -> Self {
        MapOperator { function: Rich::new(make), buffer: Batch::new(Vec::<U>::new()), types: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T) -> U + Send + 'static> Operator for MapOperator<T, U, F> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn superstep_begin(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let function = self.function.get();
        let records = batch.records::<T>();
        if !std::mem::needs_drop::<U>() && records.len() <= batch_capacity::<U>() {
            // The results can't fill more than a batch, so nothing has to be counted on the way.
            self.buffer.records::<U>().extend(records.drain(..).map(function));
            if self.buffer.is_empty() { Ok(()) } else { push_cleared(&mut self.buffer, out) }
        } else {
            let mut collector = Collector::new(&mut self.buffer, out);
            records.drain(..).for_each(|record| collector.collect(function(record)));
            collector.finish()
        }
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Pushes a buffer that the operator keeps.
fn push_cleared(buffer: &mut Batch, out: &mut dyn Output) -> Result<()> {
    let result = out.push(buffer);
    buffer.clear();
    result
}

/// Turns each record into any number of others.
pub struct FlatMapOperator<T, U, F> {
    function: Rich<F>,
    buffer: Batch,
    types: PhantomData<fn(T) -> U>,
}

impl<T: Data, U: Data, F: FnMut(T, &mut Collector<'_, U>) + Send + 'static> FlatMapOperator<T, U, F> {
    /// An operator that makes its function when it opens.
    pub fn new(make: Make<F>) -> Self {
        FlatMapOperator { function: Rich::new(make), buffer: Batch::new(Vec::<U>::new()), types: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T, &mut Collector<'_, U>) + Send + 'static> Operator for FlatMapOperator<T, U, F> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn superstep_begin(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let function = self.function.get();
        let mut collector = Collector::new(&mut self.buffer, out);
        batch.records::<T>().drain(..).for_each(|record| function(record, &mut collector));
        collector.finish()
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Keeps the records for which its function says so; works in place.
pub struct FilterOperator<T, F> {
    function: Rich<F>,
    types: PhantomData<fn(T)>,
}

impl<T: Data, F: FnMut(&T) -> bool + Send + 'static> FilterOperator<T, F> {
    /// An operator that makes its function when it opens.
    pub fn new(make: Make<F>) -> Self {
        FilterOperator { function: Rich::new(make), types: PhantomData }
    }
}

impl<T: Data, F: FnMut(&T) -> bool + Send + 'static> Operator for FilterOperator<T, F> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn superstep_begin(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        batch.records::<T>().retain(self.function.get());
        if batch.is_empty() { Ok(()) } else { out.push(batch) }
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Hands whole batches to its function, which may take the records out or change them in place.
pub struct MapBatchesOperator<T, U, F> {
    function: Rich<F>,
    buffer: Batch,
    types: PhantomData<fn(T) -> U>,
}

impl<T: Data, U: Data, F: FnMut(&mut Vec<T>, &mut Collector<'_, U>) + Send + 'static> MapBatchesOperator<T, U, F> {
    /// An operator that makes its function when it opens.
    pub fn new(make: Make<F>) -> Self {
        MapBatchesOperator { function: Rich::new(make), buffer: Batch::new(Vec::<U>::new()), types: PhantomData }
    }
}

impl<T, U, F> Operator for MapBatchesOperator<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(&mut Vec<T>, &mut Collector<'_, U>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn superstep_begin(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let mut collector = Collector::new(&mut self.buffer, out);
        self.function.get()(batch.records::<T>(), &mut collector);
        batch.clear();
        collector.finish()
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Keeps the first records of its partition, whichever those are.
pub struct LimitOperator<T> {
    limit: usize,
    left: usize,
    types: PhantomData<fn(T)>,
}

impl<T: Data> LimitOperator<T> {
    /// Keeps `limit` records.
    pub fn new(limit: usize) -> Self {
        LimitOperator { limit, left: limit, types: PhantomData }
    }
}

impl<T: Data> Operator for LimitOperator<T> {
    fn open(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        batch.records::<T>().truncate(self.left);
        self.left -= batch.len();
        if batch.is_empty() { Ok(()) } else { out.push(batch) }
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.left = self.limit;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Passes records on unchanged.
#[derive(Debug, Default)]
pub struct NoOpOperator;

impl Operator for NoOpOperator {
    fn open(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        out.push(batch)
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
