//! Sorts any number of records in a fixed budget: in memory, then as sorted runs on disk that are merged.

mod index;
mod memory;
mod merge;
mod store;
mod stream;

#[cfg(test)]
mod tests;

pub use stream::SortedStream;

use crate::order::RecordOrder;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::{Data, own_heap};
use flinkrs_core::{Result, RuntimeContext};
use flinkrs_memory::{SpillRun, SpillSizes, SpillSpace, SpillWriter};
use index::{ENTRY_BYTES, Index, PrefixRange};
use memory::MemoryRun;
use merge::Merge;
use std::collections::VecDeque;
use store::RecordStore;

/// Takes records in any order and gives them back sorted; equal records come in no particular order.
///
/// Memory, in bytes: a record's inline size and heap, 8 for the index, and a reserve to spill with. What the budget
/// refuses makes a sorted run of what is there; below 16 KiB it isn't asked, so that runs have a sensible length.
pub struct ExternalSorter<T, O> {
    order: O,
    space: SpillSpace,
    sizes: SpillSizes,
    chunk_bytes: usize,
    store: RecordStore<T>,
    index: Index,
    prefixes: PrefixRange,
    memory: Memory,
    writer: Option<SpillWriter<T>>,
    runs: VecDeque<SpillRun<T>>,
    records: u64,
}

/// What the budget granted, and what of it is in use.
struct Memory {
    budget: MemoryBudget,
    /// The budget's use before the first record: the reserve to spill with.
    reserve: usize,
    /// Slots of the store and the index that are paid for.
    slots: usize,
    /// Heap that is paid for.
    heap_paid: usize,
    /// What of it no record uses.
    heap_spare: usize,
    /// Heap is paid for in steps of this size.
    heap_step: usize,
    /// Bytes that may still be used without asking.
    floor: usize,
}

/// Records are sorted in pieces of at least this many bytes, whatever the budget.
const FLOOR_BYTES: usize = 16 << 10;

/// Bytes of a chunk of records, at most.
const CHUNK_BYTES: usize = 1 << 20;

impl<T: Data, O: RecordOrder<T>> ExternalSorter<T, O> {
    /// A sorter with all of the operator's memory.
    pub fn open(order: O, context: &RuntimeContext) -> ExternalSorter<T, O> {
        ExternalSorter::new(order, context.budget(), SpillSpace::of(context))
    }

    /// A sorter with `budget`.
    pub fn new(order: O, mut budget: MemoryBudget, space: SpillSpace) -> ExternalSorter<T, O> {
        let available = budget.available();
        let sizes = SpillSizes::for_budget(available);
        let reserve = if budget.try_grow(sizes.memory()) { sizes.memory() } else { 0 };
        let chunk_bytes = (available / 16).min(CHUNK_BYTES);
        let store = RecordStore::new(chunk_bytes);
        let heap_step = sizes.block_bytes;
        let memory = Memory { budget, reserve, slots: 0, heap_paid: 0, heap_spare: 0, heap_step, floor: FLOOR_BYTES };
        let (index, prefixes, runs) = (Index::default(), PrefixRange::EMPTY, VecDeque::new());
        ExternalSorter {
            order,
            space,
            sizes,
            chunk_bytes,
            store,
            index,
            prefixes,
            memory,
            writer: None,
            runs,
            records: 0,
        }
    }

    /// Records pushed so far.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds a record.
    #[inline]
    pub fn push(&mut self, mut record: T) -> Result<()> {
        let heap = own_heap(&mut record);
        if self.store.len() >= self.memory.slots || heap > self.memory.heap_spare {
            self.make_room(heap)?;
        }
        // A record that finds no room in an empty sorter is taken all the same.
        self.memory.heap_spare = self.memory.heap_spare.saturating_sub(heap);
        self.prefixes.add(self.order.prefix(&record));
        self.store.push(record);
        self.records += 1;
        Ok(())
    }

    /// Adds all of `records` and leaves the vector empty.
    pub fn push_all(&mut self, records: &mut Vec<T>) -> Result<()> {
        records.drain(..).try_for_each(|record| self.push(record))
    }

