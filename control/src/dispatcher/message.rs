//! What the Dispatcher hears and what it says.

use crate::jobmaster::{JobOutcome, JobSubmission};
use crate::time::Timestamp;
use crate::view::JobView;
use flinkrs_protocol::{ApplicationId, JobId, JobState};
use std::sync::Arc;

/// What happens to the jobs of a client that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnClientLoss {
    /// The running job goes on.
    GoOn,
    /// The running job is cancelled.
    Cancel,
}

/// What the Dispatcher hears.
#[derive(Clone, Debug)]
pub enum DispatcherEvent {
    /// A client submits a job of an application, the first or the next.
    Submit {
        /// Whose.
        application: ApplicationId,
        /// The job.
        submission: JobSubmission,
        /// Whether the client stays, and what happens when it is lost. `None`: it has detached, and the application
        /// ends with this job.
        attached: Option<OnClientLoss>,
    },
    /// A job from the store of a JobManager before this one; comes before any other event.
    Recovered {
        /// Whose.
        application: ApplicationId,
        /// The job, with [`JobSubmission::recovered`] as the store says.
        submission: JobSubmission,
        /// As it was submitted.
        attached: Option<OnClientLoss>,
    },
    /// A finished job from the store of a JobManager before this one.
    RecoveredResult {
        /// Whose.
        application: ApplicationId,
        /// Which execution of its program.
        execution: u32,
        /// How it ended.
        outcome: Box<JobOutcome>,
    },
    /// A client that waits is alive; also the first sign of one that has found its JobManager again.
    ClientHeartbeat {
        /// Whose.
        application: ApplicationId,
    },
    /// The connection of a client has broken.
    ClientLost {
        /// Whose.
        application: ApplicationId,
    },
    /// A client's program has ended.
    ClientDone {
        /// Whose.
        application: ApplicationId,
    },
    /// Somebody wants a job cancelled.
    Cancel {
        /// Which.
        job: JobId,
    },
    /// A JobMaster's [`JobCommand::StateChanged`](crate::jobmaster::JobCommand::StateChanged).
    JobChanged {
        /// Which.
        job: JobId,
        /// Where it is now.
        state: JobState,
    },
    /// A JobMaster's [`JobCommand::Ended`](crate::jobmaster::JobCommand::Ended).
    JobEnded(Box<JobOutcome>),
    /// A JobMaster's [`JobCommand::Closed`](crate::jobmaster::JobCommand::Closed).
    ApplicationClosed {
        /// Which.
        application: ApplicationId,
    },
    /// Time has passed: due at the moment that [`DispatcherCommand::WakeAt`] named last.
    Tick,
}

/// What the Dispatcher wants done.
#[derive(Clone, Debug)]
pub enum DispatcherCommand {
    /// Make the JobMaster of an application.
    StartApplication {
        /// Whose.
        application: ApplicationId,
    },
    /// To a JobMaster, as [`JobEvent::Submit`](crate::jobmaster::JobEvent::Submit).
    StartJob {
        /// Whose.
        application: ApplicationId,
        /// The job.
        submission: JobSubmission,
    },
    /// To the client: its job is accepted, and stored.
    Accepted {
        /// Whose.
        application: ApplicationId,
        /// Which.
        job: JobId,
    },
    /// To the client: its job is refused.
    Refused {
        /// Whose.
        application: ApplicationId,
        /// Which.
        job: JobId,
        /// Why.
        message: String,
    },
    /// To the store: keep a job until it has ended; done before it is accepted.
    StoreJob {
        /// Whose.
        application: ApplicationId,
        /// The job.
        submission: JobSubmission,
        /// As it was submitted.
        attached: Option<OnClientLoss>,
    },
    /// To the store and to whoever waits: how a job ended; the job itself needn't be kept any more.
    StoreResult {
        /// Whose.
        application: ApplicationId,
        /// Which execution of its program.
        execution: u32,
        /// How it ended.
        outcome: Arc<JobOutcome>,
    },
    /// To the store: a finished job is one too many.
    RemoveResult {
        /// Which.
        job: JobId,
    },
    /// To a JobMaster, as [`JobEvent::Cancel`](crate::jobmaster::JobEvent::Cancel).
    CancelJob {
        /// Whose.
        application: ApplicationId,
        /// Which.
        job: JobId,
    },
    /// To a JobMaster, as [`JobEvent::Close`](crate::jobmaster::JobEvent::Close).
    CloseApplication {
        /// Whose.
        application: ApplicationId,
    },
    /// To the timer: hand in [`DispatcherEvent::Tick`] then; replaces the moment named before.
    WakeAt(Timestamp),
}

/// A line of the list of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobLine {
    /// Which.
    pub job: JobId,
    /// Whose.
    pub application: ApplicationId,
    /// Which execution of its program, from 1.
    pub execution: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub state: JobState,
    /// Whether a JobManager before this one has run it.
    pub recovered: bool,
    /// When it was submitted.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Of a job that has ended: the last view of it. Of others the JobMaster has one.
    pub last_view: Option<Arc<JobView>>,
}
