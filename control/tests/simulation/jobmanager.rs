//! The JobManager's process: Dispatcher, ResourceManager and JobMasters, with the shell that carries out their
//! commands.

use crate::network::{Message, Peer, WorkerMessage};
use crate::world::{Action, World};
use flinkrs_control::dispatcher::{Dispatcher, DispatcherCommand, DispatcherEvent, OnClientLoss};
use flinkrs_control::jobmaster::{JobCommand, JobEvent, JobMaster, JobOutcome, JobSubmission, Recovered};
use flinkrs_control::options::{DispatcherOptions, ResourceOptions};
use flinkrs_control::resource_manager::{ResourceCommand, ResourceEvent, ResourceManager};
use flinkrs_control::task_executor::TaskExecutorEvent;
use flinkrs_core::function::AccumulatorValue;
use flinkrs_protocol::{ApplicationId, ExecutionId, JobGraph, JobId, TaskExecutorId, WorkerId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A start of the JobManager.
pub(crate) struct JobManager {
    /// Which start.
    pub(crate) epoch: u64,
    /// The Dispatcher.
    pub(crate) dispatcher: Dispatcher,
    /// The ResourceManager.
    pub(crate) resources: ResourceManager,
    /// A JobMaster for each application.
    pub(crate) masters: BTreeMap<ApplicationId, JobMaster>,
    executors: BTreeMap<TaskExecutorId, u64>,
    workers: BTreeMap<(ApplicationId, WorkerId), u64>,
    wakes: BTreeMap<Role, u64>,
    inbox: VecDeque<Inner>,
    /// What has been deployed and not ended, as far as the JobMasters know: by subtask its attempt and worker.
    pub(crate) outstanding: BTreeMap<(JobId, u32, u32), Deployed>,
    /// The last attempt of each subtask that was deployed.
    attempts: BTreeMap<(JobId, u32, u32), u32>,
}

/// A deployed task: its attempt, its application and worker, its slot, and the TaskExecutor of that.
pub(crate) type Deployed = (ExecutionId, ApplicationId, WorkerId, u32, String);

/// Who has a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// The Dispatcher.
    Dispatcher,
    /// The ResourceManager.
    Resources,
    /// A JobMaster.
    Master(ApplicationId),
}

/// Events inside of the process; they neither get lost nor late.
enum Inner {
    Dispatcher(DispatcherEvent),
    Resources(ResourceEvent),
    Master(ApplicationId, JobEvent),
}

/// Accumulators.
pub(crate) type Counted = BTreeMap<String, AccumulatorValue>;

/// What outlives the JobManager.
#[derive(Default)]
pub(crate) struct Store {
    /// Jobs that haven't ended, as they are to be recovered.
    pub(crate) jobs: BTreeMap<JobId, (ApplicationId, JobSubmission, Option<OnClientLoss>)>,
    /// How the others have ended.
    pub(crate) results: BTreeMap<JobId, (ApplicationId, u32, Arc<JobOutcome>)>,
    /// What the sinks of jobs have been told.
    pub(crate) sinks: BTreeMap<JobId, SinkState>,
}

/// The sinks of a job, as the file system sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SinkState {
    /// Nothing was done about them.
    #[default]
    Untouched,
    /// They were begun, and tasks may write.
    Begun,
    /// What was written is visible.
    Committed,
    /// What was written is gone.
    Aborted,
}

impl World {
    /// The JobManager comes up with what its store has.
    pub(crate) fn start_jm(&mut self) {
        self.epoch += 1;
        self.say(|| "the JobManager starts".to_owned());
        let jm = JobManager {
            epoch: self.epoch,
            dispatcher: Dispatcher::new(DispatcherOptions { finished_jobs: 1000, ..DispatcherOptions::default() }),
            resources: ResourceManager::new(ResourceOptions { spread: self.rng.chance(50), ..Default::default() }),
            masters: BTreeMap::new(),
            executors: BTreeMap::new(),
            workers: BTreeMap::new(),
            wakes: BTreeMap::new(),
            inbox: VecDeque::new(),
            outstanding: BTreeMap::new(),
            attempts: BTreeMap::new(),
        };
        self.jm = Some(jm);
        let results: Vec<_> = self.store.results.values().cloned().collect();
        for (application, execution, outcome) in results {
            let outcome = Box::new(JobOutcome::clone(&outcome));
            self.jm_dispatch(DispatcherEvent::RecoveredResult { application, execution, outcome });
        }
        let jobs: Vec<_> = self.store.jobs.values().cloned().collect();
        for (application, submission, attached) in jobs {
            self.jm_dispatch(DispatcherEvent::Recovered { application, submission, attached });
        }
    }

