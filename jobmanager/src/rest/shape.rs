//! JSON that several answers have in common.

use flinkrs_control::Timestamp;
use flinkrs_control::view::{AttemptView, JobView, VertexView};
use flinkrs_protocol::{JobState, TaskState};
use flinkrs_rpc::metrics::Counts;
use serde_json::{Map, Value, json};

/// A moment, or what Flink says of one that hasn't come.
pub(super) fn moment(at: Option<Timestamp>) -> Value {
    at.map_or(json!(-1), |at| json!(at.0))
}

/// Milliseconds from a moment to another, or to now.
pub(super) fn since(start: Option<Timestamp>, end: Option<Timestamp>, now: Timestamp) -> Value {
    start.map_or(json!(-1), |start| json!(end.unwrap_or(now).0.saturating_sub(start.0)))
}

/// When a job has ended.
pub(super) fn end_of(view: &JobView) -> Option<Timestamp> {
    view.timestamps[view.state as usize].filter(|_| view.state.is_terminal())
}

/// When a job was last in each state; 0 for those that it hasn't been in.
pub(super) fn job_timestamps(view: &JobView) -> Value {
    let at = |state: &JobState| view.timestamps[*state as usize].map_or(0, |at| at.0);
    JobState::ALL.iter().map(|state| (state.to_string(), json!(at(state)))).collect::<Map<_, _>>().into()
}

/// When an attempt came into each state; 0 for those that it hasn't been in.
pub(super) fn task_timestamps(attempt: &AttemptView) -> Value {
    let at = |state: &TaskState| attempt.timestamps[*state as usize].map_or(0, |at| at.0);
    let mut times: Map<_, _> = TaskState::ALL.iter().map(|state| (state.to_string(), json!(at(state)))).collect();
    times.insert(RECONCILING.to_owned(), json!(0));
    times.into()
}

/// A state of Flink's tasks that there isn't here.
const RECONCILING: &str = "RECONCILING";

/// How many are in each state.
pub(super) fn state_counts(states: impl Iterator<Item = (TaskState, u32)>) -> Value {
    let mut counts: Map<String, Value> = TaskState::ALL.iter().map(|state| (state.to_string(), json!(0))).collect();
    counts.insert(RECONCILING.to_owned(), json!(0));
    for (state, more) in states {
        let count = &mut counts[&state.to_string()];
        *count = json!(count.as_u64().unwrap_or(0) + u64::from(more));
    }
    counts.into()
}

/// The number of a vertex's subtasks in each state.
pub(super) fn states_of(vertex: &VertexView) -> impl Iterator<Item = (TaskState, u32)> {
    TaskState::ALL.into_iter().zip(vertex.tasks)
}

/// One state for many tasks, as Flink chooses it.
pub(super) fn state_of_all(states: impl Iterator<Item = (TaskState, u32)>) -> TaskState {
    let present: Vec<TaskState> = states.filter(|(_, count)| *count > 0).map(|(state, _)| state).collect();
    let all_finished = !present.is_empty() && present.iter().all(|state| *state == TaskState::Finished);
    let order = [
        TaskState::Failed,
        TaskState::Canceling,
        TaskState::Canceled,
        TaskState::Running,
        TaskState::Initializing,
        TaskState::Deploying,
        TaskState::Scheduled,
        TaskState::Created,
    ];
    let first = order.into_iter().find(|state| present.contains(state)).unwrap_or(TaskState::Created);
    if all_finished { TaskState::Finished } else { first }
}

/// What tasks have read and written.
pub(super) fn counts(counts: Counts) -> Value {
    json!({
        "read-bytes": counts.read_bytes,
        "read-bytes-complete": true,
        "write-bytes": counts.write_bytes,
        "write-bytes-complete": true,
        "read-records": counts.read_records,
        "read-records-complete": true,
        "write-records": counts.write_records,
        "write-records-complete": true,
        "accumulated-backpressured-time": counts.backpressured_ms,
        "accumulated-idle-time": counts.idle_ms,
        "accumulated-busy-time": counts.busy_ms as f64,
    })
}

