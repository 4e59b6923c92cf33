//! A sorted run in memory: a store of records and the order in which to take them out.

use super::index::{Index, PrefixRange};
use super::store::RecordStore;
use crate::order::RecordOrder;
use std::slice;

/// Records and their sorted index.
pub(super) struct MemoryRun<T> {
    store: RecordStore<T>,
    index: Index,
    next: usize,
    /// Whether records are cloned, so that they can be read again.
    kept: bool,
}

/// Records of a block that a merge takes from memory.
const BLOCK_RECORDS: usize = 256;

impl<T: Clone> MemoryRun<T> {
    /// Sorts `store`; `index` is only capacity to use again.
    pub(super) fn new<O: RecordOrder<T>>(
        store: RecordStore<T>,
        mut index: Index,
        order: &O,
        range: PrefixRange,
    ) -> MemoryRun<T> {
        index.sort(&store, order, range);
        MemoryRun { store, index, next: 0, kept: false }
    }

    /// The capacity of both, for the next run.
    pub(super) fn into_empty(mut self) -> (RecordStore<T>, Index) {
        self.store.clear();
        self.index.clear();
        (self.store, self.index)
    }

    /// From now on records are cloned and stay.
    pub(super) fn keep(&mut self) {
        debug_assert!(self.next == 0, "what was taken can't be kept");
        self.kept = true;
    }

    /// Back to the first record of a run that is kept.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.kept, "only what is kept can be read again");
        self.next = 0;
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<&T> {
        self.index.get(self.next).map(|position| self.store.get(position))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<T> {
        let position = self.index.get(self.next)?;
        self.next += 1;
        Some(if self.kept { self.store.get(position).clone() } else { self.store.take(position) })
    }

    /// Appends up to `count` records to `into`.
    #[inline]
    pub(super) fn take(&mut self, count: usize, into: &mut Vec<T>) {
        let end = (self.next + count).min(self.index.len());
        let positions = self.index.range(self.next, end);
        self.next = end;
        into.reserve(positions.len());
        if self.kept || RecordStore::<T>::PLAIN {
            // Unlike a clone this is a single copy, straight to its place, for records that can be copied.
            positions.for_each(|position| into.extend_from_slice(slice::from_ref(self.store.get(position))));
        } else {
            into.extend(positions.map(|position| self.store.take(position)));
        }
    }

    /// Takes a block of records, or `None` at the end.
    pub(super) fn next_block(&mut self) -> Option<Vec<T>> {
        let mut block = Vec::new();
        self.take(BLOCK_RECORDS, &mut block);
        if block.is_empty() { None } else { Some(block) }
    }
}
