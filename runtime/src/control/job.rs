//! A running job: wait for it, watch it, cancel it.

use crate::control::around::{FinishedTask, Master, Surroundings};
use crate::control::deploy::{Deployed, Plan, deploy};
use crate::control::report::{SubtaskCounters, VertexCounters, VertexReport};
use crate::control::slots::SlotPools;
use crate::iteration::{LoopControl, LoopReport};
use crate::snapshot::{SnapshotOptions, SnapshotThread};
use crate::task::{Scheduler, TaskCell, TaskEnd};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{AccumulatorValue, CancelFlag, FunctionSource};
use flinkrs_memory::SpillSpace;
use flinkrs_protocol::{Deployment, JobGraph, TaskReport};
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

    /// Stops all tasks for a reason outside of them, which the first of them to end reports.
    fn outside(&self, error: Error) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() && !self.cancelled.is_cancelled() {
            *first = Some(error);
        }
        drop(first);
        self.stop();
    }

    /// Stops all tasks; what a task reports that has met `error`: the first error, or that it was cancelled.
    fn first_of(&self, error: Error) -> Error {
        let outside = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let was_stopped = self.cancelled.is_cancelled();
        self.stop();
        match outside {
            Some(outside) => outside,
            None if was_stopped => Error::Cancelled,
            None => error,
        }
    }

    fn stop(&self) {
        if !self.cancelled.is_cancelled() {
            self.cancelled.cancel();
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(TaskCell::wake);
        }
    }
}

/// Reports a task's end to its job, and to the JobMaster if there is one.
pub(crate) struct ReportEnd {
    failure: Arc<Failure>,
    master: Option<(Arc<dyn Master>, SubtaskCounters)>,
}

impl ReportEnd {
    pub(crate) fn new(failure: &Arc<Failure>) -> ReportEnd {
        ReportEnd { failure: Arc::clone(failure), master: None }
    }

    /// Tells the JobMaster as well.
    #[must_use]
    pub(crate) fn to(mut self, master: &Arc<dyn Master>, counters: SubtaskCounters) -> ReportEnd {
        self.master = Some((Arc::clone(master), counters));
        self
    }
}

impl TaskEnd for ReportEnd {
    fn ended(&self, result: Result<()>) {
        match (result, &self.master) {
            (Ok(()), None) => {}
            (Ok(()), Some((master, counters))) => {
                let accumulators = counters.accumulators.values();
                let led = counters.looping.as_ref().filter(|(_, control)| control.leads());
                let looping = led.map(|(at, control)| (*at, control.report()));
                let report = TaskReport { done: true, ..counters.task_report() };
                master.finished(counters.execution, FinishedTask { report, accumulators, looping });
            }
            (Err(error), None) => self.failure.report(error),
            (Err(error), Some((master, counters))) => {
                // What the others meet follows from the first error.
                master.failed(counters.execution, self.failure.first_of(error));
            }
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
    /// By position in the graph.
    loops: BTreeMap<u32, Arc<LoopControl>>,
    snapshots: Option<Arc<SnapshotThread>>,
}

impl Job {
    /// Builds all tasks of `graph` and starts them, if the folders for spill files and snapshots can be used.
    pub fn start(graph: &JobGraph, functions: &dyn FunctionSource, options: &RuntimeOptions) -> Result<Job> {
        graph.validate()?;
        let slots = graph.vertices.iter().map(|vertex| vertex.parallelism).max().unwrap_or(1) as usize;
        let slots = SlotPools::new(graph, slots, options.memory_bytes / slots);
        Job::start_part(graph, functions, options, &Deployment::whole(graph), None, &slots)
    }

    /// Builds the tasks of a deployment and starts them, among those that other processes run.
    pub fn start_part(
        graph: &JobGraph,
        functions: &dyn FunctionSource,
        options: &RuntimeOptions,
        deployment: &Deployment,
        around: Option<&Surroundings>,
        slots: &SlotPools,
    ) -> Result<Job> {
        SpillSpace::new(&options.temp_dir).check()?;
        let started = Instant::now();
        let scheduler = &Scheduler::new(options.threads, around.map(|around| around.exchange.lookout()));
        let failure = &Failure::new();
        let plan = Plan { graph, functions, options, deployment, around, slots, scheduler, failure };
        let Deployed { tasks, counters, loops, snapshots } = deploy(plan)?;
        let (scheduler, failure) = (Arc::clone(scheduler), Arc::clone(failure));
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

    /// Stops all tasks: the job can't go on for a reason outside of them. Each task is told as failed.
    pub fn fail(&self, error: Error) {
        self.failure.outside(error);
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
        self.loops.values().map(|control| control.report()).collect()
    }

    /// What each task has done so far, for other processes.
    pub fn tasks(&self) -> Vec<TaskReport> {
        let subtasks = self.counters.iter().flat_map(|vertex| &vertex.subtasks);
        subtasks.map(SubtaskCounters::task_report).collect()
    }

    /// How far those loops are about which this process decides, by their position in the graph.
    pub fn led_loops(&self) -> Vec<(u32, LoopReport)> {
        let led = self.loops.iter().filter(|(_, control)| control.leads());
        led.map(|(at, control)| (*at, control.report())).collect()
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
