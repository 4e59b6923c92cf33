//! The solution set of a delta iteration: an index by key, built once and updated in place.

use crate::hash_chunks::NO_POSITION;
use crate::hash_key::{hash_of, number, number_of};
use crate::hash_memory::Memory;
use crate::iteration::iteration;
use crate::prefetch::prefetch;
use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::element::Superstep;
use flinkrs_core::function::IterationContext;
use flinkrs_core::id::OperatorId;
use flinkrs_core::state::{Extent, StateReader, StateWriter};
use flinkrs_core::types::{Data, Key, KeySelector, codec, hash_key, heap_bytes, own_heap, table_hash};
use flinkrs_core::{Batch, Collector, Error, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::{SpillBuffer, SpillSpace};
use hashbrown::HashTable;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part of a solution set that one slot has: one record per key.
///
/// The operators of the slot share it and take turns; a lookup in superstep *n* sees what superstep *n - 1* left.
pub(crate) struct SolutionIndex<K, T> {
    records: Vec<T>,
    positions: Positions,
    keys: Keys<K, T>,
    memory: Option<Memory>,
    reserved: usize,
    /// A bit for each position whose record was added or changed since the index was written last, once it was.
    changed: Option<Vec<u64>>,
}

/// What the index knows of keys; the type of the selector doesn't matter to who looks a key up.
struct Keys<K, T> {
    has: Box<Has<K, T>>,
    hash: Box<Of<T, u64>>,
    number: Box<Of<T, Option<u64>>>,
}

/// Whether a record has a key.
type Has<K, T> = dyn Fn(&T, &K) -> bool + Send;

/// Something of a record's key.
type Of<T, R> = dyn Fn(&T) -> R + Send;

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

/// The shared handle.
pub(crate) type SharedIndex<K, T> = Mutex<SolutionIndex<K, T>>;

/// The index of a slot, made by whoever asks first.
pub(crate) fn shared_index<K: Key, T: Data>(
    context: &RuntimeContext,
    owner: OperatorId,
    selector: &impl KeySelector<T, Key = K>,
) -> Result<Arc<SharedIndex<K, T>>> {
    let make = || {
        let (has, hash, number) = (selector.clone(), selector.clone(), selector.clone());
        Mutex::new(SolutionIndex {
            records: Vec::new(),
            positions: Positions::Hashed(HashTable::new()),
            keys: Keys {
                has: Box::new(move |record: &T, key: &K| has.with_key(record, |found| found == key)),
                hash: Box::new(move |record: &T| hash_of(&hash, record)),
                number: Box::new(move |record: &T| number_of(&number, record)),
            },
            memory: None,
            reserved: 0,
            changed: None,
        })
    };
    let index = context.slot.shared(owner, make);
    index.ok_or_else(|| Error::internal("a solution set is looked up by a key of another type than its own"))
}

/// Locks the index for the time of a batch.
pub(crate) fn lock<K, T>(index: &SharedIndex<K, T>) -> MutexGuard<'_, SolutionIndex<K, T>> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Key, T: Data> SolutionIndex<K, T> {
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
    fn put(&mut self, key: &K, mut record: T) -> Result<bool> {
        own_heap(&mut record);
        let position = self.position(key);
        if let Some(found) = self.records.get_mut(position as usize) {
            *found = record;
            mark(&mut self.changed, position);
            return Ok(false);
        }
        let position = u32::try_from(self.records.len()).ok().filter(|position| *position != NO_POSITION);
        let position = position.ok_or_else(|| too_large("four billion records per subtask"))?;
        self.records.push(record);
        mark(&mut self.changed, position);
        if self.records.len() >= DIRECT_MIN && self.records.len().is_power_of_two() {
            self.index_directly();
        }
        self.insert(number(key), position);
        self.reserve()?;
        Ok(true)
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

    /// Reserves memory for what the index has grown by.
    fn reserve(&mut self) -> Result<()> {
        let positions = match &self.positions {
            Positions::Hashed(table) => table.allocation_size(),
            Positions::Direct { places, .. } => places.capacity() * size_of::<u32>(),
        };
        let marks = self.changed.as_ref().map_or(0, |words| words.capacity() * size_of::<u64>());
        let bytes = self.records.capacity() * size_of::<T>() + positions + marks;
        if bytes > self.reserved
            && let Some(memory) = &mut self.memory
        {
            if !memory.try_grow(bytes - self.reserved) {
                return Err(too_large("its slot's memory"));
            }
            self.reserved = bytes;
        }
        Ok(())
    }
}

impl<K: Key, T: Data> SolutionIndex<K, T> {
    /// Writes all records, or those that have changed since the last time, and remembers from now on what changes.
    fn write(&mut self, extent: Extent, state: &mut dyn StateWriter) -> Result<()> {
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
        self.reserve()
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
fn mark(changed: &mut Option<Vec<u64>>, position: u32) {
    let Some(words) = changed else { return };
    let word = position as usize / 64;
    if word >= words.len() {
        words.resize(word + 1, 0);
    }
    words[word] |= 1 << (position % 64);
}

/// The positions that are marked, in order.
fn marked(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(word, bits)| {
        let mut rest = *bits;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(word * 64 + bit)
        })
    })
}