    /// The JobManager's process is killed.
    pub(crate) fn crash_jm(&mut self) {
        let Some(jm) = self.jm.take() else { return };
        self.say(|| "the JobManager is killed".to_owned());
        let open: Vec<u64> =
            self.connections.iter().filter(|(_, of)| of.open && of.epoch == jm.epoch).map(|(id, _)| *id).collect();
        open.into_iter().for_each(|connection| self.close(connection, false));
        let delay = self.rng.range(10, 5_000);
        self.after(delay, Action::StartJobManager);
    }

    /// An event for the Dispatcher.
    pub(crate) fn jm_dispatch(&mut self, event: DispatcherEvent) {
        self.jm_handle(Inner::Dispatcher(event));
    }

    fn jm_handle(&mut self, event: Inner) {
        let now = self.time();
        let Some(jm) = &mut self.jm else { return };
        jm.inbox.push_back(event);
        while let Some(event) = self.jm.as_mut().and_then(|jm| jm.inbox.pop_front()) {
            let Some(jm) = &mut self.jm else { return };
            match event {
                Inner::Dispatcher(event) => {
                    let commands = jm.dispatcher.handle(event, now);
                    commands.into_iter().for_each(|command| self.do_dispatcher(command));
                }
                Inner::Resources(event) => {
                    let commands = jm.resources.handle(event, now);
                    commands.into_iter().for_each(|command| self.do_resources(command));
                }
                Inner::Master(application, event) => {
                    jm.learn(application, &event);
                    let Some(master) = jm.masters.get_mut(&application) else { continue };
                    let commands = master.handle(event, now);
                    commands.into_iter().for_each(|command| self.do_master(application, command));
                }
            }
        }
        self.check();
    }

    fn post(&mut self, event: Inner) {
        self.jm.as_mut().expect("the JobManager acts").inbox.push_back(event);
    }

    fn wake(&mut self, role: Role, at: u64) {
        let jm = self.jm.as_mut().expect("the JobManager acts");
        jm.wakes.insert(role, at);
        let epoch = jm.epoch;
        self.at(at, Action::Timer(epoch, role));
    }

    /// A timer has run down; one that was replaced by another does nothing.
    pub(crate) fn jm_timer(&mut self, epoch: u64, role: Role) {
        let now = self.now;
        let Some(jm) = self.jm.as_mut().filter(|jm| jm.epoch == epoch) else { return };
        if jm.wakes.get(&role).is_none_or(|at| *at > now) {
            return;
        }
        jm.wakes.remove(&role);
        self.jm_handle(match role {
            Role::Dispatcher => Inner::Dispatcher(DispatcherEvent::Tick),
            Role::Resources => Inner::Resources(ResourceEvent::Tick),
            Role::Master(application) => Inner::Master(application, JobEvent::Tick),
        });
    }

    /// The store has written that a job commits; the JobManager that wanted it may be gone.
    pub(crate) fn jm_recorded(&mut self, epoch: u64, application: ApplicationId, job: JobId, counted: Counted) {
        // What one that is gone wanted to write is not written behind the back of its successor.
        if epoch != self.epoch {
            return;
        }
        if let Some(stored) = self.store.jobs.get_mut(&job) {
            stored.1.recovered = Recovered::Committing(counted);
        }
        if self.jm.as_ref().is_some_and(|jm| jm.epoch == epoch) {
            self.jm_handle(Inner::Master(application, JobEvent::CommitRecorded { job, result: Ok(()) }));
        }
    }

