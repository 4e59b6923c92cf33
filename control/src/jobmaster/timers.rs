//! What a JobMaster has to look at later, and what it wants done now.

use crate::jobmaster::JobCommand;
use crate::time::Timestamp;
use flinkrs_protocol::WorkerId;
use std::collections::BTreeSet;

/// Something to look at; whether it still matters is found out then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A region may be restarted.
    Restart,
    /// Slots may have been waited for long enough.
    Slots,
    /// Slots may have been kept for nothing for long enough.
    IdleSlots,
    /// Finished partitions may have been out of reach for long enough.
    Absence,
    /// A worker may have taken too long to start.
    WorkerStart(WorkerId),
    /// A worker's tasks may have taken too long to stop.
    Cancellation(WorkerId),
    /// Nobody may be there to abort the sinks.
    Abort,
}

/// Commands and timers, collected while an event is handled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out {
    commands: Vec<JobCommand>,
    timers: BTreeSet<(Timestamp, Timer)>,
    wake_at: Option<Timestamp>,
}

impl Out {
    /// Wants something done.
    pub(crate) fn push(&mut self, command: JobCommand) {
        self.commands.push(command);
    }

    /// Looks at something later.
    pub(crate) fn at(&mut self, at: Timestamp, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// The next timer that is due.
    pub(crate) fn due(&mut self, now: Timestamp) -> Option<Timer> {
        let first = *self.timers.first().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&first);
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
        }
        Some(first.1)
    }

    /// What is to be done, with the next moment to wake at if that has changed.
    pub(crate) fn take(&mut self) -> Vec<JobCommand> {
        if let Some((at, _)) = self.timers.first().filter(|(at, _)| Some(*at) != self.wake_at) {
            self.wake_at = Some(*at);
            self.commands.push(JobCommand::WakeAt(*at));
        }
        std::mem::take(&mut self.commands)
    }
}
