//! The solution set of a delta iteration: an index by key, built once and updated in place.

use crate::hash_memory::Memory;
use crate::iteration::iteration;
use flinkrs_core::element::Superstep;
use flinkrs_core::function::IterationContext;
use flinkrs_core::id::OperatorId;
use flinkrs_core::types::{Data, Key, KeySelector, hash_key, own_heap, table_hash};
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
    positions: HashTable<u32>,
    has_key: Box<dyn Fn(&T, &K) -> bool + Send>,
    hash: Box<dyn Fn(&T) -> u64 + Send>,
    memory: Option<Memory>,
    reserved: usize,
}

/// The shared handle.
pub(crate) type SharedIndex<K, T> = Mutex<SolutionIndex<K, T>>;

/// The index of a slot, made by whoever asks first.
pub(crate) fn shared_index<K: Key, T: Data>(
    context: &RuntimeContext,
    owner: OperatorId,
    selector: &impl KeySelector<T, Key = K>,
) -> Result<Arc<SharedIndex<K, T>>> {
    let make = || {
        let (has, hash) = (selector.clone(), selector.clone());
        Mutex::new(SolutionIndex {
            records: Vec::new(),
            positions: HashTable::new(),
            has_key: Box::new(move |record: &T, key: &K| has.with_key(record, |found| found == key)),
            hash: Box::new(move |record: &T| table_hash(hash.key_hash(record), 0)),
            memory: None,
            reserved: 0,
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
    /// The record of a key.
    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<&T> {
        let hash = table_hash(hash_key(key), 0);
        let position = self.positions.find(hash, |position| (self.has_key)(&self.records[*position as usize], key))?;
        Some(&self.records[*position as usize])
    }

    /// Puts a record in place of that with its key, or adds it; whether it was added.
    fn put(&mut self, key: &K, mut record: T) -> Result<bool> {
        let hash = table_hash(hash_key(key), 0);
        own_heap(&mut record);
        let SolutionIndex { records, positions, has_key, hash: hash_of, .. } = self;
        if let Some(position) = positions.find(hash, |position| has_key(&records[*position as usize], key)) {
            records[*position as usize] = record;
            return Ok(false);
        }
        let position = u32::try_from(records.len()).map_err(|_| too_large("four billion records per subtask"))?;
        positions.insert_unique(hash, position, |other| hash_of(&records[*other as usize]));
        records.push(record);
        self.reserve()?;
        Ok(true)
    }

    /// Reserves memory for what the index has grown by.
    fn reserve(&mut self) -> Result<()> {
        let bytes = self.records.capacity() * size_of::<T>() + self.positions.allocation_size();
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

fn too_large(limit: &str) -> Error {
    Error::Resource { message: format!("the solution set takes more than {limit}; raise --memory or --parallelism") }
}

/// Builds the index from the initial solution set; emits nothing.
pub struct SolutionSetOperator<T, S: KeySelector<T>> {
    selector: S,
    index: Option<Arc<SharedIndex<S::Key, T>>>,
}

impl<T: Data, S: KeySelector<T>> SolutionSetOperator<T, S> {
    /// An index by the key that `selector` takes out.
    pub fn new(selector: S) -> Self {
        SolutionSetOperator { selector, index: None }
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
            (index.records, index.positions, index.memory) = (Vec::new(), HashTable::new(), None);
        }
        Ok(())
    }
}
