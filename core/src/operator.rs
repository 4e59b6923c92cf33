//! The operator trait: three methods that every operator writes, and hooks that most leave alone.

use crate::batch::{Batch, batch_capacity};
use crate::element::{Barrier, Superstep, Watermark};
use crate::error::{Error, Result};
use crate::function::RuntimeContext;
use crate::state::{Extent, StateReader, StateWriter};
use crate::types::{Data, heap_bytes};

/// Whether an operator has more to do without new input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again as soon as the output has room.
    More,
    /// Nothing is left.
    Done,
}

/// One operator of a task: gets batches, pushes batches into its output.
///
/// The calls come in the order that [`element`](crate::element) gives: `open`, then per input `process` and the
/// hooks, `end_input` once per input, `advance` until it is done, `close`. A batch that `process` gets belongs to
/// the caller again afterwards: the operator takes the records out and may leave the capacity for reuse.
pub trait Operator: Send {
    /// Called once before anything else, in the thread that runs the task.
    fn open(&mut self, context: &RuntimeContext) -> Result<()>;

    /// Takes a batch of `input` and pushes what follows from it.
    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()>;

    /// Called once after the end, also when the job failed or was cancelled: releases what must not wait for drop.
    fn close(&mut self) -> Result<()>;

    /// The input the operator wants to read first; the others wait until it has ended.
    fn preferred_input(&self) -> Option<usize> {
        None
    }

    /// Nothing follows on `input`.
    fn end_input(&mut self, _input: usize, _out: &mut dyn Output) -> Result<()> {
        Ok(())
    }

    /// Works on without input: a source reads its next piece, an operator whose inputs have all ended emits what it
    /// holds. One call emits some batches, not all.
    fn advance(&mut self, _out: &mut dyn Output) -> Result<Progress> {
        Ok(Progress::Done)
    }

    /// Event time has progressed on `input`.
    fn watermark(&mut self, _input: usize, watermark: Watermark, out: &mut dyn Output) -> Result<()> {
        out.watermark(watermark)
    }

    /// A checkpoint's barrier has arrived on all inputs.
    fn barrier(&mut self, barrier: Barrier, out: &mut dyn Output) -> Result<()> {
        out.barrier(barrier)
    }

    /// Another round of the enclosing loop begins, not the first: what depends on the round is made anew.
    fn superstep_begin(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    /// A round of the enclosing loop is over on all inputs of the dynamic path: emit as at the end, then reset.
    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        out.superstep_end(superstep)
    }

    /// Writes what the operator keeps beyond the superstep that has just ended on it; of those that close a loop.
    fn snapshot(&mut self, _extent: Extent, _state: &mut dyn StateWriter) -> Result<()> {
        Ok(())
    }

    /// Called after `open` when the job goes on from a snapshot: takes the state over, all of it and then the changes
    /// in order, and ignores the input that follows.
    fn restore(&mut self, _state: &mut dyn StateReader) -> Result<()> {
        Ok(())
    }

    /// A timer that the operator registered for `time` (milliseconds) is due.
    fn timer(&mut self, _time: i64, _out: &mut dyn Output) -> Result<()> {
        Ok(())
    }

    /// The operator as one that pulls its input, for functions that want an iterator; such an operator stands first
    /// in its task, and [`PullOperator::run`] is called instead of `process`.
    fn as_pull(&mut self) -> Option<&mut dyn PullOperator> {
        None
    }
}

/// An operator that reads its input at its own pace; waiting blocks the thread, for which the runtime finds another.
pub trait PullOperator {
    /// Reads `input` to its end, or as far as it wants, and pushes the results.
    fn run(&mut self, input: &mut dyn Input, out: &mut dyn Output) -> Result<()>;
}

/// What a [`PullOperator`] reads from.
pub trait Input {
    /// The next batch, or `None` at the end; waits for it.
    fn next(&mut self) -> Result<Option<Batch>>;
}

/// Where an operator pushes what it makes: the next operator of the task, or the way out of it.
pub trait Output {
    /// Takes the records of `batch` and leaves an empty batch, perhaps with capacity to use again.
    fn push(&mut self, batch: &mut Batch) -> Result<()>;

    /// Sends a batch to side output `tag` of the task.
    fn side(&mut self, tag: u8, batch: &mut Batch) -> Result<()>;

    /// Passes event time on.
    fn watermark(&mut self, watermark: Watermark) -> Result<()>;

    /// Passes a checkpoint's barrier on.
    fn barrier(&mut self, barrier: Barrier) -> Result<()>;

    /// Passes the end of a superstep on.
    fn superstep_end(&mut self, superstep: Superstep) -> Result<()>;

    /// Whether a push would wait in the task's overflow; an emitter returns [`Progress::More`] then.
    fn has_room(&self) -> bool;
}

/// Takes records one by one from a user function and pushes them in batches.
///
/// `collect` never blocks on a full exchange for long; when the job is cancelled or an operator further down has
/// failed, it unwinds out of the user function.
pub struct Collector<'a, T: Data> {
    buffer: &'a mut Batch,
    records: Vec<T>,
    bytes: usize,
    out: &'a mut dyn Output,
}

/// Carries an error out of a user function that called [`Collector::collect`]; the task catches it.
pub struct Unwind(pub Error);

impl<'a, T: Data> Collector<'a, T> {
    /// A collector that pushes into `out`; `buffer` keeps the capacity from one call to the next.
    #[inline]
    pub fn new(buffer: &'a mut Batch, out: &'a mut dyn Output) -> Collector<'a, T> {
        let mut records = std::mem::take(buffer.records::<T>());
        debug_assert!(records.is_empty(), "a buffer is empty between two calls");
        if records.capacity() == 0 {
            records.reserve_exact(batch_capacity::<T>());
        }
        Collector { buffer, records, bytes: 0, out }
    }

    /// Adds a record to the output.
    #[inline(always)]
    pub fn collect(&mut self, record: T) {
        if std::mem::needs_drop::<T>() {
            self.bytes += heap_bytes(&record, crate::batch::BATCH_BYTES);
        }
        self.records.push(record);
        if self.records.len() >= batch_capacity::<T>() || self.bytes >= crate::batch::BATCH_BYTES {
            self.flush_or_unwind();
        }
    }

    #[cold]
    #[inline(never)]
    fn flush_or_unwind(&mut self) {
        if let Err(error) = self.flush() {
            std::panic::resume_unwind(Box::new(Unwind(error)));
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        *self.buffer.records::<T>() = std::mem::take(&mut self.records);
        self.out.push(self.buffer)?;
        let records = self.buffer.records::<T>();
        records.clear();
        self.records = std::mem::take(records);
        if self.records.capacity() == 0 {
            self.records.reserve_exact(batch_capacity::<T>());
        }
        Ok(())
    }

    /// Whether the output would rather wait.
    pub fn has_room(&self) -> bool {
        self.out.has_room()
    }

    /// Pushes what is left and gives the buffer back; every use ends with it.
    #[inline]
    pub fn finish(mut self) -> Result<()> {
        if !self.records.is_empty() {
            self.flush()?;
        }
        *self.buffer.records::<T>() = self.records;
        Ok(())
    }
}
