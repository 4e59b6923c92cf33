//! What is inside of the streams between a JobManager, its TaskExecutors and workers, and of clients' calls.

use crate::logs::LogFile;
use crate::program::Glibc;
use crate::tls::TlsFiles;
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::source::Split;
use flinkrs_protocol::{
    ApplicationId, Deployment, ExecutionId, Failure, JobGraph, JobId, JobState, OperatorPrint, PartitionId, ProcessUse,
    TaskReport, TaskState, WorkerId, WorkerUse,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a TaskExecutor says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromTaskExecutor {
    /// The first message of a connection.
    Register {
        /// Its name, another for each connection.
        task_executor: String,
        /// Its host, as splits name hosts.
        host: String,
        /// Where it serves finished partitions.
        data_address: String,
        /// How many slots it has.
        slots: u32,
        /// Managed memory of each, in bytes.
        slot_bytes: u64,
        /// The GLIBC that its workers find; `None`: there is none.
        glibc: Option<Glibc>,
    },
    /// It is alive, and what it uses.
    Heartbeat {
        /// Its own process.
        process: ProcessUse,
        /// Its workers together.
        workers: WorkerUse,
    },
    /// A worker's process has ended, or couldn't be started.
    WorkerLost {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
        /// How.
        failure: Failure,
    },
    /// It has finished partitions of a job from before it was registered: its own, or those of a TaskExecutor that was
    /// killed on the same machine. What is of no use is released.
    Partitions {
        /// The job.
        job: JobId,
        /// All that it has of it.
        partitions: Vec<PartitionId>,
    },
    /// A piece of the logs that were asked for; the last is empty.
    Log {
        /// As in the request.
        request: u64,
        /// Which file.
        name: String,
        /// What is in it.
        content: Vec<u8>,
    },
    /// The log files that there are, as was asked.
    LogFiles {
        /// As in the request.
        request: u64,
        /// By name.
        files: Vec<LogFile>,
    },
}

/// What a TaskExecutor is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToTaskExecutor {
    /// It is registered; processes of the cluster prove to each other that they have this secret when they exchange
    /// records.
    Registered {
        /// The secret.
        data_secret: Vec<u8>,
    },
    /// It isn't, and why.
    Refused(String),
    /// The JobManager is alive.
    Heartbeat,
    /// Start a worker.
    StartWorker {
        /// What it is called.
        worker: WorkerId,
        /// How many slots its application has there: its share of the memory for the network.
        slots: u32,
        /// The program that it runs.
        program: Box<Program>,
    },
    /// End a worker at once.
    StopWorker {
        /// Whose.
        application: ApplicationId,
        /// Which.
        worker: WorkerId,
    },
    /// Remove finished partitions of a job; `None`: everything of it.
    ReleasePartitions {
        /// Of which job.
        job: JobId,
        /// Which.
        partitions: Option<Vec<PartitionId>>,
    },
    /// Send logs.
    ReadLogs {
        /// To be repeated in the answers.
        request: u64,
        /// Which.
        which: Logs,
    },
    /// The cluster ends, and so does the process.
    ShutDown,
}

/// Which logs of a TaskExecutor are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Logs {
    /// What the workers of an application have printed.
    Application(ApplicationId),
    /// Only which files there are.
    List,
    /// One of them.
    File(String),
}

/// A program as a worker runs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Whose run it is.
    pub application: ApplicationId,
    /// Its name, for people.
    pub name: String,
    /// The SHA-256 of the executable, in hexadecimal digits.
    pub artifact: String,
    /// What it was called with.
    pub arguments: Vec<String>,
    /// The folder that it was called in; paths may be relative to it.
    pub directory: String,
}

