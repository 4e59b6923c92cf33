//! A worker's process, and tasks that do as real ones: read splits and partitions, write, fail, hang, stop.

use crate::executor::Written;
use crate::graphs::{Content, share, token};
use crate::jobmanager::SinkState;
use crate::network::{Message, Peer, WorkerMessage};
use crate::world::{Action, World};
use flinkrs_control::jobmaster::{JobEvent, TaskUpdate};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::strategy::{ExchangeMode, ShipStrategy};
use flinkrs_protocol::{
    ApplicationId, ExecutionId, Failure, FailureKind, JobGraph, JobId, Location, PartitionId, TaskState, WorkerId,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Which task.
pub(crate) type TaskKey = (JobId, ExecutionId);

/// A worker.
#[derive(Default)]
pub(crate) struct WorkerProcess {
    /// Its connection to its JobMaster, once it is up.
    pub(crate) connection: Option<u64>,
    tasks: BTreeMap<TaskKey, Task>,
}

/// A task.
struct Task {
    state: TaskState,
    /// What it has read so far.
    content: Content,
    /// What it has still to read.
    reads: VecDeque<(PartitionId, Location)>,
    /// How often it has looked for the next of these in vain.
    patience: u32,
    /// Whether there may be more splits.
    has_splits: bool,
    /// Whether it waits for a split, or to be stopped.
    waits: bool,
    canceled: bool,
    /// How it will misbehave, if it does.
    mischief: Option<Mischief>,
    /// What it has written, once it has finished.
    written: BTreeMap<u32, Written>,
}

/// How user code misbehaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mischief {
    Panic,
    WrongUsage,
    /// It doesn't stop when told to.
    Hang,
}

/// Something that a worker does after a while.
pub(crate) enum Step {
    /// The sinks of a job are begun.
    Begin(JobId),
    /// They are committed.
    Commit(JobId),
    /// They are aborted.
    Abort(JobId),
    /// A task's partitions are complete on a slow disk.
    Finish(TaskKey),
}

/// How a read went.
enum Read {
    Got(Content),
    NotYet,
    /// The connection has broken: for a second the JobManager may say what is to be done.
    Broken,
    Gone(&'static str),
}

impl World {
    fn process(&mut self, at: usize, start: u32, of: (ApplicationId, WorkerId)) -> Option<&mut WorkerProcess> {
        let process = &mut self.executors[at];
        (process.start == start).then(|| process.workers.get_mut(&of)).flatten()
    }

    /// A worker has started and looks for its JobMaster; without one it ends.
    pub(crate) fn worker_up(&mut self, at: usize, start: u32, application: ApplicationId, worker: WorkerId) {
        if self.process(at, start, (application, worker)).is_none() {
            return;
        }
        let Some(connection) = self.connect(Peer::Worker(at, start, application, worker)) else {
            return self.worker_down(at, start, application, worker);
        };
        let task_executor = self.executors[at].machine.as_ref().expect("its worker runs").id();
        let process = self.process(at, start, (application, worker)).expect("it is there");
        process.connection = Some(connection);
        let data_address = Arc::from(format!("host{at}:{}", worker.0).as_str());
        let event = JobEvent::WorkerReady { worker, task_executor, data_address };
        self.send(connection, true, Message::Job(event));
    }

    /// Kills a worker of a host.
    pub(crate) fn kill_some_worker(&mut self, at: usize) {
        let workers: Vec<(ApplicationId, WorkerId)> = self.executors[at].workers.keys().copied().collect();
        if !workers.is_empty() {
            let (application, worker) = *self.rng.pick(&workers);
            self.say(|| format!("worker {worker} of {} is killed", application.0));
            self.worker_down(at, self.executors[at].start, application, worker);
        }
    }

