//! Subtasks of a vertex, and their attempts.

use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::seen::VertexSeen;
use crate::rest::shape::{self, deployed, ended, moment, since};
use flinkrs_control::view::{AttemptView, SubtaskView};
use flinkrs_rpc::metrics::Counts;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What Flink calls the place of a task without one.
const UNASSIGNED: &str = "(unassigned)";

pub(super) async fn current(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    ok(value(&vertex, &subtask(&vertex, &call)?.current))
}

pub(super) async fn of_attempt(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    ok(value(&vertex, attempt(&vertex, &call)?))
}

/// The subtask that a call names.
pub(super) fn subtask<'a>(vertex: &'a VertexSeen, call: &Call) -> Result<&'a SubtaskView, Fault> {
    let index = call.number("subtaskindex")?;
    let missing = || Fault::missing(format!("Invalid subtask index for vertex {}: {index}", vertex.id));
    vertex.subtasks.get(index as usize).ok_or_else(missing)
}

/// The attempt that a call names.
pub(super) fn attempt<'a>(vertex: &'a VertexSeen, call: &Call) -> Result<&'a AttemptView, Fault> {
    let number = call.number("attempt")?;
    let subtask = subtask(vertex, call)?;
    let mut attempts = subtask.earlier.iter().chain([&subtask.current]);
    attempts
        .find(|attempt| attempt.execution.attempt == number)
        .ok_or_else(|| Fault::missing(format!("Could not find attempt {number} in vertex {}", vertex.id)))
}

/// The host of an attempt, and the host and port where its TaskExecutor serves partitions.
pub(super) fn place(vertex: &VertexSeen, attempt: &AttemptView) -> (String, String) {
    let Some(place) = &attempt.place else { return (UNASSIGNED.to_owned(), UNASSIGNED.to_owned()) };
    let endpoint = vertex.endpoints.get(&place.task_executor).unwrap_or(&place.host);
    (place.host.to_string(), endpoint.to_string())
}

/// What an attempt has done; only the newest's is known.
pub(super) fn counts(vertex: &VertexSeen, attempt: &AttemptView) -> Counts {
    let report = vertex.reports.get(&attempt.execution.subtask);
    report.filter(|report| report.execution == attempt.execution).map(Counts::of).unwrap_or_default()
}

/// An attempt, in JSON.
pub(super) fn value(vertex: &VertexSeen, attempt: &AttemptView) -> Value {
    let (start, end) = (deployed(attempt), ended(attempt));
    let (host, endpoint) = place(vertex, attempt);
    let durations = shape::state_durations(attempt, vertex.now).into_iter();
    let durations: Map<_, _> = durations.map(|(state, duration)| (state.to_string(), json!(duration))).collect();
    json!({
        "subtask": attempt.execution.subtask,
        "status": attempt.state.to_string(),
        "attempt": attempt.execution.attempt,
        "host": host,
        "endpoint": endpoint,
        "start-time": moment(start),
        "start_time": moment(start),
        "end-time": moment(end),
        "duration": since(start, end, vertex.now),
        "metrics": shape::counts(counts(vertex, attempt)),
        "taskmanager-id": attempt.place.as_ref().map_or(UNASSIGNED.to_owned(), |place| place.task_executor.to_string()),
        "status-duration": durations,
    })
}