/// How long an attempt was in each state that it has been in.
pub(super) fn state_durations(attempt: &AttemptView, now: Timestamp) -> Vec<(TaskState, u64)> {
    let mut times: Vec<(Timestamp, TaskState)> =
        TaskState::ALL.into_iter().filter_map(|state| Some((attempt.timestamps[state as usize]?, state))).collect();
    times.sort();
    let ends = times.iter().skip(1).map(|(at, _)| *at).chain([now]).collect::<Vec<_>>();
    let durations = times.iter().zip(ends).filter(|((_, state), _)| !state.is_terminal());
    durations.map(|((at, state), end)| (*state, end.0.saturating_sub(at.0))).collect()
}

/// When an attempt was deployed.
pub(super) fn deployed(attempt: &AttemptView) -> Option<Timestamp> {
    attempt.timestamps[TaskState::Deploying as usize]
}

/// When it has ended.
pub(super) fn ended(attempt: &AttemptView) -> Option<Timestamp> {
    attempt.timestamps[attempt.state as usize].filter(|_| attempt.state.is_terminal())
}

/// Metrics and durations of several attempts, summed up.
pub(super) fn aggregated(attempts: &[(&AttemptView, Counts)], now: Timestamp) -> Value {
    let of = |value: fn(&Counts) -> u64| spread(attempts.iter().map(|(_, counts)| value(counts)).collect());
    let mut durations: Vec<(TaskState, Vec<u64>)> = Vec::new();
    for (state, duration) in attempts.iter().flat_map(|(attempt, _)| state_durations(attempt, now)) {
        match durations.iter_mut().find(|(known, _)| *known == state) {
            Some((_, all)) => all.push(duration),
            None => durations.push((state, vec![duration])),
        }
    }
    let durations: Map<_, _> = durations.into_iter().map(|(state, all)| (state.to_string(), spread(all))).collect();
    json!({
        "metrics": {
            "read-bytes": of(|counts| counts.read_bytes),
            "write-bytes": of(|counts| counts.write_bytes),
            "read-records": of(|counts| counts.read_records),
            "write-records": of(|counts| counts.write_records),
            "accumulated-busy-time": of(|counts| counts.busy_ms),
            "accumulated-idle-time": of(|counts| counts.idle_ms),
            "accumulated-backpressured-time": of(|counts| counts.backpressured_ms),
        },
        "status-duration": durations,
    })
}

/// Least, largest, sum, mean and quantiles of some numbers.
fn spread(mut of: Vec<u64>) -> Value {
    of.sort_unstable();
    let at = |part: f64| of.get(((part * of.len() as f64).ceil() as usize).saturating_sub(1)).copied().unwrap_or(0);
    let sum: u64 = of.iter().sum();
    json!({
        "min": of.first().copied().unwrap_or(0),
        "max": of.last().copied().unwrap_or(0),
        "avg": sum / (of.len() as u64).max(1),
        "sum": sum,
        "median": at(0.5),
        "p25": at(0.25),
        "p75": at(0.75),
        "p95": at(0.95),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_for_all_is_the_one_that_matters_most() {
        use TaskState::*;
        let of = |states: &[TaskState]| state_of_all(states.iter().map(|state| (*state, 1)));
        assert_eq!(of(&[Finished, Finished]), Finished);
        assert_eq!(of(&[Finished, Running, Created]), Running);
        assert_eq!(of(&[Running, Failed, Canceled]), Failed);
        assert_eq!(of(&[]), Created);
        assert_eq!(state_of_all([(Failed, 0), (Deploying, 3)].into_iter()), Deploying);
    }

    #[test]
    fn quantiles_are_of_the_numbers_themselves() {
        let of = spread(vec![4, 1, 3, 2]);
        assert_eq!((&of["min"], &of["median"], &of["p75"], &of["p95"]), (&json!(1), &json!(2), &json!(3), &json!(4)));
        assert_eq!((&of["avg"], &of["sum"]), (&json!(2), &json!(10)));
        assert_eq!(spread(Vec::new())["max"], json!(0));
    }
}
