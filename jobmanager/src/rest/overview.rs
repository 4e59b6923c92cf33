//! The cluster as a whole: `/overview`, `/config`, and its end.

use crate::cluster::Message;
use crate::rest::route::{Answer, Call, Context, ok};
use flinkrs_protocol::JobState;
use flinkrs_rpc::VERSION;
use serde_json::json;
use std::sync::Arc;

/// How often pages ask, in milliseconds.
const REFRESH_MS: u64 = 3000;

/// Which version of Flink's interface this is, and whose.
pub(super) fn version() -> String {
    format!("1.20-flinkrs-{VERSION}")
}

pub(super) async fn overview(context: Arc<Context>, _: Call) -> Answer {
    let (slots, jobs) = context
        .look(|cluster| {
            let view = cluster.resources.view();
            let all = || view.task_executors.iter().flat_map(|executor| &executor.slots);
            let slots = (view.task_executors.len(), all().count(), all().filter(|slot| slot.is_none()).count());
            (slots, cluster.dispatcher.jobs().map(|line| line.state).collect::<Vec<_>>())
        })
        .await?;
    let count = |state| jobs.iter().filter(|of| **of == state).count();
    ok(json!({
        "taskmanagers": slots.0,
        "slots-total": slots.1,
        "slots-available": slots.2,
        "jobs-running": jobs.iter().filter(|state| !state.is_terminal()).count(),
        "jobs-finished": count(JobState::Finished),
        "jobs-cancelled": count(JobState::Canceled),
        "jobs-failed": count(JobState::Failed),
        "flink-version": version(),
        "flink-commit": "",
    }))
}

pub(super) async fn config(_: Arc<Context>, _: Call) -> Answer {
    ok(json!({
        "refresh-interval": REFRESH_MS,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": version(),
        "flink-revision": "",
        "features": { "web-submit": true, "web-cancel": true, "web-rescale": false, "web-history": false },
    }))
}

/// Ends all processes of the cluster; this one goes on until its answers are out.
pub(super) async fn shut_down(context: Arc<Context>, _: Call) -> Answer {
    context.ask(Message::ShutDown).await?;
    ok(json!({}))
}
