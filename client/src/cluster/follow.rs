//! Follows a job to its end: progress, signals, and a JobManager that is started again.

use crate::cluster::connection::Connection;
use crate::cluster::loops_of;
use crate::local::signals;
use crate::progress::Progress;
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, JobGraph, JobId, OperatorCounts, TaskReport};
use flinkrs_rpc::body;
use flinkrs_rpc::message::{ExecutionResult, JobStatus, Submission};
use flinkrs_rpc::proto::JobRef;
use flinkrs_runtime::{OperatorReport, SubtaskReport, VertexReport};
use std::io::Write;
use std::time::{Duration, Instant};
use tokio_stream::StreamExt;

/// How long to wait for a status before signals are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How long a job may wait for slots before the user is told: some come as they are needed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has been told the user.
#[derive(Default)]
struct Told {
    /// What it waits for, since when, and whether the user knows.
    waiting_for: Option<(String, Instant, bool)>,
    restarts: u32,
    cancelled: bool,
}

/// Waits for the end of a job; returns what it has left, and what its tasks did.
///
/// Errors when the job has failed or was cancelled, and when the JobManager is gone for a minute.
pub(super) fn to_its_end(
    connection: &Connection,
    application: ApplicationId,
    job: JobId,
    submission: &Submission,
    shows_progress: bool,
) -> Result<(ExecutionResult, Vec<VertexReport>)> {
    let mut progress = shows_progress.then(Progress::new);
    let mut told = Told::default();
    loop {
        match watch(connection, job, &submission.graph, &mut progress, &mut told)? {
            Some(status) => {
                let vertices = vertices_of(&submission.graph, &status.tasks);
                return match status.ended {
                    Some(Ok(result)) => Ok((result, vertices)),
                    Some(Err(_)) if told.cancelled => Err(Error::Cancelled),
                    Some(Err(failure)) => Err(error_of(failure)),
                    None => Err(Error::internal("a last status without an end")),
                };
            }
            None => {
                say("the connection to the JobManager is lost; waiting for it to come back");
                connection.again(application)?;
            }
        }
    }
}

/// Follows a job as long as the connection lasts; `None` when that has ended first.
fn watch(
    connection: &Connection,
    job: JobId,
    graph: &JobGraph,
    progress: &mut Option<Progress>,
    told: &mut Told,
) -> Result<Option<JobStatus>> {
    let client = connection.client();
    let request = JobRef { job: job.to_string() };
    connection.runtime.block_on(async {
        let mut statuses = match client.dispatcher().watch_job(request.clone()).await {
            Ok(statuses) => statuses.into_inner(),
            Err(status) => {
                return match client.error(&status) {
                    Error::Resource { .. } => Ok(None),
                    error => Err(error),
                };
            }
        };
        loop {
            if signals::received().is_some() && !told.cancelled {
                told.cancelled = true;
                // When the connection is lost, the signal is seen again.
                let _ = client.dispatcher().cancel_job(request.clone()).await;
            }
            let status = match tokio::time::timeout(TICK, statuses.next()).await {
                Err(_) => continue,
                Ok(Some(Ok(body))) => body::decode::<JobStatus>(&body.encoded)?,
                Ok(_) => return Ok(None),
            };
            if status.ended.is_some() {
                return Ok(Some(status));
            }
            told.tell(&status);
            if let Some(progress) = progress {
                progress.show(&vertices_of(graph, &status.tasks), &loops_of(&status.loops));
            }
        }
    })
}

impl Told {
    /// Says what the user has to know although nothing has ended.
    fn tell(&mut self, status: &JobStatus) {
        let known = self.waiting_for.as_ref().map(|(what, ..)| what);
        if status.waiting_for.as_ref() != known {
            let since = self.waiting_for.take().map_or_else(Instant::now, |(_, since, _)| since);
            self.waiting_for = status.waiting_for.clone().map(|what| (what, since, false));
        }
        if let Some((what, since, is_said)) = &mut self.waiting_for
            && since.elapsed() >= PATIENCE
            && !std::mem::replace(is_said, true)
        {
            say(&format!("waiting: {what}"));
        }
        if status.restarts > self.restarts {
            self.restarts = status.restarts;
            let failure = status.last_failure.as_deref().unwrap_or("a failure");
            say(&format!("restart {}: {failure}", self.restarts));
        }
    }
}

/// What tasks did, by vertex and operator.
fn vertices_of(graph: &JobGraph, tasks: &[TaskReport]) -> Vec<VertexReport> {
    let mut vertices: Vec<VertexReport> = Vec::with_capacity(graph.vertices.len());
    for vertex in &graph.vertices {
        let operators = vertex.chain.iter();
        let operators = operators.map(|op| OperatorReport { name: op.name.clone(), ..OperatorReport::default() });
        vertices.push(VertexReport {
            name: vertex.name.clone(),
            operators: operators.collect(),
            subtasks: vec![SubtaskReport::default(); vertex.parallelism as usize],
        });
    }
    for task in tasks {
        let vertex = vertices.get_mut(task.execution.vertex.0 as usize);
        let Some(vertex) = vertex else { continue };
        for (report, counts) in vertex.operators.iter_mut().zip(&task.operators) {
            add(report, counts);
        }
        if let Some(subtask) = vertex.subtasks.get_mut(task.execution.subtask as usize) {
            let records = task.operators.first().map_or(0, |counts| counts.records_in.max(counts.records_out));
            *subtask = SubtaskReport { busy: task.busy, done: task.done, records };
        }
    }
    vertices
}

fn add(report: &mut OperatorReport, counts: &OperatorCounts) {
    report.records_in += counts.records_in;
    report.records_out += counts.records_out;
    report.bytes_in += counts.bytes_in;
    report.bytes_out += counts.bytes_out;
    report.spilled_bytes += counts.spilled_bytes;
}

/// The error that a failure was.
fn error_of(failure: Failure) -> Error {
    let message = failure.to_string();
    match failure.kind {
        FailureKind::Usage => Error::usage(message),
        FailureKind::Function => Error::function(message),
        FailureKind::Data | FailureKind::Io => Error::data(message),
        FailureKind::Internal => Error::Internal { message },
        FailureKind::Resource | FailureKind::Lost => Error::Resource { message },
    }
}

fn say(line: &str) {
    // A closed standard error is no reason to fail the job.
    let _ = writeln!(std::io::stderr(), "{line}");
}
