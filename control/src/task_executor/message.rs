//! What a TaskExecutor hears and what it says.

use crate::resource_manager::Registration;
use crate::time::Timestamp;
use flinkrs_protocol::{ApplicationId, Failure, WorkerId};

/// What a TaskExecutor hears.
#[derive(Clone, Debug)]
pub enum TaskExecutorEvent {
    /// A connection to a JobManager is there.
    Connected,
    /// The JobManager has registered it.
    Registered,
    /// The JobManager refuses it.
    Refused {
        /// Why.
        message: String,
    },
    /// The JobManager is alive.
    Heartbeat,
    /// The connection to the JobManager has broken, or couldn't be made.
    Disconnected {
        /// How it was noticed.
        reason: String,
    },
    /// A JobMaster wants its application's worker here.
    StartWorker {
        /// Whose.
        application: ApplicationId,
        /// What it is called.
        worker: WorkerId,
    },
    /// A JobMaster wants a worker gone.
    StopWorker {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
    },
    /// A worker's process has exited, or could not be started.
    WorkerExited {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
        /// How.
        exit: WorkerExit,
    },
    /// The process shall end.
    Stop,
    /// Time has passed: due at the moment that [`TaskExecutorCommand::WakeAt`] named last.
    Tick,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerExit {
    /// By itself, with an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It could not be started.
    NotStarted(Failure),
}

/// What a TaskExecutor wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskExecutorCommand {
    /// Make a connection to the JobManager; answered by [`TaskExecutorEvent::Connected`] or
    /// [`TaskExecutorEvent::Disconnected`].
    Connect,
    /// To the JobManager: the first message of a connection.
    Register(Registration),
    /// To the JobManager: it is alive.
    Heartbeat,
    /// Close the connection to the JobManager, which counts as lost.
    Disconnect,
    /// Start a worker's process.
    SpawnWorker {
        /// Whose.
        application: ApplicationId,
        /// What it is called.
        worker: WorkerId,
    },
    /// End a worker's process at once; answered by [`TaskExecutorEvent::WorkerExited`].
    KillWorker {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
    },
    /// To the JobMaster of an application, as [`JobEvent::WorkerLost`](crate::jobmaster::JobEvent::WorkerLost).
    ReportWorkerLost {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
        /// How it ended.
        failure: Failure,
    },
    /// End the process.
    Exit {
        /// Why, if that is an error.
        error: Option<Failure>,
    },
    /// To the timer: hand in [`TaskExecutorEvent::Tick`] then; replaces the moment named before.
    WakeAt(Timestamp),
}