    /// A message arrives at a worker.
    pub(crate) fn worker_receive(
        &mut self,
        at: usize,
        start: u32,
        application: ApplicationId,
        worker: WorkerId,
        message: WorkerMessage,
    ) {
        let slow = if self.rng.chance(5) { 3_000 } else { 50 };
        let delay = self.rng.range(1, slow);
        let step = |step| Action::Step(at, start, application, worker, step);
        match message {
            WorkerMessage::Deploy(deployment) => {
                let graph = self.graph(deployment.job);
                for task in &deployment.tasks {
                    let id = task.execution;
                    let reads =
                        deployment.inputs.iter().filter(|input| graph.edges[input.edge as usize].to == id.vertex);
                    let reads = reads.flat_map(|input| {
                        let forward = graph.edges[input.edge as usize].ship == ShipStrategy::Forward;
                        let mine = move |subtask: u32| !forward || subtask == id.subtask;
                        let producers = input.producers.subtasks.iter().filter(move |of| mine(of.subtask));
                        producers.map(|of| {
                            let (partition, location) =
                                input.producers.find(input.edge, of.subtask).expect("it is listed");
                            (partition, location.clone())
                        })
                    });
                    let task = Task {
                        state: TaskState::Deploying,
                        content: Content::new(),
                        reads: reads.collect(),
                        patience: 0,
                        has_splits: graph.vertices[id.vertex.0 as usize].source.is_some(),
                        waits: false,
                        canceled: false,
                        mischief: self.mischief(),
                        written: BTreeMap::new(),
                    };
                    let Some(process) = self.process(at, start, (application, worker)) else { return };
                    process.tasks.insert((deployment.job, id), task);
                    let delay = self.rng.range(1, 40);
                    self.after(delay, Action::Task(at, start, application, worker, (deployment.job, id)));
                }
            }
            WorkerMessage::Cancel(job, executions) => {
                for id in executions {
                    let Some(process) = self.process(at, start, (application, worker)) else { return };
                    let Some(task) = process.tasks.get_mut(&(job, id)) else { continue };
                    (task.canceled, task.waits) = (true, false);
                    let delay = self.rng.range(1, 100);
                    self.after(delay, Action::Task(at, start, application, worker, (job, id)));
                }
            }
            WorkerMessage::Split(job, id, split) => {
                let Some(process) = self.process(at, start, (application, worker)) else { return };
                let Some(task) = process.tasks.get_mut(&(job, id)) else { return };
                task.waits = false;
                match split {
                    Some((split, _)) => *task.content.entry(token(id.vertex, split)).or_default() += 1,
                    None => task.has_splits = false,
                }
                self.after(delay, Action::Task(at, start, application, worker, (job, id)));
            }
            WorkerMessage::Begin(job) => self.after(delay, step(Step::Begin(job))),
            WorkerMessage::Commit(job) => self.after(delay, step(Step::Commit(job))),
            WorkerMessage::Abort(job) => self.after(delay, step(Step::Abort(job))),
        }
    }

    fn mischief(&mut self) -> Option<Mischief> {
        if !self.is_stormy() {
            return None;
        }
        match self.rng.range(0, 999) {
            0..=9 => Some(Mischief::Panic),
            10 => Some(Mischief::WrongUsage),
            11..=14 => Some(Mischief::Hang),
            _ => None,
        }
    }

    /// The graph of a job, as the program that submitted it knows it.
    fn graph(&self, job: JobId) -> Arc<JobGraph> {
        let of = self.clients.iter().find_map(|client| client.graph(job));
        of.expect("a job comes from a client")
    }

    /// A worker has done something that took a while.
    pub(crate) fn worker_step(
        &mut self,
        at: usize,
        start: u32,
        application: ApplicationId,
        worker: WorkerId,
        step: Step,
    ) {
        let Some(process) = self.process(at, start, (application, worker)) else { return };
        let Some(connection) = process.connection else { return };
        if !self.connections[&connection].open && !matches!(step, Step::Finish(_)) {
            // It is about to learn that nobody waits for it.
            return;
        }
        let event = match step {
            Step::Begin(job) => {
                let before = self.store.sinks.insert(job, SinkState::Begun);
                assert_ne!(before, Some(SinkState::Committed), "the sinks of job {} were begun again", job.0);
                JobEvent::SinksBegun { job, worker, result: Ok(()) }
            }
            Step::Commit(job) => {
                let before = self.store.sinks.insert(job, SinkState::Committed);
                let could = matches!(before, Some(SinkState::Begun | SinkState::Committed));
                assert!(could, "the sinks of job {} were committed when {before:?}", job.0);
                JobEvent::SinksCommitted { job, worker, result: Ok(()) }
            }
            Step::Abort(job) => {
                let before = self.store.sinks.insert(job, SinkState::Aborted);
                assert_ne!(before, Some(SinkState::Committed), "the sinks of job {} were aborted", job.0);
                JobEvent::SinksAborted { job, worker }
            }
            Step::Finish(task) => return self.finish_task(at, start, application, worker, task),
        };
        self.send(connection, true, Message::Job(event));
    }

