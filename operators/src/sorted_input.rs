//! One input of a merging operator: gathered, sorted unless it comes in order, then pulled record by record.

use crate::order::RecordOrder;
use crate::sorter::{ExternalSorter, SortedStream};
use flinkrs_core::Result;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::Data;
use flinkrs_memory::{SpillBuffer, SpillPosition, SpillSpace};

/// Records taken from a sorted stream at once: many random reads of memory overlap.
const HEAD_RECORDS: usize = 128;

/// Gathers records, then gives them in order; in a loop it starts over with new records or with the same again.
pub(crate) struct SortedInput<T, O> {
    order: O,
    space: SpillSpace,
    state: State<T, O>,
    /// The next records, the very next one last; empty only at the end and while gathering.
    head: Vec<T>,
}

enum State<T, O> {
    Gathering(ExternalSorter<T, O>),
    Sorted(SortedStream<T, O>),
    /// An input that comes in order, while it comes.
    Appending(SpillBuffer<T>),
    /// The same while it is taken out.
    InOrder(SpillBuffer<T>),
    /// The same while it is read, to be read again.
    Kept(SpillBuffer<T>, SpillPosition<T>),
    /// Only while one state becomes another.
    Between,
}

impl<T: Data, O: RecordOrder<T>> SortedInput<T, O> {
    /// Gathers; the records are sorted here if `sort`, and come in order otherwise.
    pub(crate) fn new(order: O, sort: bool, budget: MemoryBudget, space: &SpillSpace) -> SortedInput<T, O> {
        let state = if sort {
            State::Gathering(ExternalSorter::new(order.clone(), budget, space.clone()))
        } else {
            State::Appending(SpillBuffer::new(space, budget))
        };
        SortedInput { order, space: space.clone(), state, head: Vec::new() }
    }

    pub(crate) fn push_all(&mut self, records: &mut Vec<T>) -> Result<()> {
        match &mut self.state {
            State::Gathering(sorter) => sorter.push_all(records),
            State::Appending(buffer) => buffer.push_all(records),
            _ => unreachable!("nothing is added once reading has begun"),
        }
    }

    /// Reading begins, unless it has begun already. With `keep`, [`SortedInput::rewind`] can start it over.
    pub(crate) fn start(&mut self, keep: bool) -> Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Between) {
            State::Gathering(sorter) => {
                let mut stream = sorter.finish()?;
                if keep {
                    stream.keep(&self.space)?;
                }
                State::Sorted(stream)
            }
            State::Appending(mut buffer) => {
                buffer.seal()?;
                if keep { State::Kept(buffer, SpillPosition::default()) } else { State::InOrder(buffer) }
            }
            started => {
                self.state = started;
                return Ok(());
            }
        };
        self.fill()
    }

    /// Back to the first record of an input that is kept.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        match &mut self.state {
            State::Sorted(stream) => stream.rewind()?,
            State::Kept(_, position) => *position = SpillPosition::default(),
            _ => unreachable!("only what is kept can be read again"),
        }
        self.head.clear();
        self.fill()
    }

    /// Forgets all records; gathers again.
    pub(crate) fn reset(&mut self) {
        self.head.clear();
        self.state = match std::mem::replace(&mut self.state, State::Between) {
            State::Sorted(stream) => {
                let budget = stream.into_budget();
                State::Gathering(ExternalSorter::new(self.order.clone(), budget, self.space.clone()))
            }
            State::InOrder(mut buffer) | State::Kept(mut buffer, _) => {
                buffer.clear();
                State::Appending(buffer)
            }
            gathering => gathering,
        };
    }

    /// The next record, which stays.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&T> {
        self.head.last()
    }

    /// Takes the next record.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        let record = self.head.pop();
        if self.head.is_empty() && record.is_some() {
            self.fill()?;
        }
        Ok(record)
    }

    /// Fills the head; it stays empty at the end.
    #[inline(never)]
    fn fill(&mut self) -> Result<()> {
        match &mut self.state {
            State::Sorted(stream) => {
                stream.next_batch(&mut self.head, HEAD_RECORDS)?;
            }
            State::InOrder(buffer) => self.head = buffer.pop_batch()?.unwrap_or_default(),
            State::Kept(buffer, position) => {
                position.advance(buffer)?;
                self.head.extend_from_slice(position.batch(buffer));
            }
            State::Gathering(_) | State::Appending(_) | State::Between => {}
        }
        self.head.reverse();
        Ok(())
    }

    /// Appends up to `max_records` records, or fewer if they are large, to `into`; false at the end. Once it was
    /// called, the head isn't filled any more.
    pub(crate) fn next_batch(&mut self, into: &mut Vec<T>, max_records: usize) -> Result<bool> {
        let before = into.len();
        into.extend(self.head.drain(self.head.len().saturating_sub(max_records)..).rev());
        if into.len() > before {
            return Ok(true);
        }
        match &mut self.state {
            State::Sorted(stream) => stream.next_batch(into, max_records),
            _ => unreachable!("only what is sorted here is taken in batches"),
        }
    }
}
