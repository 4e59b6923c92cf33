//! The JobMaster: one application's jobs, one after another, from submission to outcome.
//!
//! A job goes through *phases* (`sinks`): its sinks are begun, its regions run, its sinks are committed or aborted.
//! While it runs, a region goes through *stages* (`job`): it waits for input and slots (`schedule`), has slots and
//! waits for its workers, is deployed (`deploy`), and finishes, or is stopped and runs again (`tasks`). What a lost
//! TaskExecutor had of finished regions may come back with its successor (`absent`).

mod absent;
mod deploy;
mod job;
mod message;
mod pool;
mod schedule;
mod sinks;
mod tasks;
mod timers;

pub use message::{GrantedSlot, JobCommand, JobEvent, JobOutcome, JobSubmission, Recovered, SUBTASKS_KEPT, TaskUpdate};

use crate::scheduler::SlotKey;
use crate::time::Timestamp;
use crate::view::{JobView, SubtaskView};
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ApplicationId, Failure, JobId, PartitionId, SlotId, TaskExecutorId, WorkerId};
use job::{Context, Goal, Job};
use pool::{Pool, Worker};
use std::sync::Arc;
use timers::{Out, Timer};

/// The decisions for one application.
pub struct JobMaster {
    application: ApplicationId,
    pool: Pool,
    job: Option<Job>,
    capacity: Capacity,
    /// The slots that the ResourceManager knows to be wanted.
    requested: u32,
    closing: bool,
    closed: bool,
    out: Out,
}

/// What the ResourceManager said of the cluster when it could not give enough.
#[derive(Clone, Copy, Debug, Default)]
struct Capacity {
    task_executors: u32,
    slots: u32,
    free_slots: u32,
}

impl JobMaster {
    /// A JobMaster without a job. Its workers are numbered from `first_worker`, which is greater than what any
    /// JobMaster of the application before it has come to: a time in microseconds will do.
    pub fn new(application: ApplicationId, first_worker: u64) -> JobMaster {
        JobMaster {
            application,
            pool: Pool::new(first_worker),
            job: None,
            capacity: Capacity::default(),
            requested: 0,
            closing: false,
            closed: false,
            out: Out::default(),
        }
    }

    /// Whose it is.
    pub fn application(&self) -> ApplicationId {
        self.application
    }

    /// The job that is being run.
    pub fn current_job(&self) -> Option<JobId> {
        self.job.as_ref().map(|job| job.id)
    }

    /// The slots and workers of the application.
    pub fn resources(&self) -> (Vec<SlotId>, Vec<(TaskExecutorId, WorkerId)>) {
        let executors = || self.pool.executors().map(|(_, executor)| executor);
        let slots = executors().flat_map(|executor| {
            executor.slots.iter().map(|index| SlotId { task_executor: executor.info.id.clone(), index: *index })
        });
        let worker = |executor: &pool::Executor| Some((executor.info.id.clone(), executor.worker.id()?));
        (slots.collect(), executors().filter_map(worker).collect())
    }

    /// A view of the job that is being run.
    pub fn view(&self) -> Option<JobView> {
        self.job.as_ref().map(|job| self.view_of(job))
    }

    /// The subtasks of a vertex of the job that is being run.
    pub fn subtasks(&self, vertex: VertexId) -> Option<Vec<SubtaskView>> {
        self.job.as_ref()?.graph.subtask_views(vertex)
    }

    fn view_of(&self, job: &Job) -> JobView {
        JobView {
            job: job.id,
            application: self.application,
            name: job.graph.graph.name.as_str().into(),
            state: job.graph.state(),
            timestamps: job.graph.timestamps(),
            restarts: job.restarts,
            waiting_for: job.waiting_for(self.capacity).map(Arc::from),
            vertices: job.graph.vertex_views(),
            exceptions: job.history.entries().cloned().collect(),
        }
    }

