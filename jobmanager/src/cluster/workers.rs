//! Workers: their connections, and what they are told of the executions of their program.

use crate::cluster::{Cluster, Outgoing, WORKER_TIMEOUT, log};
use flinkrs_control::jobmaster::{JobEvent, TaskUpdate};
use flinkrs_core::id::OperatorId;
use flinkrs_protocol::{ApplicationId, Failure, JobId, TaskExecutorId, TaskState, WorkerId};
use flinkrs_rpc::body;
use flinkrs_rpc::message::{FromWorker, SinkStep, ToTaskExecutor, ToWorker};
use flinkrs_rpc::proto::GatewayMessage;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// A worker that is connected.
pub(crate) struct WorkerHandle {
    out: Outgoing,
    task_executor: TaskExecutorId,
    /// The job whose execution it was told of last.
    told: Option<JobId>,
    heard: Instant,
}

impl WorkerHandle {
    /// Whether it could be sent; one that takes nothing is lost.
    fn send(&self, encoded: Vec<u8>) -> bool {
        self.out.try_send(GatewayMessage { encoded }).is_ok()
    }
}

impl Cluster {
    /// A worker introduces itself: it is told what came of earlier executions, so that its program gets to the present.
    pub(super) fn worker_connected(&mut self, registration: FromWorker, out: Outgoing) {
        let FromWorker::Register { application, worker, task_executor, data_address } = registration else { return };
        let Some(of) = self.applications.get_mut(&application) else { return };
        let task_executor = TaskExecutorId::from(task_executor);
        let handle = WorkerHandle { out, task_executor: task_executor.clone(), told: None, heard: Instant::now() };
        let ended = of.history.iter().enumerate();
        let ended = ended.map(|(i, result)| ToWorker::Ended { execution: i as u32 + 1, result: result.clone() });
        let mut told = std::iter::once(ToWorker::Registered).chain(ended);
        if !told.all(|message| body::encode(&message).is_ok_and(|encoded| handle.send(encoded))) {
            return;
        }
        of.workers.insert(worker, handle);
        let data_address = data_address.into();
        self.job(application, JobEvent::WorkerReady { worker, task_executor, data_address });
    }

    pub(super) fn worker_says(&mut self, application: ApplicationId, worker: WorkerId, message: FromWorker) {
        let Some(of) = self.applications.get_mut(&application) else { return };
        let Some(handle) = of.workers.get_mut(&worker) else { return };
        handle.heard = Instant::now();
        match message {
            FromWorker::Register { .. } | FromWorker::Heartbeat => {}
            FromWorker::Unfit(failure) => {
                // A program that ends after its last job is right to do so.
                if of.master.as_ref().is_some_and(|master| master.current_job().is_some()) {
                    log(&format!("worker {worker} of application {application} is unfit: {failure}"));
                }
                if let Some(task_executor) = self.forget_worker(application, worker) {
                    self.tell_task_executor(&task_executor, &ToTaskExecutor::StopWorker { application, worker });
                }
                self.job(application, JobEvent::WorkerLost { worker, failure });
            }
            FromWorker::Task { job, execution, state, failure, accumulators, report, looping } => {
                if let Some(record) = self.jobs.get_mut(&job).filter(|_| state == TaskState::Finished) {
                    let at = (execution.vertex, execution.subtask);
                    record.finished.insert(at, execution.attempt);
                    if !accumulators.is_empty() {
                        record.accumulators.insert(at, accumulators.clone());
                    }
                    record.report(report.into_iter().collect(), looping.into_iter().collect());
                }
                let update = TaskUpdate { job, worker, execution, state, failure, accumulators };
                self.job(application, JobEvent::TaskChanged(update));
            }
            FromWorker::PartitionUnavailable { job, consumer, partition, message } => {
                self.job(application, JobEvent::PartitionUnavailable { job, consumer, partition, message });
            }
            FromWorker::Result { job, sink, execution, block } => {
                if let Err(error) = self.store.append_result(job, sink, execution, &block) {
                    let failure = Failure::from(&error);
                    let state = TaskState::Failed;
                    let accumulators = BTreeMap::new();
                    let update = TaskUpdate { job, worker, execution, state, failure: Some(failure), accumulators };
                    self.job(application, JobEvent::TaskChanged(update));
                }
            }
            FromWorker::SplitRequest { job, execution } => {
                self.job(application, JobEvent::SplitRequested { job, execution });
            }
            FromWorker::Sinks { job, step, result } => self.job(
                application,
                match step {
                    SinkStep::Begin => JobEvent::SinksBegun { job, worker, result },
                    SinkStep::Commit => JobEvent::SinksCommitted { job, worker, result },
                    SinkStep::Abort => JobEvent::SinksAborted { job, worker },
                },
            ),
            FromWorker::Report { job, tasks, loops } => {
                if let Some(record) = self.jobs.get_mut(&job) {
                    record.report(tasks, loops);
                }
            }
        }
    }

