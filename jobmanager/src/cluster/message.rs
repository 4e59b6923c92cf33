//! What the services tell the cluster.

use flinkrs_control::dispatcher::OnClientLoss;
use flinkrs_core::error::Error;
use flinkrs_protocol::TaskExecutorId;
use flinkrs_protocol::{ApplicationId, JobId, WorkerId};
use flinkrs_rpc::logs::LogFile;
use flinkrs_rpc::message::{FromTaskExecutor, FromWorker, Program, Submission};
use flinkrs_rpc::program::Program as Executable;
use flinkrs_rpc::proto::{GatewayMessage, LogChunk};
use tokio::sync::{mpsc, oneshot};

/// The way of messages to a TaskExecutor or a worker. Whoever doesn't take them counts as lost when it is full.
pub(crate) type Outgoing = mpsc::Sender<GatewayMessage>;

/// Messages that wait for a process at most.
pub(crate) const OUTGOING_MAX: usize = 1 << 16;

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the cluster hears.
pub(crate) enum Message {
    /// A program starts.
    Open { program: Program, executable: Executable, attached: Option<OnClientLoss>, reply: Reply<()> },
    /// The program of an attached client is alive.
    Attached(ApplicationId),
    /// The connection of an attached client has ended.
    ClientLost(ApplicationId),
    /// A program has ended.
    Close { application: ApplicationId, reply: Reply<()> },
    /// A program executes.
    Submit { application: ApplicationId, job: JobId, execution: u32, submission: Box<Submission>, reply: Reply<()> },
    /// Somebody follows a job: encoded statuses go there.
    Watch { job: JobId, to: mpsc::Sender<Vec<u8>>, reply: Reply<()> },
    /// A job shall end.
    Cancel { job: JobId, reply: Reply<()> },
    /// Somebody wants the logs of a job's workers.
    Logs { job: JobId, to: mpsc::Sender<LogChunk>, reply: Reply<()> },
    /// Somebody wants a log file of a TaskExecutor.
    LogOf { task_executor: TaskExecutorId, name: String, to: mpsc::Sender<LogChunk>, reply: Reply<()> },
    /// Somebody wants to know which log files a TaskExecutor has.
    LogsOf { task_executor: TaskExecutorId, reply: Reply<Vec<LogFile>> },
    /// Somebody looks at the state.
    Look(Box<dyn FnOnce(&super::Cluster) + Send>),
    /// A TaskExecutor introduces itself.
    TaskExecutorConnected { registration: FromTaskExecutor, out: Outgoing },
    /// A TaskExecutor says something.
    FromTaskExecutor { task_executor: TaskExecutorId, message: FromTaskExecutor },
    /// The connection of a TaskExecutor has ended.
    TaskExecutorGone { task_executor: TaskExecutorId },
    /// A worker introduces itself.
    WorkerConnected { registration: FromWorker, out: Outgoing },
    /// A worker says something.
    FromWorker { application: ApplicationId, worker: WorkerId, message: FromWorker },
    /// The connection of a worker has ended.
    WorkerGone { application: ApplicationId, worker: WorkerId },
    /// There will be no more TaskExecutors than there are.
    NoMoreSlots(String),
    /// The process shall end.
    ShutDown(Reply<()>),
}