    /// A message arrives at the JobManager.
    pub(crate) fn jm_receive(&mut self, connection: u64, message: Message) {
        let of = &self.connections[&connection];
        let peer = of.peer;
        let Some(jm) = self.jm.as_mut().filter(|jm| jm.epoch == of.epoch) else { return };
        match message {
            Message::Register(registration) => {
                jm.executors.insert(registration.task_executor.clone(), connection);
                self.jm_handle(Inner::Resources(ResourceEvent::Register(registration)));
            }
            Message::Heartbeat => {
                let known = jm.executors.iter().find(|(_, of)| **of == connection).map(|(id, _)| id.clone());
                let Some(task_executor) = known else { return };
                self.jm_handle(Inner::Resources(ResourceEvent::Heartbeat { task_executor }));
                self.send(connection, false, Message::Executor(TaskExecutorEvent::Heartbeat));
            }
            Message::Found(job, partitions) => {
                let known = jm.executors.iter().find(|(_, of)| **of == connection).map(|(id, _)| id.clone());
                let Some(task_executor) = known else { return };
                let application = self.store.jobs.get(&job).map(|of| of.0);
                let Some(application) = application.filter(|application| jm.masters.contains_key(application)) else {
                    return self.send(connection, false, Message::Release(job, None));
                };
                let Peer::Executor(at, start) = peer else { panic!("a worker found partitions") };
                let (host, data_address) = (format!("host{at}"), format!("host{at}:{start}"));
                let (host, data_address) = (host.as_str().into(), data_address.as_str().into());
                let found = ResourceEvent::PartitionsFound { task_executor: task_executor.clone(), application };
                self.jm_handle(Inner::Resources(found));
                let event = JobEvent::PartitionsFound { task_executor, host, data_address, job, partitions };
                self.jm_handle(Inner::Master(application, event));
            }
            Message::WorkerLost(application, worker, failure) => {
                self.jm_handle(Inner::Master(application, JobEvent::WorkerLost { worker, failure }));
            }
            Message::Job(event) => {
                let Peer::Worker(_, _, application, worker) = peer else { panic!("a TaskExecutor sent {event:?}") };
                jm.workers.insert((application, worker), connection);
                self.jm_handle(Inner::Master(application, event));
            }
            Message::Executor(_) | Message::Release(..) | Message::Worker(_) => panic!("a message went the wrong way"),
        }
    }

    /// The JobManager learns that a connection has broken.
    pub(crate) fn jm_disconnected(&mut self, connection: u64) {
        let of = &self.connections[&connection];
        let peer = of.peer;
        let Some(jm) = self.jm.as_mut().filter(|jm| jm.epoch == of.epoch) else { return };
        match peer {
            Peer::Executor(..) => {
                let known = jm.executors.iter().find(|(_, of)| **of == connection).map(|(id, _)| id.clone());
                let Some(task_executor) = known else { return };
                let reason = "its connection has broken".to_owned();
                self.jm_handle(Inner::Resources(ResourceEvent::Disconnected { task_executor, reason }));
            }
            Peer::Worker(_, _, application, worker) => {
                jm.workers.remove(&(application, worker));
                let reason = format!("the connection of worker {worker} has broken");
                self.jm_handle(Inner::Master(application, JobEvent::WorkerDisconnected { worker, reason }));
            }
        }
    }

    fn do_dispatcher(&mut self, command: DispatcherCommand) {
        let jm = self.jm.as_mut().expect("the JobManager acts");
        match command {
            DispatcherCommand::StartApplication { application } => {
                let master = JobMaster::new(application, jm.epoch * 1_000_000);
                let before = jm.masters.insert(application, master);
                assert!(before.is_none(), "two JobMasters for {application}");
            }
            DispatcherCommand::StartJob { application, submission } => {
                self.post(Inner::Master(application, JobEvent::Submit(submission)));
            }
            DispatcherCommand::StoreJob { application, submission, attached } => {
                let submission = JobSubmission { recovered: Recovered::Running, ..submission };
                self.store.jobs.insert(submission.job, (application, submission, attached));
            }
            DispatcherCommand::StoreResult { application, execution, outcome } => {
                self.say(|| format!("job {} is {} {:?}", outcome.job.0, outcome.state, outcome.failure));
                self.store.jobs.remove(&outcome.job);
                self.check_outcome(&outcome);
                self.store.results.insert(outcome.job, (application, execution, outcome));
            }
            DispatcherCommand::CancelJob { application, job } => {
                self.post(Inner::Master(application, JobEvent::Cancel { job }));
            }
            DispatcherCommand::CloseApplication { application } => {
                self.post(Inner::Master(application, JobEvent::Close));
            }
            DispatcherCommand::Refused { message, .. } => panic!("a job was refused: {message}"),
            DispatcherCommand::Accepted { .. } | DispatcherCommand::RemoveResult { .. } => {}
            DispatcherCommand::WakeAt(at) => self.wake(Role::Dispatcher, at.0),
        }
    }