/// What a worker finds in the file that its TaskExecutor has written for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Host and port of the JobManager.
    pub jobmanager: String,
    /// The cluster's secret, if it has one.
    pub cluster_secret: Option<Vec<u8>>,
    /// The files of certificates, if the cluster has them.
    pub tls: Option<TlsFiles>,
    /// What it is called.
    pub worker: WorkerId,
    /// Its TaskExecutor.
    pub task_executor: String,
    /// The program that it runs.
    pub program: Program,
    /// What processes prove to each other that they have when they exchange records.
    pub data_secret: Vec<u8>,
    /// The host that it listens on.
    pub bind_host: String,
    /// The host that others find it at.
    pub host: String,
    /// Slots of its TaskExecutor.
    pub slots: u32,
    /// Managed memory of each, in bytes.
    pub slot_bytes: u64,
    /// Memory for the network, in bytes: the part of its TaskExecutor's that its slots are.
    pub network_bytes: u64,
    /// Whether frames are compressed.
    pub compress: bool,
    /// Threads for tasks.
    pub threads: u32,
    /// The folder for spilled data.
    pub temp_dir: String,
    /// The folder of its TaskExecutor for finished partitions.
    pub partitions: String,
    /// The file that it keeps its [`WorkerReport`] in.
    pub report: String,
}

/// What a worker tells its TaskExecutor every now and then.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WorkerReport {
    /// What it uses.
    pub used: WorkerUse,
    /// What it runs.
    pub job: Option<JobTasks>,
}

/// The tasks of a job that a worker runs now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobTasks {
    /// Which job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Vertices that have tasks here: their names, and the position in the plan and the name of each of their
    /// operators.
    pub vertices: BTreeMap<VertexId, (String, Vec<(OperatorId, String)>)>,
    /// What the tasks have done.
    pub tasks: Vec<TaskReport>,
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first message of a connection.
    Register {
        /// Whose.
        application: ApplicationId,
        /// What it is called.
        worker: WorkerId,
        /// On which TaskExecutor.
        task_executor: String,
        /// Where it serves partitions.
        data_address: String,
    },
    /// It is alive.
    Heartbeat,
    /// It can't run the application: its plan is another one, or its program has ended.
    Unfit(Failure),
    /// A task has another state.
    Task {
        /// Of which job.
        job: JobId,
        /// Which attempt.
        execution: ExecutionId,
        /// INITIALIZING, RUNNING, FINISHED, CANCELED or FAILED.
        state: TaskState,
        /// Why it FAILED.
        failure: Option<Failure>,
        /// Of a task that has FINISHED.
        accumulators: BTreeMap<String, AccumulatorValue>,
        /// Of a task that has FINISHED: what it did.
        report: Option<TaskReport>,
        /// Of the last of them in a loop that its process decides about: its position in the graph and encoded report.
        looping: Option<(u32, Vec<u8>)>,
    },
    /// A partition that a task reads is gone or corrupt.
    PartitionUnavailable {
        /// Of which job.
        job: JobId,
        /// Who reads it.
        consumer: ExecutionId,
        /// Which.
        partition: PartitionId,
        /// What was met.
        message: String,
    },
    /// Records of a sink that come back into the program; before the task is said to have FINISHED.
    Result {
        /// Of which job.
        job: JobId,
        /// Of which sink.
        sink: OperatorId,
        /// Which attempt of it.
        execution: ExecutionId,
        /// An encoded block.
        block: Vec<u8>,
    },
    /// A task wants its next split.
    SplitRequest {
        /// Of which job.
        job: JobId,
        /// Which attempt.
        execution: ExecutionId,
    },
    /// A step of the sinks is done, or can't be.
    Sinks {
        /// Of which job.
        job: JobId,
        /// Which step.
        step: SinkStep,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// How far its tasks and loops are.
    Report {
        /// Of which job.
        job: JobId,
        /// All tasks of the job that it has or had.
        tasks: Vec<TaskReport>,
        /// Loops that it decides about, by their position in the graph: encoded reports.
        loops: Vec<(u32, Vec<u8>)>,
    },
}

