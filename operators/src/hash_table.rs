//! The table of a hash group: one record per key, held to a budget.

use crate::hash_memory::Memory;
use crate::hash_spill::{PARTITIONS, partition_of};
use flinkrs_core::types::{Data, heap_bytes};
use hashbrown::HashTable;
use hashbrown::hash_table::IntoIter;

/// Records by key, in one table while it is small and in one per partition when it takes much of the memory: then a
/// table that doubles needs little memory beside what it has, and a partition can leave without the others.
#[derive(Debug)]
pub(crate) struct GroupTable<T> {
    /// One table, or one per partition.
    tables: Vec<HashTable<T>>,
    level: u32,
    memory: Memory,
    /// A single table of more bytes than this is split.
    split_bytes: usize,
    /// Heap of the records at the last count.
    heap: usize,
    /// What the records that came since then owned: at most as much was added to the heap, unless `reduce` makes more.
    merged: usize,
    /// Bytes reserved for both.
    heap_reserved: usize,
}

/// Names the table in which keys of a hash are.
pub(crate) trait TableOf<T> {
    fn table_of(&mut self, hash: u64) -> &mut HashTable<T>;
}

impl<T> TableOf<T> for HashTable<T> {
    #[inline(always)]
    fn table_of(&mut self, _hash: u64) -> &mut HashTable<T> {
        self
    }
}

impl<T> TableOf<T> for GroupTable<T> {
    #[inline(always)]
    fn table_of(&mut self, hash: u64) -> &mut HashTable<T> {
        let number = partition_of(hash, self.level) & (self.tables.len() - 1);
        &mut self.tables[number]
    }
}

/// A single table takes at most this part of the memory.
const SPLIT_SHARE: usize = 8;

/// Heap is reserved in steps, a part of the memory that is free.
const HEAP_STEPS: usize = 64;

/// A table takes so many records whatever the budget says, or nothing would ever move on.
const FORCED_RECORDS: usize = 14;

impl<T: Data> GroupTable<T> {
    /// An empty table that is never split if all of it leaves at once.
    pub(crate) fn new(memory: Memory, splits: bool) -> GroupTable<T> {
        let split_bytes = if splits { memory.available() / SPLIT_SHARE } else { usize::MAX };
        GroupTable {
            tables: vec![HashTable::new()],
            level: 0,
            memory,
            split_bytes,
            heap: 0,
            merged: 0,
            heap_reserved: 0,
        }
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(HashTable::len).sum()
    }

    /// Begins a level of partitioning with an empty table.
    pub(crate) fn begin_level(&mut self, level: u32) {
        debug_assert!(self.len() == 0, "a level begins when the one before is done");
        self.level = level;
        for table in self.tables.drain(..) {
            self.memory.shrink(table.allocation_size());
        }
        self.tables.push(HashTable::new());
    }

    /// The table if there is only one.
    #[inline(always)]
    pub(crate) fn single(&mut self) -> Option<&mut HashTable<T>> {
        match &mut *self.tables {
            [table] => Some(table),
            _ => None,
        }
    }

    /// Makes room for a record of this hash; false when the budget refuses and nothing forces it.
    pub(crate) fn make_room(&mut self, hash: u64, force: bool, hash_of: impl Fn(&T) -> u64) -> bool {
        if self.tables.len() == 1 && self.tables[0].allocation_size() > self.split_bytes && !force {
            self.split(&hash_of);
        }
        let number = partition_of(hash, self.level) & (self.tables.len() - 1);
        let table = &mut self.tables[number];
        if table.len() < table.capacity() {
            return true;
        }
        let before = table.allocation_size();
        let after = doubled_bytes(table);
        if !self.memory.grow(after, force || table.len() < FORCED_RECORDS) {
            return false;
        }
        table.reserve(1, hash_of);
        let taken = table.allocation_size();
        if taken > after {
            self.memory.force(taken - after);
        }
        self.memory.shrink(before + after.saturating_sub(taken));
        true
    }

