//! The context that an operator and its user function get when they open.

use crate::error::{Error, Result};
use crate::function::{Accumulator, AccumulatorValue, Accumulators};
use crate::id::{OperatorId, Subtask};
use crate::resource::{MemoryBudget, MemoryPool};
use crate::source::SplitProvider;
use crate::types::Data;
use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of one operator in one subtask; read while it runs.
#[derive(Debug, Default)]
pub struct OperatorMetrics {
    /// Records received.
    pub records_in: AtomicU64,
    /// Records emitted.
    pub records_out: AtomicU64,
    /// Bytes read from files or received over exchanges, as far as they are known.
    pub bytes_in: AtomicU64,
    /// Bytes written to files.
    pub bytes_out: AtomicU64,
    /// Bytes spilled to local disk.
    pub spilled_bytes: AtomicU64,
}

impl OperatorMetrics {
    /// Counts spilled bytes.
    pub fn add_spilled(&self, bytes: u64) {
        self.spilled_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Set once when the job is to stop; long computations look at it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks everything that shares the flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the job is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// An error once the job is to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// The complete broadcast sets of a task, by operator and name.
pub type BroadcastSets = BTreeMap<String, Arc<dyn Any + Send + Sync>>;

/// What an operator knows about where it runs; user functions get it in their `rich` form.
pub struct RuntimeContext {
    /// The operator.
    pub operator: OperatorId,
    /// Its name as the plan prints it.
    pub name: Arc<str>,
    /// Which parallel instance this is.
    pub subtask: Subtask,
    /// The memory that operators of this slot share.
    pub memory: Arc<MemoryPool>,
    /// How much of it is this operator's for certain, in bytes.
    pub memory_guaranteed: usize,
    /// The folder for this job's spill files; the runtime removes it when the job ends.
    pub spill_directory: Arc<Path>,
    /// The operator's counters.
    pub metrics: Arc<OperatorMetrics>,
    /// The task's accumulators.
    pub accumulators: Accumulators,
    /// The operator's broadcast sets, complete.
    pub broadcast_sets: BroadcastSets,
    /// For a source: where its splits come from.
    pub splits: Option<Arc<dyn SplitProvider>>,
    /// Set when the job is to stop.
    pub cancelled: CancelFlag,
}

impl RuntimeContext {
    /// A context for an operator that runs alone, with `memory` bytes, as tests need it.
    pub fn standalone(memory: usize, spill_directory: &Path) -> RuntimeContext {
        RuntimeContext {
            operator: OperatorId(0),
            name: Arc::from("standalone"),
            subtask: Subtask { index: 0, parallelism: 1 },
            memory: MemoryPool::new(memory),
            memory_guaranteed: memory,
            spill_directory: Arc::from(spill_directory),
            metrics: Arc::default(),
            accumulators: Accumulators::default(),
            broadcast_sets: BroadcastSets::new(),
            splits: None,
            cancelled: CancelFlag::default(),
        }
    }

    /// The operator's memory budget; each call sets its guaranteed part aside anew, so an operator asks once.
    pub fn budget(&self) -> MemoryBudget {
        MemoryBudget::new(&self.memory, self.memory_guaranteed)
    }

    /// A counter that the job's result sums over all subtasks.
    pub fn long_counter(&self, name: &str) -> Accumulator {
        self.accumulators.get(name, AccumulatorValue::Long(0))
    }

    /// A sum of floats over all subtasks.
    pub fn double_counter(&self, name: &str) -> Accumulator {
        self.accumulators.get(name, AccumulatorValue::Double(0.0))
    }

    /// A histogram over all subtasks.
    pub fn histogram(&self, name: &str) -> Accumulator {
        self.accumulators.get(name, AccumulatorValue::Histogram(BTreeMap::new()))
    }

    /// The records of a broadcast set, in no particular order.
    ///
    /// Errors when the operator has no set of that name or the set holds another type.
    pub fn broadcast_set<T: Data>(&self, name: &str) -> Result<Arc<Vec<T>>> {
        let Some(set) = self.broadcast_sets.get(name) else {
            let names: Vec<&str> = self.broadcast_sets.keys().map(String::as_str).collect();
            return Err(Error::function(format!(
                "there is no broadcast set '{name}'; there are: {}",
                names.join(", ")
            )));
        };
        Arc::clone(set).downcast::<Vec<T>>().map_err(|_| {
            Error::function(format!(
                "broadcast set '{name}' doesn't hold records of type {}",
                std::any::type_name::<T>()
            ))
        })
    }
}
