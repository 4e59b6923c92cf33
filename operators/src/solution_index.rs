//! An index of records by key in memory, updated in place: one record per key, at a position that never changes.

use crate::hash_chunks::NO_POSITION;
use crate::hash_key::{hash_of, number, number_of};
use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::state::{Extent, StateWriter};
use flinkrs_core::types::{Data, Key, KeySelector, codec, hash_key, heap_bytes, own_heap, table_hash};
use flinkrs_core::{Error, Result};
use hashbrown::HashTable;
use std::sync::Arc;

/// One record per key.
pub(crate) struct SolutionIndex<K, T> {
    records: Vec<T>,
    positions: Positions,
    keys: Arc<Keys<K, T>>,
    /// What the records own.
    heap: usize,
    /// A bit for each position whose record was added or changed since the index was written last, once it was.
    changed: Option<Vec<u64>>,
}

/// What an index knows of keys; the type of the selector doesn't matter to who looks a key up.
pub(crate) struct Keys<K, T> {
    has: Box<Has<K, T>>,
    hash: Box<Of<T, u64>>,
    number: Box<Of<T, Option<u64>>>,
}

/// Whether a record has a key.
type Has<K, T> = dyn Fn(&T, &K) -> bool + Send + Sync;

/// Something of a record's key.
type Of<T, R> = dyn Fn(&T) -> R + Send + Sync;

impl<K: Key, T: Data> Keys<K, T> {
    /// The key that a selector takes out.
    pub(crate) fn new(selector: &impl KeySelector<T, Key = K>) -> Keys<K, T> {
        let (has, hash, number) = (selector.clone(), selector.clone(), selector.clone());
        Keys {
            has: Box::new(move |record: &T, key: &K| has.with_key(record, |found| found == key)),
            hash: Box::new(move |record: &T| hash_of(&hash, record)),
            number: Box::new(move |record: &T| number_of(&number, record)),
        }
    }

    /// The hash of a record's key.
    pub(crate) fn hash(&self, record: &T) -> u64 {
        (self.hash)(record)
    }
}

/// Where the record of a key is.
enum Positions {
    Hashed(HashTable<u32>),
    /// A position, or none, for each integer from `base` on.
    Direct {
        base: u64,
        places: Vec<u32>,
    },
}

/// With fewer records an array isn't worth it.
const DIRECT_MIN: usize = 1 << 10;

/// An array has at most so many places per record.
const PLACES_PER_RECORD: usize = 8;

impl<K: Key, T: Data> SolutionIndex<K, T> {
    /// An empty index with room for so many records.
    pub(crate) fn new(keys: &Arc<Keys<K, T>>, records: usize) -> SolutionIndex<K, T> {
        SolutionIndex {
            records: Vec::with_capacity(records),
            positions: Positions::Hashed(HashTable::new()),
            keys: Arc::clone(keys),
            heap: 0,
            changed: None,
        }
    }

    /// Its records, by position.
    pub(crate) fn records(&self) -> &[T] {
        &self.records
    }

    /// Takes it apart: its records, and which of them have changed.
    pub(crate) fn into_records(self) -> (Vec<T>, Option<Vec<u64>>) {
        (self.records, self.changed)
    }

    /// Says which records have changed.
    pub(crate) fn set_changed(&mut self, changed: Option<Vec<u64>>) {
        self.changed = changed;
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let positions = match &self.positions {
            Positions::Hashed(table) => table.allocation_size(),
            Positions::Direct { places, .. } => places.capacity() * size_of::<u32>(),
        };
        let marks = self.changed.as_ref().map_or(0, |words| words.capacity() * size_of::<u64>());
        self.records.capacity() * size_of::<T>() + positions + marks + self.heap
    }

    /// The position of the record of a key, or [`NO_POSITION`].
    #[inline(always)]
    pub(crate) fn position(&self, key: &K) -> u32 {
        match &self.positions {
            Positions::Direct { base, places } => {
                let place = number(key).and_then(|key| usize::try_from(key.wrapping_sub(*base)).ok());
                place.and_then(|place| places.get(place)).copied().unwrap_or(NO_POSITION)
            }
            Positions::Hashed(table) => {
                let same = |position: &u32| (self.keys.has)(&self.records[*position as usize], key);
                table.find(table_hash(hash_key(key)), same).copied().unwrap_or(NO_POSITION)
            }
        }
    }

    /// The record at a position; `None` at [`NO_POSITION`].
    #[inline(always)]
    pub(crate) fn record(&self, position: u32) -> Option<&T> {
        self.records.get(position as usize)
    }

