//! Vertices of a job: their subtasks as a list, over time, and by TaskExecutor.

use crate::rest::route::{Answer, Call, Context, ok};
use crate::rest::seen::VertexSeen;
use crate::rest::shape::{self, deployed, ended, moment, since};
use crate::rest::subtasks;
use flinkrs_control::view::AttemptView;
use flinkrs_protocol::TaskExecutorId;
use flinkrs_rpc::metrics::Counts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The present attempts, each with what it has done.
fn attempts(vertex: &VertexSeen) -> Vec<(&AttemptView, Counts)> {
    let of = |attempt| (attempt, subtasks::counts(vertex, attempt));
    vertex.subtasks.iter().map(|subtask| of(&subtask.current)).collect()
}

pub(super) async fn detail(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let subtasks: Vec<Value> =
        vertex.subtasks.iter().map(|subtask| subtasks::value(&vertex, &subtask.current)).collect();
    ok(json!({
        "id": vertex.id,
        "name": vertex.name,
        "parallelism": vertex.parallelism,
        "maxParallelism": vertex.parallelism,
        "now": vertex.now.0,
        "subtasks": subtasks,
        "aggregated": shape::aggregated(&attempts(&vertex), vertex.now),
    }))
}

pub(super) async fn times(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let of = |attempt: &AttemptView| {
        let (host, endpoint) = subtasks::place(&vertex, attempt);
        let first = attempt.timestamps.iter().flatten().min().copied();
        json!({
            "subtask": attempt.execution.subtask,
            "host": host,
            "endpoint": endpoint,
            "duration": since(first, ended(attempt), vertex.now),
            "timestamps": shape::task_timestamps(attempt),
        })
    };
    let subtasks: Vec<Value> = vertex.subtasks.iter().map(|subtask| of(&subtask.current)).collect();
    ok(json!({ "id": vertex.id, "name": vertex.name, "now": vertex.now.0, "subtasks": subtasks }))
}

pub(super) async fn task_executors(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let mut by_executor: BTreeMap<Option<&TaskExecutorId>, Vec<(&AttemptView, Counts)>> = BTreeMap::new();
    for (attempt, counts) in attempts(&vertex) {
        let executor = attempt.place.as_ref().map(|place| &place.task_executor);
        by_executor.entry(executor).or_default().push((attempt, counts));
    }
    let executors: Vec<Value> = by_executor.values().map(|attempts| task_executor(&vertex, attempts)).collect();
    ok(json!({ "id": vertex.id, "name": vertex.name, "now": vertex.now.0, "taskmanagers": executors }))
}

/// What runs of a vertex on one TaskExecutor; at least one attempt.
fn task_executor(vertex: &VertexSeen, attempts: &[(&AttemptView, Counts)]) -> Value {
    let (_, endpoint) = subtasks::place(vertex, attempts[0].0);
    let executor = attempts[0].0.place.as_ref().map_or(endpoint.clone(), |place| place.task_executor.to_string());
    let states = || attempts.iter().map(|(attempt, _)| (attempt.state, 1));
    let start = attempts.iter().filter_map(|(attempt, _)| deployed(attempt)).min();
    let ends: Option<Vec<_>> = attempts.iter().map(|(attempt, _)| ended(attempt)).collect();
    let end = ends.and_then(|ends| ends.into_iter().max());
    let mut sum = Counts::default();
    attempts.iter().for_each(|(_, counts)| sum.add(*counts));
    json!({
        "host": endpoint,
        "endpoint": endpoint,
        "status": shape::state_of_all(states()).to_string(),
        "start-time": moment(start),
        "end-time": moment(end),
        "duration": since(start, end, vertex.now),
        "metrics": shape::counts(sum),
        "status-counts": shape::state_counts(states()),
        "taskmanager-id": executor,
        "aggregated": shape::aggregated(attempts, vertex.now),
    })
}