fn too_large(limit: &str) -> Error {
    Error::Resource { message: format!("the solution set takes more than {limit}; raise --memory or --parallelism") }
}

/// Builds the index from the initial solution set; emits nothing.
pub struct SolutionSetOperator<T, S: KeySelector<T>> {
    selector: S,
    index: Option<Arc<SharedIndex<S::Key, T>>>,
    /// Whether the index comes from a snapshot, and not from the initial records.
    restored: bool,
}

impl<T: Data, S: KeySelector<T>> SolutionSetOperator<T, S> {
    /// An index by the key that `selector` takes out.
    pub fn new(selector: S) -> Self {
        SolutionSetOperator { selector, index: None, restored: false }
    }
}

impl<T: Data, S: KeySelector<T>> Operator for SolutionSetOperator<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let index = shared_index(context, context.operator, &self.selector)?;
        lock(&index).memory = Some(Memory::new(context.budget()));
        self.index = Some(index);
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        if self.restored {
            batch.clear();
            return Ok(());
        }
        let mut index = lock(self.index.as_ref().expect("an operator gets no records before it is opened"));
        for record in batch.records::<T>().drain(..) {
            let key = self.selector.key(&record);
            if !index.put(&key, record)? {
                return Err(Error::data(
                    "the initial solution set has two records with one key; keep one of each key, by distinct_by for \
                     example",
                ));
            }
        }
        Ok(())
    }

    fn restore(&mut self, state: &mut dyn StateReader) -> Result<()> {
        let mut index = lock(self.index.as_ref().expect("an operator is opened before its state comes back"));
        while let Some(block) = state.next_block()? {
            for record in codec::decode::<T>(block)? {
                let key = self.selector.key(&record);
                index.put(&key, record)?;
            }
        }
        self.restored = true;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.index = None;
        Ok(())
    }
}

/// Ends the step of a delta iteration: applies the delta to the solution set at the end of each superstep, passes the
/// next workset on, and emits the solution set when the loop is over.
pub struct DeltaIterationOperator<T, S: KeySelector<T>> {
    selector: S,
    owner: OperatorId,
    /// Whether the delta is the next workset, too, so that there is one input for both.
    both: bool,
    state: Option<State<T, S::Key>>,
    buffer: Batch,
}

struct State<T, K> {
    index: Arc<SharedIndex<K, T>>,
    delta: SpillBuffer<T>,
    iteration: Arc<IterationContext>,
    /// How far the emission of the result has come.
    emitted: usize,
}

impl<T: Data, S: KeySelector<T>> DeltaIterationOperator<T, S> {
    /// Closes the loop over the solution set of operator `owner`; the delta is input 0, the workset input 1 unless it
    /// is the delta (`both`).
    pub fn new(selector: S, owner: OperatorId, both: bool) -> Self {
        DeltaIterationOperator { selector, owner, both, state: None, buffer: Batch::new(Vec::<T>::new()) }
    }
}

/// Records that are emitted before the output is asked whether it has room.
const STEP_RECORDS: usize = 4096;

