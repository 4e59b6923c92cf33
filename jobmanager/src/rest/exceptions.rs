//! What has gone wrong in a job, and how it has ended.

use crate::rest::route::{Answer, Call, Context, ok};
use crate::rest::seen::JobSeen;
use crate::rest::shape::end_of;
use flinkrs_control::view::ExceptionView;
use flinkrs_protocol::{Failure, FailureKind, JobState};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Exceptions in an answer, unless the call says otherwise.
const MOST: usize = 20;

pub(super) async fn answer(context: Arc<Context>, call: Call) -> Answer {
    let most = call.parameter("maxExceptions").and_then(|text| text.parse().ok()).unwrap_or(MOST);
    let job = context.job(&call).await?;
    let mut newest_first = job.view.exceptions.iter().rev();
    let entries: Vec<Value> = newest_first.by_ref().take(most).map(entry).collect();
    let truncated = newest_first.next().is_some();
    let last = job.view.exceptions.last();
    let root = job.failure.as_ref().filter(|_| job.line.state == JobState::Failed);
    let message = root.map(|failure| failure.to_string()).or_else(|| last.map(|last| last.message.to_string()));
    let of_tasks = job.view.exceptions.iter().rev().filter(|exception| exception.task.is_some()).take(most);
    ok(json!({
        "root-exception": message,
        "timestamp": last.map(|last| last.at.0),
        "all-exceptions": of_tasks.map(of_task).collect::<Vec<_>>(),
        "truncated": truncated,
        "exceptionHistory": { "entries": entries, "truncated": truncated },
    }))
}

/// Where a task has failed: its name, place and TaskExecutor.
fn place(exception: &ExceptionView) -> Option<[(&'static str, String); 3]> {
    let (task, execution) = exception.task.as_ref()?;
    let host = exception.host.as_deref().unwrap_or("(unassigned)").to_owned();
    let executor = exception.task_executor.as_ref().map_or_else(String::new, ToString::to_string);
    let name = format!("{task} ({}) - attempt #{}", execution.subtask + 1, execution.attempt);
    Some([("taskName", name), ("endpoint", host), ("taskManagerId", executor)])
}

fn entry(exception: &ExceptionView) -> Value {
    let kind = exception.operator.as_deref().map_or("failure", |_| "failure of an operator");
    let mut entry = Map::new();
    entry.insert("exceptionName".to_owned(), kind.into());
    entry.insert("stacktrace".to_owned(), (&*exception.message).into());
    entry.insert("timestamp".to_owned(), exception.at.0.into());
    entry.insert("failureLabels".to_owned(), json!({}));
    entry.insert("concurrentExceptions".to_owned(), json!([]));
    if let Some(place) = place(exception) {
        entry.insert("location".to_owned(), place[1].1.clone().into());
        entry.extend(place.into_iter().map(|(key, value)| (key.to_owned(), value.into())));
    }
    entry.into()
}

fn of_task(exception: &ExceptionView) -> Value {
    let [(_, task), (_, endpoint), (_, executor)] = place(exception).unwrap_or_default();
    json!({
        "exception": &*exception.message,
        "task": task,
        "location": endpoint.clone(),
        "endpoint": endpoint,
        "timestamp": exception.at.0,
        "taskManagerId": executor,
    })
}

/// Whether a job has ended, and how. Accumulators are at a path of their own: here Flink has objects of its JVM.
pub(super) async fn result(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    if !job.line.state.is_terminal() {
        return ok(json!({ "status": { "id": "IN_PROGRESS" } }));
    }
    ok(json!({ "status": { "id": "COMPLETED" }, "job-execution-result": ended(&job) }))
}

fn ended(job: &JobSeen) -> Value {
    let status = match job.line.state {
        JobState::Finished => "SUCCEEDED",
        JobState::Canceled => "CANCELED",
        _ => "FAILED",
    };
    let end = end_of(&job.view).unwrap_or(job.now);
    let mut result = json!({
        "id": job.job().to_string(),
        "application-status": status,
        "accumulator-results": {},
        "net-runtime": end.0.saturating_sub(job.line.started.0),
    });
    if let (Some(failure), JobState::Failed) = (&job.failure, job.line.state) {
        result["failure-cause"] = json!({
            "class": class(failure),
            "stack-trace": failure.to_string(),
            "serialized-throwable": "",
        });
    }
    result
}

/// What kind of failure it is, in place of a class.
fn class(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Usage => "flinkrs.Usage",
        FailureKind::Function => "flinkrs.Function",
        FailureKind::Data => "flinkrs.Data",
        FailureKind::Io => "flinkrs.Io",
        FailureKind::Resource => "flinkrs.Resource",
        FailureKind::Lost => "flinkrs.Lost",
        FailureKind::Internal => "flinkrs.Internal",
    }
}
