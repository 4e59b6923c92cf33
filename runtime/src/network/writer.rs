//! Spreads one edge's records over the channels to its consumers.

use crate::network::{ChannelSender, Sent, weight};
use crate::task::{block_until, catch_inside};
use flinkrs_core::batch::BATCH_RECORDS;
use flinkrs_core::element::{Barrier, Element, Superstep, Watermark};
use flinkrs_core::function::{CancelFlag, Channels, Partitioner};
use flinkrs_core::id::Subtask;
use flinkrs_core::{Batch, Result, RuntimeContext};
use std::collections::VecDeque;

/// What may wait in a task for room in its channels before the task blocks, in units of a full batch: what one call of
/// an operator usually emits.
const OVERFLOW_WEIGHT: usize = 64;

/// A batch of fewer records waits for more, as long as its task has something to do.
const WORTH_SENDING: usize = BATCH_RECORDS / 4;

/// How an edge spreads its records.
pub(crate) enum Spread {
    /// To the one channel there is.
    Forward,
    /// In turn, record by record.
    Rebalance,
    /// To every channel.
    Broadcast,
    /// By key.
    Keyed(Keyed),
}

/// Code of the consuming operator that runs in the producing task: its key, or its function of the key.
pub(crate) struct Keyed {
    pub(crate) partitioner: Box<dyn Partitioner>,
    /// What errors and panics name, in place of the operator that sends.
    pub(crate) name: String,
    /// The producing subtask.
    pub(crate) subtask: Subtask,
}

impl Keyed {
    #[inline]
    fn call(&mut self, f: impl FnOnce(&mut dyn Partitioner) -> Result<()>) -> Result<()> {
        let Keyed { partitioner, name, subtask } = self;
        catch_inside(|| f(&mut **partitioner)).map_err(|error| error.in_operator(name, *subtask))
    }
}

/// One producing subtask's side of an edge.
pub(crate) struct EdgeWriter {
    spread: Spread,
    channels: ChannelSet,
    /// Records that wait to become a batch worth sending: one batch, or for REBALANCE one per channel.
    open: Vec<Batch>,
    turn: usize,
}

struct ChannelSet {
    senders: Vec<Box<dyn ChannelSender>>,
    overflow: VecDeque<(usize, Element)>,
    cancelled: CancelFlag,
}

impl EdgeWriter {
    /// A writer into `senders`, one per consuming subtask that this producer reaches; REBALANCE begins with `first`.
    pub(crate) fn new(
        spread: Spread,
        senders: Vec<Box<dyn ChannelSender>>,
        first: usize,
        cancelled: CancelFlag,
    ) -> EdgeWriter {
        let turn = first % senders.len();
        let channels = ChannelSet { senders, overflow: VecDeque::new(), cancelled };
        EdgeWriter { spread, channels, open: Vec::new(), turn }
    }

    pub(crate) fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        match &mut self.spread {
            Spread::Keyed(keyed) => keyed.call(|partitioner| partitioner.open(context)),
            _ => Ok(()),
        }
    }

    /// Takes the records of `batch` and leaves an empty batch.
    pub(crate) fn push(&mut self, batch: &mut Batch) -> Result<()> {
        match &mut self.spread {
            Spread::Keyed(keyed) => keyed.call(|partitioner| partitioner.partition(batch, &mut self.channels)),
            Spread::Rebalance if self.channels.senders.len() > 1 => self.deal(batch),
            Spread::Forward | Spread::Rebalance | Spread::Broadcast => self.gather(batch),
        }
    }

    /// Sends a large batch as it is, and small ones together.
    fn gather(&mut self, batch: &mut Batch) -> Result<()> {
        if self.open.is_empty() {
            self.open.push(batch.empty_like());
        }
        let open = &mut self.open[0];
        if open.is_empty() && batch.len() >= WORTH_SENDING {
            return Self::send_to_all(&self.spread, &mut self.channels, batch);
        }
        open.append(batch);
        if open.len() >= WORTH_SENDING { Self::send_to_all(&self.spread, &mut self.channels, open) } else { Ok(()) }
    }

    fn send_to_all(spread: &Spread, channels: &mut ChannelSet, batch: &mut Batch) -> Result<()> {
        let last = channels.senders.len() - 1;
        if matches!(spread, Spread::Broadcast) {
            for channel in 0..last {
                channels.send(channel, &mut batch.clone())?;
            }
        }
        channels.send(last, batch)
    }

    fn deal(&mut self, batch: &mut Batch) -> Result<()> {
        let count = self.channels.senders.len();
        if self.open.is_empty() {
            self.open = (0..count).map(|_| batch.empty_like()).collect();
        }
        let records = batch.len();
        batch.deal(&mut self.open, self.turn);
        self.turn = (self.turn + records) % count;
        for (channel, open) in self.open.iter_mut().enumerate() {
            if open.len() >= WORTH_SENDING {
                self.channels.send(channel, open)?;
            }
        }
        Ok(())
    }

    /// Sends all that waits for company: the task has nothing more to do now.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.flush_records()?;
        self.channels.flush();
        Ok(())
    }

    fn flush_records(&mut self) -> Result<()> {
        if let Spread::Keyed(keyed) = &mut self.spread {
            return keyed.call(|partitioner| partitioner.flush(&mut self.channels));
        }
        for (channel, open) in self.open.iter_mut().enumerate().filter(|(_, open)| !open.is_empty()) {
            match self.spread {
                Spread::Rebalance if self.channels.senders.len() > 1 => self.channels.send(channel, open)?,
                _ => Self::send_to_all(&self.spread, &mut self.channels, open)?,
            }
        }
        Ok(())
    }

    /// Sends a control element to every channel, behind all records.
    pub(crate) fn control(&mut self, element: &Control) -> Result<()> {
        self.flush_records()?;
        for channel in 0..self.channels.senders.len() {
            self.channels.send_element(channel, element.element())?;
        }
        self.channels.flush();
        Ok(())
    }

    /// Tries to empty the overflow; whether it is empty.
    pub(crate) fn drain(&mut self) -> Result<bool> {
        self.channels.drain()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.channels.overflow.is_empty()
    }
}

