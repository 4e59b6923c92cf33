//! The task that owns the state of a cluster: it turns messages into events for the deciders, and their commands into
//! messages.

mod applications;
mod jobs;
mod message;
mod routes;
mod task_executors;
mod workers;

pub(crate) use jobs::JobRecord;
pub(crate) use message::{Message, OUTGOING_MAX, Outgoing, Reply};

use crate::cluster::applications::Application;
use crate::cluster::task_executors::TaskExecutorHandle;
use crate::driver::Driver;
use crate::store::Store;
use flinkrs_control::Timestamp;
use flinkrs_control::dispatcher::{Dispatcher, DispatcherEvent};
use flinkrs_control::jobmaster::JobEvent;
use flinkrs_control::options::{DispatcherOptions, ResourceOptions};
use flinkrs_control::resource_manager::{ResourceEvent, ResourceManager};
use flinkrs_core::config::Configuration;
use flinkrs_core::error::Result;
use flinkrs_protocol::{ApplicationId, Failure, JobId, JobState, ProcessUse, TaskExecutorId, WorkerUse};
use flinkrs_rpc::auth::Secret;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often who follows a job is told.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// After how long without a sign of life a worker counts as lost; a killed one is noticed by its connection.
const WORKER_TIMEOUT: Duration = Duration::from_secs(4);

/// How long TaskExecutors that are told to end may take to hang up.
const HANG_UP: Duration = Duration::from_secs(3);

/// How a cluster decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) dispatcher: DispatcherOptions,
    pub(crate) resources: ResourceOptions,
    /// How jobs are treated that have no options of their own.
    pub(crate) config: Configuration,
    /// What starts TaskExecutors.
    pub(crate) driver: Option<Driver>,
    /// Whether the cluster is there for one application, and ends with it.
    pub(crate) ends_with_application: bool,
}

/// All state of a JobManager.
pub(crate) struct Cluster {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) resources: ResourceManager,
    pub(crate) applications: BTreeMap<ApplicationId, Application>,
    pub(crate) jobs: BTreeMap<JobId, JobRecord>,
    task_executors: BTreeMap<TaskExecutorId, TaskExecutorHandle>,
    /// What TaskExecutors have said last that they and their workers use.
    pub(crate) used: BTreeMap<TaskExecutorId, (ProcessUse, WorkerUse)>,
    /// Who waits for logs, by request.
    logs: BTreeMap<u64, task_executors::LogRequest>,
    /// The number of the last request for logs.
    last_request: u64,
    pub(crate) options: Options,
    /// What TaskExecutors and workers prove to each other that they have.
    data_secret: Secret,
    store: Store,
    steps: VecDeque<Step>,
    timers: BTreeMap<Timer, Timestamp>,
    /// When workers were looked at, and who follows jobs was told.
    swept: Instant,
    ending: Option<Reply<()>>,
    /// When the cluster ends: the application that it is there for has ended.
    over_at: Option<Instant>,
    /// How the last job ended.
    last_end: Option<JobEnd>,
}

/// How a job has ended.
#[derive(Clone, Debug)]
pub struct JobEnd {
    /// Which.
    pub job: JobId,
    /// In which state.
    pub state: JobState,
    /// Why, if it has failed.
    pub failure: Option<Failure>,
}

/// What is to be done next; each may add others.
enum Step {
    Dispatcher(DispatcherEvent),
    Resources(ResourceEvent),
    Job(ApplicationId, JobEvent),
}

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Dispatcher,
    Resources,
    Job(ApplicationId),
}

