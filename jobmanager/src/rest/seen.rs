//! What handlers copy out of the cluster: answers are built outside of its task.

use crate::cluster::{Cluster, now};
use crate::rest::route::{Call, Context, Fault};
use flinkrs_control::Timestamp;
use flinkrs_control::dispatcher::JobLine;
use flinkrs_control::view::{JobView, SubtaskView};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{Failure, JobGraph, JobId, TaskExecutorId, TaskReport};
use flinkrs_rpc::message::Submission;
use flinkrs_rpc::metrics::{Counts, vertex_id};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job without its subtasks.
pub(super) struct JobSeen {
    pub(super) now: Timestamp,
    pub(super) line: JobLine,
    pub(super) view: Arc<JobView>,
    pub(super) graph: Arc<JobGraph>,
    pub(super) submission: Arc<Submission>,
    /// By vertex: what its subtasks have done together.
    pub(super) counts: Vec<Counts>,
    /// Of a job that has ended: why, if it has failed.
    pub(super) failure: Option<Failure>,
}

/// A vertex of a job with its subtasks.
pub(super) struct VertexSeen {
    pub(super) job: JobId,
    pub(super) now: Timestamp,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) parallelism: u32,
    /// The names of its operators, first to last.
    pub(super) operators: Vec<String>,
    /// In order; empty for a job that a JobManager before has run, and for a very large one that has ended.
    pub(super) subtasks: Vec<SubtaskView>,
    pub(super) reports: BTreeMap<u32, TaskReport>,
    pub(super) accumulators: BTreeMap<u32, BTreeMap<String, AccumulatorValue>>,
    /// By TaskExecutor: the host and port where it serves partitions.
    pub(super) endpoints: BTreeMap<TaskExecutorId, Arc<str>>,
}

/// The newest view of a job; time linear in its vertices.
pub(super) fn view_of(cluster: &Cluster, line: &JobLine) -> Option<Arc<JobView>> {
    if let Some(view) = &line.last_view {
        return Some(Arc::clone(view));
    }
    let master = cluster.applications.get(&line.application).and_then(|of| of.master.as_ref());
    let running = master.and_then(|master| master.view()).filter(|view| view.job == line.job);
    let record = cluster.jobs.get(&line.job)?;
    let waiting = || JobView::ended(line.job, line.application, &record.graph, line.state, line.started);
    Some(Arc::new(running.unwrap_or_else(waiting)))
}

impl JobSeen {
    /// Looks at a job; time linear in its subtasks.
    pub(super) fn of(cluster: &Cluster, job: JobId) -> Option<JobSeen> {
        let line = cluster.dispatcher.job(job)?.clone();
        let view = view_of(cluster, &line)?;
        let record = cluster.jobs.get(&job)?;
        let mut counts = vec![Counts::default(); record.graph.vertices.len()];
        for report in record.tasks.values() {
            if let Some(of) = counts.get_mut(report.execution.vertex.0 as usize) {
                of.add(Counts::of(report));
            }
        }
        let failure = record.ended.as_ref().and_then(|ended| ended.as_ref().err().cloned());
        let (graph, submission) = (Arc::clone(&record.graph), Arc::clone(&record.submission));
        Some(JobSeen { now: now(), line, view, graph, submission, counts, failure })
    }

    pub(super) fn job(&self) -> JobId {
        self.line.job
    }
}

impl VertexSeen {
    /// Looks at a vertex; time linear in its subtasks.
    pub(super) fn of(cluster: &Cluster, job: JobId, vertex: VertexId) -> Option<VertexSeen> {
        let record = cluster.jobs.get(&job)?;
        let of = record.graph.vertices.get(vertex.0 as usize)?;
        let kept = cluster.dispatcher.outcome(job).and_then(|outcome| outcome.subtasks.get(vertex.0 as usize).cloned());
        let master = || cluster.applications.get(&record.application)?.master.as_ref();
        let running = || master().filter(|master| master.current_job() == Some(job))?.subtasks(vertex);
        let all = (vertex, 0)..=(vertex, u32::MAX);
        let endpoints = cluster.resources.view().task_executors.into_iter();
        Some(VertexSeen {
            job,
            now: now(),
            id: vertex_id(job, vertex),
            name: of.name.clone(),
            parallelism: of.parallelism,
            operators: of.chain.iter().map(|operator| operator.name.clone()).collect(),
            subtasks: kept.or_else(running).unwrap_or_default(),
            reports: record.tasks.range(all.clone()).map(|((_, subtask), report)| (*subtask, report.clone())).collect(),
            accumulators: record.accumulators.range(all).map(|((_, subtask), of)| (*subtask, of.clone())).collect(),
            endpoints: endpoints
                .map(|executor| (executor.registration.task_executor, executor.registration.data_address))
                .collect(),
        })
    }
}

impl Context {
    /// The job of a call.
    pub(super) async fn job(&self, call: &Call) -> Result<JobSeen, Fault> {
        let job = call.job()?;
        self.look(move |cluster| JobSeen::of(cluster, job)).await?.ok_or_else(|| Fault::no_job(job))
    }

    /// The vertex of a call.
    pub(super) async fn vertex(&self, call: &Call) -> Result<VertexSeen, Fault> {
        let (job, id) = (call.job()?, call.at("vertexid").to_owned());
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::bad(format!("'{id}' is no vertex id: that is 32 hexadecimal digits")));
        }
        let id = id.to_ascii_lowercase();
        self.look(move |cluster| {
            let record = cluster.jobs.get(&job).ok_or_else(|| Fault::no_job(job))?;
            let vertex = record.graph.vertices.iter().find(|vertex| vertex_id(job, vertex.id) == id);
            let seen = vertex.and_then(|vertex| VertexSeen::of(cluster, job, vertex.id));
            seen.ok_or_else(|| Fault::missing(format!("JobVertex {id} not found")))
        })
        .await?
    }
}
