//! The two ends of a channel for those who are no tasks: they block.

use crate::network::remote::{ChannelId, Exchange, PeerId, StoredPartition};
use crate::network::{ChannelSender, Inbox, Sent, Taken, current_waker};
use flinkrs_core::element::Element;
use flinkrs_core::{Batch, Result};
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Whoever waits looks again after so long, also when nobody wakes it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The producer's end: sends batches to whoever requests the channel.
pub struct ChannelWriter {
    sender: Box<dyn ChannelSender>,
}

impl fmt::Debug for ChannelWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelWriter")
    }
}

impl ChannelWriter {
    /// Sends a batch, and returns it emptied for reuse; blocks while the channel is full.
    pub fn send(&mut self, batch: Batch) -> Result<Batch> {
        let like = batch.empty_like();
        self.send_element(Element::Batch(batch)).map(|spare| spare.unwrap_or(like))
    }

    /// Sends a batch if there is room; what of it found none comes back.
    pub fn try_send(&mut self, batch: Batch) -> Result<Option<Batch>> {
        let sent = self.sender.try_send(Element::Batch(batch))?;
        self.sender.flush();
        Ok(match sent {
            Sent::Full(Element::Batch(rest)) => Some(rest),
            Sent::Full(_) | Sent::Taken(_) => None,
        })
    }

    /// Says that nothing follows.
    pub fn end(mut self) -> Result<()> {
        self.send_element(Element::End).map(drop)
    }

    fn send_element(&mut self, mut element: Element) -> Result<Option<Batch>> {
        loop {
            let sent = self.sender.try_send(element)?;
            self.sender.flush();
            match sent {
                Sent::Taken(spare) => return Ok(spare),
                Sent::Full(rest) => element = rest,
            }
            thread::park_timeout(LOOK_AGAIN);
        }
    }
}

/// The consumer's end of some channels whose records have the same type. Only the thread that has made it is woken by
/// what comes.
pub struct ChannelReader {
    inbox: Arc<Inbox>,
    taken: VecDeque<Element>,
    thread: ThreadId,
}

impl fmt::Debug for ChannelReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelReader")
    }
}

impl ChannelReader {
    fn new(
        channels: &[((PeerId, SocketAddr), ChannelId)],
        request: impl Fn((PeerId, SocketAddr), ChannelId, Arc<Inbox>) -> Result<()>,
    ) -> Result<ChannelReader> {
        let inbox = Inbox::pipelined(channels.len());
        inbox.set_consumer(current_waker());
        channels.iter().try_for_each(|(peer, channel)| request(*peer, *channel, Arc::clone(&inbox)))?;
        Ok(ChannelReader { inbox, taken: VecDeque::new(), thread: thread::current().id() })
    }

    /// The next batch of any of the channels, or `None` when all have ended; blocks.
    ///
    /// Errors when a channel's producer says that it has no such partition, or records can't be decoded. It waits on
    /// when a producer is lost, which the handler of [`Exchange::on_peer_lost`] is told.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some(found) = self.try_next()? {
                return Ok(found);
            }
            let is_woken = thread::current().id() == self.thread;
            if is_woken { thread::park_timeout(LOOK_AGAIN) } else { thread::sleep(Duration::from_millis(1)) }
        }
    }

    /// What there is now: `None` if nothing, `Some(None)` if nothing any more.
    pub fn try_next(&mut self) -> Result<Option<Option<Batch>>> {
        loop {
            while let Some(element) = self.taken.pop_front() {
                if let Element::Batch(batch) = element {
                    return Ok(Some(Some(batch)));
                }
            }
            match self.inbox.take(&mut self.taken)? {
                Taken::Some => {}
                Taken::Empty => return Ok(None),
                Taken::Ended => return Ok(Some(None)),
            }
        }
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        self.inbox.abandon();
    }
}

impl Exchange {
    /// The producer's end of a channel, for a thread.
    ///
    /// Errors when the channel has a producer here already.
    pub fn writer(&self, channel: ChannelId) -> Result<ChannelWriter> {
        Ok(ChannelWriter { sender: self.sender(channel)? })
    }

    /// The consumer's end of some channels, each with its producer's worker, for the current thread; `like` is a batch
    /// of the records' type.
    pub fn reader(&self, channels: &[((PeerId, SocketAddr), ChannelId)], like: &Batch) -> Result<ChannelReader> {
        ChannelReader::new(channels, |peer, channel, inbox| self.request(peer, channel, inbox, like.empty_like()))
    }

    /// The same of channels that finished partitions hold.
    pub fn file_reader(&self, channels: &[((PeerId, SocketAddr), ChannelId)], like: &Batch) -> Result<ChannelReader> {
        ChannelReader::new(channels, |peer, channel, inbox| {
            self.request_stored(peer, channel, inbox, like.empty_like())
        })
    }

    /// The producer's ends, one per consumer, of a partition that is kept in the exchange's folder from when all of
    /// them have ended. At most `memory_bytes` of encoded records, and a frame, wait to be written.
    pub fn partition_writers(
        &self,
        id: &StoredPartition,
        consumers: u32,
        memory_bytes: usize,
    ) -> Result<Vec<ChannelWriter>> {
        let senders = self.partition(id, consumers, memory_bytes)?;
        Ok(senders.into_iter().map(|sender| ChannelWriter { sender }).collect())
    }
}
