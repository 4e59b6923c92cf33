//! The table of a hash group: one record per key, held to a budget.

use crate::hash_dense::{DenseTable, SEGMENT};
use crate::hash_key::{hash_of, is_integer, key_of_number, number_of};
use crate::hash_memory::Memory;
use crate::hash_spill::{PARTITIONS, partition_of};
use flinkrs_core::types::{Data, KeySelector, heap_bytes};
use hashbrown::HashTable;
use hashbrown::hash_table::IntoIter;

/// Records by key, in one table while it is small and in one per partition when it takes much of the memory: then a
/// table that doubles needs little memory beside what it has, and a partition can leave without the others.
///
/// When most keys turn out to be integers that lie close together, an array takes those, and the table is left to
/// the few that lie elsewhere. Records that own heap don't go there: what they cost isn't the table.
#[derive(Debug)]
pub(crate) struct GroupTable<T, R> {
    /// One table, or one per partition.
    tables: Vec<HashTable<T>>,
    /// All records whose keys it covers, beside a single table.
    dense: Option<DenseTable<R>>,
    /// Whether there may be an array: not after one has cost more memory than there was.
    may_be_dense: bool,
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

impl<T, R> TableOf<T> for GroupTable<T, R> {
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

/// Records from which on keys are looked at, whether they lie close together: a table of fewer is in the cache.
const DENSE_RECORDS: usize = 3584;

/// An array has at most so many places per record.
const DENSE_SLACK: usize = 8;

/// Places that a superstep's end may look at per record, and whatever there is, before a table shrinks.
const LOOKED_AT_MAX: usize = 8;
const LOOKED_AT_FREE: usize = 1024;

/// What a table shrinks by at a time.
const SHRINK: usize = 4;

/// A table takes so many records whatever the budget says, or nothing would ever move on.
const FORCED_RECORDS: usize = 14;

impl<T: Data, R: Clone> GroupTable<T, R> {
    /// An empty table that is never split if all of it leaves at once.
    pub(crate) fn new(memory: Memory, splits: bool) -> GroupTable<T, R> {
        let split_bytes = if splits { memory.available() / SPLIT_SHARE } else { usize::MAX };
        GroupTable {
            tables: vec![HashTable::new()],
            dense: None,
            may_be_dense: true,
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
        self.hashed_len() + self.dense.as_ref().map_or(0, DenseTable::len)
    }

    fn hashed_len(&self) -> usize {
        self.tables.iter().map(HashTable::len).sum()
    }

    /// Begins a level of partitioning with an empty table.
    pub(crate) fn begin_level(&mut self, level: u32) {
        debug_assert!(self.len() == 0, "a level begins when the one before is done");
        self.level = level;
        self.release_dense();
        self.may_be_dense = level == 0;
        for table in self.tables.drain(..) {
            self.memory.shrink(table.allocation_size());
        }
        self.tables.push(HashTable::new());
    }

    /// The array for integer keys that lie close together, if there is one.
    #[inline(always)]
    pub(crate) fn dense(&mut self) -> Option<&mut DenseTable<R>> {
        self.dense.as_mut()
    }

    /// The table if there is only one.
    #[inline(always)]
    pub(crate) fn single(&mut self) -> Option<&mut HashTable<T>> {
        match &mut *self.tables {
            [table] => Some(table),
            _ => None,
        }
    }

    /// Makes room for a record whose key has this hash; false when the budget refuses and nothing forces it.
    pub(crate) fn make_room<S>(&mut self, hash: u64, record: &T, force: bool, selector: &S) -> bool
    where
        S: KeySelector<T, Rest = R>,
    {
        if let Some(has_room) = self.make_dense_room(record, selector) {
            return has_room;
        }
        if self.tables.len() == 1 && self.tables[0].allocation_size() > self.split_bytes && !force {
            self.split(selector);
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
        table.reserve(1, |record| hash_of(selector, record));
        let taken = table.allocation_size();
        if taken > after {
            self.memory.force(taken - after);
        }
        self.memory.shrink(before + after.saturating_sub(taken));
        true
    }

    /// Adds a record for which room was made.
    pub(crate) fn insert<S: KeySelector<T, Rest = R>>(&mut self, hash: u64, record: T, selector: &S) {
        match (&mut self.dense, number_of(selector, &record)) {
            (Some(dense), Some(key)) if let Some(place) = dense.place(key) => dense.put(place, selector.rest(record)),
            _ => drop(self.table_of(hash).insert_unique(hash, record, |record| hash_of(selector, record))),
        }
    }

    /// Makes room in the array, or an array, if that is where the record belongs; false when the budget refuses.
    fn make_dense_room<S: KeySelector<T, Rest = R>>(&mut self, record: &T, selector: &S) -> Option<bool> {
        if std::mem::needs_drop::<T>() || size_of::<T>() == 0 || !is_integer::<S::Key>() {
            return None;
        }
        let key = number_of(selector, record)?;
        if self.dense.as_ref().is_some_and(|dense| dense.place(key).is_some()) || self.widen(key, record, selector) {
            return Some(true);
        }
        let outgrown = self.dense.as_ref().is_some_and(|dense| dense.len() < self.hashed_len());
        if !outgrown || !self.is_hashed_full() {
            return None;
        }
        if self.split_bytes == usize::MAX {
            return Some(false);
        }
        self.split(selector);
        None
    }

    /// Whether the single table would have to grow past a few thousand records.
    fn is_hashed_full(&self) -> bool {
        matches!(&*self.tables, [table] if table.len() >= DENSE_RECORDS && table.len() == table.capacity())
    }

    /// Widens the array to the key of a record, or makes one; false if the keys don't lie close enough together.
    fn widen<S: KeySelector<T, Rest = R>>(&mut self, key: u64, record: &T, selector: &S) -> bool {
        let is_full = self.is_hashed_full();
        if !is_full && self.dense.is_none() || !self.may_be_dense {
            return false;
        }
        let (mut lowest, mut highest) = (key, key);
        if is_full {
            // A look at all keys for each doubling of the table.
            for key in self.tables.iter().flatten().filter_map(|record| number_of(selector, record)) {
                (lowest, highest) = (lowest.min(key), highest.max(key));
            }
        }
        let segments = match &self.dense {
            Some(dense) => dense.segments_with(lowest, highest),
            None => DenseTable::<R>::at(key).segments_with(lowest, highest),
        };
        let records = self.len().max(DENSE_RECORDS);
        let bytes = DenseTable::<R>::range_bytes(segments);
        let affordable = match self.split_bytes {
            usize::MAX => usize::MAX,
            split_bytes => split_bytes.max(table_bytes::<T>((records * 8 / 7).next_power_of_two())),
        };
        if segments > records * DENSE_SLACK / SEGMENT || bytes > affordable || !self.memory.try_grow(bytes) {
            return false;
        }
        // While it is widened, the array is there twice.
        let before = self.dense.as_ref().map_or(0, DenseTable::bytes);
        self.move_to_dense((lowest, highest), &selector.rest(record.clone()), selector);
        self.memory.shrink(before);
        true
    }

    /// Widens the array, whose memory is reserved, and moves the records there whose keys it covers.
    fn move_to_dense<S>(&mut self, (lowest, highest): (u64, u64), any: &R, selector: &S)
    where
        S: KeySelector<T, Rest = R>,
    {
        let GroupTable { tables, dense, memory, .. } = self;
        let dense = dense.get_or_insert_with(|| DenseTable::at(lowest));
        dense.extend(lowest, highest, any);
        let table = &mut tables[0];
        let place_of = |record: &T| number_of(selector, record).and_then(|key| dense.place(key));
        let covered: Vec<T> = table.extract_if(|record| place_of(record).is_some()).collect();
        for record in covered {
            if let Some(place) = number_of(selector, &record).and_then(|key| dense.place(key)) {
                dense.put(place, selector.rest(record));
            }
        }
        if table.is_empty() {
            memory.shrink(std::mem::take(table).allocation_size());
        }
    }

    /// Does without an array until the next superstep; what is in it must have been taken out.
    pub(crate) fn give_dense_up(&mut self) {
        self.may_be_dense &= self.dense.is_none();
        self.release_dense();
    }

    fn release_dense(&mut self) {
        if let Some(dense) = self.dense.take() {
            debug_assert!(dense.len() == 0, "an array goes when its records have gone");
            self.memory.shrink(dense.bytes());
        }
    }

    /// Deals the records of the single table and the array out to a table per partition.
    fn split<S: KeySelector<T, Rest = R>>(&mut self, selector: &S) {
        let share = self.len() / PARTITIONS * 9 / 8;
        let whole = std::mem::take(&mut self.tables[0]);
        let bytes = whole.allocation_size();
        self.tables = (0..PARTITIONS).map(|_| HashTable::with_capacity(share)).collect();
        let level = self.level;
        let deal = |tables: &mut Vec<HashTable<T>>, record: T| {
            let hash = hash_of(selector, &record);
            tables[partition_of(hash, level)].insert_unique(hash, record, |record| hash_of(selector, record));
        };
        whole.into_iter().for_each(|record| deal(&mut self.tables, record));
        self.memory.shrink(bytes);
        while let Some(records) = self.take_dense_segment(selector) {
            records.into_iter().for_each(|record| deal(&mut self.tables, record));
        }
        self.give_dense_up();
        self.memory.force(self.tables.iter().map(HashTable::allocation_size).sum());
    }

    fn take_dense_segment<S: KeySelector<T, Rest = R>>(&mut self, selector: &S) -> Option<Vec<T>> {
        let whole = |key, rest| Some(selector.whole(key_of_number(key)?, rest));
        self.dense.as_mut()?.take_segment(whole)
    }

    /// Records per partition; all in the first if there is a single table.
    pub(crate) fn partition_lens(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().map(HashTable::len)
    }

    /// Splits the table if it isn't, so that a partition can be taken out.
    pub(crate) fn ensure_split<S: KeySelector<T, Rest = R>>(&mut self, selector: &S) {
        if self.tables.len() == 1 {
            self.split(selector);
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

    /// Takes the records of some table, or of a piece of the array, out for good.
    pub(crate) fn take_any<S: KeySelector<T, Rest = R>>(&mut self, selector: &S) -> Option<Leaving<T>> {
        if let Some(records) = self.take_dense_segment(selector) {
            return Some(Leaving::Dense(records.into_iter()));
        }
        self.release_dense();
        let number = self.tables.iter().position(|table| !table.is_empty())?;
        Some(Leaving::Hashed(self.take_partition(number).into_iter()))
    }

    /// Takes all records out and keeps the capacity; says how many buckets and words of bitmaps it looked at.
    pub(crate) fn drain<S>(&mut self, selector: &S, mut take: impl FnMut(T)) -> usize
    where
        S: KeySelector<T, Rest = R>,
    {
        self.release_heap();
        let mut of_number = |number, rest| {
            if let Some(key) = key_of_number(number) {
                take(selector.whole(key, rest));
            }
        };
        let looked_at = self.dense.as_mut().map_or(0, |dense| dense.drain(&mut of_number));
        self.tables.iter_mut().for_each(|table| table.drain().for_each(&mut take));
        looked_at + self.tables.iter().map(HashTable::num_buckets).sum::<usize>()
    }

    /// Gets ready for another superstep when so many records have been taken out and `looked_at` places for that.
    ///
    /// A table that has become too large shrinks by steps, so that all of them together cost no more than filling it
    /// did, and the next superstep finds most of what it needs if it is as large.
    pub(crate) fn begin_again(&mut self, taken: usize, looked_at: usize) {
        debug_assert!(self.len() == 0, "a superstep begins when the one before is done");
        self.may_be_dense = self.level == 0 && self.tables.len() == 1;
        if looked_at <= taken * LOOKED_AT_MAX + LOOKED_AT_FREE {
            return;
        }
        for table in &mut self.tables {
            let before = table.allocation_size();
            *table = HashTable::with_capacity(table.capacity() / SHRINK);
            self.memory.shrink(before - table.allocation_size());
        }
        if self.tables.len() > 1 && self.tables.iter().all(|table| table.capacity() < DENSE_RECORDS / PARTITIONS) {
            self.begin_level(self.level);
        }
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

/// Memory of the table after it has doubled, in bytes.
fn doubled_bytes<T>(table: &HashTable<T>) -> usize {
    table_bytes::<T>((2 * table.num_buckets()).max(4))
}

/// Memory of a table with so many buckets, in bytes; hashbrown keeps a byte per bucket beside the records.
fn table_bytes<T>(buckets: usize) -> usize {
    buckets * (size_of::<T>() + 1) + 32
}

/// Records on their way out of a table that has let them go.
pub(crate) enum Leaving<T> {
    Hashed(IntoIter<T>),
    Dense(std::vec::IntoIter<T>),
}

impl<T> Leaving<T> {
    /// Shows at most `count` records to `take`; false when there are no more.
    pub(crate) fn take(&mut self, count: usize, take: impl FnMut(T)) -> bool {
        match self {
            Leaving::Hashed(records) => records.take(count).for_each(take),
            Leaving::Dense(records) => records.take(count).for_each(take),
        }
        match self {
            Leaving::Hashed(records) => records.len() > 0,
            Leaving::Dense(records) => records.len() > 0,
        }
    }
}