/// A control element that goes to every channel.
pub(crate) enum Control {
    Watermark(Watermark),
    Barrier(Barrier),
    SuperstepEnd(Superstep),
    End,
}

impl Control {
    fn element(&self) -> Element {
        match self {
            Control::Watermark(watermark) => Element::Watermark(*watermark),
            Control::Barrier(barrier) => Element::Barrier(*barrier),
            Control::SuperstepEnd(superstep) => Element::SuperstepEnd(*superstep),
            Control::End => Element::End,
        }
    }
}

impl Channels for ChannelSet {
    fn count(&self) -> usize {
        self.senders.len()
    }

    fn send(&mut self, channel: usize, batch: &mut Batch) -> Result<()> {
        let full = batch.take();
        if let Some(spare) = self.send_element(channel, Element::Batch(full))? {
            *batch = spare;
        }
        Ok(())
    }
}

impl ChannelSet {
    fn send_element(&mut self, channel: usize, element: Element) -> Result<Option<Batch>> {
        if self.overflow.is_empty() {
            match self.senders[channel].try_send(element)? {
                Sent::Taken(spare) => return Ok(spare),
                Sent::Full(element) => self.overflow.push_back((channel, element)),
            }
        } else {
            self.overflow.push_back((channel, element));
        }
        if self.overflow.len() > OVERFLOW_WEIGHT || self.overflow_weight() > OVERFLOW_WEIGHT {
            self.wait_for_room()?;
        }
        Ok(None)
    }

    fn flush(&mut self) {
        self.senders.iter_mut().for_each(|sender| sender.flush());
    }

    fn overflow_weight(&self) -> usize {
        self.overflow.iter().map(|(_, element)| weight(element)).sum()
    }

    /// Blocks until the overflow is gone; other tasks run meanwhile.
    fn wait_for_room(&mut self) -> Result<()> {
        let mut result = Ok(());
        block_until(|| {
            result = self.cancelled.check();
            result.is_err() || {
                match self.drain() {
                    Ok(empty) => empty,
                    Err(error) => {
                        result = Err(error);
                        true
                    }
                }
            }
        });
        result
    }

    /// Sends what it can; elements for one channel stay in order, a full channel doesn't hold up the others.
    fn drain(&mut self) -> Result<bool> {
        if self.overflow.is_empty() {
            return Ok(true);
        }
        let mut full = vec![false; self.senders.len()];
        for _ in 0..self.overflow.len() {
            let Some((channel, element)) = self.overflow.pop_front() else { break };
            if full[channel] {
                self.overflow.push_back((channel, element));
            } else if let Sent::Full(element) = self.senders[channel].try_send(element)? {
                full[channel] = true;
                self.overflow.push_back((channel, element));
            }
        }
        // The task may wait now, and whoever makes room may need what it has sent elsewhere.
        self.flush();
        Ok(self.overflow.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    /// A channel that is full until it has room, and lets go of what it has taken when it is flushed.
    #[derive(Clone, Default)]
    struct Holding {
        room: Arc<AtomicUsize>,
        taken: Arc<Mutex<Vec<Element>>>,
        gone: Arc<Mutex<Vec<Element>>>,
    }

    impl ChannelSender for Holding {
        fn try_send(&mut self, element: Element) -> Result<Sent> {
            if self.room.load(Ordering::Relaxed) == 0 {
                return Ok(Sent::Full(element));
            }
            self.room.fetch_sub(1, Ordering::Relaxed);
            self.taken.lock().expect("nobody panics").push(element);
            Ok(Sent::Taken(None))
        }

        fn flush(&mut self) {
            self.gone.lock().expect("nobody panics").append(&mut self.taken.lock().expect("nobody panics"));
        }
    }

    #[test]
    fn what_found_no_room_at_once_is_let_go_of_when_it_does() {
        let channels = [Holding::default(), Holding::default()];
        let senders = channels.iter().map(|channel| Box::new(channel.clone()) as Box<dyn ChannelSender>).collect();
        let mut writer = EdgeWriter::new(Spread::Broadcast, senders, 0, CancelFlag::default());
        let gone = || channels.each_ref().map(|channel| channel.gone.lock().expect("nobody panics").len());
        channels[1].room.store(2, Ordering::Relaxed);
        writer.push(&mut Batch::new(vec![7u64])).expect("it waits for company");
        writer.control(&Control::SuperstepEnd(Superstep(1))).expect("the overflow takes it");
        assert_eq!(gone(), [0, 0], "behind what found no room");
        assert!(!writer.drain().expect("nothing fails"));
        assert_eq!(gone(), [0, 2], "a full channel holds no other up");
        channels[0].room.store(2, Ordering::Relaxed);
        assert!(writer.drain().expect("nothing fails"));
        assert_eq!(gone(), [2, 2], "nobody flushes once more before the task waits");
    }
}
