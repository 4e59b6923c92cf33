//! What a JobMaster hears and what it says.

use crate::options::JobOptions;
use crate::time::Timestamp;
use crate::view::{JobView, SubtaskView};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::source::Split;
use flinkrs_protocol::{
    Deployment, ExecutionId, Failure, JobGraph, JobId, JobState, PartitionId, SlotId, TaskExecutorId, TaskState,
    WorkerId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job for the JobMaster of its application.
#[derive(Clone, Debug)]
pub struct JobSubmission {
    /// Which job it is.
    pub job: JobId,
    /// Which execution of its program, from 1.
    pub execution: u32,
    /// What to run; it validates.
    pub graph: Arc<JobGraph>,
    /// Whether it has sinks that are to be begun and committed.
    pub has_sinks: bool,
    /// How it is treated.
    pub options: JobOptions,
    /// What a JobManager before this one has left of it.
    pub recovered: Recovered,
}

/// Where a job was when its JobManager went away.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovered {
    /// It is new.
    No,
    /// It ran: it starts again, its loops go on from their snapshots.
    Running,
    /// All its tasks had finished, and it was recorded that its sinks would be committed: only that is left to do. With
    /// the accumulators that were recorded.
    Committing(BTreeMap<String, AccumulatorValue>),
}

/// What a JobMaster hears. Events of one connection arrive in the order in which they were sent.
#[derive(Clone, Debug)]
pub enum JobEvent {
    /// A job to run; the one before has ended.
    Submit(JobSubmission),
    /// The program has ended: there are no more jobs. What still runs goes on to its end.
    Close,
    /// The ResourceManager gives slots.
    SlotsGranted {
        /// Which, and where they are.
        slots: Vec<GrantedSlot>,
    },
    /// The ResourceManager can't give all that was asked for; repeated when the numbers change.
    SlotsMissing {
        /// TaskExecutors that are registered.
        task_executors: u32,
        /// Slots that they have.
        slots: u32,
        /// Slots of these that nobody uses.
        free_slots: u32,
    },
    /// There will be no more TaskExecutors than there are: a job that is not being committed fails.
    NoMoreSlots {
        /// Why.
        message: String,
    },
    /// A TaskExecutor is lost, with its slots and its workers; its finished partitions may come back by
    /// [`PartitionsFound`](JobEvent::PartitionsFound).
    TaskExecutorLost {
        /// Which.
        task_executor: TaskExecutorId,
        /// How it was noticed.
        reason: String,
    },
    /// A TaskExecutor has come with finished partitions of this JobManager's time: its own from before its connection
    /// broke, or those of one that was killed beside it. What is of no use is answered by
    /// [`JobCommand::ReleasePartitions`].
    PartitionsFound {
        /// Which TaskExecutor.
        task_executor: TaskExecutorId,
        /// Its host, as splits name hosts.
        host: Arc<str>,
        /// Host and port where it serves them.
        data_address: Arc<str>,
        /// The job.
        job: JobId,
        /// All that it has of the job.
        partitions: Vec<PartitionId>,
    },
    /// A worker has connected and can take deployments.
    WorkerReady {
        /// Which, as named by [`JobCommand::StartWorker`].
        worker: WorkerId,
        /// Its TaskExecutor.
        task_executor: TaskExecutorId,
        /// Host and port where it listens for other workers.
        data_address: Arc<str>,
    },
    /// The connection of a worker has broken. Its process may still run, so its TaskExecutor is told to end it, and
    /// [`WorkerLost`](JobEvent::WorkerLost) is waited for before anything of it runs elsewhere.
    WorkerDisconnected {
        /// Which.
        worker: WorkerId,
        /// How it was noticed.
        reason: String,
    },
    /// A worker's process has ended, or could not be started: its TaskExecutor says so.
    WorkerLost {
        /// Which.
        worker: WorkerId,
        /// Why. With [`FailureKind::Usage`](flinkrs_protocol::FailureKind::Usage) no other is started: the job fails.
        failure: Failure,
    },
    /// A task has changed its state.
    TaskChanged(TaskUpdate),
    /// A consumer could not read a partition: it is gone or corrupt. The consumer has stopped, or will when told.
    PartitionUnavailable {
        /// The job.
        job: JobId,
        /// Who wanted it.
        consumer: ExecutionId,
        /// What it wanted.
        partition: PartitionId,
        /// What it met.
        message: String,
    },
    /// A task asks for its next split; it asks again only after an answer.
    SplitRequested {
        /// The job.
        job: JobId,
        /// Who asks.
        execution: ExecutionId,
    },
    /// What became of [`JobCommand::BeginSinks`].
    SinksBegun {
        /// The job.
        job: JobId,
        /// The worker that did it.
        worker: WorkerId,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// What became of [`JobCommand::RecordCommit`].
    CommitRecorded {
        /// The job.
        job: JobId,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// What became of [`JobCommand::CommitSinks`].
    SinksCommitted {
        /// The job.
        job: JobId,
        /// The worker that did it.
        worker: WorkerId,
        /// How it went.
        result: Result<(), Failure>,
    },
    /// [`JobCommand::AbortSinks`] is done, as far as it could be.
    SinksAborted {
        /// The job.
        job: JobId,
        /// The worker that did it.
        worker: WorkerId,
    },
    /// The job shall stop.
    Cancel {
        /// The job.
        job: JobId,
    },
    /// Time has passed: due at the moment that [`JobCommand::WakeAt`] named last; harmless at any other.
    Tick,
}

/// A slot that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedSlot {
    /// Which.
    pub slot: SlotId,
    /// The host of its TaskExecutor, as splits name hosts.
    pub host: Arc<str>,
    /// Host and port where the TaskExecutor serves finished partitions.
    pub data_address: Arc<str>,
}

/// A task's new state, as its worker reports it: INITIALIZING, RUNNING, FINISHED, CANCELED or FAILED.
///
/// Before a worker says FINISHED it has handed the task's blocking partitions to its TaskExecutor.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskUpdate {
    /// The job.
    pub job: JobId,
    /// The worker that says so.
    pub worker: WorkerId,
    /// Which attempt.
    pub execution: ExecutionId,
    /// Where it is now.
    pub state: TaskState,
    /// Why it FAILED.
    pub failure: Option<Failure>,
    /// Of a task that has FINISHED: its accumulators.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// What a JobMaster wants done. Commands are carried out in their order, as far as they go to the same process.
#[derive(Clone, Debug)]
pub enum JobCommand {
    /// To the ResourceManager: the application wants so many slots in all.
    RequestSlots {
        /// Those that it has among them; 0 when it needs no more.
        total: u32,
    },
    /// To the ResourceManager: these slots can go to others.
    ReleaseSlots {
        /// Which.
        slots: Vec<SlotId>,
    },
    /// To a TaskExecutor: start the application's worker.
    StartWorker {
        /// Where.
        task_executor: TaskExecutorId,
        /// What it is called; each start has a name of its own.
        worker: WorkerId,
        /// How many slots the application has there: the worker's share of what the TaskExecutor's slots divide.
        slots: u32,
    },
    /// To a TaskExecutor: end a worker, at once; answered by [`JobEvent::WorkerLost`], if it hasn't been said already.
    StopWorker {
        /// Where.
        task_executor: TaskExecutorId,
        /// Which.
        worker: WorkerId,
    },
    /// To the connection of a worker whose TaskExecutor is lost: close it. A worker without its connection ends itself.
    DisconnectWorker {
        /// Which.
        worker: WorkerId,
    },
    /// To a worker: run these tasks.
    Deploy {
        /// Which worker.
        worker: WorkerId,
        /// What it runs.
        deployment: Deployment,
    },
    /// To a worker: stop these tasks; each answers by its last state.
    CancelTasks {
        /// Which worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
        /// Which tasks.
        executions: Vec<ExecutionId>,
    },
    /// To a worker: the answer to [`JobEvent::SplitRequested`].
    AssignSplit {
        /// Which worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
        /// Who asked.
        execution: ExecutionId,
        /// Position in [`JobSource::splits`](flinkrs_protocol::JobSource::splits) and the split itself, or `None`:
        /// there are no more.
        split: Option<(u32, Split)>,
    },
    /// To a TaskExecutor: remove finished partitions of a job.
    ReleasePartitions {
        /// Which.
        task_executor: TaskExecutorId,
        /// The job.
        job: JobId,
        /// Which partitions, or `None`: all of the job.
        partitions: Option<Vec<PartitionId>>,
    },
    /// To a worker: prepare the sinks of the job.
    BeginSinks {
        /// Which worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// To the store: the job's sinks will be committed, whatever becomes of this JobManager.
    RecordCommit {
        /// The job.
        job: JobId,
        /// What its tasks have counted, for [`Recovered::Committing`].
        accumulators: BTreeMap<String, AccumulatorValue>,
    },
    /// To a worker: make visible what the sinks wrote. May be repeated, also in another worker.
    CommitSinks {
        /// Which worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// To a worker: remove what the sinks wrote. May be repeated, also in another worker.
    AbortSinks {
        /// Which worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
    },
    /// To the timer: hand in [`JobEvent::Tick`] then; replaces the moment named before.
    WakeAt(Timestamp),
    /// To the Dispatcher: the job has another state.
    StateChanged {
        /// The job.
        job: JobId,
        /// Where it is now.
        state: JobState,
    },
    /// To the Dispatcher: the job has ended.
    Ended(Box<JobOutcome>),
    /// To the Dispatcher: the application has ended and holds nothing any more; the last command.
    Closed,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub struct JobOutcome {
    /// Which job.
    pub job: JobId,
    /// FINISHED, FAILED or CANCELED.
    pub state: JobState,
    /// Why it FAILED, with everything that was tried.
    pub failure: Option<Failure>,
    /// Merged over all tasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// The last view of it.
    pub view: JobView,
    /// Its subtasks by vertex; none of a job with more than [`SUBTASKS_KEPT`], nor of one that a JobManager before has
    /// run.
    pub subtasks: Vec<Vec<SubtaskView>>,
}

/// Subtasks of an ended job at most, so that they are kept for whoever looks at it.
pub const SUBTASKS_KEPT: usize = 4096;
