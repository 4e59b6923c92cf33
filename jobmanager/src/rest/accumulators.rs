//! Accumulators: of a job, of a vertex, of subtasks. Those of a task are known when it has finished.

use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::seen::VertexSeen;
use crate::rest::subtasks;
use flinkrs_core::function::AccumulatorValue;
use flinkrs_protocol::JobId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Named = BTreeMap<String, AccumulatorValue>;

pub(super) async fn of_job(context: Arc<Context>, call: Call) -> Answer {
    let job: JobId = call.job()?;
    let merged = context
        .look(move |cluster| {
            let record = cluster.jobs.get(&job)?;
            Some(match cluster.dispatcher.outcome(job) {
                Some(outcome) => outcome.accumulators.clone(),
                None => merge(record.accumulators.values()),
            })
        })
        .await?;
    let merged = merged.ok_or_else(|| Fault::no_job(job))?;
    ok(json!({
        "job-accumulators": [],
        "user-task-accumulators": values(&merged),
        "serialized-user-task-accumulators": {},
    }))
}

pub(super) async fn of_vertex(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    ok(json!({ "id": vertex.id, "user-accumulators": values(&merge(vertex.accumulators.values())) }))
}

pub(super) async fn of_subtasks(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let of = |subtask: &flinkrs_control::view::SubtaskView| {
        let execution = subtask.current.execution;
        let (host, endpoint) = subtasks::place(&vertex, &subtask.current);
        json!({
            "subtask": execution.subtask,
            "attempt": execution.attempt,
            "host": host,
            "endpoint": endpoint,
            "user-accumulators": of_subtask(&vertex, execution.subtask),
        })
    };
    let subtasks: Vec<Value> = vertex.subtasks.iter().map(of).collect();
    ok(json!({ "id": vertex.id, "parallelism": vertex.parallelism, "subtasks": subtasks }))
}

pub(super) async fn of_attempt(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let attempt = subtasks::attempt(&vertex, &call)?;
    let execution = attempt.execution;
    let is_current = vertex.subtasks[execution.subtask as usize].current.execution == execution;
    ok(json!({
        "subtask": execution.subtask,
        "attempt": execution.attempt,
        "id": attempt_id(vertex.job, &vertex.id, execution.subtask, execution.attempt),
        "user-accumulators": if is_current { of_subtask(&vertex, execution.subtask) } else { json!([]) },
    }))
}

/// As Flink writes the id of an attempt.
pub(super) fn attempt_id(job: JobId, vertex: &str, subtask: u32, attempt: u32) -> String {
    format!("{job}_{vertex}_{subtask}_{attempt}")
}

fn of_subtask(vertex: &VertexSeen, subtask: u32) -> Value {
    vertex.accumulators.get(&subtask).map_or(json!([]), values)
}

fn merge<'a>(all: impl Iterator<Item = &'a Named>) -> Named {
    let mut merged = Named::new();
    for (name, value) in all.flatten() {
        match merged.get_mut(name) {
            // Kinds that differ have failed the job already.
            Some(known) => drop(known.merge(value)),
            None => drop(merged.insert(name.clone(), value.clone())),
        }
    }
    merged
}

fn values(named: &Named) -> Value {
    let one = |(name, value): (&String, &AccumulatorValue)| {
        let (kind, text) = match value {
            AccumulatorValue::Long(value) => ("LongCounter", value.to_string()),
            AccumulatorValue::Double(value) => ("DoubleCounter", value.to_string()),
            AccumulatorValue::Minimum(value) => ("DoubleMinimum", value.to_string()),
            AccumulatorValue::Maximum(value) => ("DoubleMaximum", value.to_string()),
            AccumulatorValue::Histogram(counts) => {
                let counts: Vec<String> = counts.iter().map(|(number, count)| format!("{number}={count}")).collect();
                ("Histogram", format!("{{{}}}", counts.join(", ")))
            }
        };
        json!({ "name": name, "type": kind, "value": text })
    };
    named.iter().map(one).collect()
}
