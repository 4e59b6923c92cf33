//! Executes a plan here: optimize, deploy, watch, commit.

use crate::local::signals;
use crate::progress::Progress;
use crate::report;
use flinkrs_api::{JobExecutionResult, LoopResult};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_core::id::OperatorId;
use flinkrs_optimizer::{OptimizedPlan, OptimizerOptions, optimize};
use flinkrs_plan::Plan;
use flinkrs_protocol::JobGraph;
use flinkrs_runtime::{Job, JobResult, LoopReport, RuntimeOptions, Sinks, SnapshotOptions};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the job is looked at while it runs.
const TICK: Duration = Duration::from_millis(100);

/// How long user code may go on after the job was stopped, before the process ends without it.
const CANCELLATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs plans on the threads of this process.
pub(crate) struct LocalExecutor {
    pub(crate) runtime: RuntimeOptions,
    /// Where the program's jobs snapshot their loops, each in a folder of its own.
    pub(crate) snapshots: Option<SnapshotOptions>,
    pub(crate) progress: bool,
    pub(crate) report: Option<PathBuf>,
}

impl LocalExecutor {
    /// The plan that would be executed.
    pub(crate) fn optimize(&self, plan: &Plan) -> Result<OptimizedPlan> {
        let slots = plan.reachable().into_iter().map(|id| plan.parallelism(id)).max().unwrap_or(1);
        let memory_bytes = (self.runtime.memory_bytes / slots as usize) as u64;
        optimize(plan, &OptimizerOptions { memory_bytes, ..OptimizerOptions::in_process() })
    }

    /// The plan that would be executed on a cluster with so much memory in each slot.
    pub(crate) fn optimize_for_cluster(
        &self,
        plan: &Plan,
        slot_bytes: u64,
        blocking_exchanges: bool,
    ) -> Result<OptimizedPlan> {
        let memory_bytes = if slot_bytes > 0 { slot_bytes } else { OptimizerOptions::default().memory_bytes };
        optimize(plan, &OptimizerOptions { memory_bytes, blocking_exchanges, ..OptimizerOptions::default() })
    }

    /// Where the loops of execution `number` are snapshotted, if they are.
    pub(crate) fn snapshots_of(&self, number: u32) -> Option<SnapshotOptions> {
        self.runtime_of(number).snapshots
    }

    /// Runs the plan, that of the program's execution `number`, and waits for its end.
    pub(crate) fn run(&self, plan: &Plan, functions: &dyn FunctionSource, number: u32) -> Result<JobExecutionResult> {
        let optimized = self.optimize(plan)?;
        check_targets(plan, functions)?;
        if let Some(file) = &self.report {
            report::check(file)?;
        }
        let runtime = self.runtime_of(number);
        let graph = optimized.job_graph()?;
        let sinks = Sinks::new(&graph, functions, &runtime.job);
        sinks.begin()?;
        let result = self.run_job(&graph, functions, &runtime);
        match &result {
            Ok(_) => sinks.commit()?,
            Err(_) => sinks.abort(),
        }
        let result = result?;
        if let Some(snapshots) = runtime.snapshots.filter(|_| !result.loops.is_empty()) {
            // The output is there already: what stays behind is no reason to fail.
            snapshots.remove().unwrap_or_else(|error| say(&error.to_string()));
        }
        if let Some(file) = &self.report {
            report::write(file, &optimized, &result)?;
        }
        let loops = result.loops.into_iter().map(|of| LoopResult {
            supersteps: of.superstep(),
            converged: of.converged,
            name: of.name,
        });
        Ok(JobExecutionResult {
            job_name: result.name,
            net_runtime: result.runtime,
            accumulators: result.accumulators,
            loops: loops.collect(),
        })
    }

