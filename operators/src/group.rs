//! A group: all records of one key, read as often as wanted, in memory or beyond it.

use flinkrs_core::operator::Unwind;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::Data;
use flinkrs_core::{Error, Result};
use flinkrs_memory::{SpillBuffer, SpillCursor, SpillSpace};
use std::borrow::Cow;
use std::ops::Deref;
use std::{slice, vec};

/// All records of one key.
///
/// A disk that fails while the records are read ends the operator as an error does, without the function's help.
pub struct Group<T> {
    records: SpillBuffer<T>,
}

impl<T: Data> Group<T> {
    /// An empty group, to be used for one key after the other; what `budget` refuses goes to disk.
    pub fn new(space: &SpillSpace, budget: MemoryBudget) -> Group<T> {
        Group { records: SpillBuffer::new(space, budget) }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none; only a side of a co-group can be empty.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The first record.
    pub fn first(&self) -> Option<&T> {
        self.records.first()
    }

    /// The records, in the order of the group; can be called any number of times.
    pub fn iter(&self) -> GroupIter<'_, T> {
        let (memory, disk) = ([].iter(), Vec::new().into_iter());
        GroupIter { cursor: self.records.reader(), memory, disk, left: self.len() }
    }

    /// Moves the records out; the group is empty afterwards, also if not all were taken.
    pub fn take(&mut self) -> TakeGroup<'_, T> {
        TakeGroup { block: Vec::new().into_iter(), group: self }
    }

    /// Moves the records out into a vector, which takes the memory that it takes.
    pub fn into_records(&mut self) -> Vec<T> {
        let mut all = Vec::with_capacity(self.len());
        while let Some(mut batch) = or_unwind(self.records.pop_batch()) {
            all.append(&mut batch);
        }
        all
    }

    /// Adds a record to a group that is being gathered.
    #[inline]
    pub(crate) fn push(&mut self, record: T) -> Result<()> {
        self.records.push(record)
    }

    /// The group is complete.
    #[inline]
    pub(crate) fn seal(&mut self) -> Result<()> {
        self.records.seal()
    }

    /// Forgets the records.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }
}

/// Ends the user function that reads a group whose disk has failed; the task turns it into the error.
fn or_unwind<R>(result: Result<R>) -> R {
    result.unwrap_or_else(|error| unwind(error))
}

#[cold]
fn unwind(error: Error) -> ! {
    std::panic::resume_unwind(Box::new(Unwind(error)))
}

/// A record of a group: borrowed from memory or, of a group beyond its budget, read from disk.
#[derive(Clone, Debug)]
pub enum GroupItem<'a, T> {
    /// The record in memory.
    Borrowed(&'a T),
    /// The record as it was read.
    Owned(T),
}

impl<T> Deref for GroupItem<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        match self {
            GroupItem::Borrowed(record) => record,
            GroupItem::Owned(record) => record,
        }
    }
}

impl<T> AsRef<T> for GroupItem<'_, T> {
    #[inline(always)]
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Clone> GroupItem<'_, T> {
    /// The record itself, cloned if it has to be.
    #[inline(always)]
    pub fn into_owned(self) -> T {
        match self {
            GroupItem::Borrowed(record) => record.clone(),
            GroupItem::Owned(record) => record,
        }
    }
}

/// The iterator of [`Group::iter`].
pub struct GroupIter<'a, T> {
    cursor: SpillCursor<'a, T>,
    memory: slice::Iter<'a, T>,
    disk: vec::IntoIter<T>,
    left: usize,
}

impl<'a, T: Data> Iterator for GroupIter<'a, T> {
    type Item = GroupItem<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<GroupItem<'a, T>> {
        loop {
            if let Some(record) = self.memory.next() {
                self.left -= 1;
                return Some(GroupItem::Borrowed(record));
            }
            if let Some(record) = self.disk.next() {
                self.left -= 1;
                return Some(GroupItem::Owned(record));
            }
            match or_unwind(self.cursor.next_batch())? {
                Cow::Borrowed(records) => self.memory = records.iter(),
                Cow::Owned(records) => self.disk = records.into_iter(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Data> ExactSizeIterator for GroupIter<'_, T> {}

impl<'a, T: Data> IntoIterator for &'a Group<T> {
    type Item = GroupItem<'a, T>;
    type IntoIter = GroupIter<'a, T>;

    fn into_iter(self) -> GroupIter<'a, T> {
        self.iter()
    }
}

/// The iterator of [`Group::take`].
pub struct TakeGroup<'a, T: Data> {
    group: &'a mut Group<T>,
    block: vec::IntoIter<T>,
}

impl<T: Data> Iterator for TakeGroup<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(record) = self.block.next() {
                return Some(record);
            }
            self.block = or_unwind(self.group.records.pop_batch())?.into_iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.block.len() + self.group.len();
        (left, Some(left))
    }
}

impl<T: Data> ExactSizeIterator for TakeGroup<'_, T> {}

impl<T: Data> Drop for TakeGroup<'_, T> {
    fn drop(&mut self) {
        self.group.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::Text;

    fn group(records: u32, budget: usize) -> Group<Text> {
        let space = SpillSpace::new(&std::env::temp_dir());
        let mut group = Group::new(&space, MemoryBudget::standalone(budget));
        for i in 0..records {
            group.push(Text::from(format!("a record with the number {i}"))).expect("there is space");
        }
        group.seal().expect("there is space");
        group
    }

    #[test]
    fn is_read_again_and_again_also_after_spilling() {
        for budget in [8 << 10, 16 << 20] {
            let mut group = group(20_000, budget);
            assert_eq!(group.len(), 20_000);
            assert_eq!(group.first().map(Text::as_str), Some("a record with the number 0"));
            for _ in 0..3 {
                let longest = group.iter().map(|record| record.len()).max();
                assert_eq!((longest, group.iter().len()), (Some(30), 20_000));
            }
            let last = group.iter().last().map(GroupItem::into_owned);
            assert_eq!(last, Some(Text::from("a record with the number 19999")));
            let taken: Vec<Text> = group.take().collect();
            assert_eq!((taken.len(), group.len(), group.iter().count()), (20_000, 0, 0));
        }
    }

    #[test]
    fn a_half_taken_group_is_empty() {
        let mut group = group(5000, 8 << 10);
        assert_eq!(group.take().len(), 5000);
        assert_eq!((group.len(), group.iter().count()), (0, 0));
        let mut group = self::group(5000, 8 << 10);
        assert_eq!(group.into_records().len(), 5000);
        assert!(group.is_empty() && group.first().is_none());
    }
}