    /// A task goes on.
    pub(crate) fn task_step(
        &mut self,
        at: usize,
        start: u32,
        application: ApplicationId,
        worker: WorkerId,
        key: TaskKey,
    ) {
        let Some(process) = self.process(at, start, (application, worker)) else { return };
        let connection = process.connection.expect("it has got a deployment");
        let Some(task) = process.tasks.get_mut(&key) else { return };
        if task.waits || task.state.is_terminal() {
            return;
        }
        if task.canceled && task.mischief == Some(Mischief::Hang) {
            return;
        }
        if task.canceled {
            process.tasks.remove(&key);
            return self.report(connection, worker, key, TaskState::Canceled, None);
        }
        let again = Action::Task(at, start, application, worker, key);
        match task.state {
            TaskState::Deploying => {
                task.state = TaskState::Initializing;
                self.report(connection, worker, key, TaskState::Initializing, None);
            }
            TaskState::Initializing => {
                task.state = TaskState::Running;
                self.report(connection, worker, key, TaskState::Running, None);
            }
            _ => match task.mischief {
                Some(mischief @ (Mischief::Panic | Mischief::WrongUsage)) => {
                    process.tasks.remove(&key);
                    let kind = match mischief {
                        Mischief::WrongUsage => FailureKind::Usage,
                        _ => FailureKind::Resource,
                    };
                    let failure = Failure { operator: Some("Map".to_owned()), ..Failure::new(kind, "boom") };
                    return self.report(connection, worker, key, TaskState::Failed, Some(failure));
                }
                _ if task.has_splits => {
                    task.waits = true;
                    let event = JobEvent::SplitRequested { job: key.0, execution: key.1 };
                    return self.send(connection, true, Message::Job(event));
                }
                _ if task.reads.is_empty() => {
                    task.waits = true;
                    let slow = if self.rng.chance(5) { 5_000 } else { 30 };
                    let delay = self.rng.range(1, slow);
                    return self.after(delay, Action::Step(at, start, application, worker, Step::Finish(key)));
                }
                _ => self.read_next(at, start, application, worker, key),
            },
        }
        let delay = self.rng.range(1, 60);
        self.after(delay, again);
    }

    fn read_next(&mut self, at: usize, start: u32, application: ApplicationId, worker: WorkerId, key: TaskKey) {
        let process = self.process(at, start, (application, worker)).expect("its task goes on");
        let connection = process.connection.expect("it has got a deployment");
        let task = process.tasks.get_mut(&key).expect("it goes on");
        let patience = task.patience;
        let (partition, location) = task.reads.front().expect("there is something to read").clone();
        let read = self.read(at, application, key, partition, &location);
        let process = self.process(at, start, (application, worker)).expect("its task goes on");
        let task = process.tasks.get_mut(&key).expect("it goes on");
        match read {
            Read::Got(content) => {
                task.reads.pop_front();
                task.patience = 0;
                content.into_iter().for_each(|(token, count)| *task.content.entry(token).or_default() += count);
            }
            Read::NotYet if task.canceled || patience < 2_000 => task.patience += 1,
            Read::Broken if task.canceled || patience < 40 => task.patience += 1,
            Read::Broken => {
                process.tasks.remove(&key);
                let failure = Failure::new(FailureKind::Lost, "a connection has broken");
                self.report(connection, worker, key, TaskState::Failed, Some(failure));
            }
            Read::NotYet | Read::Gone(_) => {
                task.waits = true;
                let message = if let Read::Gone(why) = read { why } else { "nothing came for long" }.to_owned();
                let event = JobEvent::PartitionUnavailable { job: key.0, consumer: key.1, partition, message };
                self.send(connection, true, Message::Job(event));
            }
        }
    }

