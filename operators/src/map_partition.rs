//! Map partition: a function that reads the records of its partition as an iterator.

use crate::rich::{Make, Rich};
use flinkrs_core::operator::{Input, PullOperator, Unwind};
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Collector, Error, Operator, Output, Result, RuntimeContext};
use std::marker::PhantomData;

/// The records of a partition, one after the other; waits for those that have not arrived.
///
/// When the job is cancelled or the input fails, `next` unwinds out of the user function.
pub struct Records<'a, T: Data> {
    input: &'a mut dyn Input,
    /// The records of the current batch, last first.
    current: Vec<T>,
    ended: bool,
}

impl<'a, T: Data> Records<'a, T> {
    /// The records that `input` still has.
    pub fn new(input: &'a mut dyn Input) -> Records<'a, T> {
        Records { input, current: Vec::new(), ended: false }
    }

    #[cold]
    fn refill(&mut self) -> Option<T> {
        while !self.ended {
            match self.input.next() {
                Ok(Some(batch)) => {
                    self.current = *batch.into_boxed::<T>();
                    self.current.reverse();
                    if let Some(record) = self.current.pop() {
                        return Some(record);
                    }
                }
                Ok(None) => self.ended = true,
                Err(error) => std::panic::resume_unwind(Box::new(Unwind(error))),
            }
        }
        None
    }
}

impl<T: Data> Iterator for Records<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self.current.pop() {
            Some(record) => Some(record),
            None => self.refill(),
        }
    }
}

/// Hands the records of a whole partition to its function, once.
pub struct MapPartitionOperator<T, U, F> {
    function: Rich<F>,
    buffer: Batch,
    types: PhantomData<fn(T) -> U>,
}

impl<T, U, F> MapPartitionOperator<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(&mut Records<'_, T>, &mut Collector<'_, U>) + Send + 'static,
{
    /// An operator that makes its function when it opens.
    pub fn new(make: Make<F>) -> Self {
        MapPartitionOperator { function: Rich::new(make), buffer: Batch::new(Vec::<U>::new()), types: PhantomData }
    }
}

impl<T, U, F> PullOperator for MapPartitionOperator<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(&mut Records<'_, T>, &mut Collector<'_, U>) + Send + 'static,
{
    fn run(&mut self, input: &mut dyn Input, out: &mut dyn Output) -> Result<()> {
        let mut collector = Collector::new(&mut self.buffer, out);
        self.function.get()(&mut Records::new(input), &mut collector);
        collector.finish()
    }
}

impl<T, U, F> Operator for MapPartitionOperator<T, U, F>
where
    T: Data,
    U: Data,
    F: FnMut(&mut Records<'_, T>, &mut Collector<'_, U>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn superstep_begin(&mut self, context: &RuntimeContext) -> Result<()> {
        self.function.open(context)
    }

    fn process(&mut self, _input: usize, _batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        Err(Error::internal("map_partition pulls its input, but was pushed a batch"))
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }

    fn as_pull(&mut self) -> Option<&mut dyn PullOperator> {
        Some(self)
    }
}
