//! Jobs: their list, and each as a whole.

use crate::cluster::{Message, now};
use crate::rest::plan;
use crate::rest::route::{Answer, Call, Context, Fault, ok, with_type};
use crate::rest::seen::{JobSeen, view_of};
use crate::rest::shape::{self, end_of, moment, since};
use axum::http::StatusCode;
use flinkrs_control::Timestamp;
use flinkrs_control::options::RestartStrategy;
use flinkrs_control::view::{JobView, VertexView};
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{JobState, TaskState};
use flinkrs_rpc::metrics::{sharing_group_id, vertex_id};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn list(context: Arc<Context>, _: Call) -> Answer {
    let jobs = context
        .look(|cluster| cluster.dispatcher.jobs().map(|line| (line.job, line.state)).collect::<Vec<_>>())
        .await?;
    let one = |(job, state): &(_, JobState)| json!({ "id": format!("{job}"), "status": state.to_string() });
    ok(json!({ "jobs": jobs.iter().map(one).collect::<Vec<_>>() }))
}

pub(super) async fn overview(context: Arc<Context>, _: Call) -> Answer {
    let views = context
        .look(|cluster| cluster.dispatcher.jobs().filter_map(|line| view_of(cluster, line)).collect::<Vec<_>>())
        .await?;
    let now = now();
    ok(json!({ "jobs": views.iter().map(|view| line(view, now)).collect::<Vec<_>>() }))
}

fn started(view: &JobView) -> Option<Timestamp> {
    view.timestamps.iter().flatten().min().copied()
}

fn line(view: &JobView, now: Timestamp) -> Value {
    let states = view.vertices.iter().flat_map(shape::states_of);
    let Value::Object(counts) = shape::state_counts(states) else { return Value::Null };
    let mut tasks: Map<String, Value> =
        counts.into_iter().map(|(state, count)| (state.to_ascii_lowercase(), count)).collect();
    tasks.insert("total".to_owned(), json!(view.vertices.iter().map(|vertex| vertex.parallelism).sum::<u32>()));
    let (start, end) = (started(view), end_of(view));
    json!({
        "jid": view.job.to_string(),
        "name": &*view.name,
        "state": view.state.to_string(),
        "start-time": moment(start),
        "end-time": moment(end),
        "duration": since(start, end, now),
        "last-modification": moment(view.timestamps.iter().flatten().max().copied()),
        "tasks": tasks,
    })
}

pub(super) async fn detail(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    let view = &job.view;
    let (start, end) = (started(view), end_of(view));
    let vertices: Vec<Value> = view.vertices.iter().map(|of| vertex(&job, of)).collect();
    let states = view.vertices.iter().map(|vertex| (shape::state_of_all(shape::states_of(vertex)), 1));
    ok(json!({
        "jid": job.job().to_string(),
        "name": &*view.name,
        "isStoppable": false,
        "state": job.line.state.to_string(),
        "job-type": "BATCH",
        "start-time": moment(start),
        "end-time": moment(end),
        "duration": since(start, end, job.now),
        "maxParallelism": -1,
        "now": job.now.0,
        "timestamps": shape::job_timestamps(view),
        "vertices": vertices,
        "status-counts": shape::state_counts(states),
        "plan": plan::plan(&job),
    }))
}

/// The number of a vertex's slot sharing group: that of the first vertex in it.
fn group_of(job: &JobSeen, vertex: VertexId) -> u32 {
    let of = |id: usize| job.graph.vertices.get(id).map(|of| &of.slot_sharing_group);
    let own = of(vertex.0 as usize);
    (0..vertex.0).find(|id| of(*id as usize) == own).unwrap_or(vertex.0)
}

