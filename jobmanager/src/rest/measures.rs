//! What is measured here, under Flink's names; of tasks and TaskExecutors these say what is measured.

use crate::cluster::Cluster;
use flinkrs_control::Timestamp;
use flinkrs_control::view::JobView;
use flinkrs_protocol::JobState;
use flinkrs_rpc::metrics::Measure;

/// Of the cluster; what the process uses comes besides.
pub(super) fn of_jobmanager(cluster: &Cluster) -> Vec<Measure> {
    let view = cluster.resources.view();
    let slots = || view.task_executors.iter().flat_map(|executor| &executor.slots);
    vec![
        ("numRegisteredTaskManagers".into(), view.task_executors.len() as u64),
        ("numPendingTaskManagers".into(), u64::from(view.pending_task_executors)),
        ("numRunningJobs".into(), cluster.dispatcher.jobs().filter(|line| !line.state.is_terminal()).count() as u64),
        ("taskSlotsAvailable".into(), slots().filter(|slot| slot.is_none()).count() as u64),
        ("taskSlotsTotal".into(), slots().count() as u64),
    ]
}

/// Of a job; times in milliseconds, 0 for a state that it isn't in.
pub(super) fn of_job(view: &JobView, now: Timestamp) -> Vec<Measure> {
    let within = |state: JobState| {
        let since = view.timestamps[state as usize].filter(|_| view.state == state);
        since.map_or(0, |since| now.0.saturating_sub(since.0))
    };
    let restarting = within(JobState::Restarting);
    vec![
        ("numRestarts".into(), u64::from(view.restarts)),
        ("fullRestarts".into(), u64::from(view.restarts)),
        ("uptime".into(), within(JobState::Running)),
        ("downtime".into(), restarting + within(JobState::Failing)),
        ("initializingTime".into(), within(JobState::Initializing)),
        ("createdTime".into(), within(JobState::Created)),
        ("runningTime".into(), within(JobState::Running)),
        ("restartingTime".into(), restarting),
        ("failingTime".into(), within(JobState::Failing)),
        ("cancellingTime".into(), within(JobState::Cancelling)),
    ]
}

/// A name as a part of a metric's: the characters that separate parts are replaced, as Flink does.
pub(super) fn part(name: &str) -> String {
    name.chars().map(|c| if matches!(c, ' ' | '.' | ',' | ':') { '_' } else { c }).collect()
}
