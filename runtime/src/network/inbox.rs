//! The queue in front of one input of one subtask: bounded when pipelined, spilling when blocking.

use crate::network::remote::{Arrived, FileInput, RemoteInput};
use crate::network::{ChannelSender, Sent, weight};
use crate::task::{TaskCell, current_task};
use flinkrs_core::element::Element;
use flinkrs_core::error::Error;
use flinkrs_core::{Batch, Result};
use flinkrs_memory::BatchSpillBuffer;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

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
    consumer: OnceLock<Waker>,
    producers: usize,
    /// Some of the producers are, or were, in other processes.
    has_remote: AtomicBool,
}

struct State {
    queue: VecDeque<Element>,
    /// The weight of all elements in `queue`.
    queued: usize,
    capacity: usize,
    open_producers: usize,
    waiting: Vec<Arc<TaskCell>>,
    spare: Vec<Batch>,
    /// What other processes have sent, still encoded; their windows bound it.
    arrived: VecDeque<Arrived>,
    remotes: Vec<Weak<RemoteInput>>,
    /// Finished partitions that the consumer reads itself.
    files: VecDeque<FileInput>,
    /// Why nothing more comes from some producer.
    failed: Option<Error>,
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

    /// One producer has ended; whether all have.
    fn end_of_producer(&mut self) -> Result<bool> {
        self.open_producers -= 1;
        if self.open_producers == 0
            && let Some(held) = &mut self.held
        {
            held.seal()?;
        }
        Ok(self.open_producers == 0)
    }

    /// Keeps an element in a blocking inbox; whether a superstep's elements are complete with it.
    fn hold(&mut self, element: Element, producers: usize) -> Result<bool> {
        match (&mut self.held, element) {
            (Some(held), Element::Batch(batch)) => held.push(batch).map(|()| false),
            (Some(held), end @ Element::SuperstepEnd(_)) => {
                self.superstep_ends.push(end);
                let over = self.superstep_ends.len() == producers;
                if over {
                    held.seal()?;
                }
                Ok(over)
            }
            (_, element) => Err(Error::internal(format!("{element:?} arrived at a blocking inbox"))),
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
            arrived: VecDeque::new(),
            remotes: Vec::new(),
            files: VecDeque::new(),
            failed: None,
            held,
            superstep_ends: Vec::new(),
            abandoned: false,
        };
        let (state, has_remote) = (Mutex::new(state), AtomicBool::new(false));
        Arc::new(Inbox { state, consumer: OnceLock::new(), producers, has_remote })
    }

    /// How many producers there are: so many ends of a superstep come.
    pub(crate) fn producers(&self) -> usize {
        self.producers
    }

    /// Says whom to wake; before anything is sent.
    pub(crate) fn set_consumer(&self, consumer: impl Into<Waker>) {
        let consumer = consumer.into();
        assert!(self.consumer.set(consumer).is_ok(), "an inbox has one consumer");
    }

    /// Moves waiting elements to `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<Element>) -> Result<Taken> {
        if self.has_remote.load(Ordering::Relaxed) {
            self.take_arrived(into)?;
        }
        let mut state = self.lock();
        if state.held.is_some() {
            return Inbox::take_held(&mut state, self.producers, into);
        }
        if state.queue.is_empty() {
            return Ok(match into.is_empty() {
                false => Taken::Some,
                true if state.open_producers == 0 => Taken::Ended,
                true => Taken::Empty,
            });
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

    /// Takes in what other processes have sent to a blocking inbox, whose consumer may wait for something else first:
    /// so they can go on sending, as producers in this process can.
    pub(crate) fn absorb(&self) -> Result<()> {
        if !self.has_remote.load(Ordering::Relaxed) || self.lock().held.is_none() {
            return Ok(());
        }
        self.take_arrived(&mut VecDeque::new())
    }

    /// Decodes what other processes have sent, while they go on sending: a few elements for a pipelined consumer, all
    /// that is there for a blocking one, which waits for the rest anyway.
    fn take_arrived(&self, into: &mut VecDeque<Element>) -> Result<()> {
        let mut state = self.lock();
        while into.len() < TAKE_WEIGHT {
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            let Some(arrived) = state.arrived.pop_front() else { break };
            drop(state);
            let element = arrived.into_element()?;
            state = self.lock();
            match element {
                Element::End => drop(state.end_of_producer()?),
                element if state.held.is_some() => drop(state.hold(element, self.producers)?),
                element => into.push_back(element),
            }
        }
        while into.len() < TAKE_WEIGHT
            && let Some(mut file) = state.files.pop_front()
        {
            drop(state);
            let batch = file.next_batch()?;
            state = self.lock();
            match batch {
                None => drop(state.end_of_producer()?),
                Some(batch) => {
                    state.files.push_front(file);
                    match &mut state.held {
                        Some(held) => held.push(batch)?,
                        None => into.push_back(Element::Batch(batch)),
                    }
                }
            }
        }
        Ok(())
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
        state.files.clear();
        let waiting = std::mem::take(&mut state.waiting);
        let (arrived, remotes) = (std::mem::take(&mut state.arrived), std::mem::take(&mut state.remotes));
        drop(state);
        waiting.iter().for_each(TaskCell::wake);
        remotes.iter().filter_map(Weak::upgrade).for_each(|remote| remote.abandon());
        arrived.into_iter().for_each(Arrived::discard);
    }

    /// Another process will feed the inbox, too.
    pub(crate) fn add_remote(&self, input: &Arc<RemoteInput>) {
        self.has_remote.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        if !state.abandoned {
            state.remotes.push(Arc::downgrade(input));
            return;
        }
        drop(state);
        input.abandon();
    }

    /// A producer has left its records in a file, which the consumer reads when it takes.
    pub(crate) fn add_file(&self, file: FileInput) {
        self.has_remote.store(true, Ordering::Relaxed);
        self.lock().files.push_back(file);
        self.wake_consumer();
    }

    /// Takes what another process has sent; it is decoded when the consumer takes it.
    pub(crate) fn arrive(&self, arrived: Arrived) {
        let mut state = self.lock();
        if state.abandoned {
            drop(state);
            return arrived.discard();
        }
        state.arrived.push_back(arrived);
        drop(state);
        self.wake_consumer();
    }

    /// A producer brings nothing more, and this is why: the consumer finds the error, the first if there are several.
    pub(crate) fn fail(&self, error: Error) {
        self.lock().failed.get_or_insert(error);
        self.wake_consumer();
    }

    fn send(&self, element: Element) -> Result<Sent> {
        let mut state = self.lock();
        if let Element::End = element {
            let over = state.end_of_producer()?;
            drop(state);
            if over {
                self.wake_consumer();
            }
            return Ok(Sent::Taken(None));
        }
        if state.abandoned {
            return Ok(Sent::Taken(None));
        }
        if state.held.is_some() {
            let over = state.hold(element, self.producers)?;
            drop(state);
            if over {
                self.wake_consumer();
            }
            return Ok(Sent::Taken(None));
        }
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
            consumer.wake_by_ref();
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