fn vertex(job: &JobSeen, vertex: &VertexView) -> Value {
    let state = shape::state_of_all(shape::states_of(vertex));
    let counts = job.counts.get(vertex.vertex.0 as usize).copied().unwrap_or_default();
    let end = vertex.ended.filter(|_| state.is_terminal() && state != TaskState::Canceling);
    json!({
        "id": vertex_id(job.job(), vertex.vertex),
        "slotSharingGroupId": sharing_group_id(job.job(), group_of(job, vertex.vertex)),
        "name": &*vertex.name,
        "maxParallelism": vertex.parallelism,
        "parallelism": vertex.parallelism,
        "status": state.to_string(),
        "start-time": moment(vertex.started),
        "end-time": moment(end),
        "duration": since(vertex.started, end, job.now),
        "tasks": shape::state_counts(shape::states_of(vertex)),
        "metrics": shape::counts(counts),
    })
}

pub(super) async fn status(context: Arc<Context>, call: Call) -> Answer {
    let job = call.job()?;
    let state = context.look(move |cluster| cluster.dispatcher.job(job).map(|line| line.state)).await?;
    let state = state.ok_or_else(|| Fault::no_job(job))?;
    ok(json!({ "status": state.to_string() }))
}

pub(super) async fn config(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    let id = job.job();
    let restart =
        context.look(move |cluster| cluster.jobs.get(&id).map(|record| record.options.restart.clone())).await?;
    let restart = restart.ok_or_else(|| Fault::no_job(id))?;
    let parallelism = job.graph.vertices.iter().map(|vertex| vertex.parallelism).max().unwrap_or(1);
    let blocking = job.graph.edges.iter().any(|edge| edge.mode == flinkrs_core::strategy::ExchangeMode::Blocking);
    ok(json!({
        "jid": job.job().to_string(),
        "name": &*job.view.name,
        "execution-config": {
            "execution-mode": if blocking { "BATCH" } else { "PIPELINED" },
            "restart-strategy": restart_name(&restart),
            "job-parallelism": parallelism,
            "object-reuse-mode": false,
            "user-config": {},
        },
    }))
}

fn restart_name(strategy: &RestartStrategy) -> String {
    match strategy {
        RestartStrategy::None => "Restart deactivated.".to_owned(),
        RestartStrategy::FixedDelay { attempts, delay } => {
            format!("Restart with fixed delay ({} ms). #{attempts} restart attempts.", delay.as_millis())
        }
        RestartStrategy::FailureRate { max_failures, interval, delay } => format!(
            "Failure rate restart with maximum of {max_failures} failures within interval {} ms and fixed delay {} ms.",
            interval.as_millis(),
            delay.as_millis()
        ),
        RestartStrategy::ExponentialDelay { initial, max, .. } => {
            format!("Restart with exponential delay ({} ms to {} ms).", initial.as_millis(), max.as_millis())
        }
    }
}

/// Cancels; a job that is cancelled already stays so.
pub(super) async fn cancel(context: Arc<Context>, call: Call) -> Answer {
    let job = call.job()?;
    let mode = call.parameter("mode").unwrap_or("cancel");
    if mode != "cancel" {
        return Err(Fault::bad(format!("mode is '{mode}'; a job can be ended by 'cancel' alone")));
    }
    let state = context.look(move |cluster| cluster.dispatcher.job(job).map(|line| line.state)).await?;
    match state {
        None => return Err(Fault::no_job(job)),
        Some(state @ (JobState::Finished | JobState::Failed)) => {
            let message = format!(
                "Job cancellation failed because the job has already reached another terminal state ({state})."
            );
            return Err(Fault::new(StatusCode::CONFLICT, message));
        }
        Some(_) => context.ask(|reply| Message::Cancel { job, reply }).await?,
    }
    Ok(with_type(StatusCode::ACCEPTED, "application/json; charset=UTF-8", "{}".to_owned()))
}

/// There are no checkpoints of batch jobs; Flink says so in the same way.
pub(super) async fn checkpoints(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    Err(Fault::missing(format!("Checkpointing has not been enabled: job {} is a batch job.", job.job())))
}