impl Cluster {
    /// A cluster with what a JobManager before has left in the store.
    pub(crate) fn new(options: Options, store: Store) -> Result<Cluster> {
        let mut cluster = Cluster {
            dispatcher: Dispatcher::new(options.dispatcher.clone()),
            resources: ResourceManager::new(options.resources.clone()),
            applications: BTreeMap::new(),
            jobs: BTreeMap::new(),
            task_executors: BTreeMap::new(),
            used: BTreeMap::new(),
            logs: BTreeMap::new(),
            last_request: 0,
            options,
            data_secret: Secret::random(),
            store,
            steps: VecDeque::new(),
            timers: BTreeMap::new(),
            swept: Instant::now(),
            ending: None,
            over_at: None,
            last_end: None,
        };
        cluster.recover()?;
        cluster.work();
        Ok(cluster)
    }

    /// Works until the cluster is told to end, or has nothing more to do; how its last job ended.
    pub(crate) async fn run(mut self, mut messages: mpsc::Receiver<Message>) -> Option<JobEnd> {
        loop {
            let wake = self.timers.values().min().map(|at| Duration::from_millis(at.0.saturating_sub(now().0)));
            let sweep = STATUS_INTERVAL.saturating_sub(self.swept.elapsed());
            let busy = !self.applications.is_empty();
            let over = self.over_at.map(|at| at.saturating_duration_since(Instant::now()));
            let wake = wake.into_iter().chain(over).min();
            let wait = match wake {
                Some(wake) if busy => wake.min(sweep),
                Some(wake) => wake,
                None if busy => sweep,
                None => Duration::from_secs(60),
            };
            match tokio::time::timeout(wait, messages.recv()).await {
                Ok(Some(message)) => self.take(message),
                Ok(None) => return self.last_end,
                Err(_) => {}
            }
            self.tick();
            self.work();
            if let Some(reply) = self.ending.take() {
                let _ = reply.send(Ok(()));
                self.end_all(&mut messages).await;
                return self.last_end;
            }
            if self.over_at.is_some_and(|at| at <= Instant::now()) {
                self.end_all(&mut messages).await;
                return self.last_end;
            }
        }
    }

    /// Tells TaskExecutors to end, and waits until they have hung up: one that hasn't heard it would wait for another
    /// JobManager.
    async fn end_all(&mut self, messages: &mut mpsc::Receiver<Message>) {
        self.tell_all_to_end();
        let until = Instant::now() + HANG_UP;
        while !self.task_executors.is_empty()
            && let Ok(Some(message)) = tokio::time::timeout_at(until, messages.recv()).await
        {
            // Whoever asks for something else hears that the process ends.
            if let Message::TaskExecutorGone { task_executor } = message {
                self.task_executors.remove(&task_executor);
            }
        }
    }

    /// Hands due timers in, and looks after workers and followers.
    fn tick(&mut self) {
        let now = now();
        let due: Vec<Timer> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            self.steps.push_back(match timer {
                Timer::Dispatcher => Step::Dispatcher(DispatcherEvent::Tick),
                Timer::Resources => Step::Resources(ResourceEvent::Tick),
                Timer::Job(application) => Step::Job(application, JobEvent::Tick),
            });
        }
        if self.swept.elapsed() >= STATUS_INTERVAL {
            self.swept = Instant::now();
            self.sweep_workers();
            self.tell_followers();
        }
    }

    /// Does what there is to do, and what follows from it.
    fn work(&mut self) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Dispatcher(event) => {
                    let commands = self.dispatcher.handle(event, now());
                    commands.into_iter().for_each(|command| self.dispatcher_says(command));
                }
                Step::Resources(event) => {
                    let commands = self.resources.handle(event, now());
                    commands.into_iter().for_each(|command| self.resources_say(command));
                }
                Step::Job(application, event) => {
                    let Some(of) = self.applications.get_mut(&application) else { continue };
                    let Some(master) = &mut of.master else { continue };
                    let commands = master.handle(event, now());
                    commands.into_iter().for_each(|command| self.job_says(application, command));
                }
            }
        }
    }
}

/// The time of events.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as u64)
}

/// A line in the log of this process, which is its standard error.
fn log(line: &str) {
    eprintln!("{line}");
}