    /// Takes in what has happened, and says what is to be done.
    pub fn handle(&mut self, event: JobEvent, now: Timestamp) -> Vec<JobCommand> {
        if self.closed {
            return Vec::new();
        }
        match event {
            JobEvent::Submit(submission) => self.submit(submission, now),
            JobEvent::Close => self.closing = true,
            JobEvent::SlotsGranted { slots } => self.granted(&slots, now),
            JobEvent::SlotsMissing { task_executors, slots, free_slots } => {
                self.capacity = Capacity { task_executors, slots, free_slots };
            }
            JobEvent::NoMoreSlots { message } => self.with_job(now, |job, cx| job.abandon(message, cx)),
            JobEvent::TaskExecutorLost { task_executor, reason } => self.executor_lost(&task_executor, &reason, now),
            JobEvent::PartitionsFound { task_executor, host, data_address, job, partitions } => {
                let executor = self.pool.meet(&task_executor, &host, &data_address);
                self.partitions_found(executor, job, partitions, now);
            }
            JobEvent::WorkerReady { worker, data_address, .. } => {
                if self.pool.worker_ready(worker, data_address) {
                    self.with_job(now, |job, _| job.worker_ready(worker));
                }
            }
            JobEvent::WorkerDisconnected { worker, reason } => self.pool.stop_worker(worker, reason, &mut self.out),
            JobEvent::WorkerLost { worker, failure } => self.worker_lost(worker, failure, now),
            JobEvent::Tick => self.tick(now),
            of_job => self.job_event(of_job, now),
        }
        self.with_job(now, |job, cx| job.drive(cx));
        self.end_job();
        if self.closing && self.job.is_none() {
            self.close();
        }
        self.out.take()
    }

    fn with_job(&mut self, now: Timestamp, act: impl FnOnce(&mut Job, &mut Context)) {
        if let Some(job) = &mut self.job {
            act(job, &mut Context { pool: &mut self.pool, out: &mut self.out, now });
        }
    }

    fn submit(&mut self, submission: JobSubmission, now: Timestamp) {
        assert!(self.job.is_none(), "job {} came before the one before had ended", submission.job);
        let mut cx = Context { pool: &mut self.pool, out: &mut self.out, now };
        let job = Job::new(submission, &mut cx);
        let wanted = job.slots_wanted();
        self.job = Some(job);
        self.request(wanted);
    }

    fn request(&mut self, total: u32) {
        if total != self.requested {
            self.requested = total;
            self.out.push(JobCommand::RequestSlots { total });
        }
    }

    fn granted(&mut self, slots: &[GrantedSlot], now: Timestamp) {
        let keys: Vec<SlotKey> = slots.iter().map(|slot| self.pool.add(slot)).collect();
        self.with_job(now, |job, cx| {
            keys.into_iter().for_each(|slot| job.slots.add(slot));
            job.start_workers(cx);
        });
    }

    fn executor_lost(&mut self, id: &TaskExecutorId, reason: &str, now: Timestamp) {
        let Some((number, info, workers)) = self.pool.executor_lost(id) else { return };
        workers.iter().for_each(|worker| self.out.push(JobCommand::DisconnectWorker { worker: *worker }));
        let reason = format!("TaskExecutor {id} on {} is lost: {reason}", info.host);
        self.with_job(now, |job, cx| job.executor_lost(number, &workers, &reason, cx));
    }

    fn partitions_found(&mut self, executor: u32, job: JobId, partitions: Vec<PartitionId>, now: Timestamp) {
        if self.current_job() == Some(job) {
            return self.with_job(now, |job, cx| job.partitions_found(executor, partitions, cx));
        }
        let task_executor = self.pool.known(executor).info.id.clone();
        self.out.push(JobCommand::ReleasePartitions { task_executor, job, partitions: None });
    }