    /// Puts a record in place of that with its key, or adds it; whether it was added.
    pub(crate) fn put(&mut self, key: &K, mut record: T) -> Result<bool> {
        let heap = own_heap(&mut record);
        self.heap += heap;
        let position = self.position(key);
        if let Some(found) = self.records.get_mut(position as usize) {
            if std::mem::needs_drop::<T>() {
                self.heap -= heap_bytes(found, usize::MAX).min(self.heap - heap);
            }
            *found = record;
            mark(&mut self.changed, position);
            return Ok(false);
        }
        self.append(number(key), record)?;
        Ok(true)
    }

    /// Adds a record that has been in an index with the same others, in the same order.
    pub(crate) fn add(&mut self, mut record: T) -> Result<()> {
        self.heap += own_heap(&mut record);
        let number = (self.keys.number)(&record);
        self.append(number, record)
    }

    /// Adds a record whose key is new.
    fn append(&mut self, key: Option<u64>, record: T) -> Result<()> {
        let position = u32::try_from(self.records.len()).ok().filter(|position| *position != NO_POSITION);
        let position = position.ok_or_else(too_many)?;
        self.records.push(record);
        mark(&mut self.changed, position);
        if self.records.len() >= DIRECT_MIN && self.records.len().is_power_of_two() {
            self.index_directly();
        }
        self.insert(key, position);
        Ok(())
    }

    /// Notes where the record of a new key is.
    fn insert(&mut self, key: Option<u64>, position: u32) {
        if let Positions::Direct { base, places } = &mut self.positions {
            let most = self.records.len() * PLACES_PER_RECORD;
            let place = key.and_then(|key| usize::try_from(key.wrapping_sub(*base)).ok());
            match place.filter(|place| *place < most) {
                Some(place) => {
                    if place >= places.len() {
                        places.resize((place + 1).max(places.len() + places.len() / 4), NO_POSITION);
                    }
                    places[place] = position;
                }
                // The key lies too far from the others, or below them.
                None => self.index_by_hash(),
            }
            return;
        }
        self.insert_by_hash(position);
    }

    fn insert_by_hash(&mut self, position: u32) {
        let SolutionIndex { records, positions, keys, .. } = self;
        if let Positions::Hashed(table) = positions {
            let hash = |position: &u32| (keys.hash)(&records[*position as usize]);
            table.insert_unique(hash(&position), position, hash);
        }
    }

    /// Makes an array of the positions of all records but the last, if their keys are integers close together.
    fn index_directly(&mut self) {
        let known = &self.records[..self.records.len() - 1];
        let numbers = || known.iter().map_while(|record| (self.keys.number)(record));
        let (Some(lowest), Some(highest)) = (numbers().min(), numbers().max()) else { return };
        let places = (highest - lowest) as usize;
        if matches!(self.positions, Positions::Direct { .. }) || places >= known.len() * PLACES_PER_RECORD {
            return;
        }
        let mut direct = vec![NO_POSITION; places + 1];
        for (position, key) in numbers().enumerate() {
            direct[(key - lowest) as usize] = position as u32;
        }
        self.positions = Positions::Direct { base: lowest, places: direct };
    }

    /// Makes a hash table of the positions of all records.
    fn index_by_hash(&mut self) {
        self.positions = Positions::Hashed(HashTable::with_capacity(self.records.len()));
        (0..self.records.len() as u32).for_each(|position| self.insert_by_hash(position));
    }

    /// Whether it is known what has changed since it was written last.
    pub(crate) fn knows_changes(&self) -> bool {
        self.changed.is_some()
    }

    /// Writes all records, or those that have changed since the last time, and remembers from now on what changes.
    pub(crate) fn write(&mut self, extent: Extent, state: &mut dyn StateWriter) -> Result<()> {
        let mut block = Vec::new();
        match self.changed.take() {
            Some(mut changed) if extent == Extent::Changes => {
                let mut records = Vec::new();
                let mut bytes = 0;
                for position in marked(&changed) {
                    let record = self.records[position].clone();
                    bytes += heap_bytes(&record, BATCH_BYTES);
                    records.push(record);
                    if records.len() >= batch_capacity::<T>() || bytes >= BATCH_BYTES {
                        write_block(&records, &mut block, state)?;
                        records.clear();
                        bytes = 0;
                    }
                }
                write_block(&records, &mut block, state)?;
                changed.fill(0);
                self.changed = Some(changed);
            }
            _ => {
                let mut rest = &self.records[..];
                while !rest.is_empty() {
                    let (records, behind) = rest.split_at(block_records(rest));
                    write_block(records, &mut block, state)?;
                    rest = behind;
                }
                self.changed = Some(vec![0; self.records.len().div_ceil(64)]);
            }
        }
        Ok(())
    }
}

