//! The context that an operator and its user function get when they open.

use crate::error::{Error, Result};
use crate::function::{Accumulator, AccumulatorValue, Accumulators, IterationContext, SlotState};
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
    /// The execution's token: the same in all of its processes, and no other execution's.
    pub job: Arc<str>,
    /// How often the subtask was started before.
    pub attempt: u32,
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
    /// The loop that the operator runs in, if it runs in one.
    pub iteration: Option<Arc<IterationContext>>,
    /// What it shares with other operators of its slot.
    pub slot: Arc<SlotState>,
    /// Set when the job is to stop.
    pub cancelled: CancelFlag,
}

impl RuntimeContext {
    /// A context for an operator that runs alone, with `memory` bytes, as tests need it.
    pub fn standalone(memory: usize, spill_directory: &Path) -> RuntimeContext {
        RuntimeContext {
            job: Arc::from("standalone"),
            attempt: 0,
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
            iteration: None,
            slot: Arc::default(),
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

    /// The superstep that runs, counted from 1; 0 outside of loops.
    pub fn superstep(&self) -> u32 {
        self.iteration.as_ref().map_or(0, |iteration| iteration.superstep())
    }

    /// A sum of whole numbers over all subtasks and one superstep, which the next superstep and the loop's
    /// convergence criterion see.
    ///
    /// Errors outside of loops.
    pub fn long_aggregator(&self, name: &str) -> Result<Accumulator> {
        self.aggregator(name, AccumulatorValue::Long(0))
    }

    /// [`long_aggregator`](RuntimeContext::long_aggregator) for floats.
    pub fn double_aggregator(&self, name: &str) -> Result<Accumulator> {
        self.aggregator(name, AccumulatorValue::Double(0.0))
    }

    /// [`double_aggregator`](RuntimeContext::double_aggregator) for the largest number.
    pub fn max_aggregator(&self, name: &str) -> Result<Accumulator> {
        self.aggregator(name, AccumulatorValue::Maximum(f64::NEG_INFINITY))
    }

    fn aggregator(&self, name: &str, initial: AccumulatorValue) -> Result<Accumulator> {
        match &self.iteration {
            Some(iteration) => Ok(iteration.aggregators().get(name, initial)),
            None => Err(Error::function(format!("aggregator '{name}' is used outside of a loop"))),
        }
    }

    /// What all subtasks added to an aggregator in the superstep before this one; `None` in the first, or if nobody
    /// did.
    pub fn previous_aggregate(&self, name: &str) -> Option<AccumulatorValue> {
        self.iteration.as_ref()?.previous().get(name).cloned()
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