    fn worker_lost(&mut self, worker: WorkerId, mut failure: Failure, now: Timestamp) {
        let Some(was) = self.pool.worker_lost(worker) else { return };
        if let Worker::Stopping(_, reason) = &was {
            failure.message = format!("{reason}; {}", failure.message);
        }
        self.with_job(now, |job, cx| job.worker_lost(worker, !matches!(was, Worker::Ready(..)), &failure, cx));
    }

    fn tick(&mut self, now: Timestamp) {
        while let Some(timer) = self.out.due(now) {
            if let Timer::WorkerStart(worker) = timer {
                self.start_due(worker);
                continue;
            }
            let capacity = self.capacity;
            self.with_job(now, |job, cx| match timer {
                Timer::Restart => job.restart_due(cx),
                Timer::Slots => job.slots_due(capacity, cx),
                Timer::IdleSlots => job.idle_slots_due(cx),
                Timer::Absence => job.absence_due(cx),
                Timer::Cancellation(worker) => job.cancellation_due(worker, cx),
                Timer::Abort => job.abort_due(cx),
                Timer::WorkerStart(_) => {}
            });
        }
    }

    /// A worker may have taken too long to start.
    fn start_due(&mut self, worker: WorkerId) {
        let executor = self.pool.executor_of(worker).and_then(|number| self.pool.executor(number));
        if executor.is_some_and(|of| matches!(of.worker, Worker::Starting(id) if id == worker)) {
            let seconds = self.job.as_ref().map_or(0.0, |job| job.options.worker_start_timeout.as_secs_f64());
            let reason = format!("worker {worker} has not started within {seconds} s (worker.start-timeout)");
            self.pool.stop_worker(worker, reason, &mut self.out);
        }
    }

    /// An event of the job that is being run; those of earlier jobs are of no interest any more.
    fn job_event(&mut self, event: JobEvent, now: Timestamp) {
        let current = self.current_job();
        self.with_job(now, |of, cx| match event {
            JobEvent::TaskChanged(update) if Some(update.job) == current => of.task_changed(update, cx),
            JobEvent::PartitionUnavailable { job, consumer, partition, message } if Some(job) == current => {
                of.partition_unavailable(consumer, partition, &message, cx);
            }
            JobEvent::SplitRequested { job, execution } if Some(job) == current => of.split_requested(execution, cx),
            JobEvent::SinksBegun { job, worker, result } if Some(job) == current => of.sinks_begun(worker, result, cx),
            JobEvent::CommitRecorded { job, result } if Some(job) == current => of.commit_recorded(result, cx),
            JobEvent::SinksCommitted { job, worker, result } if Some(job) == current => {
                of.sinks_committed(worker, result, cx);
            }
            JobEvent::SinksAborted { job, worker } if Some(job) == current => of.sinks_aborted(worker, cx),
            JobEvent::Cancel { job } if Some(job) == current => of.cancel(cx),
            _ => {}
        });
    }

    /// Says how the job has ended, if it has.
    fn end_job(&mut self) {
        let Some(mut job) = self.job.take_if(|job| job.has_ended()) else { return };
        let view = self.view_of(&job);
        let failure = match job.goal.take() {
            Some(Goal::Failed(failure)) => Some(failure),
            _ => None,
        };
        let accumulators = std::mem::take(&mut job.accumulators);
        let vertices = &job.graph.graph.vertices;
        let is_small = vertices.iter().map(|vertex| vertex.parallelism as usize).sum::<usize>() <= SUBTASKS_KEPT;
        let kept = vertices.iter().filter(|_| is_small);
        let subtasks = kept.filter_map(|vertex| job.graph.subtask_views(vertex.id)).collect();
        let outcome = JobOutcome { job: job.id, state: job.graph.state(), failure, accumulators, view, subtasks };
        self.out.push(JobCommand::Ended(Box::new(outcome)));
    }

    /// Gives everything back.
    fn close(&mut self) {
        self.request(0);
        self.pool.release_all(&mut self.out);
        self.out.push(JobCommand::Closed);
        self.closed = true;
    }
}

#[cfg(test)]
mod tests;
