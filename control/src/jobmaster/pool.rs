//! What an application has on TaskExecutors: slots and workers. Its jobs use them one after another.

use crate::execution_graph::ExecutorInfo;
use crate::jobmaster::timers::{Out, Timer};
use crate::jobmaster::{GrantedSlot, JobCommand};
use crate::scheduler::SlotKey;
use crate::time::Timestamp;
use flinkrs_protocol::{SlotId, TaskExecutorId, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The slots and workers of an application.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    executors: BTreeMap<u32, Executor>,
    by_id: BTreeMap<TaskExecutorId, u32>,
    by_host: BTreeMap<Arc<str>, BTreeSet<u32>>,
    workers: BTreeMap<WorkerId, u32>,
    slots: usize,
    next_executor: u32,
    next_worker: u64,
}

/// A TaskExecutor on which the application has, or had, a slot or partitions.
#[derive(Clone, Debug)]
pub(crate) struct Executor {
    pub(crate) info: Arc<ExecutorInfo>,
    pub(crate) slots: BTreeSet<u32>,
    pub(crate) worker: Worker,
}

/// The application's worker on a TaskExecutor.
#[derive(Clone, Debug)]
pub(crate) enum Worker {
    None,
    Starting(WorkerId),
    Ready(WorkerId, Arc<str>),
    /// It has been told to end, for a reason, and tasks of it may still run.
    Stopping(WorkerId, String),
}

impl Worker {
    pub(crate) fn id(&self) -> Option<WorkerId> {
        match self {
            Worker::None => None,
            Worker::Starting(id) | Worker::Ready(id, _) | Worker::Stopping(id, _) => Some(*id),
        }
    }
}

impl Pool {
    /// An empty pool whose workers are numbered from `first_worker`.
    pub(crate) fn new(first_worker: u64) -> Pool {
        Pool {
            executors: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_host: BTreeMap::new(),
            workers: BTreeMap::new(),
            slots: 0,
            next_executor: 0,
            next_worker: first_worker,
        }
    }

    pub(crate) fn executor(&self, executor: u32) -> Option<&Executor> {
        self.executors.get(&executor)
    }

    /// A TaskExecutor that is known to be there.
    pub(crate) fn known(&self, executor: u32) -> &Executor {
        self.executors.get(&executor).expect("a place is on a TaskExecutor that isn't lost")
    }

    pub(crate) fn executor_of(&self, worker: WorkerId) -> Option<u32> {
        self.workers.get(&worker).copied()
    }

