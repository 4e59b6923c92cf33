//! TaskExecutors: their connections, the workers that they start, and logs.

use crate::cluster::{Cluster, Outgoing, Reply, log};
use flinkrs_control::jobmaster::JobEvent;
use flinkrs_control::resource_manager::{Registration, ResourceEvent};
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, JobId, PartitionId, TaskExecutorId, WorkerId};
use flinkrs_rpc::body;
use flinkrs_rpc::logs::LogFile;
use flinkrs_rpc::message::{FromTaskExecutor, Logs, ToTaskExecutor};
use flinkrs_rpc::program::Glibc;
use flinkrs_rpc::proto::{GatewayMessage, LogChunk};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A TaskExecutor that is connected.
pub(crate) struct TaskExecutorHandle {
    out: Outgoing,
    pub(super) host: String,
    /// Where it serves finished partitions.
    data_address: Arc<str>,
    /// The GLIBC that programs find there.
    pub(super) glibc: Option<Glibc>,
}

/// Requests for logs that are answered at a time.
const LOG_REQUESTS_MAX: usize = 256;

/// Somebody who waits for logs, and the TaskExecutors that haven't sent all of theirs.
pub(crate) struct LogRequest {
    to: LogsTo,
    waits_for: BTreeSet<TaskExecutorId>,
}

/// Where logs go.
enum LogsTo {
    Pieces(mpsc::Sender<LogChunk>),
    List(Reply<Vec<LogFile>>),
}

impl Cluster {
    pub(super) fn task_executor_connected(&mut self, registration: FromTaskExecutor, out: Outgoing) {
        let FromTaskExecutor::Register { task_executor, host, data_address, slots, slot_bytes, glibc } = registration
        else {
            return;
        };
        let task_executor = TaskExecutorId::from(task_executor);
        let data_address: Arc<str> = data_address.into();
        let handle = TaskExecutorHandle { out, host: host.clone(), data_address: Arc::clone(&data_address), glibc };
        self.task_executors.insert(task_executor.clone(), handle);
        self.resource(ResourceEvent::Register(Registration {
            task_executor,
            host: host.into(),
            data_address,
            slots,
            slot_bytes,
        }));
    }

    pub(super) fn task_executor_says(&mut self, task_executor: TaskExecutorId, message: FromTaskExecutor) {
        match message {
            FromTaskExecutor::Register { .. } => log(&format!("TaskExecutor {task_executor} registers twice")),
            FromTaskExecutor::Heartbeat { process, workers } => {
                if self.task_executors.contains_key(&task_executor) {
                    self.used.insert(task_executor.clone(), (process, workers));
                }
                self.tell_task_executor(&task_executor, &ToTaskExecutor::Heartbeat);
                self.resource(ResourceEvent::Heartbeat { task_executor });
            }
            FromTaskExecutor::WorkerLost { application, worker, failure } => {
                // With its application a worker has no more to do.
                if self.applications.contains_key(&application) {
                    log(&format!("worker {worker} of application {application} is lost: {failure}"));
                }
                self.forget_worker(application, worker);
                self.job(application, JobEvent::WorkerLost { worker, failure });
            }
            FromTaskExecutor::Partitions { job, partitions } => self.partitions_found(task_executor, job, partitions),
            FromTaskExecutor::Log { request, name, content } => self.log_came(task_executor, request, name, content),
            FromTaskExecutor::LogFiles { request, files } => {
                if let Some(LogRequest { to: LogsTo::List(reply), .. }) = self.logs.remove(&request) {
                    let _ = reply.send(Ok(files));
                }
            }
        }
    }

    /// A TaskExecutor has partitions of a job; one that has ended needs none any more.
    fn partitions_found(&mut self, task_executor: TaskExecutorId, job: JobId, partitions: Vec<PartitionId>) {
        let Some(handle) = self.task_executors.get(&task_executor) else { return };
        let application = self.dispatcher.job(job).map(|of| of.application);
        let Some(application) = application.filter(|application| self.applications.contains_key(application)) else {
            return self
                .tell_task_executor(&task_executor, &ToTaskExecutor::ReleasePartitions { job, partitions: None });
        };
        let (host, data_address) = (handle.host.as_str().into(), Arc::clone(&handle.data_address));
        self.resource(ResourceEvent::PartitionsFound { task_executor: task_executor.clone(), application });
        self.job(application, JobEvent::PartitionsFound { task_executor, host, data_address, job, partitions });
    }

    pub(super) fn task_executor_gone(&mut self, task_executor: TaskExecutorId) {
        self.forget_task_executor(&task_executor);
        let reason = "its connection has ended".to_owned();
        self.resource(ResourceEvent::Disconnected { task_executor, reason });
    }