    /// Reads a partition where it is said to be.
    fn read(
        &self,
        at: usize,
        application: ApplicationId,
        key: TaskKey,
        partition: PartitionId,
        location: &Location,
    ) -> Read {
        let graph = self.graph(key.0);
        let edge = &graph.edges[partition.edge as usize];
        let part = |written: &Written| {
            let parallelism = graph.vertices[edge.to.0 as usize].parallelism;
            share(edge, parallelism, key.1.subtask, &written.0, &written.1)
        };
        let serves = |process: &&crate::executor::ExecutorProcess| {
            process.machine.as_ref().is_some_and(|machine| machine.id() == location.task_executor)
        };
        let Some(host) = self.executors.iter().position(|process| serves(&process)) else {
            return Read::Broken;
        };
        if host != at && (self.is_cut_off(host) || self.is_cut_off(at)) {
            return Read::NotYet;
        }
        let process = &self.executors[host];
        let Some(from) = location.worker else {
            return match process.files.get(&(key.0, partition)) {
                Some(written) => Read::Got(part(written)),
                None => Read::Gone("the file is gone"),
            };
        };
        let Some(producer) = process.workers.get(&(application, from)) else {
            return Read::Broken;
        };
        let id = ExecutionId { vertex: edge.from, subtask: partition.subtask, attempt: partition.attempt };
        match producer.tasks.get(&(key.0, id)).map(|task| task.written.get(&partition.edge)) {
            Some(Some(written)) => Read::Got(part(written)),
            _ => Read::NotYet,
        }
    }

    /// A task has read everything, and what it has written is complete.
    fn finish_task(&mut self, at: usize, start: u32, application: ApplicationId, worker: WorkerId, key: TaskKey) {
        let (job, id) = key;
        let graph = self.graph(job);
        let Some(process) = self.process(at, start, (application, worker)) else { return };
        let Some(task) = process.tasks.get(&key) else { return };
        if task.canceled {
            return;
        }
        let connection = process.connection.expect("it has got a deployment");
        let content = Arc::new(task.content.clone());
        let mut accumulators = BTreeMap::new();
        let mut written = BTreeMap::new();
        let edges = graph.edges.iter().enumerate().filter(|(_, edge)| edge.from == id.vertex);
        for (number, edge) in edges {
            let consumers = u64::from(graph.vertices[edge.to.0 as usize].parallelism);
            let dealt = content.keys().map(|token| (*token, self.rng.range(0, consumers - 1) as u32)).collect();
            let one: Written = (Arc::clone(&content), Arc::new(dealt));
            if edge.mode == ExchangeMode::Blocking {
                let partition = PartitionId { edge: number as u32, subtask: id.subtask, attempt: id.attempt };
                self.executors[at].files.insert((job, partition), one.clone());
            }
            written.insert(number as u32, one);
        }
        if written.is_empty() {
            let counts = content.iter().map(|(token, count)| (*token, *count)).collect();
            let name = graph.vertices[id.vertex.0 as usize].name.clone();
            accumulators.insert(name, AccumulatorValue::Histogram(counts));
        }
        let process = self.process(at, start, (application, worker)).expect("its task has finished");
        let task = process.tasks.get_mut(&key).expect("it has finished");
        (task.state, task.written) = (TaskState::Finished, written);
        let (state, failure) = (TaskState::Finished, None);
        let update = TaskUpdate { job, worker, execution: id, state, failure, accumulators };
        self.send(connection, true, Message::Job(JobEvent::TaskChanged(update)));
    }

    fn report(
        &mut self,
        connection: u64,
        worker: WorkerId,
        (job, execution): TaskKey,
        state: TaskState,
        failure: Option<Failure>,
    ) {
        let update = TaskUpdate { job, worker, execution, state, failure, accumulators: BTreeMap::new() };
        self.send(connection, true, Message::Job(JobEvent::TaskChanged(update)));
    }
}
