//! What is kept of a job beside its JobMaster: what was submitted, how far its tasks are, who follows it.

use crate::cluster::{Cluster, log};
use flinkrs_control::Timestamp;
use flinkrs_control::options::JobOptions;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::Part;
use flinkrs_protocol::{ApplicationId, Failure, JobGraph, JobId, JobState, TaskReport};
use flinkrs_rpc::body;
use flinkrs_rpc::message::{Execution, ExecutionResult, JobStatus, Submission, ToWorker};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A job.
pub(crate) struct JobRecord {
    pub(crate) application: ApplicationId,
    pub(crate) graph: Arc<JobGraph>,
    pub(crate) submission: Arc<Submission>,
    /// What it has set, and the cluster for all others.
    pub(crate) options: JobOptions,
    pub(crate) number: u32,
    pub(crate) submitted: Timestamp,
    /// The message by which workers hear of it.
    pub(super) execution: Vec<u8>,
    /// By vertex and subtask: what the newest attempt that was heard of has done.
    pub(crate) tasks: BTreeMap<(VertexId, u32), TaskReport>,
    /// By vertex and subtask: the attempt that has finished last.
    pub(super) finished: BTreeMap<(VertexId, u32), u32>,
    /// By vertex and subtask: what the attempt that has finished last has counted for itself.
    pub(crate) accumulators: BTreeMap<(VertexId, u32), BTreeMap<String, AccumulatorValue>>,
    pub(crate) loops: BTreeMap<u32, Vec<u8>>,
    followers: Vec<mpsc::Sender<Vec<u8>>>,
    pub(crate) ended: Option<Result<ExecutionResult, Failure>>,
}

impl JobRecord {
    pub(super) fn new(
        application: ApplicationId,
        job: JobId,
        number: u32,
        submission: Submission,
        submitted: Timestamp,
        options: JobOptions,
    ) -> Result<JobRecord> {
        let mut graph = submission.graph.clone();
        // Splits are handed out one by one.
        let sources = graph.vertices.iter_mut().filter_map(|vertex| vertex.source.as_mut());
        sources.for_each(|source| source.splits.clear());
        let (operators, snapshots) = (submission.operators.clone(), submission.snapshots.clone());
        let stored = flinkrs_control::stored_edges(&graph);
        let once = submission.once.clone();
        let execution = Execution { number, job, graph, operators, stored, snapshots, once };
        let execution = ToWorker::Execution(Box::new(execution));
        Ok(JobRecord {
            application,
            graph: Arc::new(submission.graph.clone()),
            submission: Arc::new(submission),
            options,
            number,
            submitted,
            execution: body::encode(&execution)?,
            tasks: BTreeMap::new(),
            finished: BTreeMap::new(),
            accumulators: BTreeMap::new(),
            loops: BTreeMap::new(),
            followers: Vec::new(),
            ended: None,
        })
    }

    pub(super) fn report(&mut self, tasks: Vec<TaskReport>, loops: Vec<(u32, Vec<u8>)>) {
        for task in tasks {
            let at = (task.execution.vertex, task.execution.subtask);
            let newer = self.tasks.get(&at).is_none_or(|known| known.execution.attempt <= task.execution.attempt);
            if newer {
                self.tasks.insert(at, task);
            }
        }
        self.loops.extend(loops);
    }

    /// Which attempts of each chained operator's subtasks have finished; 0 where none has.
    pub(super) fn sink_attempts(&self) -> BTreeMap<OperatorId, Vec<u32>> {
        let mut attempts = BTreeMap::new();
        for vertex in &self.graph.vertices {
            let of = |subtask| self.finished.get(&(vertex.id, subtask)).copied().unwrap_or(0);
            for op in vertex.chain.iter().filter(|op| matches!(op.part, Part::Driver(_))) {
                attempts.insert(op.operator, (0..vertex.parallelism).map(of).collect());
            }
        }
        attempts
    }

    fn tell(&mut self, status: &JobStatus) {
        let Ok(encoded) = body::encode(status) else { return };
        let is_last = status.ended.is_some();
        // Who hasn't taken the last one gets the next; the end has room of its own.
        self.followers.retain(|to| {
            let room = if is_last { 1 } else { 2 };
            to.capacity() < room || to.try_send(encoded.clone()).is_ok()
        });
        if is_last {
            self.followers.clear();
        }
    }
}

impl Cluster {
    /// Tells `to` how far a job is until it has ended; two messages have room there.
    pub(super) fn watch(&mut self, job: JobId, to: mpsc::Sender<Vec<u8>>) -> Result<()> {
        let record = self.jobs.get_mut(&job).ok_or_else(|| Error::usage(format!("there is no job {job}")))?;
        record.followers.push(to);
        if record.ended.is_some() {
            self.tell_followers_of(job);
        }
        Ok(())
    }

    pub(super) fn tell_followers(&mut self) {
        let followed = self.jobs.iter().filter(|(_, record)| !record.followers.is_empty());
        let followed: Vec<JobId> = followed.map(|(job, _)| *job).collect();
        followed.into_iter().for_each(|job| self.tell_followers_of(job));
    }

    pub(super) fn tell_followers_of(&mut self, job: JobId) {
        let state = self.dispatcher.job(job).map_or(JobState::Initializing, |line| line.state);
        let Some(record) = self.jobs.get_mut(&job) else { return };
        let master = self.applications.get(&record.application).and_then(|of| of.master.as_ref());
        let view = master.and_then(|master| master.view()).filter(|view| view.job == job);
        let (waiting_for, restarts, last_failure) = view.map_or((None, 0, None), |view| {
            let failure = view.exceptions.last().map(|last| last.message.to_string());
            (view.waiting_for.map(|text| text.to_string()), view.restarts, failure)
        });
        let status = JobStatus {
            state,
            waiting_for,
            restarts,
            last_failure,
            tasks: record.tasks.values().cloned().collect(),
            loops: record.loops.clone().into_iter().collect(),
            ended: record.ended.clone(),
        };
        record.tell(&status);
    }

    /// Keeps a job for the next JobManager.
    pub(super) fn store_job(&mut self, application: ApplicationId, job: JobId) {
        let (Some(of), Some(record)) = (self.applications.get(&application), self.jobs.get(&job)) else { return };
        let kept = self.store.keep_artifact(&of.program.artifact);
        if let Err(error) = kept.and_then(|()| self.store.put_job(job, &of.stored(record))) {
            log(&format!("job {job} would not survive a JobManager: {error}"));
        }
    }
}