    /// Closes the connection to a TaskExecutor; who waits for its logs waits no more.
    pub(super) fn forget_task_executor(&mut self, task_executor: &TaskExecutorId) {
        self.task_executors.remove(task_executor);
        self.used.remove(task_executor);
        for request in self.logs.values_mut() {
            request.waits_for.remove(task_executor);
        }
        self.logs.retain(|_, request| !request.waits_for.is_empty());
    }

    /// Sends a message; a TaskExecutor that takes none counts as lost.
    pub(super) fn tell_task_executor(&mut self, task_executor: &TaskExecutorId, message: &ToTaskExecutor) {
        let Some(handle) = self.task_executors.get(task_executor) else { return };
        let sent = body::encode(message).map(|encoded| handle.out.try_send(GatewayMessage { encoded }));
        if !matches!(sent, Ok(Ok(()))) {
            self.forget_task_executor(task_executor);
            let (task_executor, reason) = (task_executor.clone(), "it takes no messages".to_owned());
            self.resource(ResourceEvent::Disconnected { task_executor, reason });
        }
    }

    pub(super) fn start_worker(
        &mut self,
        application: ApplicationId,
        task_executor: &TaskExecutorId,
        worker: WorkerId,
        slots: u32,
    ) {
        let Some(of) = self.applications.get(&application) else { return };
        if !self.task_executors.contains_key(task_executor) {
            let failure = Failure::new(FailureKind::Lost, format!("TaskExecutor {task_executor} is lost"));
            return self.job(application, JobEvent::WorkerLost { worker, failure });
        }
        let program = Box::new(of.program.clone());
        self.tell_task_executor(task_executor, &ToTaskExecutor::StartWorker { worker, slots, program });
    }

    /// Asks all TaskExecutors for the logs of a job's workers.
    pub(super) fn read_logs(&mut self, job: JobId, to: mpsc::Sender<LogChunk>) -> Result<()> {
        let of = self.dispatcher.job(job).ok_or_else(|| Error::usage(format!("there is no job {job}")))?;
        let application = of.application;
        let waits_for: BTreeSet<TaskExecutorId> = self.task_executors.keys().cloned().collect();
        if !waits_for.is_empty() {
            self.check_log_requests()?;
            self.ask_for_logs(waits_for, Logs::Application(application), LogsTo::Pieces(to));
        }
        Ok(())
    }

    /// Asks a TaskExecutor for one of its log files.
    pub(super) fn read_log_of(&mut self, id: TaskExecutorId, name: String, to: mpsc::Sender<LogChunk>) -> Result<()> {
        self.check_log_requests()?;
        self.ask_for_logs(BTreeSet::from([id]), Logs::File(name), LogsTo::Pieces(to));
        Ok(())
    }

    /// Asks a TaskExecutor which log files it has.
    pub(super) fn list_logs_of(&mut self, task_executor: TaskExecutorId, reply: Reply<Vec<LogFile>>) {
        match self.check_log_requests() {
            Ok(()) => self.ask_for_logs(BTreeSet::from([task_executor]), Logs::List, LogsTo::List(reply)),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn check_log_requests(&self) -> Result<()> {
        if self.logs.len() < LOG_REQUESTS_MAX {
            return Ok(());
        }
        Err(Error::Resource { message: format!("{LOG_REQUESTS_MAX} others read logs just now") })
    }

    fn ask_for_logs(&mut self, of: BTreeSet<TaskExecutorId>, which: Logs, to: LogsTo) {
        self.last_request += 1;
        let request = self.last_request;
        self.logs.insert(request, LogRequest { to, waits_for: of.clone() });
        for task_executor in of {
            let which = which.clone();
            self.tell_task_executor(&task_executor, &ToTaskExecutor::ReadLogs { request, which });
        }
    }

    fn log_came(&mut self, task_executor: TaskExecutorId, request: u64, name: String, content: Vec<u8>) {
        let Some(waiting) = self.logs.get_mut(&request) else { return };
        let is_last = content.is_empty();
        // Whoever reads too slowly, or no more, gets no more.
        let lost = match &waiting.to {
            LogsTo::Pieces(to) => !is_last && to.try_send(LogChunk { name, content }).is_err(),
            LogsTo::List(_) => false,
        };
        if is_last {
            waiting.waits_for.remove(&task_executor);
        }
        if lost || waiting.waits_for.is_empty() {
            self.logs.remove(&request);
        }
    }

    pub(super) fn tell_all_to_end(&mut self) {
        let all: Vec<TaskExecutorId> = self.task_executors.keys().cloned().collect();
        all.iter().for_each(|task_executor| self.tell_task_executor(task_executor, &ToTaskExecutor::ShutDown));
    }
}
