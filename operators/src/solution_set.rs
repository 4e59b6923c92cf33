//! The solution set of a delta iteration: an index by key, built once and updated in place.

use crate::solution_index::Keys;
use crate::solution_parts::{Deferred, Put, Solution};
use flinkrs_core::id::OperatorId;
use flinkrs_core::state::StateReader;
use flinkrs_core::types::{Data, Key, KeySelector, codec};
use flinkrs_core::{Batch, Error, Operator, Output, Progress, Result, RuntimeContext};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The part of a solution set that one slot has: one record per key.
///
/// The operators of the slot share it; a lookup in superstep *n* sees what superstep *n - 1* left. Who emits while it
/// looks records up may wait for another one that does so, and both read; who changes what is in memory doesn't emit.
pub(crate) type SharedSolution<K, T> = RwLock<Solution<K, T>>;

/// The solution set of a slot, made by whoever asks first.
pub(crate) fn shared_solution<K: Key, T: Data>(
    context: &RuntimeContext,
    owner: OperatorId,
    selector: &impl KeySelector<T, Key = K>,
) -> Result<Arc<SharedSolution<K, T>>> {
    let solution = context.slot.shared(owner, || RwLock::new(Solution::new(Keys::new(selector))));
    solution.ok_or_else(|| Error::internal("a solution set is looked up by a key of another type than its own"))
}

/// Locks a solution set for looking records up.
pub(crate) fn read<K, T>(solution: &SharedSolution<K, T>) -> RwLockReadGuard<'_, Solution<K, T>> {
    solution.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a solution set for changing it, or what of it is in memory.
pub(crate) fn write<K, T>(solution: &SharedSolution<K, T>) -> RwLockWriteGuard<'_, Solution<K, T>> {
    solution.write().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a record into a solution set, or defers it if its part is on disk; false if its key had a record.
pub(crate) fn put<T: Data, S: KeySelector<T>>(
    solution: &mut Solution<S::Key, T>,
    selector: &S,
    record: T,
    deferred: &mut Deferred<T>,
) -> Result<bool> {
    let key = selector.key(&record);
    match solution.put(&key, record)? {
        Put::Added => Ok(true),
        Put::Replaced => Ok(false),
        Put::Away(record) => deferred.push(solution.part_of(&key), solution.parts(), record).map(|()| true),
    }
}

/// Puts all records in that were deferred, part by part; false if any of their keys had a record.
pub(crate) fn put_deferred<T: Data, S: KeySelector<T>>(
    solution: &mut Solution<S::Key, T>,
    selector: &S,
    deferred: &mut Deferred<T>,
) -> Result<bool> {
    let mut all_new = true;
    loop {
        let runs = deferred.take()?;
        if runs.is_empty() {
            return Ok(all_new);
        }
        for (_, mut run) in runs {
            // Parts may be divided meanwhile: the first record's is loaded, and records of others are deferred again.
            let mut is_first = true;
            while let Some(block) = run.next_block()? {
                for record in block {
                    if std::mem::take(&mut is_first) {
                        let part = selector.with_key(&record, |key| solution.part_of(key));
                        solution.load(part)?;
                    }
                    all_new &= put(solution, selector, record, deferred)?;
                }
            }
        }
    }
}

/// Builds the solution set from the initial one; emits nothing.
pub struct SolutionSetOperator<T, S: KeySelector<T>> {
    selector: S,
    state: Option<State<T, S::Key>>,
    /// Whether the set comes from a snapshot, and not from the initial records.
    restored: bool,
}

struct State<T, K> {
    solution: Arc<SharedSolution<K, T>>,
    deferred: Deferred<T>,
}

impl<T: Data, S: KeySelector<T>> SolutionSetOperator<T, S> {
    /// A set by the key that `selector` takes out.
    pub fn new(selector: S) -> Self {
        SolutionSetOperator { selector, state: None, restored: false }
    }
}

impl<T: Data, S: KeySelector<T>> Operator for SolutionSetOperator<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let solution = shared_solution(context, context.operator, &self.selector)?;
        write(&solution).open(context);
        self.state = Some(State { solution, deferred: Deferred::new(context) });
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        if self.restored {
            batch.clear();
            return Ok(());
        }
        let State { solution, deferred } = self.state.as_mut().expect("an operator gets no records before it is open");
        let mut solution = write(solution);
        for record in batch.records::<T>().drain(..) {
            if !put(&mut solution, &self.selector, record, deferred)? {
                return Err(twice());
            }
        }
        Ok(())
    }

    fn restore(&mut self, state: &mut dyn StateReader) -> Result<()> {
        let State { solution, deferred } = self.state.as_mut().expect("an operator is opened before its state comes");
        let mut solution = write(solution);
        while let Some(block) = state.next_block()? {
            for record in codec::decode::<T>(block)? {
                put(&mut solution, &self.selector, record, deferred)?;
            }
        }
        put_deferred(&mut solution, &self.selector, deferred)?;
        solution.begin_changes();
        self.restored = true;
        Ok(())
    }

    fn advance(&mut self, _out: &mut dyn Output) -> Result<Progress> {
        if let Some(State { solution, deferred }) = &mut self.state
            && !put_deferred(&mut write(solution), &self.selector, deferred)?
        {
            return Err(twice());
        }
        Ok(Progress::Done)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

fn twice() -> Error {
    Error::data(
        "the initial solution set has two records with one key; keep one of each key, by distinct_by for example",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::f0;

    type Record = (u64, u64);

    /// What the set has of a key after an operator has read such records.
    fn read_all(records: Vec<Record>, key: u64) -> Result<Option<Record>> {
        let context = RuntimeContext::standalone(1 << 20, &std::env::temp_dir());
        let mut operator = SolutionSetOperator::<Record, f0>::new(f0);
        let mut out = crate::testing::Gathered::<Record>::default();
        operator.open(&context)?;
        operator.process(0, &mut Batch::new(records), &mut out)?;
        operator.advance(&mut out)?;
        let solution = shared_solution::<u64, Record>(&context, context.operator, &f0)?;
        write(&solution).fetch(&key)
    }

    #[test]
    fn more_records_than_memory_are_kept() {
        let records: Vec<Record> = (0..100_000).map(|key| (key, key + 1)).collect();
        for key in [0, 50_000, 99_999] {
            assert_eq!(read_all(records.clone(), key).expect("it fits on disk"), Some((key, key + 1)));
        }
        assert_eq!(read_all(records, 100_000).expect("it fits on disk"), None);
    }

    #[test]
    fn a_key_that_comes_twice_is_an_error_in_memory_and_on_disk() {
        for count in [10, 100_000] {
            let records = (0..count).chain([7]).map(|key| (key, 0)).collect();
            let error = read_all(records, 0).expect_err("a key comes twice").to_string();
            assert!(error.contains("two records with one key"), "{error}");
        }
    }
}
