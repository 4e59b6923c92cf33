//! What user functions see while they run, and where the runtime finds a program's typed code.

mod accumulator;
mod context;
mod iteration;

pub use accumulator::{Accumulator, AccumulatorValue, Accumulators};
pub use context::{BroadcastSets, CancelFlag, OperatorMetrics, RuntimeContext};
pub use iteration::{Aggregates, Convergence, IterationContext, IterationCounts, SlotState};

use crate::batch::Batch;
use crate::error::Result;
use crate::id::OperatorId;
use crate::operator::Operator;
use crate::sink::{Committer, ResultSink};
use crate::strategy::{Part, ShipStrategy};
use std::any::Any;
use std::sync::Arc;

/// The typed code of a program, by operator and part: what the runtime instantiates in each subtask.
pub trait FunctionSource: Send + Sync {
    /// A new instance of `part` of operator `id`.
    fn operator(&self, id: OperatorId, part: Part) -> Result<Box<dyn Operator>>;

    /// Distributes the records of input `input` of operator `id`, by its key.
    fn partitioner(&self, id: OperatorId, input: u8, strategy: ShipStrategy) -> Result<Box<dyn Partitioner>>;

    /// Gathers broadcast set `index` of operator `id`.
    fn broadcast_set(&self, id: OperatorId, index: u8) -> Result<Box<dyn BroadcastBuilder>>;

    /// An empty batch of the records that `part` of operator `id` emits, or sends to side output `side`.
    fn empty_batch(&self, id: OperatorId, part: Part, side: Option<u8>) -> Result<Batch>;

    /// What makes the output of sink `id` visible, if it is one that needs it.
    fn committer(&self, id: OperatorId) -> Option<Arc<dyn Committer>>;

    /// The records of sink `id`, if they come back into the program.
    fn result(&self, id: OperatorId) -> Option<Arc<dyn ResultSink>>;

    /// The convergence criterion of the loop that operator `id` closes, if it has one.
    fn convergence(&self, id: OperatorId) -> Option<Arc<Convergence>>;
}

/// Distributes the records of an edge over the channels to its consumers.
pub trait Partitioner: Send {
    /// Called once, before the first batch.
    fn open(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    /// Puts each record of `batch` into the open batch of its channel, and sends the full ones.
    fn partition(&mut self, batch: &mut Batch, channels: &mut dyn Channels) -> Result<()>;

    /// Sends all open batches.
    fn flush(&mut self, channels: &mut dyn Channels) -> Result<()>;
}

/// The channels of an edge, as a partitioner sees them.
pub trait Channels {
    /// How many there are.
    fn count(&self) -> usize;

    /// Sends the records of `batch` and leaves an empty batch, perhaps with capacity to use again.
    fn send(&mut self, channel: usize, batch: &mut Batch) -> Result<()>;
}

/// Gathers the records of a broadcast set into the value that functions see.
pub trait BroadcastBuilder: Send {
    /// Adds records.
    fn add(&mut self, batch: Batch);

    /// The complete set, an `Arc<Vec<T>>` behind the `Any`; what is added then belongs to another.
    fn finish(&mut self) -> Arc<dyn Any + Send + Sync>;
}