    /// The TaskExecutors of a host.
    pub(crate) fn on_host(&self, host: &str) -> impl Iterator<Item = u32> + use<'_> {
        self.by_host.get(host).into_iter().flatten().copied()
    }

    pub(crate) fn all_slots(&self) -> impl Iterator<Item = SlotKey> {
        self.executors.iter().flat_map(|(id, executor)| executor.slots.iter().map(|slot| (*id, *slot)))
    }

    pub(crate) fn slot_count(&self) -> usize {
        self.slots
    }

    /// A worker that is ready.
    pub(crate) fn ready_worker(&self) -> Option<WorkerId> {
        self.executors.values().find_map(|executor| match &executor.worker {
            Worker::Ready(id, _) => Some(*id),
            _ => None,
        })
    }

    pub(crate) fn is_ready(&self, worker: WorkerId) -> bool {
        let of = self.executor_of(worker).and_then(|executor| self.executor(executor));
        of.is_some_and(|executor| matches!(&executor.worker, Worker::Ready(id, _) if *id == worker))
    }

    /// Adds a granted slot.
    pub(crate) fn add(&mut self, granted: &GrantedSlot) -> SlotKey {
        let number = self.meet(&granted.slot.task_executor, &granted.host, &granted.data_address);
        let executor = self.executors.get_mut(&number).expect("it has just been met");
        let is_new = executor.slots.insert(granted.slot.index);
        assert!(is_new, "slot {} was granted twice", granted.slot);
        self.slots += 1;
        (number, granted.slot.index)
    }

    /// The number of a TaskExecutor that is registered.
    pub(crate) fn meet(&mut self, id: &TaskExecutorId, host: &Arc<str>, data_address: &Arc<str>) -> u32 {
        let number = *self.by_id.entry(id.clone()).or_insert_with(|| {
            self.next_executor += 1;
            self.next_executor - 1
        });
        self.executors.entry(number).or_insert_with(|| {
            self.by_host.entry(Arc::clone(host)).or_default().insert(number);
            let (host, data_address) = (Arc::clone(host), Arc::clone(data_address));
            let info = Arc::new(ExecutorInfo { id: id.clone(), host, data_address });
            Executor { info, slots: BTreeSet::new(), worker: Worker::None }
        });
        number
    }

    /// Starts the worker of a TaskExecutor unless there is one; which it is.
    pub(crate) fn start_worker(&mut self, executor: u32, timeout: Duration, out: &mut Out, now: Timestamp) -> WorkerId {
        let of = self.executors.get_mut(&executor).expect("a place is on a TaskExecutor that isn't lost");
        match &of.worker {
            Worker::Starting(id) | Worker::Ready(id, _) => *id,
            Worker::None | Worker::Stopping(..) => {
                let worker = WorkerId(self.next_worker);
                self.next_worker += 1;
                of.worker = Worker::Starting(worker);
                self.workers.insert(worker, executor);
                let slots = of.slots.len() as u32;
                out.push(JobCommand::StartWorker { task_executor: of.info.id.clone(), worker, slots });
                out.at(now + timeout, Timer::WorkerStart(worker));
                worker
            }
        }
    }

    /// A worker has connected; false if it isn't one that is being waited for.
    pub(crate) fn worker_ready(&mut self, worker: WorkerId, data_address: Arc<str>) -> bool {
        let executor = self.workers.get(&worker).and_then(|executor| self.executors.get_mut(executor));
        let Some(executor) = executor.filter(|of| matches!(of.worker, Worker::Starting(id) if id == worker)) else {
            return false;
        };
        executor.worker = Worker::Ready(worker, data_address);
        true
    }

    /// Tells the TaskExecutor to end a worker, whose end is waited for.
    pub(crate) fn stop_worker(&mut self, worker: WorkerId, reason: String, out: &mut Out) {
        let executor = self.workers.get(&worker).and_then(|executor| self.executors.get_mut(executor));
        let Some(executor) = executor.filter(|of| of.worker.id() == Some(worker)) else { return };
        if !matches!(executor.worker, Worker::Stopping(..)) {
            executor.worker = Worker::Stopping(worker, reason);
            out.push(JobCommand::StopWorker { task_executor: executor.info.id.clone(), worker });
        }
    }

    /// A worker's process is gone; what it was, or `None` if it wasn't there.
    pub(crate) fn worker_lost(&mut self, worker: WorkerId) -> Option<Worker> {
        let executor = self.executors.get_mut(&self.workers.remove(&worker)?)?;
        // The next one may be starting already.
        let is_last = executor.worker.id() == Some(worker);
        Some(if is_last { std::mem::replace(&mut executor.worker, Worker::None) } else { Worker::None })
    }

    /// A TaskExecutor is gone; its number, and the workers that have gone with it: one that was to end may have been
    /// there beside one that was to start.
    pub(crate) fn executor_lost(&mut self, id: &TaskExecutorId) -> Option<(u32, Arc<ExecutorInfo>, Vec<WorkerId>)> {
        let number = self.by_id.remove(id)?;
        let executor = self.executors.remove(&number)?;
        self.slots -= executor.slots.len();
        if let Some(on_host) = self.by_host.get_mut(&executor.info.host) {
            on_host.remove(&number);
            if on_host.is_empty() {
                self.by_host.remove(&executor.info.host);
            }
        }
        let workers = self.workers.extract_if(.., |_, of| *of == number).map(|(worker, _)| worker).collect();
        Some((number, executor.info, workers))
    }

    /// Gives all slots back and ends all workers; TaskExecutors stay known, since partitions may lie there.
    pub(crate) fn release_all(&mut self, out: &mut Out) {
        let mut slots = Vec::with_capacity(self.slots);
        for executor in self.executors.values_mut() {
            if let Some(worker) = executor.worker.id() {
                out.push(JobCommand::StopWorker { task_executor: executor.info.id.clone(), worker });
                self.workers.remove(&worker);
            }
            executor.worker = Worker::None;
            let id = |index| SlotId { task_executor: executor.info.id.clone(), index };
            slots.extend(std::mem::take(&mut executor.slots).into_iter().map(id));
        }
        self.slots = 0;
        if !slots.is_empty() {
            out.push(JobCommand::ReleaseSlots { slots });
        }
    }

    /// TaskExecutors that may have partitions of a job.
    pub(crate) fn executors(&self) -> impl Iterator<Item = (u32, &Executor)> {
        self.executors.iter().map(|(number, executor)| (*number, executor))
    }
}
