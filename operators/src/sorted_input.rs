//! One input of a merging operator: gathered, sorted unless it comes in order, then pulled record by record.

use crate::order::RecordOrder;
use crate::sorter::{ExternalSorter, SortedStream};
use flinkrs_core::Result;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::Data;
use flinkrs_memory::{SpillBuffer, SpillPosition, SpillSpace};
use std::vec;

/// Gathers records, then gives them in order; in a loop it starts over with new records or with the same again.
pub(crate) struct SortedInput<T, O> {
    order: O,
    space: SpillSpace,
    state: State<T, O>,
}

enum State<T, O> {
    Gathering(ExternalSorter<T, O>),
    Sorted(SortedStream<T, O>),
    /// An input that comes in order, while it comes.
    Appending(SpillBuffer<T>),
    /// The same while it is taken out.
    InOrder {
        buffer: SpillBuffer<T>,
        head: vec::IntoIter<T>,
    },
    /// The same while it is read, to be read again.
    Kept {
        buffer: SpillBuffer<T>,
        position: SpillPosition<T>,
        next: usize,
    },
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
        SortedInput { order, space: space.clone(), state }
    }

    pub(crate) fn push_all(&mut self, records: &mut Vec<T>) -> Result<()> {
        match &mut self.state {
            State::Gathering(sorter) => sorter.push_all(records),
            State::Appending(buffer) => buffer.push_all(records),
            _ => unreachable!("nothing is added once reading has begun"),
        }
    }

    /// Reading begins. With `keep`, [`SortedInput::rewind`] can start it over.
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
                if keep {
                    let mut position = SpillPosition::default();
                    position.advance(&buffer)?;
                    State::Kept { buffer, position, next: 0 }
                } else {
                    let head = buffer.pop_batch()?.unwrap_or_default().into_iter();
                    State::InOrder { buffer, head }
                }
            }
            started => started,
        };
        Ok(())
    }

    /// Back to the first record of an input that is kept.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        match &mut self.state {
            State::Sorted(stream) => stream.rewind()?,
            State::Kept { buffer, position, next } => {
                *position = SpillPosition::default();
                position.advance(buffer)?;
                *next = 0;
            }
            _ => unreachable!("only what is kept can be read again"),
        }
        Ok(())
    }

    /// Forgets all records; gathers again.
    pub(crate) fn reset(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Between) {
            State::Sorted(stream) => {
                let budget = stream.into_budget();
                State::Gathering(ExternalSorter::new(self.order.clone(), budget, self.space.clone()))
            }
            State::InOrder { mut buffer, .. } | State::Kept { mut buffer, .. } => {
                buffer.clear();
                State::Appending(buffer)
            }
            gathering => gathering,
        };
    }

    /// The next record, which stays.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&T> {
        match &self.state {
            State::Sorted(stream) => stream.peek(),
            State::InOrder { head, .. } => head.as_slice().first(),
            State::Kept { buffer, position, next } => position.batch(buffer).get(*next),
            State::Gathering(_) | State::Appending(_) | State::Between => None,
        }
    }

    /// Takes the next record.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        match &mut self.state {
            State::Sorted(stream) => stream.next_record(),
            State::InOrder { buffer, head } => {
                let record = head.next();
                if head.as_slice().is_empty() {
                    *head = buffer.pop_batch()?.unwrap_or_default().into_iter();
                }
                Ok(record)
            }
            State::Kept { buffer, position, next } => {
                let record = position.batch(buffer).get(*next).cloned();
                *next += 1;
                if *next >= position.batch(buffer).len() {
                    position.advance(buffer)?;
                    *next = 0;
                }
                Ok(record)
            }
            State::Gathering(_) | State::Appending(_) | State::Between => Ok(None),
        }
    }

    /// Appends up to `max_records` records, or fewer if they are large, to `into`; false at the end.
    pub(crate) fn next_batch(&mut self, into: &mut Vec<T>, max_records: usize) -> Result<bool> {
        if let State::Sorted(stream) = &mut self.state {
            return stream.next_batch(into, max_records);
        }
        let before = into.len();
        while into.len() - before < max_records
            && let Some(record) = self.next()?
        {
            into.push(record);
        }
        Ok(into.len() > before)
    }
}
