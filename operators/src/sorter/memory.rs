//! A sorted run in memory: a store of records and the order in which to take them out.

use super::index::{self, Entry};
use super::store::RecordStore;
use crate::order::RecordOrder;

/// Records and their sorted index.
pub(super) struct MemoryRun<T> {
    store: RecordStore<T>,
    index: Vec<Entry>,
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
        mut index: Vec<Entry>,
        order: &O,
    ) -> MemoryRun<T> {
        index::sort(&mut index, &store, order);
        MemoryRun { store, index, next: 0, kept: false }
    }

    /// The capacity of both, for the next run.
    pub(super) fn into_empty(mut self) -> (RecordStore<T>, Vec<Entry>) {
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
        self.index.get(self.next).map(|entry| self.store.get(entry.1))
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<T> {
        let entry = *self.index.get(self.next)?;
        self.next += 1;
        Some(if self.kept { self.store.get(entry.1).clone() } else { self.store.take(entry.1) })
    }

    /// Takes up to `count` records.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> impl ExactSizeIterator<Item = T> {
        let end = (self.next + count).min(self.index.len());
        let entries = &self.index[self.next..end];
        self.next = end;
        let (store, kept) = (&mut self.store, self.kept);
        entries.iter().map(move |entry| if kept { store.get(entry.1).clone() } else { store.take(entry.1) })
    }

    /// Takes a block of records, or `None` at the end.
    pub(super) fn next_block(&mut self) -> Option<Vec<T>> {
        let block: Vec<T> = self.take(BLOCK_RECORDS).collect();
        if block.is_empty() { None } else { Some(block) }
    }
}