    /// Sees to it that a record with `heap` bytes on the heap can be added, if need be by spilling what is there.
    #[cold]
    fn make_room(&mut self, heap: usize) -> Result<()> {
        let chunk = self.store.chunk_records();
        if !self.memory.grant(self.store.len(), chunk, RecordStore::<T>::SLOT_BYTES + ENTRY_BYTES, heap)
            && self.store.len() > 0
        {
            self.spill()?;
            // Granted or not: the sorter is empty, and one record it must take.
            self.memory.grant(0, chunk, RecordStore::<T>::SLOT_BYTES + ENTRY_BYTES, heap);
        }
        Ok(())
    }

    /// Writes what is in memory as a sorted run.
    fn spill(&mut self) -> Result<()> {
        self.space.cancelled().check()?;
        let records = self.store.len();
        let mut run = self.sort_memory();
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(SpillWriter::with_sizes(&self.space, self.sizes)?),
        };
        while let Some(record) = run.next() {
            writer.push(record)?;
        }
        self.runs.push_back(writer.end_run()?);
        if records > self.memory.slots / 2 {
            (self.store, self.index) = run.into_empty();
            self.memory.heap_spare = self.memory.heap_paid;
        } else {
            // Records have become larger: slots that stay unused would leave too little for their heap.
            drop(run);
            self.store = RecordStore::new(self.chunk_bytes);
            self.memory.release_records();
        }
        Ok(())
    }

    fn sort_memory(&mut self) -> MemoryRun<T> {
        let store = std::mem::replace(&mut self.store, RecordStore::new(1));
        let prefixes = std::mem::replace(&mut self.prefixes, PrefixRange::EMPTY);
        MemoryRun::new(store, std::mem::take(&mut self.index), &self.order, prefixes)
    }

    /// Ends the input: sorts, and merges runs until the rest of the merge can be done while it is read.
    pub fn finish(mut self) -> Result<SortedStream<T, O>> {
        if self.runs.is_empty() {
            let run = self.sort_memory();
            return Ok(SortedStream::in_memory(run, self.memory.budget));
        }
        let mut tail = None;
        let to_read = merge::memory_to_read(&self.runs);
        if self.store.len() > 0 {
            if self.memory.budget.try_grow(to_read) {
                tail = Some(self.sort_memory());
            } else {
                self.spill()?;
            }
        }
        drop(self.writer.take());
        if tail.is_none() {
            (self.store, self.index) = (RecordStore::new(1), Index::default());
            self.memory.release_records();
            merge::reduce(&mut self.runs, &self.order, &self.memory.budget, &self.space, self.sizes)?;
            // Two runs are merged even if the budget has no memory for them.
            let _ = self.memory.budget.try_grow(merge::memory_to_read(&self.runs));
        }
        let read_ahead = merge::read_ahead(self.memory.budget.available(), self.runs.len());
        let _ = self.memory.budget.try_grow(read_ahead * self.runs.len());
        let merge = Merge::new(self.order, self.runs, tail, read_ahead)?;
        Ok(SortedStream::merging(merge, self.memory.budget))
    }
}

impl Memory {
    /// Pays for one more slot after `used` and for `heap` bytes; false when the budget refuses.
    fn grant(&mut self, used: usize, chunk: usize, slot_bytes: usize, heap: usize) -> bool {
        if used >= self.slots {
            if !self.pay(chunk * slot_bytes) {
                return false;
            }
            self.slots += chunk;
        }
        if heap > self.heap_spare {
            let missing = heap - self.heap_spare;
            let step = missing.max(self.heap_step);
            let paid = if self.budget.try_grow(step) {
                step
            } else if self.pay(missing) {
                missing
            } else {
                return false;
            };
            self.heap_paid += paid;
            self.heap_spare += paid;
        }
        true
    }

    fn pay(&mut self, bytes: usize) -> bool {
        if self.budget.try_grow(bytes) {
            return true;
        }
        let granted = bytes <= self.floor;
        self.floor -= if granted { bytes } else { 0 };
        granted
    }

    /// Gives back everything but the reserve.
    fn release_records(&mut self) {
        self.budget.shrink(self.budget.used() - self.reserve);
        (self.slots, self.heap_paid, self.heap_spare, self.floor) = (0, 0, 0, FLOOR_BYTES);
    }
}