    fn do_resources(&mut self, command: ResourceCommand) {
        let jm = self.jm.as_mut().expect("the JobManager acts");
        match command {
            ResourceCommand::Registered { task_executor } => {
                let connection = jm.executors[&task_executor];
                self.send(connection, false, Message::Executor(TaskExecutorEvent::Registered));
            }
            ResourceCommand::Refused { message, .. } => panic!("a TaskExecutor was refused: {message}"),
            ResourceCommand::Disconnect { task_executor } => {
                if let Some(connection) = jm.executors.get(&task_executor).copied() {
                    self.close(connection, false);
                }
            }
            ResourceCommand::Grant { application, slots } => {
                self.post(Inner::Master(application, JobEvent::SlotsGranted { slots }));
            }
            ResourceCommand::Missing { application, task_executors, slots, free_slots } => {
                let event = JobEvent::SlotsMissing { task_executors, slots, free_slots };
                self.post(Inner::Master(application, event));
            }
            ResourceCommand::TaskExecutorLost { task_executor, reason } => {
                self.say(|| format!("TaskExecutor {task_executor} counts as lost: {reason}"));
                let jm = self.jm.as_mut().expect("the JobManager acts");
                jm.executors.remove(&task_executor);
                for application in jm.masters.keys().copied().collect::<Vec<_>>() {
                    let (task_executor, reason) = (task_executor.clone(), reason.clone());
                    self.post(Inner::Master(application, JobEvent::TaskExecutorLost { task_executor, reason }));
                }
            }
            ResourceCommand::WantTaskExecutors { .. } | ResourceCommand::ReleaseTaskExecutor { .. } => {
                panic!("nothing is elastic here")
            }
            ResourceCommand::WakeAt(at) => self.wake(Role::Resources, at.0),
        }
    }

    fn do_master(&mut self, application: ApplicationId, command: JobCommand) {
        self.say(|| format!("{} {}", application.0, crate::checks::brief(&command)));
        self.check_command(application, &command);
        match command {
            JobCommand::RequestSlots { total } => {
                self.post(Inner::Resources(ResourceEvent::SlotsWanted { application, total }));
            }
            JobCommand::ReleaseSlots { slots } => {
                self.post(Inner::Resources(ResourceEvent::SlotsReleased { application, slots }));
            }
            JobCommand::StartWorker { task_executor, worker, .. } => {
                let event = TaskExecutorEvent::StartWorker { application, worker };
                self.tell_executor(&task_executor, Message::Executor(event));
            }
            JobCommand::StopWorker { task_executor, worker } => {
                let event = TaskExecutorEvent::StopWorker { application, worker };
                self.tell_executor(&task_executor, Message::Executor(event));
            }
            JobCommand::ReleasePartitions { task_executor, job, partitions } => {
                self.tell_executor(&task_executor, Message::Release(job, partitions));
            }
            JobCommand::DisconnectWorker { worker } => {
                let jm = self.jm.as_mut().expect("the JobManager acts");
                if let Some(connection) = jm.workers.remove(&(application, worker)) {
                    self.close(connection, false);
                }
            }
            JobCommand::Deploy { worker, deployment } => {
                self.tell_worker(application, worker, WorkerMessage::Deploy(Arc::new(deployment)));
            }
            JobCommand::CancelTasks { worker, job, executions } => {
                self.tell_worker(application, worker, WorkerMessage::Cancel(job, executions));
            }
            JobCommand::AssignSplit { worker, job, execution, split } => {
                self.tell_worker(application, worker, WorkerMessage::Split(job, execution, split));
            }
            JobCommand::BeginSinks { worker, job } => self.tell_worker(application, worker, WorkerMessage::Begin(job)),
            JobCommand::CommitSinks { worker, job } => {
                self.tell_worker(application, worker, WorkerMessage::Commit(job))
            }
            JobCommand::AbortSinks { worker, job } => self.tell_worker(application, worker, WorkerMessage::Abort(job)),
            JobCommand::RecordCommit { job, accumulators } => {
                let (delay, epoch) = (self.rng.range(1, 200), self.epoch);
                self.after(delay, Action::Recorded(epoch, application, job, accumulators));
            }
            JobCommand::WakeAt(at) => self.wake(Role::Master(application), at.0),
            JobCommand::StateChanged { job, state } => {
                self.post(Inner::Dispatcher(DispatcherEvent::JobChanged { job, state }));
            }
            JobCommand::Ended(outcome) => self.post(Inner::Dispatcher(DispatcherEvent::JobEnded(outcome))),
            JobCommand::Closed => {
                let jm = self.jm.as_mut().expect("the JobManager acts");
                jm.masters.remove(&application);
                jm.wakes.remove(&Role::Master(application));
                self.post(Inner::Resources(ResourceEvent::ApplicationClosed { application }));
                self.post(Inner::Dispatcher(DispatcherEvent::ApplicationClosed { application }));
            }
        }
    }

