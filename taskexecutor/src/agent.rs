//! The task that owns the state of a TaskExecutor.

use crate::artifacts::Artifacts;
use crate::estate::Estate;
use crate::link::Link;
use crate::logs;
use crate::metrics::{Metrics, REPORTS, Used};
use crate::workers::Workers;
use flinkrs_control::Timestamp;
use flinkrs_control::resource_manager::Registration;
use flinkrs_control::task_executor::{
    TaskExecutor as Decider, TaskExecutorCommand, TaskExecutorEvent, TaskExecutorOptions as Times, WorkerExit,
};
use flinkrs_core::config::PortRange;
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, Failure, FailureKind, JobId, PartitionId, TaskExecutorId, WorkerId};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::connect::Access;
use flinkrs_rpc::message::{FromTaskExecutor, Program, ToTaskExecutor, WorkerSpec};
use flinkrs_rpc::program::{Glibc, Program as Executable};
use flinkrs_rpc::tls::Tls;
use flinkrs_runtime::{Compression, Exchange, ExchangeOptions, PeerId, StoredPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Events that wait at most; whoever has one more waits.
const EVENTS_MAX: usize = 4096;

/// Network memory of the server of finished partitions, in bytes.
const SERVER_BYTES: usize = 8 << 20;

/// What a TaskExecutor is started with.
#[derive(Clone, Debug)]
pub struct TaskExecutorOptions {
    /// What it is called, without `.`; after its host, its process and the time unless it is set.
    pub name: Option<String>,
    /// Host and port of the JobManager, or the URL of a file that has them.
    pub jobmanager: String,
    /// The cluster's secret, if it has one.
    pub secret: Option<Secret>,
    /// By which certificates it and its workers prove themselves, if they do.
    pub tls: Option<Tls>,
    /// The address that it and its workers listen on.
    pub bind: IpAddr,
    /// The port of the server of finished partitions; 0 takes any.
    pub data_port: u16,
    /// The host that others find it at, as splits name hosts.
    pub host: String,
    /// How many slots it has.
    pub slots: u32,
    /// Managed memory of each, in bytes.
    pub slot_bytes: u64,
    /// Memory of all workers for the network, in bytes; each has the part that its slots are.
    pub network_bytes: u64,
    /// Whether records are compressed between workers.
    pub compress: bool,
    /// Threads of a worker for tasks.
    pub threads: u32,
    /// The folder for executables and partitions; made if it isn't there.
    pub folder: PathBuf,
    /// The folder for logs, of this process and of its workers; made if it isn't there.
    pub logs: PathBuf,
    /// The ports of which the first that is free shows metrics to Prometheus; `None`: there are none.
    pub metrics_ports: Option<PortRange>,
    /// A folder with executables that need not be fetched, under the hashes of their content.
    pub programs: Option<PathBuf>,
    /// The folder in which programs run; that of their client, where it is here as well, unless it is set.
    pub worker_directory: Option<PathBuf>,
    /// The folder for spilled data.
    pub temp_dir: PathBuf,
    /// What programs are told of the configuration, as variables.
    pub environment: Vec<(&'static str, String)>,
    /// Heartbeats and delays.
    pub times: Times,
}

/// What the agent hears.
pub(crate) enum Event {
    /// For the decider.
    Decide(TaskExecutorEvent),
    /// The JobManager says something.
    Told(ToTaskExecutor),
    /// The connection to the JobManager has ended, or couldn't be made.
    Disconnected(Option<Error>),
    /// An executable is there, or can't be had.
    Fetched { application: ApplicationId, worker: WorkerId, fetched: Result<PathBuf> },
}

/// A TaskExecutor.
pub struct TaskExecutor {
    options: TaskExecutorOptions,
    decider: Decider,
    link: Link,
    workers: Workers,
    artifacts: Arc<Artifacts>,
    estate: Estate,
    server: Option<Exchange>,
    /// The server's port: nobody else gets it, whether there is a server or not.
    listener: TcpListener,
    data_secret: Vec<u8>,
    /// Programs of workers that are to be started, and how many slots are theirs.
    programs: BTreeMap<(ApplicationId, WorkerId), (Program, u32)>,
    /// Workers whose executables are being fetched.
    fetching: BTreeSet<(ApplicationId, WorkerId)>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    wake_at: Option<Timestamp>,
    /// Why there is no connection, as it was printed last.
    said: Option<String>,
    /// What it and its workers use.
    used: Used,
    /// Where Prometheus asks, until it is served.
    metrics: Option<Metrics>,
    /// What it is called there.
    called: Option<Arc<Mutex<String>>>,
}

impl TaskExecutor {
    /// Makes the folders; nothing is connected before it [`run`](TaskExecutor::run)s.
    ///
    /// Errors when a folder can't be made, or when the address is open to others and there is neither a secret nor a
    /// certificate.
    pub fn new(options: TaskExecutorOptions) -> Result<TaskExecutor> {
        if !options.bind.is_loopback() && options.secret.is_none() && options.tls.is_none() {
            return Err(Error::usage(format!(
                "taskmanager.bind-host is {}, which others can reach; set security.cluster-secret-file to the file of \
                 a secret, demand certificates (security.ssl.internal.enabled), or listen on 127.0.0.1",
                options.bind
            )));
        }
        let parts = ["artifacts", "partitions", "specs", REPORTS].map(|part| options.folder.join(part));
        for path in parts.iter().chain([&options.logs]) {
            fs::create_dir_all(path).map_err(|error| Error::io("create", path, error))?;
        }
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&options.folder, owner).map_err(|error| Error::io("protect", &options.folder, error))?;
        let estate = Estate::own(&options.folder)?;
        // The port is known before the server is: whoever registers says where it will be.
        let held = TcpListener::bind((options.bind, options.data_port));
        let held = held.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (port, listener) = held.map_err(|error| Error::Resource {
            message: format!(
                "cannot listen on {}:{}: {error} (option taskmanager.data.port)",
                options.bind, options.data_port
            ),
        })?;
        let name = options.name.clone();
        let name = name.unwrap_or_else(|| format!("{}:{}-{}", options.host, std::process::id(), now().0));
        let registration = Registration {
            task_executor: TaskExecutorId::from(name.as_str()),
            host: options.host.as_str().into(),
            data_address: format!("{}:{}", options.host, port.port()).into(),
            slots: options.slots,
            slot_bytes: options.slot_bytes,
        };
        let used = Used::new(&options.folder);
        let metrics = options.metrics_ports.map(|ports| Metrics::listen(ports, &options)).transpose()?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let access = Access { secret: options.secret.clone(), tls: options.tls.clone() };
        Ok(TaskExecutor {
            decider: Decider::new(registration, options.times.clone()),
            link: Link::new(options.jobmanager.clone(), access, sender.clone()),
            workers: Workers::new(
                options.folder.clone(),
                options.logs.clone(),
                options.worker_directory.clone(),
                options.environment.clone(),
                sender.clone(),
            ),
            artifacts: Arc::new(Artifacts::new(options.folder.join("artifacts"), options.programs.clone())),
            estate,
            server: None,
            listener,
            data_secret: Vec::new(),
            programs: BTreeMap::new(),
            fetching: BTreeSet::new(),
            events,
            sender,
            wake_at: None,
            said: None,
            used,
            called: metrics.as_ref().map(Metrics::name),
            metrics,
            options,
        })
    }

    /// Connects and works until the cluster ends, or `end` comes; then its workers are ended.
    ///
    /// Errors when the JobManager refuses it.
    pub async fn run(mut self, end: impl Future<Output = ()>) -> Result<()> {
        let mut end = std::pin::pin!(end);
        let mut ended = false;
        // Ends with this call.
        let mut serving = JoinSet::new();
        self.metrics.take().map(|metrics| serving.spawn(metrics.serve()));
        self.decide(TaskExecutorEvent::Tick)?;
        loop {
            let wait =
                self.wake_at.map_or(Duration::from_secs(60), |at| Duration::from_millis(at.0.saturating_sub(now().0)));
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = &mut end, if !ended => {
                    ended = true;
                    Some(Event::Decide(TaskExecutorEvent::Stop))
                }
                () = tokio::time::sleep(wait) => None,
            };
            let exit = match event {
                None => match self.wake_at.take_if(|at| *at <= now()) {
                    Some(_) => self.decide(TaskExecutorEvent::Tick),
                    None => Ok(false),
                },
                Some(Event::Decide(event)) => self.decide(event),
                Some(Event::Told(told)) => self.told(told),
                Some(Event::Disconnected(error)) => self.disconnected(error),
                Some(Event::Fetched { application, worker, fetched }) => self.fetched(application, worker, fetched),
            };
            if exit? {
                return Ok(());
            }
        }
    }

    /// Hands an event to the decider and carries out what it says; whether the process is to end.
    fn decide(&mut self, event: TaskExecutorEvent) -> Result<bool> {
        let mut exit = false;
        for command in self.decider.handle(event, now()) {
            match command {
                TaskExecutorCommand::Connect => {
                    // No worker of another session is left.
                    self.programs.clear();
                    self.link.connect();
                }
                TaskExecutorCommand::Register(registration) => self.link.send(&FromTaskExecutor::Register {
                    task_executor: registration.task_executor.to_string(),
                    host: registration.host.to_string(),
                    data_address: registration.data_address.to_string(),
                    slots: registration.slots,
                    slot_bytes: registration.slot_bytes,
                    glibc: Glibc::here(),
                }),
                TaskExecutorCommand::Heartbeat => {
                    let (process, workers) = self.used.now();
                    self.link.send(&FromTaskExecutor::Heartbeat { process, workers });
                }
                TaskExecutorCommand::Disconnect => self.link.disconnect(),
                TaskExecutorCommand::SpawnWorker { application, worker } => self.fetch(application, worker),
                TaskExecutorCommand::KillWorker { application, worker } => exit |= self.kill(application, worker)?,
                TaskExecutorCommand::ReportWorkerLost { application, worker, failure } => {
                    self.programs.remove(&(application, worker));
                    self.link.send(&FromTaskExecutor::WorkerLost { application, worker, failure });
                }
                TaskExecutorCommand::Exit { error: None } => exit = true,
                TaskExecutorCommand::Exit { error: Some(failure) } => {
                    return Err(Error::Resource { message: failure.to_string() });
                }
                TaskExecutorCommand::WakeAt(at) => self.wake_at = Some(at),
            }
        }
        Ok(exit)
    }

    /// The connection has ended. It is made again, unless the JobManager is one that this process can't work for.
    fn disconnected(&mut self, error: Option<Error>) -> Result<bool> {
        if let Some(error) = error.as_ref().filter(|error| matches!(error.root(), Error::Usage { .. })) {
            return Err(Error::usage(error.to_string()));
        }
        let reason = error.map_or_else(|| "the connection to the JobManager has ended".to_owned(), |e| e.to_string());
        if self.said.as_ref() != Some(&reason) {
            eprintln!("{reason}; trying again");
            self.said = Some(reason.clone());
        }
        self.decide(TaskExecutorEvent::Disconnected { reason })
    }

    /// The JobManager says something.
    fn told(&mut self, told: ToTaskExecutor) -> Result<bool> {
        match told {
            ToTaskExecutor::Registered { data_secret } => {
                self.serve(data_secret)?;
                self.said = None;
                self.called.iter().for_each(|name| {
                    *name.lock().unwrap_or_else(PoisonError::into_inner) = self.decider.id().to_string();
                });
                eprintln!("registered at {} as {}", self.options.jobmanager, self.decider.id());
                self.offer_partitions()?;
                self.decide(TaskExecutorEvent::Registered)
            }
            ToTaskExecutor::Refused(message) => self.decide(TaskExecutorEvent::Refused { message }),
            ToTaskExecutor::Heartbeat => self.decide(TaskExecutorEvent::Heartbeat),
            ToTaskExecutor::StartWorker { worker, slots, program } => {
                let application = program.application;
                self.programs.insert((application, worker), (*program, slots));
                self.decide(TaskExecutorEvent::StartWorker { application, worker })
            }
            ToTaskExecutor::StopWorker { application, worker } => {
                self.decide(TaskExecutorEvent::StopWorker { application, worker })
            }
            ToTaskExecutor::ReleasePartitions { job, partitions } => {
                self.remove(|id| {
                    let of = PartitionId { edge: id.edge, subtask: id.producer, attempt: id.attempt };
                    id.job == job.0 && partitions.as_ref().is_none_or(|some| some.contains(&of))
                });
                Ok(false)
            }
            ToTaskExecutor::ReadLogs { request, which } => {
                logs::send(self.options.logs.clone(), which, request, self.link.outgoing());
                Ok(false)
            }
            ToTaskExecutor::ShutDown => self.decide(TaskExecutorEvent::Stop),
        }
    }

    /// Serves finished partitions to those who prove that they belong to the cluster.
    fn serve(&mut self, data_secret: Vec<u8>) -> Result<()> {
        self.server = None;
        self.data_secret.clone_from(&data_secret);
        let failed = |error| Error::Resource { message: format!("cannot listen for those who fetch records: {error}") };
        let listener = self.listener.try_clone().map_err(failed)?;
        let options = ExchangeOptions {
            listen: listener.local_addr().map_err(failed)?,
            job: 0,
            me: PeerId::of_task_executor(&self.decider.id()),
            secret: data_secret,
            memory_bytes: SERVER_BYTES,
            compression: Compression::None,
            folder: Some(self.estate.partitions()),
            tls: self.options.tls.as_ref().map(|tls| (Arc::clone(&tls.client), Arc::clone(&tls.server))),
        };
        self.server = Some(Exchange::start_at(listener, options)?);
        Ok(())
    }

    /// Tells the JobManager of the finished partitions that are here: of its time, from before this registration.
    fn offer_partitions(&mut self) -> Result<()> {
        let Some(server) = &self.server else { return Ok(()) };
        self.estate.settle(&self.data_secret, server)?;
        let mut by_job: BTreeMap<JobId, Vec<PartitionId>> = BTreeMap::new();
        for StoredPartition { job, edge, producer: subtask, attempt, .. } in server.partitions()? {
            by_job.entry(JobId(job)).or_default().push(PartitionId { edge, subtask, attempt });
        }
        by_job
            .into_iter()
            .for_each(|(job, partitions)| self.link.send(&FromTaskExecutor::Partitions { job, partitions }));
        Ok(())
    }

    fn remove(&self, is_over: impl Fn(&StoredPartition) -> bool) {
        if let Some(server) = &self.server
            && let Err(error) = server.remove_partitions(is_over)
        {
            eprintln!("{error}");
        }
    }

    /// Fetches the executable of a worker, unless it is there.
    fn fetch(&mut self, application: ApplicationId, worker: WorkerId) {
        let Some((program, _)) = self.programs.get(&(application, worker)) else { return };
        self.fetching.insert((application, worker));
        let (artifacts, sha256) = (Arc::clone(&self.artifacts), program.artifact.clone());
        let (client, events, name) = (self.link.client(), self.sender.clone(), format!("'{}'", program.name));
        tokio::spawn(async move {
            let fetched = artifacts.fetch(client, &sha256).await.and_then(|path| {
                Executable::read(&path, &name)?.check_here(&name)?;
                Ok(path)
            });
            // When the agent has ended, so has the process.
            let _ = events.send(Event::Fetched { application, worker, fetched }).await;
        });
    }

    fn fetched(&mut self, application: ApplicationId, worker: WorkerId, fetched: Result<PathBuf>) -> Result<bool> {
        let (is_wanted, program) =
            (self.fetching.remove(&(application, worker)), self.programs.remove(&(application, worker)));
        // One that was told to end meanwhile has ended.
        let Some((program, slots)) = program.filter(|_| is_wanted) else { return Ok(false) };
        let spec = WorkerSpec {
            jobmanager: self.link.client().map_or_else(|| self.options.jobmanager.clone(), |client| client.address),
            cluster_secret: self.options.secret.as_ref().map(|secret| secret.bytes().to_vec()),
            tls: self.options.tls.as_ref().map(|tls| tls.files.clone()),
            worker,
            task_executor: self.decider.id().to_string(),
            program,
            data_secret: self.data_secret.clone(),
            bind_host: self.options.bind.to_string(),
            host: self.options.host.clone(),
            slots: self.options.slots,
            slot_bytes: self.options.slot_bytes,
            network_bytes: self.options.network_bytes / u64::from(self.options.slots) * u64::from(slots),
            compress: self.options.compress,
            threads: self.options.threads,
            temp_dir: self.options.temp_dir.display().to_string(),
            partitions: self.estate.partitions().display().to_string(),
            report: self.used.report_of(application, worker).display().to_string(),
        };
        let started = fetched.and_then(|executable| self.workers.start(&executable, &spec));
        match started {
            Ok(()) => Ok(false),
            Err(error) => self.not_started(application, worker, Failure::from(&error)),
        }
    }

    /// Ends a worker at once; one that has no process yet has ended with that.
    fn kill(&mut self, application: ApplicationId, worker: WorkerId) -> Result<bool> {
        if !self.fetching.remove(&(application, worker)) {
            self.workers.kill(application, worker);
            return Ok(false);
        }
        self.programs.remove(&(application, worker));
        self.not_started(application, worker, Failure::new(FailureKind::Lost, "it was told to end before"))
    }

    fn not_started(&mut self, application: ApplicationId, worker: WorkerId, failure: Failure) -> Result<bool> {
        let exit = WorkerExit::NotStarted(failure);
        self.decide(TaskExecutorEvent::WorkerExited { application, worker, exit })
    }
}

impl Drop for TaskExecutor {
    /// No worker outlives its TaskExecutor.
    fn drop(&mut self) {
        self.workers.kill_all();
    }
}

/// The time of events.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as u64)
}

/// The way of events to the agent.
pub(crate) type Events = mpsc::Sender<Event>;
