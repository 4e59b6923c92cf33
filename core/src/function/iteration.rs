//! What the operators and functions of a loop know of it, and what operators of one slot share.

use crate::function::{AccumulatorValue, Accumulators};
use crate::id::OperatorId;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Aggregates by name.
pub type Aggregates = BTreeMap<String, AccumulatorValue>;

/// Whether a loop is over: a function of the superstep that has ended and the aggregates of it.
pub type Convergence = dyn Fn(u32, &Aggregates) -> bool + Send + Sync;

/// The loop of a task, as its operators see it; each subtask of each task of the loop has one of its own.
#[derive(Debug, Default)]
pub struct IterationContext {
    superstep: AtomicU32,
    aggregators: Accumulators,
    previous: Mutex<Arc<Aggregates>>,
    counts: IterationCounts,
}

/// What operators that close a loop count in one superstep.
#[derive(Debug, Default)]
pub struct IterationCounts {
    /// Records of the termination data set.
    pub termination: AtomicU64,
    /// Records added to the solution set or changed in it.
    pub updates: AtomicU64,
}

impl IterationContext {
    /// The superstep that runs, counted from 1.
    pub fn superstep(&self) -> u32 {
        self.superstep.load(Ordering::Relaxed)
    }

    /// The aggregators of this superstep.
    pub fn aggregators(&self) -> &Accumulators {
        &self.aggregators
    }

    /// What all subtasks aggregated in the superstep before this one.
    pub fn previous(&self) -> Arc<Aggregates> {
        Arc::clone(&lock(&self.previous))
    }

    /// What this subtask counted.
    pub fn counts(&self) -> &IterationCounts {
        &self.counts
    }

    /// Begins a superstep; for the runtime.
    pub fn begin(&self, superstep: u32, previous: Arc<Aggregates>) {
        self.superstep.store(superstep, Ordering::Relaxed);
        *lock(&self.previous) = previous;
    }
}

/// Values that the operators of one slot share, each kept by the operator that owns it: a loop's solution set.
#[derive(Default)]
pub struct SlotState(Mutex<BTreeMap<OperatorId, Arc<dyn Any + Send + Sync>>>);

impl SlotState {
    /// The value of `owner`, made if nobody has asked for it; `None` when it is there and of another type.
    pub fn shared<T: Any + Send + Sync>(&self, owner: OperatorId, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let mut values = lock(&self.0);
        let value = values.entry(owner).or_insert_with(|| Arc::new(make()));
        Arc::clone(value).downcast::<T>().ok()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
