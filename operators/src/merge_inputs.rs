//! The two inputs of a merge: gathered until both have ended, then compared head by head.

use crate::order::RecordOrder;
use crate::sorted_input::SortedInput;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::cmp::Ordering;

/// Which inputs the operator itself sorts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortSides {
    pub(crate) first: bool,
    pub(crate) second: bool,
}

/// Both inputs, their keys, and how far they have come.
pub(crate) struct MergeInputs<L, R, SL, SR, OL, OR> {
    pub(crate) first: SortedInput<L, OL>,
    pub(crate) second: SortedInput<R, OR>,
    first_key: SL,
    second_key: SR,
    ended: [bool; 2],
    /// Whether records came since the last superstep's end, or there was none.
    fresh: bool,
}

impl<L, R, SL, SR, OL, OR> MergeInputs<L, R, SL, SR, OL, OR>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
{
    /// Gathers each input in its budget; the keys come first in the orders.
    pub(crate) fn new(
        space: &SpillSpace,
        budgets: (MemoryBudget, MemoryBudget),
        sort: SortSides,
        keys: (SL, SR),
        orders: (OL, OR),
    ) -> MergeInputs<L, R, SL, SR, OL, OR> {
        MergeInputs {
            first: SortedInput::new(orders.0, sort.first, budgets.0, space),
            second: SortedInput::new(orders.1, sort.second, budgets.1, space),
            first_key: keys.0,
            second_key: keys.1,
            ended: [false; 2],
            fresh: true,
        }
    }

    /// Takes the records of a batch.
    pub(crate) fn push(&mut self, input: usize, batch: &mut Batch) -> Result<()> {
        self.fresh |= !batch.is_empty();
        if input == 0 { self.first.push_all(batch.records::<L>()) } else { self.second.push_all(batch.records::<R>()) }
    }

    /// An input has ended; true when reading can begin.
    ///
    /// After the rounds of a loop there is nothing left to read: the last one was read at its own end.
    pub(crate) fn end(&mut self, input: usize) -> Result<bool> {
        self.ended[input] = true;
        let complete = self.ended == [true; 2] && self.fresh;
        if complete {
            self.first.start(false)?;
            self.second.start(false)?;
        }
        Ok(complete)
    }

    /// A round of a loop is over: reading begins. An input that has ended already is the same in every round.
    pub(crate) fn end_round(&mut self) -> Result<()> {
        self.first.start(self.ended[0])?;
        self.second.start(self.ended[1])
    }

    /// The round was read: constant inputs start over, the others gather again.
    pub(crate) fn next_round(&mut self) -> Result<()> {
        self.fresh = false;
        if self.ended[0] {
            self.first.rewind()?
        } else {
            self.first.reset()
        }
        if self.ended[1] {
            self.second.rewind()?
        } else {
            self.second.reset()
        }
        Ok(())
    }

    /// Compares the keys of the two heads; an input without records left is greater, and neither is `None`.
    #[inline]
    pub(crate) fn compare(&self) -> Option<Ordering> {
        Some(match (self.first.peek(), self.second.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(r)) => self.first_key.with_key(l, |l| self.second_key.with_key(r, |r| l.cmp(r))),
        })
    }

    /// Takes the first side's next record if its key is that of `like`.
    #[inline]
    pub(crate) fn next_first_like_second(&mut self, like: &R) -> Result<Option<L>> {
        let (first_key, second_key) = (&self.first_key, &self.second_key);
        let same = |l: &L| first_key.with_key(l, |l| second_key.with_key(like, |r| l == r));
        if self.first.peek().is_some_and(same) { self.first.next() } else { Ok(None) }
    }

    /// Takes all records of the first side's next key.
    #[inline]
    pub(crate) fn take_first(&mut self, mut push: impl FnMut(L) -> Result<()>) -> Result<()> {
        take_key(&mut self.first, &self.first_key, &mut push)
    }

    /// Takes all records of the second side's next key.
    #[inline]
    pub(crate) fn take_second(&mut self, mut push: impl FnMut(R) -> Result<()>) -> Result<()> {
        take_key(&mut self.second, &self.second_key, &mut push)
    }
}

#[inline]
fn take_key<T: Data, S: KeySelector<T>, O: RecordOrder<T>>(
    input: &mut SortedInput<T, O>,
    key: &S,
    push: &mut impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let Some(mut record) = input.next()? else { return Ok(()) };
    while input.peek().is_some_and(|next| key.same_key(&record, next)) {
        push(record)?;
        record = input.next()?.expect("it was looked at");
    }
    push(record)
}

/// The operator's memory in parts of so many eighths; all are set aside before one of them takes from the pool.
pub(crate) fn shares<const N: usize>(context: &RuntimeContext, eighths: [usize; N]) -> [MemoryBudget; N] {
    eighths.map(|eighths| MemoryBudget::new(&context.memory, context.memory_guaranteed / 8 * eighths))
}