impl<T: Data, S: KeySelector<T>> Operator for DeltaIterationOperator<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.state = Some(State {
            index: shared_index(context, self.owner, &self.selector)?,
            delta: SpillBuffer::new(&SpillSpace::of(context), context.budget()),
            iteration: iteration(context)?,
            emitted: 0,
        });
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_mut().expect("an operator gets no records before it is opened");
        if input != 0 {
            return out.push(batch);
        }
        if self.both {
            let mut copy = batch.clone();
            state.delta.push_all(copy.records::<T>())?;
            return out.push(batch);
        }
        state.delta.push_all(batch.records::<T>())
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_mut().expect("a superstep ends after the operator was opened");
        state.delta.seal()?;
        let mut index = lock(&state.index);
        let mut updates = 0;
        while let Some(records) = state.delta.pop_batch()? {
            updates += records.len() as u64;
            for record in &records {
                let position = self.selector.with_key(record, |key| index.position(key));
                index.record(position).into_iter().for_each(prefetch);
            }
            for record in records {
                let key = self.selector.key(&record);
                index.put(&key, record)?;
            }
        }
        drop(index);
        state.delta.clear();
        state.iteration.counts().updates.fetch_add(updates, Ordering::Relaxed);
        out.superstep_end(superstep)
    }

    fn snapshot(&mut self, extent: Extent, writer: &mut dyn StateWriter) -> Result<()> {
        let state = self.state.as_mut().expect("a superstep ends after the operator was opened");
        lock(&state.index).write(extent, writer)
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let Some(state) = &mut self.state else { return Ok(Progress::Done) };
        let index = lock(&state.index);
        let end = (state.emitted + STEP_RECORDS).min(index.records.len());
        let mut collector = Collector::new(&mut self.buffer, out);
        for record in &index.records[state.emitted..end] {
            collector.collect(record.clone());
        }
        collector.finish()?;
        state.emitted = end;
        Ok(if end < index.records.len() { Progress::More } else { Progress::Done })
    }

    fn close(&mut self) -> Result<()> {
        if let Some(state) = self.state.take() {
            let mut index = lock(&state.index);
            (index.records, index.changed, index.memory) = (Vec::new(), None, None);
            index.positions = Positions::Hashed(HashTable::new());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::f0;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn context() -> RuntimeContext {
        RuntimeContext::standalone(1 << 20, &std::env::temp_dir())
    }

    /// Puts records in and looks all keys up after each `step` of them.
    fn check<K: Key + std::fmt::Debug>(records: &[(K, u64)], step: usize) {
        let context = context();
        let index = shared_index::<K, (K, u64)>(&context, OperatorId(0), &f0).expect("it is the first");
        let mut index = lock(&index);
        let mut model = BTreeMap::new();
        for (i, (key, value)) in records.iter().enumerate() {
            let added = index.put(key, (key.clone(), *value)).expect("no memory is counted");
            assert_eq!(added, model.insert(key.clone(), *value).is_none());
            if i % step == 0 || i + 1 == records.len() {
                for (key, value) in &model {
                    assert_eq!(index.record(index.position(key)), Some(&(key.clone(), *value)), "{key:?}");
                }
            }
        }
        assert_eq!(index.records.len(), model.len());
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
    fn an_index_beyond_its_memory_is_an_error_that_says_what_to_do() {
        let mut operator = SolutionSetOperator::<(u64, u64), f0>::new(f0);
        operator.open(&context()).expect("it opens");
        let mut batch = Batch::new((0..100_000u64).map(|key| (key, key)).collect::<Vec<_>>());
        let mut out = crate::testing::Gathered::<u64>::default();
        let error = operator.process(0, &mut batch, &mut out).expect_err("there is too little memory");
        assert!(error.to_string().contains("raise --memory"), "{error}");
    }

    /// State in memory.
    #[derive(Default)]
    struct Kept(Vec<Vec<u8>>, usize);

    impl StateWriter for Kept {
        fn block(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.push(bytes.to_vec());
            Ok(())
        }
    }

    impl StateReader for Kept {
        fn next_block(&mut self) -> Result<Option<&[u8]>> {
            self.1 += 1;
            Ok(self.0.get(self.1 - 1).map(Vec::as_slice))
        }
    }

    type Record = (u64, String);

    fn put(index: &SharedIndex<u64, Record>, keys: impl Iterator<Item = u64>, text: &str) {
        for key in keys {
            lock(index).put(&key, (key, text.to_owned())).expect("there is memory");
        }
    }

    fn records(kept: &Kept) -> Vec<Record> {
        kept.0.iter().flat_map(|block| codec::decode::<Record>(block).expect("it was encoded")).collect()
    }

    #[test]
    fn an_index_is_written_whole_and_then_what_changes_and_comes_back() {
        let context = RuntimeContext::standalone(64 << 20, &std::env::temp_dir());
        let index = shared_index::<u64, Record>(&context, context.operator, &f0).expect("it is the first");
        put(&index, 0..5000, "a");
        let mut all = Kept::default();
        lock(&index).write(Extent::All, &mut all).expect("it is kept");
        assert!(all.0.len() >= 5, "blocks of about a thousand records");
        assert_eq!(records(&all).len(), 5000);

        put(&index, (70..5100).step_by(70), "b");
        put(&index, (70..5100).step_by(140), "c");
        let mut changes = Kept::default();
        lock(&index).write(Extent::Changes, &mut changes).expect("it is kept");
        assert_eq!(records(&changes).len(), 72, "each of them once");
        let mut nothing = Kept::default();
        lock(&index).write(Extent::Changes, &mut nothing).expect("it is kept");
        assert_eq!(nothing.0.len(), 0);

        let context = RuntimeContext::standalone(64 << 20, &std::env::temp_dir());
        let mut operator = SolutionSetOperator::<Record, f0>::new(f0);
        operator.open(&context).expect("it opens");
        all.0.append(&mut changes.0);
        operator.restore(&mut all).expect("it was written");
        let mut initial = Batch::new(vec![(1u64, "initial".to_owned())]);
        let mut out = crate::testing::Gathered::<Record>::default();
        operator.process(0, &mut initial, &mut out).expect("it is ignored");
        let back = shared_index::<u64, Record>(&context, context.operator, &f0).expect("it is there");
        assert!(lock(&back).records == lock(&index).records);
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
