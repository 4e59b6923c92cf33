//! A running job: wait for it, watch it, cancel it.

use crate::control::deploy::{Deployment, deploy};
use crate::control::report::{VertexCounters, VertexReport};
use crate::iteration::{LoopControl, LoopReport};
use crate::snapshot::{SnapshotOptions, SnapshotThread};
use crate::task::{Scheduler, TaskCell, TaskEnd};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{AccumulatorValue, CancelFlag, FunctionSource};
use flinkrs_memory::SpillSpace;
use flinkrs_protocol::JobGraph;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a job may use.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// The execution's token: no other's, as sinks use it for names of files.
    pub job: Arc<str>,
    /// Worker threads; at least 1.
    pub threads: usize,
    /// Managed memory of all slots together, in bytes: for sorters, hash tables and blocking exchanges.
    pub memory_bytes: usize,
    /// The folder for spill files.
    pub temp_dir: PathBuf,
    /// Where and how often the states of loops are kept for a later run.
    pub snapshots: Option<SnapshotOptions>,
}

/// What a finished job leaves behind.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// The job's name.
    pub name: String,
    /// From deployment to the last task's end.
    pub runtime: Duration,
    /// Accumulators, merged over all subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// The counters of every vertex.
    pub vertices: Vec<VertexReport>,
    /// Its loops, superstep by superstep.
    pub loops: Vec<LoopReport>,
}

/// The first error of a job, and how to stop the rest of it.
pub(crate) struct Failure {
    pub(crate) cancelled: CancelFlag,
    first: Mutex<Option<Error>>,
    tasks: Mutex<Vec<Arc<TaskCell>>>,
}

impl Failure {
    pub(crate) fn new() -> Arc<Failure> {
        Arc::new(Failure { cancelled: CancelFlag::default(), first: Mutex::default(), tasks: Mutex::default() })
    }

    /// Keeps the error, unless there is one that is not a mere cancellation, and stops all tasks.
    pub(crate) fn report(&self, error: Error) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*first, None | Some(Error::Cancelled)) {
            *first = Some(error);
        }
        drop(first);
        self.stop();
    }

    fn stop(&self) {
        if !self.cancelled.is_cancelled() {
            self.cancelled.cancel();
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(TaskCell::wake);
        }
    }
}

/// Reports a task's end to its job.
pub(crate) struct ReportEnd(pub(crate) Arc<Failure>);

impl TaskEnd for ReportEnd {
    fn ended(&self, result: Result<()>) {
        if let Err(error) = result {
            self.0.report(error);
        }
    }
}

/// A job that has been started.
pub struct Job {
    name: String,
    started: Instant,
    scheduler: Arc<Scheduler>,
    failure: Arc<Failure>,
    counters: Vec<VertexCounters>,
    loops: Vec<Arc<LoopControl>>,
    snapshots: Option<Arc<SnapshotThread>>,
}

impl Job {
    /// Builds all tasks of `graph` and starts them, if the folders for spill files and snapshots can be used.
    pub fn start(graph: &JobGraph, functions: &dyn FunctionSource, options: &RuntimeOptions) -> Result<Job> {
        graph.validate()?;
        SpillSpace::new(&options.temp_dir).check()?;
        let started = Instant::now();
        let scheduler = Scheduler::new(options.threads);
        let failure = Failure::new();
        let Deployment { tasks, counters, loops, snapshots } = deploy(graph, functions, options, &scheduler, &failure)?;
        failure.tasks.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&tasks);
        scheduler.start(&tasks)?;
        Ok(Job { name: graph.name.clone(), started, scheduler, failure, counters, loops, snapshots })
    }

    /// Waits for the end, at most for `timeout`; whether the job has ended.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.scheduler.wait(Some(timeout))
    }

    /// Waits for the end and returns what the job leaves.
    pub fn finish(self) -> Result<JobResult> {
        self.scheduler.wait(None);
        let runtime = self.started.elapsed();
        let failure = self.failure.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.end_snapshots(failure.is_none());
        if let Some(error) = failure {
            return Err(error);
        }
        let (vertices, loops) = (self.report(), self.loops());
        Ok(JobResult { name: self.name.clone(), runtime, accumulators: self.accumulators()?, vertices, loops })
    }

    /// Ends the thread that completes snapshots: a job that has succeeded needs them no more.
    fn end_snapshots(&self, abandon: bool) {
        self.snapshots.iter().for_each(|thread| thread.end(abandon));
    }

    /// Asks all tasks to stop; they do at the next batch.
    pub fn cancel(&self) {
        self.failure.report(Error::Cancelled);
    }

    /// Whether the job has failed or was cancelled; its tasks may still run.
    pub fn is_stopping(&self) -> bool {
        self.failure.cancelled.is_cancelled()
    }

    /// Why the job is stopping, if it has failed.
    pub fn failure(&self) -> Option<String> {
        let first = self.failure.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.as_ref().filter(|error| !matches!(error, Error::Cancelled)).map(Error::to_string)
    }

    /// The counters now.
    pub fn report(&self) -> Vec<VertexReport> {
        self.counters.iter().map(VertexCounters::report).collect()
    }

    /// How far the loops are.
    pub fn loops(&self) -> Vec<LoopReport> {
        self.loops.iter().map(|control| control.report()).collect()
    }

    fn accumulators(&self) -> Result<BTreeMap<String, AccumulatorValue>> {
        let mut merged: BTreeMap<String, AccumulatorValue> = BTreeMap::new();
        for subtask in self.counters.iter().flat_map(|vertex| &vertex.subtasks) {
            for (name, value) in subtask.accumulators.values() {
                let Some(sum) = merged.get_mut(&name) else {
                    merged.insert(name, value);
                    continue;
                };
                if !sum.merge(&value) {
                    return Err(Error::function(format!("accumulator '{name}' is of two kinds in one job")));
                }
            }
        }
        Ok(merged)
    }
}

impl Drop for Job {
    /// Stops what still runs and waits for it.
    fn drop(&mut self) {
        if !self.scheduler.wait(Some(Duration::ZERO)) {
            self.cancel();
            self.scheduler.wait(None);
        }
        self.end_snapshots(true);
    }
}