fn write_block<T: Data>(records: &[T], block: &mut Vec<u8>, state: &mut dyn StateWriter) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    block.clear();
    codec::encode(records, block)?;
    state.block(block)
}

/// How many of the records make a block.
fn block_records<T: Data>(records: &[T]) -> usize {
    let most = records.len().min(batch_capacity::<T>());
    if !std::mem::needs_drop::<T>() {
        return most;
    }
    let mut bytes = 0;
    let full = |record: &T| {
        bytes += heap_bytes(record, BATCH_BYTES);
        bytes >= BATCH_BYTES
    };
    records[..most].iter().position(full).map_or(most, |last| last + 1)
}

/// Notes that the record of a position has changed, if anybody wants to know.
#[inline]
pub(crate) fn mark(changed: &mut Option<Vec<u64>>, position: u32) {
    let Some(words) = changed else { return };
    let word = position as usize / 64;
    if word >= words.len() {
        words.resize(word + 1, 0);
    }
    words[word] |= 1 << (position % 64);
}

/// The positions that are marked, in order.
pub(crate) fn marked(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(word, bits)| {
        let mut rest = *bits;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(word * 64 + bit)
        })
    })
}

fn too_many() -> Error {
    let advice = "raise --parallelism";
    Error::Resource { message: format!("the solution set has more than four billion records per subtask; {advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::f0;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Puts records in and looks all keys up after each `step` of them.
    fn check<K: Key + std::fmt::Debug>(records: &[(K, u64)], step: usize) {
        let mut index = SolutionIndex::new(&Arc::new(Keys::<K, (K, u64)>::new(&f0)), 0);
        let mut model = BTreeMap::new();
        for (i, (key, value)) in records.iter().enumerate() {
            let added = index.put(key, (key.clone(), *value)).expect("there is room");
            assert_eq!(added, model.insert(key.clone(), *value).is_none());
            if i % step == 0 || i + 1 == records.len() {
                for (key, value) in &model {
                    assert_eq!(index.record(index.position(key)), Some(&(key.clone(), *value)), "{key:?}");
                }
            }
        }
        assert_eq!(index.records().len(), model.len());
    }

    #[test]
    fn finds_dense_and_sparse_keys_and_text() {
        let dense: Vec<(i64, u64)> = (-3000..3000).map(|key| (key, key as u64)).collect();
        check(&dense, 1000);
        // Dense at first, then below, then far away.
        let mut mixed: Vec<(u64, u64)> = (5000..9000).map(|key| (key, key)).collect();
        mixed.extend((0..100).map(|key| (key, 1)));
        mixed.extend([(u64::MAX, 2), (u64::MAX - 1, 3)]);
        mixed.extend((5000..9000).map(|key| (key, 4)));
        check(&mixed, 1000);
        let texts: Vec<(String, u64)> = (0..3000).map(|key| (format!("key {}", key % 1500), key)).collect();
        check(&texts, 1000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn finds_what_was_put_last(keys in proptest::collection::vec(0u32..20_000, 0..5000), spread in 1u32..100) {
            let records: Vec<(u32, u64)> = keys.iter().zip(0..).map(|(key, i)| (key * spread, i)).collect();
            check(&records, 1024);
        }
    }

    #[test]
    fn what_records_own_is_counted() {
        let mut index = SolutionIndex::new(&Arc::new(Keys::<u64, (u64, String)>::new(&f0)), 10);
        let before = index.bytes();
        index.put(&1, (1, "x".repeat(1000))).expect("there is room");
        index.put(&1, (1, "y".repeat(3000))).expect("there is room");
        let grown = index.bytes() - before;
        assert!((3000..3200).contains(&grown), "{grown}");
    }

    #[test]
    fn a_block_ends_where_its_texts_are_long() {
        let long = |n: usize| vec!["x".repeat(n); 100];
        assert_eq!(block_records(&long(BATCH_BYTES / 4)), 4);
        assert_eq!(block_records(&long(BATCH_BYTES * 2)), 1);
        assert_eq!(block_records(&long(10)), 100);
        assert_eq!(block_records(&[0u64; 5000]), 1024);
    }
}