    fn tell_executor(&mut self, id: &TaskExecutorId, message: Message) {
        let jm = self.jm.as_ref().expect("the JobManager acts");
        if let Some(connection) = jm.executors.get(id).copied() {
            self.send(connection, false, message);
        }
    }

    fn tell_worker(&mut self, application: ApplicationId, worker: WorkerId, message: WorkerMessage) {
        let jm = self.jm.as_ref().expect("the JobManager acts");
        if let Some(connection) = jm.workers.get(&(application, worker)).copied() {
            self.send(connection, false, Message::Worker(message));
        }
    }
}

impl JobManager {
    /// Keeps track of what the JobMasters know to have ended.
    fn learn(&mut self, application: ApplicationId, event: &JobEvent) {
        match event {
            JobEvent::TaskChanged(update) if update.state.is_terminal() => {
                let id = update.execution;
                let key = (update.job, id.vertex.0, id.subtask);
                if self.outstanding.get(&key).is_some_and(|of| of.0 == id && of.2 == update.worker) {
                    self.outstanding.remove(&key);
                }
            }
            JobEvent::WorkerLost { worker, .. } => {
                self.outstanding.retain(|_, of| (of.1, of.2) != (application, *worker));
            }
            JobEvent::TaskExecutorLost { task_executor, .. } => {
                let name = task_executor.to_string();
                self.outstanding.retain(|_, of| of.1 != application || of.4 != name);
            }
            _ => {}
        }
    }

    /// Notes a deployed task: the attempt before must have ended, attempts grow, and the slot has no other of its
    /// vertex, nor any of another slot sharing group.
    pub(crate) fn deployed(&mut self, graph: &JobGraph, job: JobId, task: Deployed) {
        let id = task.0;
        let group = |vertex: u32| &graph.vertices[vertex as usize].slot_sharing_group;
        let clashes = |(key, of): (&(JobId, u32, u32), &Deployed)| {
            let in_slot = key.0 == job && (of.3, &of.4) == (task.3, &task.4);
            in_slot && (key.1 == id.vertex.0 || group(key.1) != group(id.vertex.0))
        };
        let others: Vec<_> = self.outstanding.iter().filter(|of| clashes(*of)).collect();
        assert!(others.is_empty(), "{task:?} got the slot of {others:?}");
        let key = (job, id.vertex.0, id.subtask);
        let before = self.outstanding.insert(key, task);
        assert!(before.is_none(), "{id} was deployed while {before:?} had not ended");
        let last = self.attempts.insert(key, id.attempt);
        assert!(last.is_none_or(|last| last < id.attempt), "{id} came after attempt {last:?}");
    }
}