    /// Deals the records of the single table out to a table per partition.
    fn split(&mut self, hash_of: &impl Fn(&T) -> u64) {
        let whole = std::mem::take(&mut self.tables[0]);
        let bytes = whole.allocation_size();
        let share = whole.len() / PARTITIONS * 9 / 8;
        self.tables = (0..PARTITIONS).map(|_| HashTable::with_capacity(share)).collect();
        for record in whole {
            let hash = hash_of(&record);
            self.tables[partition_of(hash, self.level)].insert_unique(hash, record, hash_of);
        }
        self.memory.force(self.tables.iter().map(HashTable::allocation_size).sum());
        self.memory.shrink(bytes);
    }

    /// Records per partition; all in the first if there is a single table.
    pub(crate) fn partition_lens(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().map(HashTable::len)
    }

    /// Splits the table if it isn't, so that a partition can be taken out.
    pub(crate) fn ensure_split(&mut self, hash_of: impl Fn(&T) -> u64) {
        if self.tables.len() == 1 {
            self.split(&hash_of);
        }
    }

    /// Takes a partition's records out and leaves no capacity.
    pub(crate) fn take_partition(&mut self, partition: usize) -> HashTable<T> {
        let table = std::mem::take(&mut self.tables[partition]);
        self.memory.shrink(table.allocation_size());
        table
    }

    /// Whether a partition's capacity isn't much more than its records need, so that heap isn't what fills the memory.
    pub(crate) fn is_well_filled(&self, partition: usize) -> bool {
        self.tables[partition].len() * 4 >= self.tables[partition].capacity()
    }

    /// Takes a partition's records out and keeps the capacity.
    pub(crate) fn drain_partition(&mut self, partition: usize) -> impl Iterator<Item = T> {
        self.tables[partition].drain()
    }

    /// Takes the records of some table out for good.
    pub(crate) fn take_any(&mut self) -> Option<IntoIter<T>> {
        let number = self.tables.iter().position(|table| !table.is_empty())?;
        Some(self.take_partition(number).into_iter())
    }

    /// Takes all records out and keeps the capacity.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.release_heap();
        self.tables.iter_mut().flat_map(HashTable::drain)
    }

    /// Heap of the records, in bytes: at least, and usually not much more.
    fn heap(&self) -> usize {
        self.heap + self.merged
    }

    /// Notes that records that own `bytes` of heap were inserted or merged; false when the budget refuses.
    pub(crate) fn add_heap(&mut self, bytes: usize, force: bool) -> bool {
        self.merged += bytes;
        if self.heap() <= self.heap_reserved {
            return true;
        }
        let len = self.len();
        if self.merged > self.heap + len * size_of::<T>() {
            self.count_heap();
        }
        let step = self.memory.available() / HEAP_STEPS;
        if self.reserve_heap(step, false) || self.reserve_heap(0, force) {
            return true;
        }
        if self.merged > (self.heap + len * size_of::<T>()) / 8 {
            self.count_heap();
        }
        self.reserve_heap(0, len <= 1)
    }

    fn reserve_heap(&mut self, step: usize, force: bool) -> bool {
        let Some(more) = self.heap().checked_sub(self.heap_reserved).filter(|more| *more > 0) else {
            return true;
        };
        let more = more.max(step);
        let reserved = self.memory.grow(more, force);
        if reserved {
            self.heap_reserved += more;
        }
        reserved
    }

    fn count_heap(&mut self) {
        self.heap = self.tables.iter().flatten().map(|record| heap_bytes(record, usize::MAX)).sum();
        self.merged = 0;
    }

    /// Counts the heap of what is left after records were taken out.
    pub(crate) fn recount_heap(&mut self) {
        let had_heap = self.heap() > 0;
        self.release_heap();
        if had_heap {
            self.count_heap();
            let _ = self.reserve_heap(0, true);
        }
    }

    fn release_heap(&mut self) {
        self.memory.shrink(self.heap_reserved);
        (self.heap, self.merged, self.heap_reserved) = (0, 0, 0);
    }
}

/// Memory of the table after it has doubled, in bytes; hashbrown keeps a byte per bucket beside the records.
fn doubled_bytes<T>(table: &HashTable<T>) -> usize {
    let buckets = (2 * table.num_buckets()).max(4);
    buckets * (size_of::<T>() + 1) + 32
}