/// What sinks do as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SinkStep {
    /// Prepare.
    Begin,
    /// Make visible what was written.
    Commit,
    /// Remove it.
    Abort,
}

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// It is known here.
    Registered,
    /// The JobManager is alive.
    Heartbeat,
    /// An execution of the program is a job that runs.
    Execution(Box<Execution>),
    /// Run these tasks.
    Deploy(Box<Deployment>),
    /// Stop these.
    Cancel {
        /// Of which job.
        job: JobId,
        /// Which.
        executions: Vec<ExecutionId>,
    },
    /// The answer to a request for a split.
    Split {
        /// Of which job.
        job: JobId,
        /// Who asked.
        execution: ExecutionId,
        /// `None` when there are no more.
        split: Option<Split>,
    },
    /// Do a step of the sinks.
    Sinks {
        /// Of which job.
        job: JobId,
        /// Which step.
        step: SinkStep,
        /// For a commit: which attempt of each sink's subtasks has finished.
        attempts: BTreeMap<OperatorId, Vec<u32>>,
    },
    /// An execution is over: the program goes on with what came of it.
    Ended {
        /// Which, counted from 1.
        execution: u32,
        /// How.
        result: Result<ExecutionResult, Failure>,
    },
}

/// One execution of a program, as workers hear of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Execution {
    /// Which, counted from 1.
    pub number: u32,
    /// Which job it is.
    pub job: JobId,
    /// What runs; without the splits of its sources.
    pub graph: JobGraph,
    /// The operators of the plan that it was made of: the worker's have to be the same.
    pub operators: Vec<OperatorPrint>,
    /// By edge of the graph: whether what goes along it is kept in files until all who read it have.
    pub stored: Vec<bool>,
    /// Where the states of loops are kept, if they are.
    pub snapshots: Option<Snapshots>,
    /// Values that the client has made so far for all processes of the program, in order.
    pub once: Vec<Vec<u8>>,
}

/// Bytes of the values that a program makes for all of its processes at most.
pub const ONCE_BYTES: usize = 16 << 20;

/// Where and how often the states of loops are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// The folder, which every worker sees.
    pub folder: String,
    /// Supersteps from one to the next.
    pub every: u32,
    /// Whether the first attempt goes on from what another run of the program has left.
    pub resume: bool,
}

/// What an execution has left.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExecutionResult {
    /// Which job it was.
    pub job: Option<JobId>,
    /// How long it ran.
    pub runtime: Duration,
    /// Merged over all tasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// How its loops ended, by their position in the graph: encoded reports.
    pub loops: Vec<(u32, Vec<u8>)>,
    /// Its sinks whose records come back into the program.
    pub results: Vec<OperatorId>,
}

/// A block of the records of a sink that come back into the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultBlock {
    /// Which subtask of the sink wrote it.
    pub subtask: u32,
    /// In which attempt.
    pub attempt: u32,
    /// Encoded records.
    pub block: Vec<u8>,
}

/// A job as a client submits it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// What to run.
    pub graph: JobGraph,
    /// The operators of the plan that it was made of.
    pub operators: Vec<OperatorPrint>,
    /// Whether it has sinks that are begun and committed.
    pub has_sinks: bool,
    /// Sinks whose records come back into the program.
    pub results: Vec<OperatorId>,
    /// Where the states of loops are kept, if they are.
    pub snapshots: Option<Snapshots>,
    /// Values that the client has made so far for all processes of the program, in order.
    pub once: Vec<Vec<u8>>,
    /// The plan as Flink's JSON, for pages.
    pub plan_json: String,
    /// Options of the configuration that count for this job, in place of the cluster's.
    pub settings: BTreeMap<String, String>,
}

/// How far a job is, as its client sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobStatus {
    /// Where it is.
    pub state: JobState,
    /// What it waits for, if it waits for slots.
    pub waiting_for: Option<String>,
    /// How often it was restarted.
    pub restarts: u32,
    /// The newest failure that was followed by a restart.
    pub last_failure: Option<String>,
    /// Its tasks, the newest attempt of each.
    pub tasks: Vec<TaskReport>,
    /// Its loops, by their position in the graph: encoded reports.
    pub loops: Vec<(u32, Vec<u8>)>,
    /// When it has ended.
    pub ended: Option<Result<ExecutionResult, Failure>>,
}

/// A job in the list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobListed {
    /// Which.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: JobState,
    /// When it was submitted, in milliseconds since 1970 UTC.
    pub started_ms: u64,
}
