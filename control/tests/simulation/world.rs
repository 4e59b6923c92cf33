//! The world: virtual time, and what happens next.

use crate::client::Client;
use crate::executor::ExecutorProcess;
use crate::jobmanager::{Counted, JobManager, Role, Store};
use crate::network::{Connection, Message};
use crate::rng::Rng;
use crate::worker::{Step, TaskKey};
use flinkrs_control::Timestamp;
use flinkrs_control::task_executor::TaskExecutorEvent;
use flinkrs_protocol::{ApplicationId, JobId, WorkerId};
use std::collections::BTreeMap;

/// Something that will happen.
pub(crate) enum Action {
    /// A message arrives.
    Deliver {
        /// On this connection.
        connection: u64,
        /// At the JobManager, or at the peer.
        to_jm: bool,
        /// The message.
        message: Message,
    },
    /// An end learns that its connection has broken.
    Broken {
        /// Which.
        connection: u64,
        /// The JobManager's end, or the peer's.
        at_jm: bool,
    },
    /// The JobManager starts again.
    StartJobManager,
    /// A timer of a role of a JobManager.
    Timer(u64, Role),
    /// The store has written that a job commits.
    Recorded(u64, ApplicationId, JobId, Counted),
    /// A TaskExecutor process starts again.
    StartExecutor(usize),
    /// An event for a start of a TaskExecutor process, if it has that connection where one is named.
    Executor(usize, u32, TaskExecutorEvent, Option<u64>),
    /// A worker's process is up.
    WorkerUp(usize, u32, ApplicationId, WorkerId),
    /// A worker's process ends with an exit code or signal.
    WorkerDown(usize, u32, ApplicationId, WorkerId),
    /// A worker does something.
    Step(usize, u32, ApplicationId, WorkerId, Step),
    /// A task of a worker goes on.
    Task(usize, u32, ApplicationId, WorkerId, TaskKey),
    /// A client looks after its jobs.
    Client(usize),
    /// Something goes wrong.
    Fault,
}

/// Everything there is.
pub(crate) struct World {
    /// Virtual time, in milliseconds.
    pub(crate) now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Action>,
    /// Where all chance comes from.
    pub(crate) rng: Rng,
    /// Until when things go wrong.
    pub(crate) faults_until: u64,
    /// The JobManager, if it is up.
    pub(crate) jm: Option<JobManager>,
    /// How often it has been started.
    pub(crate) epoch: u64,
    /// What outlives it.
    pub(crate) store: Store,
    /// TaskExecutors, one for each host.
    pub(crate) executors: Vec<ExecutorProcess>,
    /// Programs that submit jobs.
    pub(crate) clients: Vec<Client>,
    /// All connections there have been.
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// The last of them.
    pub(crate) next_connection: u64,
    /// By host, until when no message passes.
    pub(crate) cut_off_until: Vec<u64>,
    /// Whether it says what happens.
    pub(crate) trace: bool,
}

impl World {
    /// A world in which nothing has happened.
    pub(crate) fn empty(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let faults_until = rng.range(1_000, 40_000);
        World {
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            rng,
            faults_until,
            jm: None,
            epoch: 0,
            store: Store::default(),
            executors: Vec::new(),
            clients: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            cut_off_until: Vec::new(),
            trace: std::env::var_os("SIMULATION_TRACE").is_some(),
        }
    }

    /// The time as the state machines take it.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp(self.now)
    }

    /// Whether things may go wrong.
    pub(crate) fn is_stormy(&self) -> bool {
        self.now < self.faults_until
    }

    /// Lets something happen at a time.
    pub(crate) fn at(&mut self, at: u64, action: Action) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), action);
    }

    /// Lets something happen after a delay.
    pub(crate) fn after(&mut self, delay: u64, action: Action) {
        self.at(self.now + delay, action);
    }

    /// Says what happens, where that is wanted.
    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>7} {}", self.now, what());
        }
    }

    /// Lets the next thing happen; false if it is later than `until`.
    pub(crate) fn step(&mut self, until: u64) -> bool {
        let Some((at, _)) = self.queue.first_key_value().map(|(at, _)| *at).filter(|(at, _)| *at <= until) else {
            return false;
        };
        let (_, action) = self.queue.pop_first().expect("there is a first");
        self.now = at;
        self.perform(action);
        true
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Deliver { connection, to_jm, message } => {
                if self.connections[&connection].open {
                    if to_jm { self.jm_receive(connection, message) } else { self.peer_receive(connection, message) }
                }
            }
            Action::Broken { connection, at_jm } => {
                if at_jm {
                    self.jm_disconnected(connection)
                } else {
                    self.peer_disconnected(connection)
                }
            }
            Action::StartJobManager => self.start_jm(),
            Action::Timer(epoch, role) => self.jm_timer(epoch, role),
            Action::Recorded(epoch, application, job, counted) => self.jm_recorded(epoch, application, job, counted),
            Action::StartExecutor(at) => self.start_executor(at),
            Action::Executor(at, start, event, connection) => self.executor_event(at, start, event, connection),
            Action::WorkerUp(at, start, application, worker) => self.worker_up(at, start, application, worker),
            Action::WorkerDown(at, start, application, worker) => self.worker_down(at, start, application, worker),
            Action::Step(at, start, application, worker, step) => {
                self.worker_step(at, start, application, worker, step)
            }
            Action::Task(at, start, application, worker, task) => self.task_step(at, start, application, worker, task),
            Action::Client(at) => self.client_acts(at),
            Action::Fault => self.fault(),
        }
    }

    /// Something goes wrong somewhere, and soon again.
    fn fault(&mut self) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.range(200, 4_000);
        self.after(next, Action::Fault);
        let host = self.rng.range(0, self.executors.len() as u64 - 1) as usize;
        match self.rng.range(0, 9) {
            0..=2 => self.kill_some_worker(host),
            3 | 4 => self.crash_executor(host),
            5 => self.crash_jm(),
            6 => {
                let until = self.now + self.rng.range(100, 8_000);
                self.say(|| format!("host {host} is cut off until {until}"));
                self.cut_off_until[host] = until;
            }
            7 | 8 => {
                let open: Vec<u64> =
                    self.connections.iter().filter(|(_, of)| of.open).map(|(number, _)| *number).collect();
                if !open.is_empty() {
                    let connection = *self.rng.pick(&open);
                    self.say(|| format!("connection to {:?} breaks", self.connections[&connection].peer));
                    self.break_connection(connection);
                }
            }
            _ => self.lose_a_partition(host),
        }
    }
}
