//! A TaskExecutor's process: the state machine, the worker processes, and the files of finished partitions.

use crate::graphs::Content;
use crate::network::{Message, Peer};
use crate::worker::WorkerProcess;
use crate::world::{Action, World};
use flinkrs_control::resource_manager::Registration;
use flinkrs_control::task_executor::{
    TaskExecutor, TaskExecutorCommand, TaskExecutorEvent, TaskExecutorOptions, WorkerExit,
};
use flinkrs_protocol::{ApplicationId, JobId, PartitionId, WorkerId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a producer has written to one edge: its content, and of a rebalanced edge who gets which.
pub(crate) type Written = (Arc<Content>, Arc<BTreeMap<i64, u32>>);

/// The TaskExecutor of a host.
pub(crate) struct ExecutorProcess {
    /// How often it has been started.
    pub(crate) start: u32,
    /// How many slots it has.
    pub(crate) slots: u32,
    /// The state machine, if the process is up.
    pub(crate) machine: Option<TaskExecutor>,
    /// The connection to the JobManager.
    pub(crate) connection: Option<u64>,
    /// Workers' processes.
    pub(crate) workers: BTreeMap<(ApplicationId, WorkerId), WorkerProcess>,
    /// Files of partitions; they outlive the process.
    pub(crate) files: BTreeMap<(JobId, PartitionId), Written>,
    /// The start of the JobManager that they are of.
    pub(crate) files_of: u64,
}

impl World {
    /// Starts the TaskExecutor of a host.
    pub(crate) fn start_executor(&mut self, at: usize) {
        let process = &mut self.executors[at];
        process.start += 1;
        let start = process.start;
        let registration = Registration {
            task_executor: format!("te{at}-{start}").as_str().into(),
            host: format!("host{at}").as_str().into(),
            data_address: format!("host{at}:{start}").as_str().into(),
            slots: process.slots,
            slot_bytes: 1 << 30,
        };
        process.machine = Some(TaskExecutor::new(registration, TaskExecutorOptions::default()));
        self.say(|| format!("te{at}-{start} starts"));
        self.executor_event(at, start, TaskExecutorEvent::Tick, None);
    }

    /// Kills a TaskExecutor, and with it its workers; their files stay behind until it starts again.
    pub(crate) fn crash_executor(&mut self, at: usize) {
        if self.executors[at].machine.take().is_none() {
            return;
        }
        self.say(|| format!("te{at} is killed"));
        let workers = std::mem::take(&mut self.executors[at].workers);
        let connections = workers.values().filter_map(|worker| worker.connection);
        let open: Vec<u64> = connections.chain(self.executors[at].connection.take()).collect();
        open.into_iter().for_each(|connection| self.close(connection, true));
        let slow = if self.rng.chance(50) { 2_000 } else { 15_000 };
        let delay = self.rng.range(100, slow);
        self.after(delay, Action::StartExecutor(at));
    }

    /// An event for a TaskExecutor.
    pub(crate) fn executor_event(&mut self, at: usize, start: u32, event: TaskExecutorEvent, connection: Option<u64>) {
        let now = self.time();
        let process = &mut self.executors[at];
        if process.start != start || (connection.is_some() && process.connection != connection) {
            return;
        }
        let Some(machine) = &mut process.machine else { return };
        let commands = machine.handle(event, now);
        commands.into_iter().for_each(|command| self.do_executor(at, start, command));
    }

    /// A message arrives at a TaskExecutor or worker.
    pub(crate) fn peer_receive(&mut self, connection: u64, message: Message) {
        match (self.connections[&connection].peer, message) {
            (Peer::Executor(at, start), Message::Executor(event)) => {
                let is_registered = matches!(event, TaskExecutorEvent::Registered);
                self.executor_event(at, start, event, Some(connection));
                let process = &self.executors[at];
                if is_registered && process.start == start && process.connection == Some(connection) {
                    self.offer_files(at, connection);
                }
            }
            (Peer::Executor(at, start), Message::Release(job, partitions)) => {
                let process = &mut self.executors[at];
                if process.start == start && process.connection == Some(connection) {
                    let released = |id: &PartitionId| partitions.as_ref().is_none_or(|some| some.contains(id));
                    process.files.retain(|(of, id), _| *of != job || !released(id));
                }
            }
            (Peer::Worker(at, start, application, worker), Message::Worker(message)) => {
                self.worker_receive(at, start, application, worker, message);
            }
            (peer, message) => panic!("{peer:?} got {message:?}"),
        }
    }

    /// A registered TaskExecutor says which partitions it has found; those of another JobManager it removes.
    fn offer_files(&mut self, at: usize, connection: u64) {
        let epoch = self.connections[&connection].epoch;
        let process = &mut self.executors[at];
        if process.files_of != epoch {
            process.files_of = epoch;
            process.files.clear();
        }
        let mut by_job: BTreeMap<JobId, Vec<PartitionId>> = BTreeMap::new();
        process.files.keys().for_each(|(job, partition)| by_job.entry(*job).or_default().push(*partition));
        for (job, partitions) in by_job {
            self.say(|| format!("te{at} has found {} partitions of job {}", partitions.len(), job.0));
            self.send(connection, true, Message::Found(job, partitions));
        }
    }

    /// A TaskExecutor or worker learns that its connection has broken.
    pub(crate) fn peer_disconnected(&mut self, connection: u64) {
        match self.connections[&connection].peer {
            Peer::Executor(at, start) => {
                if self.executors[at].start == start && self.executors[at].connection == Some(connection) {
                    self.executors[at].connection = None;
                    let reason = "its connection has broken".to_owned();
                    self.executor_event(at, start, TaskExecutorEvent::Disconnected { reason }, None);
                }
            }
            Peer::Worker(at, start, application, worker) => self.worker_down(at, start, application, worker),
        }
    }

    fn do_executor(&mut self, at: usize, start: u32, command: TaskExecutorCommand) {
        self.say(|| format!("te{at}-{start} {}", format!("{command:?}").chars().take(120).collect::<String>()));
        match command {
            TaskExecutorCommand::Connect => {
                let delay = self.rng.range(1, 50);
                let connection = self.connect(Peer::Executor(at, start));
                self.executors[at].connection = connection;
                let event = match connection {
                    Some(_) => TaskExecutorEvent::Connected,
                    None => TaskExecutorEvent::Disconnected { reason: "nobody listens".to_owned() },
                };
                self.after(delay, Action::Executor(at, start, event, connection));
            }
            TaskExecutorCommand::Register(registration) => self.tell_jm(at, Message::Register(registration)),
            TaskExecutorCommand::Heartbeat => self.tell_jm(at, Message::Heartbeat),
            TaskExecutorCommand::Disconnect => {
                if let Some(connection) = self.executors[at].connection.take() {
                    self.close(connection, true);
                }
            }
            TaskExecutorCommand::SpawnWorker { application, worker } => {
                let process = WorkerProcess::default();
                let before = self.executors[at].workers.insert((application, worker), process);
                assert!(before.is_none(), "worker {worker} was started twice");
                let delay = self.rng.range(10, 600);
                let fails = self.is_stormy() && self.rng.chance(5);
                let started = Action::WorkerUp(at, start, application, worker);
                let failed = Action::WorkerDown(at, start, application, worker);
                self.after(delay, if fails { failed } else { started });
            }
            TaskExecutorCommand::KillWorker { application, worker } => {
                let delay = self.rng.range(1, 200);
                self.after(delay, Action::WorkerDown(at, start, application, worker));
            }
            TaskExecutorCommand::ReportWorkerLost { application, worker, failure } => {
                self.tell_jm(at, Message::WorkerLost(application, worker, failure));
            }
            TaskExecutorCommand::Exit { error } => panic!("te{at} ends: {error:?}"),
            TaskExecutorCommand::WakeAt(when) => {
                self.at(when.0, Action::Executor(at, start, TaskExecutorEvent::Tick, None));
            }
        }
    }

    fn tell_jm(&mut self, at: usize, message: Message) {
        if let Some(connection) = self.executors[at].connection {
            self.send(connection, true, message);
        }
    }

    /// A worker's process has ended, whyever; its TaskExecutor notices at once.
    pub(crate) fn worker_down(&mut self, at: usize, start: u32, application: ApplicationId, worker: WorkerId) {
        if self.executors[at].start != start {
            return;
        }
        let Some(process) = self.executors[at].workers.remove(&(application, worker)) else { return };
        if let Some(connection) = process.connection {
            self.close(connection, true);
        }
        let exit = WorkerExit::Signal(9);
        self.executor_event(at, start, TaskExecutorEvent::WorkerExited { application, worker, exit }, None);
    }

    /// Loses the file of some finished partition, without anybody noticing before it is read.
    pub(crate) fn lose_a_partition(&mut self, at: usize) {
        let files: Vec<(JobId, PartitionId)> = self.executors[at].files.keys().copied().collect();
        if !files.is_empty() {
            let (job, partition) = *self.rng.pick(&files);
            self.say(|| format!("partition {partition} of job {} is lost", job.0));
            self.executors[at].files.remove(&(job, partition));
        }
    }
}
