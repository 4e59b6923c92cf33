//! What is measured, under Flink's names: for REST by path, for Prometheus with labels.

use crate::cluster::Cluster;
use crate::rest::seen::Counts;
use flinkrs_control::Timestamp;
use flinkrs_control::resource_manager::TaskExecutorView;
use flinkrs_control::view::JobView;
use flinkrs_protocol::{JobState, OperatorCounts, TaskReport};

/// A name and its present value.
pub(super) type Measure = (&'static str, u64);

/// Of the JobManager.
pub(super) fn of_jobmanager(cluster: &Cluster) -> Vec<Measure> {
    let view = cluster.resources.view();
    let slots = || view.task_executors.iter().flat_map(|executor| &executor.slots);
    vec![
        ("numRegisteredTaskManagers", view.task_executors.len() as u64),
        ("numPendingTaskManagers", u64::from(view.pending_task_executors)),
        ("numRunningJobs", cluster.dispatcher.jobs().filter(|line| !line.state.is_terminal()).count() as u64),
        ("taskSlotsAvailable", slots().filter(|slot| slot.is_none()).count() as u64),
        ("taskSlotsTotal", slots().count() as u64),
    ]
}

/// Of a TaskExecutor.
pub(super) fn of_task_executor(executor: &TaskExecutorView) -> Vec<Measure> {
    let managed = |slots: usize| executor.registration.slot_bytes * slots as u64;
    let used = executor.slots.iter().flatten().count();
    vec![
        ("Status.Flink.Memory.Managed.Total", managed(executor.slots.len())),
        ("Status.Flink.Memory.Managed.Used", managed(used)),
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
        ("numRestarts", u64::from(view.restarts)),
        ("fullRestarts", u64::from(view.restarts)),
        ("uptime", within(JobState::Running)),
        ("downtime", restarting + within(JobState::Failing)),
        ("initializingTime", within(JobState::Initializing)),
        ("createdTime", within(JobState::Created)),
        ("runningTime", within(JobState::Running)),
        ("restartingTime", restarting),
        ("failingTime", within(JobState::Failing)),
        ("cancellingTime", within(JobState::Cancelling)),
    ]
}

/// Of a task.
pub(super) fn of_task(report: &TaskReport) -> Vec<Measure> {
    let counts = Counts::of(report);
    vec![
        ("numRecordsIn", counts.read_records),
        ("numRecordsOut", counts.write_records),
        ("numBytesIn", counts.read_bytes),
        ("numBytesOut", counts.write_bytes),
        ("accumulateBusyTimeMs", counts.busy_ms),
    ]
}

/// Of an operator of a task.
pub(super) fn of_operator(counts: &OperatorCounts) -> Vec<Measure> {
    vec![
        ("numRecordsIn", counts.records_in),
        ("numRecordsOut", counts.records_out),
        ("numBytesIn", counts.bytes_in),
        ("numBytesOut", counts.bytes_out),
        ("numBytesSpilled", counts.spilled_bytes),
    ]
}

/// A name as a part of a metric's: the characters that separate parts are replaced, as Flink does.
pub(super) fn part(name: &str) -> String {
    name.chars().map(|c| if matches!(c, ' ' | '.' | ',' | ':') { '_' } else { c }).collect()
}
