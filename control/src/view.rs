//! What can be seen of a job, for REST and metrics: values that share what is long.

use crate::time::Timestamp;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ApplicationId, ExecutionId, JobGraph, JobId, JobState, TaskExecutorId, TaskState, WorkerId};
use std::sync::Arc;

/// A job, without its subtasks; made in time linear in its vertices.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// Which job.
    pub job: JobId,
    /// Whose.
    pub application: ApplicationId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub state: JobState,
    /// When it was last in each state that it has been in, by [`JobState::ALL`].
    pub timestamps: [Option<Timestamp>; 11],
    /// How often it was restarted.
    pub restarts: u32,
    /// What it waits for, if it waits for slots.
    pub waiting_for: Option<Arc<str>>,
    /// Its vertices in order.
    pub vertices: Vec<VertexView>,
    /// Its failures, the oldest first.
    pub exceptions: Vec<ExceptionView>,
}

impl JobView {
    /// A job that has ended before this process began: of its tasks nothing is known but that they are over.
    pub fn ended(
        job: JobId,
        application: ApplicationId,
        graph: &JobGraph,
        state: JobState,
        since: Timestamp,
    ) -> JobView {
        let mut timestamps = [None; 11];
        timestamps[state as usize] = Some(since);
        let vertices = graph.vertices.iter().map(|vertex| VertexView {
            vertex: vertex.id,
            name: vertex.name.as_str().into(),
            parallelism: vertex.parallelism,
            tasks: [0; 9],
            started: None,
            ended: None,
        });
        JobView {
            job,
            application,
            name: graph.name.as_str().into(),
            state,
            timestamps,
            restarts: 0,
            waiting_for: None,
            vertices: vertices.collect(),
            exceptions: Vec::new(),
        }
    }
}

/// A vertex, its subtasks counted.
#[derive(Clone, Debug, PartialEq)]
pub struct VertexView {
    /// Which.
    pub vertex: VertexId,
    /// Its name.
    pub name: Arc<str>,
    /// How many subtasks it has.
    pub parallelism: u32,
    /// How many of them are in each state, by [`TaskState::ALL`].
    pub tasks: [u32; 9],
    /// When the first of its present attempts was deployed.
    pub started: Option<Timestamp>,
    /// When the last of its attempts ended, if all have.
    pub ended: Option<Timestamp>,
}

/// One attempt of a subtask.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptView {
    /// Which.
    pub execution: ExecutionId,
    /// Where it is.
    pub state: TaskState,
    /// When it came into each state, by [`TaskState::ALL`].
    pub timestamps: [Option<Timestamp>; 9],
    /// Where it runs or ran.
    pub place: Option<PlaceView>,
    /// Why it FAILED.
    pub failure: Option<Arc<str>>,
}

/// A subtask with its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct SubtaskView {
    /// The present attempt.
    pub current: AttemptView,
    /// Earlier ones, the oldest first, as many as are kept.
    pub earlier: Vec<AttemptView>,
}

/// Where an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// The TaskExecutor.
    pub task_executor: TaskExecutorId,
    /// Its host.
    pub host: Arc<str>,
    /// The worker.
    pub worker: WorkerId,
    /// The slot's index.
    pub slot: u32,
}

/// A failure of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct ExceptionView {
    /// When it was noticed.
    pub at: Timestamp,
    /// The whole message.
    pub message: Arc<str>,
    /// The operator.
    pub operator: Option<Arc<str>>,
    /// The vertex's name and the attempt, where a task failed.
    pub task: Option<(Arc<str>, ExecutionId)>,
    /// Where it happened.
    pub task_executor: Option<TaskExecutorId>,
    /// The host of that.
    pub host: Option<Arc<str>>,
    /// Whether the job went on after it.
    pub restarted: bool,
}
