//! The states of jobs and tasks, with Flink's names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where one attempt of a subtask is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskState {
    /// Nothing has been done yet.
    Created,
    /// It has a slot and waits for the worker there.
    Scheduled,
    /// It is on its way to its worker.
    Deploying,
    /// The worker opens its operators.
    Initializing,
    /// It works.
    Running,
    /// It has ended, and its output is complete.
    Finished,
    /// It has been told to stop.
    Canceling,
    /// It has stopped because it was told to.
    Canceled,
    /// It has stopped by an error, or its process has.
    Failed,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Its JobMaster is being made.
    Initializing,
    /// Accepted; nothing has been scheduled.
    Created,
    /// Its regions are scheduled and run.
    Running,
    /// It has failed for good; its tasks are being stopped.
    Failing,
    /// It has failed; the end.
    Failed,
    /// It is being cancelled.
    Cancelling,
    /// It was cancelled; the end.
    Canceled,
    /// All tasks have finished and their output is visible; the end.
    Finished,
    /// Some of its regions wait to be run again.
    Restarting,
    /// Its JobManager has gone; another one will take it up.
    Suspended,
    /// It has been taken up by a JobManager that was started again.
    Reconciling,
}

impl TaskState {
    /// All states, in the order in which they are declared.
    pub const ALL: [TaskState; 9] = [
        TaskState::Created,
        TaskState::Scheduled,
        TaskState::Deploying,
        TaskState::Initializing,
        TaskState::Running,
        TaskState::Finished,
        TaskState::Canceling,
        TaskState::Canceled,
        TaskState::Failed,
    ];

    /// FINISHED, CANCELED or FAILED: nothing of it runs any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, TaskState::Finished | TaskState::Canceled | TaskState::Failed)
    }

    /// Whether it is, or may soon be, in a worker.
    pub fn is_deployed(self) -> bool {
        matches!(self, TaskState::Deploying | TaskState::Initializing | TaskState::Running | TaskState::Canceling)
    }

    /// Whether an attempt may go from here to `next`.
    pub fn leads_to(self, next: TaskState) -> bool {
        use TaskState::*;
        match self {
            Created => matches!(next, Scheduled | Canceled),
            Scheduled => matches!(next, Deploying | Canceled | Failed),
            Deploying => matches!(next, Initializing | Running | Finished | Canceling | Canceled | Failed),
            Initializing => matches!(next, Running | Finished | Canceling | Canceled | Failed),
            Running => matches!(next, Finished | Canceling | Canceled | Failed),
            Canceling => matches!(next, Canceled | Failed | Finished),
            Finished | Canceled | Failed => false,
        }
    }

    /// The name in REST and logs, such as `RUNNING`.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Created => "CREATED",
            TaskState::Scheduled => "SCHEDULED",
            TaskState::Deploying => "DEPLOYING",
            TaskState::Initializing => "INITIALIZING",
            TaskState::Running => "RUNNING",
            TaskState::Finished => "FINISHED",
            TaskState::Canceling => "CANCELING",
            TaskState::Canceled => "CANCELED",
            TaskState::Failed => "FAILED",
        }
    }
}

impl JobState {
    /// All states, in the order in which they are declared.
    pub const ALL: [JobState; 11] = [
        JobState::Initializing,
        JobState::Created,
        JobState::Running,
        JobState::Failing,
        JobState::Failed,
        JobState::Cancelling,
        JobState::Canceled,
        JobState::Finished,
        JobState::Restarting,
        JobState::Suspended,
        JobState::Reconciling,
    ];

    /// FAILED, CANCELED or FINISHED.
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Failed | JobState::Canceled | JobState::Finished)
    }

    /// Whether a job may go from here to `next`.
    pub fn leads_to(self, next: JobState) -> bool {
        use JobState::*;
        match self {
            Initializing => matches!(next, Created | Reconciling | Failing | Failed | Cancelling | Suspended),
            Reconciling => matches!(next, Created | Running | Failing | Cancelling | Suspended),
            Created => matches!(next, Running | Failing | Cancelling | Suspended),
            Running => matches!(next, Restarting | Failing | Cancelling | Finished | Suspended),
            Restarting => matches!(next, Running | Failing | Cancelling | Suspended),
            Failing => matches!(next, Failed | Suspended),
            Cancelling => matches!(next, Canceled | Failing | Suspended),
            Suspended => next == Reconciling,
            Failed | Canceled | Finished => false,
        }
    }

    /// The name in REST and logs, such as `RUNNING`.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Initializing => "INITIALIZING",
            JobState::Created => "CREATED",
            JobState::Running => "RUNNING",
            JobState::Failing => "FAILING",
            JobState::Failed => "FAILED",
            JobState::Cancelling => "CANCELLING",
            JobState::Canceled => "CANCELED",
            JobState::Finished => "FINISHED",
            JobState::Restarting => "RESTARTING",
            JobState::Suspended => "SUSPENDED",
            JobState::Reconciling => "RECONCILING",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_an_end() {
        for state in TaskState::ALL {
            let leads = TaskState::ALL.iter().any(|next| state.leads_to(*next));
            assert_eq!(leads, !state.is_terminal(), "{state}");
        }
        for state in JobState::ALL {
            let leads = JobState::ALL.iter().any(|next| state.leads_to(*next));
            assert_eq!(leads, !state.is_terminal(), "{state}");
        }
    }

    #[test]
    fn states_stand_at_their_number() {
        assert!(TaskState::ALL.iter().enumerate().all(|(i, state)| *state as usize == i));
        assert!(JobState::ALL.iter().enumerate().all(|(i, state)| *state as usize == i));
    }
}