    /// What the job of execution `number` may use, and its token. Executions are told apart by their number, since
    /// their plans may be the same; a program that is started again executes the same in the same order.
    fn runtime_of(&self, number: u32) -> RuntimeOptions {
        let of_job = |options: &SnapshotOptions| {
            let folder = options.folder.join(format!("flinkrs-job-{number}"));
            SnapshotOptions { folder, ..options.clone() }
        };
        RuntimeOptions { job: token(number), snapshots: self.snapshots.as_ref().map(of_job), ..self.runtime.clone() }
    }

    fn run_job(&self, graph: &JobGraph, functions: &dyn FunctionSource, runtime: &RuntimeOptions) -> Result<JobResult> {
        let job = Job::start(graph, functions, runtime)?;
        if let Some(snapshots) = runtime.snapshots.as_ref().filter(|snapshots| snapshots.resume) {
            job.loops().iter().filter(|of| of.resumed_after == 0).for_each(|of| say_begins(of, snapshots));
        }
        let mut progress = self.progress.then(Progress::new);
        let mut stopping: Option<Instant> = None;
        while !job.wait(TICK) {
            if signals::received().is_some() {
                job.cancel();
            }
            if job.is_stopping() && stopping.get_or_insert_with(Instant::now).elapsed() > CANCELLATION_TIMEOUT {
                return Err(abandon(job));
            }
            if let Some(progress) = &mut progress {
                progress.show(&job.report(), &job.loops());
            }
        }
        let result = job.finish();
        if let (Some(progress), Ok(result)) = (progress, &result) {
            progress.summary(result);
        }
        result
    }
}

/// A token that no other execution has. Process ids alone come back, and are the same in many containers.
fn token(number: u32) -> Arc<str> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    Arc::from(format!("{}-{number}-{since:x}", std::process::id()))
}

/// Says that a loop has nothing to go on from.
fn say_begins(of: &LoopReport, snapshots: &SnapshotOptions) {
    say(&format!("loop '{}' has no snapshot in {} and begins anew", of.name, snapshots.folder.display()));
}

fn say(line: &str) {
    // A closed standard error is no reason to fail the job.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// User code doesn't come back: the job is left behind, and the process ends soon.
fn abandon(job: Job) -> Error {
    let hanging = |vertex: &flinkrs_runtime::VertexReport| vertex.subtasks.iter().any(|subtask| !subtask.done);
    let names: Vec<String> = job.report().into_iter().filter(hanging).map(|vertex| vertex.name).collect();
    let failure = job.failure().map(|failure| format!(": {failure}")).unwrap_or_default();
    std::mem::forget(job);
    let seconds = CANCELLATION_TIMEOUT.as_secs();
    Error::function(format!(
        "user code in '{}' didn't return within {seconds} s after the job was stopped{failure}",
        names.join("', '")
    ))
}

/// Refuses two sinks that would write to one place: the output of one would replace or hold that of the other.
pub(crate) fn check_targets(plan: &Plan, functions: &dyn FunctionSource) -> Result<()> {
    let target = |id: &OperatorId| Some((functions.committer(*id)?.target()?, *id));
    let name = |id: OperatorId| &plan.operator(id).name;
    let mut sinks: HashMap<PathBuf, OperatorId> = HashMap::new();
    for (target, sink) in plan.sinks.iter().filter_map(target) {
        let shown = target.display().to_string();
        if let Some(other) = sinks.insert(target, sink) {
            let (first, second) = (name(other), name(sink));
            return Err(Error::plan(format!("sinks '{first}' and '{second}' write to the same output, {shown}")));
        }
    }
    for (target, sink) in plan.sinks.iter().filter_map(target) {
        let around = |folder: &Path| Some((folder.display().to_string(), *sinks.get(folder)?));
        if let Some((folder, other)) = target.ancestors().skip(1).find_map(around) {
            let (inner, outer) = (name(sink), name(other));
            let shown = target.display();
            return Err(Error::plan(format!(
                "sink '{inner}' writes to {shown}, inside of the output {folder} of sink '{outer}'"
            )));
        }
    }
    Ok(())
}
