//! The queue in front of one input of one subtask: bounded when pipelined, spilling when blocking.

use crate::network::{ChannelSender, Sent, weight};
use crate::task::{TaskCell, current_task};
use flinkrs_core::element::Element;
use flinkrs_core::{Batch, Result};
use flinkrs_memory::BatchSpillBuffer;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What waits in a pipelined inbox at most, in units of a full batch, unless it has more producers than that: enough
/// that producer and consumer needn't alternate, few enough that the records stay in the cache. One element is always
/// taken, however large.
const QUEUE_WEIGHT: usize = 16;

/// Empty batches kept for reuse.
const SPARE_BATCHES: usize = 8;

/// What a consumer takes at once, in units of a full batch.
const TAKE_WEIGHT: usize = 8;

/// What a consumer found.
pub(crate) enum Taken {
    /// At least one element was taken.
    Some,
    /// Nothing now; the consumer is woken when there is.
    Empty,
    /// Nothing any more.
    Ended,
}

/// The queue of one edge in front of one consuming subtask.
pub(crate) struct Inbox {
    state: Mutex<State>,
    consumer: OnceLock<Arc<TaskCell>>,
    producers: usize,
}

struct State {
    queue: VecDeque<Element>,
    /// The weight of all elements in `queue`.
    queued: usize,
    capacity: usize,
    open_producers: usize,
    waiting: Vec<Arc<TaskCell>>,
    spare: Vec<Batch>,
    /// A blocking inbox keeps its batches here until all producers have ended, or have ended a superstep.
    held: Option<BatchSpillBuffer>,
    /// In a blocking inbox: ends of the superstep that have come.
    superstep_ends: Vec<Element>,
    /// The consumer has ended or failed: what still arrives is dropped.
    abandoned: bool,
}

impl State {
    /// Wakes the current task once a consumer has made room.
    fn wait_for_room(&mut self) {
        if let Some(producer) = current_task()
            && !self.waiting.iter().any(|task| Arc::ptr_eq(task, &producer))
        {
            self.waiting.push(producer);
        }
    }
}

impl Inbox {
    /// A bounded queue.
    pub(crate) fn pipelined(producers: usize) -> Arc<Inbox> {
        Inbox::new(producers, None)
    }

    /// A queue that takes everything and lets the consumer begin when all producers have ended.
    pub(crate) fn blocking(producers: usize, buffer: BatchSpillBuffer) -> Arc<Inbox> {
        Inbox::new(producers, Some(buffer))
    }

    fn new(producers: usize, held: Option<BatchSpillBuffer>) -> Arc<Inbox> {
        let state = State {
            queue: VecDeque::new(),
            queued: 0,
            capacity: QUEUE_WEIGHT.max(producers),
            open_producers: producers,
            waiting: Vec::new(),
            spare: Vec::new(),
            held,
            superstep_ends: Vec::new(),
            abandoned: false,
        };
        Arc::new(Inbox { state: Mutex::new(state), consumer: OnceLock::new(), producers })
    }

    /// How many producers there are: so many ends of a superstep come.
    pub(crate) fn producers(&self) -> usize {
        self.producers
    }

    /// Says whom to wake; before anything is sent.
    pub(crate) fn set_consumer(&self, consumer: Arc<TaskCell>) {
        assert!(self.consumer.set(consumer).is_ok(), "an inbox has one consumer");
    }

    /// Moves waiting elements to `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<Element>) -> Result<Taken> {
        let mut state = self.lock();
        if state.held.is_some() {
            return Inbox::take_held(&mut state, self.producers, into);
        }
        if state.queue.is_empty() {
            return Ok(if state.open_producers == 0 { Taken::Ended } else { Taken::Empty });
        }
        let mut taken = 0;
        while taken < TAKE_WEIGHT
            && let Some(element) = state.queue.pop_front()
        {
            taken += weight(&element);
            into.push_back(element);
        }
        state.queued -= taken;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(TaskCell::wake);
        Ok(Taken::Some)
    }

    fn take_held(state: &mut State, producers: usize, into: &mut VecDeque<Element>) -> Result<Taken> {
        let is_superstep = state.superstep_ends.len() == producers;
        if state.open_producers > 0 && !is_superstep {
            return Ok(Taken::Empty);
        }
        let held = state.held.as_mut().expect("a blocking inbox");
        for _ in 0..TAKE_WEIGHT {
            match held.pop()? {
                Some(batch) => into.push_back(Element::Batch(batch)),
                None if is_superstep => {
                    into.extend(state.superstep_ends.drain(..));
                    break;
                }
                None if into.is_empty() => return Ok(Taken::Ended),
                None => break,
            }
        }
        Ok(Taken::Some)
    }

    /// Gives an emptied batch back to the producers.
    pub(crate) fn recycle(&self, batch: Batch) {
        let mut state = self.lock();
        if state.held.is_none() && state.spare.len() < SPARE_BATCHES {
            state.spare.push(batch);
        }
    }

    /// The consumer reads no further: producers may drop what they have for it.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.queue.clear();
        state.queued = 0;
        state.held = None;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(TaskCell::wake);
    }

    fn send(&self, element: Element) -> Result<Sent> {
        let mut state = self.lock();
        if let Element::End = element {
            state.open_producers -= 1;
            if state.open_producers == 0
                && let Some(held) = &mut state.held
            {
                held.seal()?;
            }
            let over = state.open_producers == 0;
            drop(state);
            if over {
                self.wake_consumer();
            }
            return Ok(Sent::Taken(None));
        }
        if state.abandoned {
            return Ok(Sent::Taken(None));
        }
        let State { held, superstep_ends, .. } = &mut *state;
        let element = match (held, element) {
            (Some(held), Element::Batch(batch)) => {
                held.push(batch)?;
                return Ok(Sent::Taken(None));
            }
            (Some(held), end @ Element::SuperstepEnd(_)) => {
                superstep_ends.push(end);
                let over = superstep_ends.len() == self.producers;
                if over {
                    held.seal()?;
                }
                drop(state);
                if over {
                    self.wake_consumer();
                }
                return Ok(Sent::Taken(None));
            }
            (_, element) => element,
        };
        let weight = weight(&element);
        if state.queued > 0 && state.queued + weight > state.capacity {
            state.wait_for_room();
            return Ok(Sent::Full(element));
        }
        state.queued += weight;
        state.queue.push_back(element);
        let spare = state.spare.pop();
        drop(state);
        self.wake_consumer();
        Ok(Sent::Taken(spare))
    }

    fn wake_consumer(&self) {
        if let Some(consumer) = self.consumer.get() {
            consumer.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A producer's end of an inbox in the same process: batches move by pointer.
pub(crate) struct LocalSender(pub(crate) Arc<Inbox>);

impl ChannelSender for LocalSender {
    fn try_send(&mut self, element: Element) -> Result<Sent> {
        self.0.send(element)
    }
}
