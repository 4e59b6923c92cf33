//! TaskExecutors: their connections, the workers that they start, and logs.

use crate::cluster::{Cluster, Outgoing, log};
use flinkrs_control::jobmaster::JobEvent;
use flinkrs_control::resource_manager::{Registration, ResourceEvent};
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, JobId, TaskExecutorId, WorkerId};
use flinkrs_rpc::body;
use flinkrs_rpc::message::{FromTaskExecutor, ToTaskExecutor};
use flinkrs_rpc::program::Glibc;
use flinkrs_rpc::proto::{GatewayMessage, LogChunk};
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// A TaskExecutor that is connected.
pub(crate) struct TaskExecutorHandle {
    out: Outgoing,
    pub(super) host: String,
    /// The GLIBC that programs find there.
    pub(super) glibc: Option<Glibc>,
}

/// Somebody who waits for logs, and the TaskExecutors that haven't sent all of theirs.
pub(crate) struct LogRequest {
    to: mpsc::Sender<LogChunk>,
    waits_for: BTreeSet<TaskExecutorId>,
}

impl Cluster {
    pub(super) fn task_executor_connected(&mut self, registration: FromTaskExecutor, out: Outgoing) {
        let FromTaskExecutor::Register { task_executor, host, data_address, slots, slot_bytes, glibc } = registration
        else {
            return;
        };
        let task_executor = TaskExecutorId::from(task_executor);
        let handle = TaskExecutorHandle { out, host: host.clone(), glibc };
        self.task_executors.insert(task_executor.clone(), handle);
        self.resource(ResourceEvent::Register(Registration {
            task_executor,
            host: host.into(),
            data_address: data_address.into(),
            slots,
            slot_bytes,
        }));
    }

    pub(super) fn task_executor_says(&mut self, task_executor: TaskExecutorId, message: FromTaskExecutor) {
        match message {
            FromTaskExecutor::Register { .. } => log(&format!("TaskExecutor {task_executor} registers twice")),
            FromTaskExecutor::Heartbeat => {
                self.tell_task_executor(&task_executor, &ToTaskExecutor::Heartbeat);
                self.resource(ResourceEvent::Heartbeat { task_executor });
            }
            FromTaskExecutor::WorkerLost { application, worker, failure } => {
                // With its application a worker has no more to do.
                if self.applications.contains_key(&application) {
                    log(&format!("{worker} of application {application} is lost: {failure}"));
                }
                self.forget_worker(application, worker);
                self.job(application, JobEvent::WorkerLost { worker, failure });
            }
            FromTaskExecutor::Log { request, name, content } => self.log_came(task_executor, request, name, content),
        }
    }

    pub(super) fn task_executor_gone(&mut self, task_executor: TaskExecutorId) {
        self.task_executors.remove(&task_executor);
        for request in self.logs.values_mut() {
            request.waits_for.remove(&task_executor);
        }
        self.logs.retain(|_, request| !request.waits_for.is_empty());
        let reason = "its connection has ended".to_owned();
        self.resource(ResourceEvent::Disconnected { task_executor, reason });
    }

    /// Sends a message; a TaskExecutor that takes none counts as lost.
    pub(super) fn tell_task_executor(&mut self, task_executor: &TaskExecutorId, message: &ToTaskExecutor) {
        let Some(handle) = self.task_executors.get(task_executor) else { return };
        let sent = body::encode(message).map(|encoded| handle.out.try_send(GatewayMessage { encoded }));
        if !matches!(sent, Ok(Ok(()))) {
            self.task_executors.remove(task_executor);
            let (task_executor, reason) = (task_executor.clone(), "it takes no messages".to_owned());
            self.resource(ResourceEvent::Disconnected { task_executor, reason });
        }
    }

    pub(super) fn start_worker(
        &mut self,
        application: ApplicationId,
        task_executor: &TaskExecutorId,
        worker: WorkerId,
    ) {
        let Some(of) = self.applications.get(&application) else { return };
        if !self.task_executors.contains_key(task_executor) {
            let failure = Failure::new(FailureKind::Lost, format!("TaskExecutor {task_executor} is lost"));
            return self.job(application, JobEvent::WorkerLost { worker, failure });
        }
        let program = Box::new(of.program.clone());
        self.tell_task_executor(task_executor, &ToTaskExecutor::StartWorker { worker, program });
    }

    /// Asks all TaskExecutors for the logs of a job's workers.
    pub(super) fn read_logs(&mut self, job: JobId, to: mpsc::Sender<LogChunk>) -> Result<()> {
        let of = self.dispatcher.job(job).ok_or_else(|| Error::usage(format!("there is no job {job}")))?;
        let application = of.application;
        let request = self.logs.keys().max().map_or(0, |last| last + 1);
        let waits_for: BTreeSet<TaskExecutorId> = self.task_executors.keys().cloned().collect();
        if waits_for.is_empty() {
            return Ok(());
        }
        self.logs.insert(request, LogRequest { to, waits_for: waits_for.clone() });
        for task_executor in waits_for {
            self.tell_task_executor(&task_executor, &ToTaskExecutor::ReadLogs { request, application });
        }
        Ok(())
    }

    fn log_came(&mut self, task_executor: TaskExecutorId, request: u64, name: String, content: Vec<u8>) {
        let Some(waiting) = self.logs.get_mut(&request) else { return };
        let is_last = content.is_empty();
        // Whoever reads too slowly, or no more, gets no more.
        let lost = !is_last && waiting.to.try_send(LogChunk { name, content }).is_err();
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
