//! Between tasks: the queue in front of each input, and the writers that spread a task's output over them.
//!
//! The seam for a network is [`ChannelSender`]: a writer sends elements into channels and is told when one is full;
//! whether a queue in this process or a connection takes them is the sender's business. `remote` has the connections.

mod inbox;
mod output;
mod remote;
mod writer;

#[doc(hidden)]
pub use remote::decoders;
pub use remote::{
    ChannelId, ChannelReader, ChannelWriter, Compression, Exchange, ExchangeOptions, PeerId, StoredPartition,
    TlsConfigs,
};

pub(crate) use inbox::{Inbox, LocalSender, Taken};
pub(crate) use output::TaskOutput;
pub(crate) use remote::address_of;
pub(crate) use writer::{EdgeWriter, Keyed, Spread};

use crate::task::current_task;
use flinkrs_core::batch::BATCH_BYTES;
use flinkrs_core::element::Element;
use flinkrs_core::{Batch, Result};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

/// One producer's end of a channel to one consumer.
pub(crate) trait ChannelSender: Send {
    /// Takes `element` now, or gives it back when the channel is full; the current task is woken once there is room.
    fn try_send(&mut self, element: Element) -> Result<Sent>;

    /// Lets go of elements that were taken and wait for others, to travel together.
    fn flush(&mut self) {}
}

/// What became of an element.
pub(crate) enum Sent {
    /// Taken; perhaps with an empty batch for reuse.
    Taken(Option<Batch>),
    /// The channel is full: the element comes back.
    Full(Element),
}

/// Batches of fewer records may be larger than a full batch, because their records are.
const FEW_RECORDS: usize = 16;

/// How much of a queue an element takes, in units of a full batch; at least 1.
pub(crate) fn weight(element: &Element) -> usize {
    match element {
        Element::Batch(batch) if batch.len() < FEW_RECORDS => (batch.bytes() / BATCH_BYTES).max(1),
        _ => 1,
    }
}

/// Wakes the task that runs on this thread, or the thread if there is none, which parks until then.
pub(crate) fn current_waker() -> Waker {
    match current_task() {
        Some(task) => Waker::from(task),
        None => THREAD.with(Waker::clone),
    }
}

thread_local! {
    /// Wakes this thread.
    static THREAD: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