    /// A worker's connection has ended, or it is silent.
    pub(super) fn worker_gone(&mut self, application: ApplicationId, worker: WorkerId, how: &str) {
        if self.forget_worker(application, worker).is_some() {
            self.job(application, JobEvent::WorkerDisconnected { worker, reason: how.to_owned() });
        }
    }

    /// Closes the connection to a worker, which then ends; on which TaskExecutor that is.
    pub(super) fn forget_worker(&mut self, application: ApplicationId, worker: WorkerId) -> Option<TaskExecutorId> {
        let of = self.applications.get_mut(&application)?;
        of.workers.remove(&worker).map(|handle| handle.task_executor)
    }

    /// Sends a message about a job, and before the first of them the execution that it is about.
    pub(super) fn tell_of_job(&mut self, application: ApplicationId, worker: WorkerId, job: JobId, message: &ToWorker) {
        let (Some(of), Some(record)) = (self.applications.get_mut(&application), self.jobs.get(&job)) else { return };
        let Some(handle) = of.workers.get_mut(&worker) else { return };
        let knows = handle.told == Some(job) || handle.send(record.execution.clone());
        handle.told = Some(job);
        if !(knows && body::encode(message).is_ok_and(|encoded| handle.send(encoded))) {
            self.worker_gone(application, worker, "it takes no messages");
        }
    }

    pub(super) fn sinks(&mut self, application: ApplicationId, worker: WorkerId, job: JobId, step: SinkStep) {
        let attempts = self.jobs.get(&job).map(|record| record.sink_attempts()).unwrap_or_default();
        let attempts: BTreeMap<OperatorId, Vec<u32>> = attempts;
        self.tell_of_job(application, worker, job, &ToWorker::Sinks { job, step, attempts });
    }

    /// Says to all workers of an application that an execution is over.
    pub(super) fn tell_ended(&mut self, application: ApplicationId, message: &ToWorker) {
        let Some(of) = self.applications.get(&application) else { return };
        let Ok(encoded) = body::encode(message) else { return };
        let lost: Vec<WorkerId> =
            of.workers.iter().filter(|(_, handle)| !handle.send(encoded.clone())).map(|(worker, _)| *worker).collect();
        lost.into_iter().for_each(|worker| self.worker_gone(application, worker, "it takes no messages"));
    }

    /// Looks for silent workers, and tells the others that this process is alive.
    pub(super) fn sweep_workers(&mut self) {
        let mut silent = Vec::new();
        for (application, of) in &self.applications {
            for (worker, handle) in &of.workers {
                if handle.heard.elapsed() > WORKER_TIMEOUT {
                    silent.push((*application, *worker));
                }
            }
        }
        for (application, worker) in silent {
            let how = format!("nothing was heard of it for {} s", WORKER_TIMEOUT.as_secs());
            self.worker_gone(application, worker, &how);
        }
    }
}
