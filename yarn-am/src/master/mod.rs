//! The process: a JobManager, registered with YARN, whose TaskExecutors run in containers.
//!
//! ```text
//!  JobManager ──DriverCommand──▶ Fleet ──Event──▶ Containers (decisions)
//!                                  │  ◀─Command──
//!                                  ├──▶ Heartbeat ──allocate──▶ ResourceManager
//!                                  └──▶ Nodes ──startContainers──▶ NodeManagers
//! ```

mod fleet;
mod nodes;

use crate::containers::Limits;
use crate::launch::Launch;
use crate::spec::{Common, FirstJob};
use fleet::Fleet;
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::ApplicationMaster;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::error::Meaning;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hadoop::rpc::Options;
use flinkrs_hadoop::token::{Credentials, Token};
use flinkrs_jobmanager::{DriverCommand, JobEnd, JobManager, JobManagerHandle, JobManagerOptions};
use flinkrs_protocol::JobState;
use flinkrs_rpc::message::Submission;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// How long clients have to hear of the failure of their jobs before an application that has given up ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long the end of an application is told a ResourceManager that doesn't answer.
const FINISH_MAX: Duration = Duration::from_secs(60);

/// What an ApplicationMaster is started with.
pub struct MasterOptions {
    /// Hadoop's configuration.
    pub conf: Configuration,
    /// The tokens that YARN gave to the container.
    pub credentials: Credentials,
    /// Those by which TaskExecutors act for the application's user, as they are now.
    pub tokens: watch::Receiver<BTreeMap<String, Token>>,
    /// The JobManager; what starts its TaskExecutors is set here.
    pub jobmanager: JobManagerOptions,
    /// The host at which it is found.
    pub host: String,
    /// What every path of who may look at the page begins with.
    pub view: String,
    /// The job to begin with, and the folder in which its files lie.
    pub first: Option<(FirstJob, PathBuf)>,
    /// What TaskExecutors run in.
    pub executors: Executors,
    /// When failures are too many.
    pub limits: Limits,
    /// How often the ResourceManager hears of it, while nothing is waited for and while something is.
    pub intervals: (Duration, Duration),
}

/// The containers of TaskExecutors.
#[derive(Clone)]
pub struct Executors {
    /// Memory of each, in MB.
    pub memory_mb: u64,
    /// Cores of each.
    pub vcores: u32,
    /// The label of the nodes that will do.
    pub node_label: Option<String>,
    /// Nodes and their racks, those first that are to be asked for first.
    pub nodes: Vec<(String, String)>,
    /// What they run. The credentials are added for each, as a [`ContainerSpec`](crate::spec::ContainerSpec).
    pub launch: Launch,
    /// What they have to know.
    pub common: Common,
    /// The URL of the file in which they find the JobManager, where it may be started again; else they are told.
    pub address_file: Option<String>,
    /// The URL of the file in which new tokens come, if any do.
    pub tokens_file: Option<String>,
}

/// How an application has ended, as YARN has been told.
pub struct End {
    /// How.
    pub status: FinalApplicationStatusProto,
    /// Why, if it hasn't ended well.
    pub diagnostics: String,
}

/// Runs an application until it has done what it is there for or has failed; how it has ended, once YARN has been told.
///
/// `listens` is called once it can be reached, with the JobManager's host and port; when it starts a program the
/// application ends with that.
///
/// Errors when it can't listen, register, or tell YARN, and with [`Error::Cancelled`] when `end` comes, which is the
/// end of the process but maybe not of the application: YARN starts another one if it may, which finds the jobs again.
pub async fn run(
    mut options: MasterOptions,
    end: impl Future<Output = ()>,
    listens: impl FnOnce(&str) -> Result<Option<Child>>,
) -> Result<End> {
    let (driver, commands) = mpsc::unbounded_channel();
    options.jobmanager.driver = Some(driver);
    let is_single = options.jobmanager.ends_with_application;
    let manager = JobManager::bind(options.jobmanager.clone()).await?;
    let port = manager.address().port();
    let address = format!("{}:{port}", options.host);
    let rest = manager.rest_address().map(|rest| rest.port()).unwrap_or_default();
    let url = format!("http://{}:{rest}/view/{}/", options.host, options.view);
    let rpc = ApplicationMaster::new(&options.conf, &options.credentials, Options::from_configuration(&options.conf)?)?;
    let handle = manager.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(manager.run(async move {
        let _ = stopped.await;
    }));
    let mut master = Master {
        rpc: Arc::new(rpc),
        fleet: Fleet::new(&options, &address)?,
        commands,
        handle,
        url,
        host: options.host.clone(),
        port,
        failure: None,
        exit: None,
    };
    let submitted = match &options.first {
        Some((job, folder)) => master.submit(job, folder).await,
        None => Ok(()),
    };
    // Whoever hears from YARN that it runs finds it.
    let listened = submitted.and_then(|()| listens(&address));
    master.register().await?;
    let last = match listened {
        Ok(program) => tokio::select! {
            last = master.work(running, stop, program) => last,
            () = end => return Err(Error::Cancelled),
        },
        Err(error) => Err(error),
    };
    let ended = master.end_of(last, is_single);
    master.finish(&ended).await?;
    Ok(ended)
}

/// An ApplicationMaster that runs.
struct Master {
    rpc: Arc<ApplicationMaster>,
    fleet: Fleet,
    commands: mpsc::UnboundedReceiver<DriverCommand>,
    handle: JobManagerHandle,
    /// Where the ResourceManager's proxy finds the page.
    url: String,
    host: String,
    port: u16,
    /// Why it has given up.
    failure: Option<String>,
    /// How its program has ended.
    exit: Option<ExitStatus>,
}

/// An answer of the ResourceManager that is waited for.
type Answering = Pin<Box<dyn Future<Output = flinkrs_hadoop::Result<AllocateResponseProto>> + Send>>;

impl Master {
    /// Submits the job that the application was started for, unless an ApplicationMaster before this one has.
    async fn submit(&self, first: &FirstJob, folder: &Path) -> Result<()> {
        if self.handle.has(first.job).await? {
            eprintln!("job {} was submitted to an ApplicationMaster before this one", first.job);
            return Ok(());
        }
        let path = folder.join(crate::spec::SUBMISSION);
        let staged = || std::fs::read(&path).map_err(|error| Error::io("read", &path, error));
        let submission: Submission = match &first.submission {
            Some(bytes) => flinkrs_rpc::body::decode(bytes)?,
            None => flinkrs_rpc::body::decode(&staged()?)?,
        };
        let executable = folder.join(crate::spec::PROGRAMS).join(&first.program.artifact);
        let application = first.program.application;
        self.handle.open(first.program.clone(), &executable, first.attached).await?;
        self.handle.submit(application, first.job, submission).await
    }

    async fn register(&mut self) -> Result<()> {
        let response = self.rpc.register(&self.host, self.port, &self.url).await?;
        let most = response.maximum_capability.unwrap_or_default();
        eprintln!("registered in queue {}; a container has at most {} MB", response.queue(), most.memory());
        self.fleet.registered(response);
        Ok(())
    }

    /// Works until the JobManager has ended; how its last job did.
    async fn work(
        &mut self,
        mut running: tokio::task::JoinHandle<Result<Option<JobEnd>>>,
        stop: tokio::sync::oneshot::Sender<()>,
        mut program: Option<Child>,
    ) -> Result<Option<JobEnd>> {
        let mut stop = Some(stop);
        let mut answering: Option<Answering> = None;
        let mut give_up_at: Option<Instant> = None;
        loop {
            let beat_at = self.fleet.beat_at();
            tokio::select! {
                ended = &mut running => {
                    return ended.unwrap_or_else(|error| Err(Error::internal(format!("the JobManager: {error}"))));
                }
                () = async { sleep_until(give_up_at.unwrap_or(beat_at)).await }, if give_up_at.is_some() => {
                    give_up_at = None;
                    drop(stop.take());
                }
                exit = async { program.as_mut().expect("there is one").wait().await }, if program.is_some() => {
                    program = None;
                    drop(stop.take());
                    self.exit = Some(exit.map_err(|error| Error::io("wait for", "the program", error))?);
                }
                Some(command) = self.commands.recv() => self.fleet.told(command),
                event = self.fleet.nodes.next() => self.fleet.happened(event),
                answer = async { answering.as_mut().expect("it is waited for").await }, if answering.is_some() => {
                    answering = None;
                    self.answered(answer).await?;
                }
                () = sleep_until(beat_at), if answering.is_none() => {
                    let (rpc, request) = (Arc::clone(&self.rpc), self.fleet.request());
                    answering = Some(Box::pin(async move { rpc.allocate(&request).await }));
                }
            }
            if let Some(reason) = self.fleet.gave_up.take() {
                eprintln!("giving up: {reason}");
                self.handle.no_more_slots(reason.clone()).await;
                self.failure = Some(reason);
                give_up_at = Some(Instant::now() + LAST_WORDS);
            }
        }
    }

    async fn answered(&mut self, answer: flinkrs_hadoop::Result<AllocateResponseProto>) -> Result<()> {
        match answer {
            Ok(response) => self.fleet.answered(response),
            Err(error) if error.meaning() == Some(Meaning::NotRegistered) => {
                eprintln!("the ResourceManager was restarted; registering again");
                self.register().await?;
                self.fleet.resync();
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What YARN is told of the end.
    fn end_of(&self, last: Result<Option<JobEnd>>, is_single: bool) -> End {
        use FinalApplicationStatusProto::{AppFailed, AppKilled, AppSucceeded};
        let end = |status, diagnostics: &str| End { status, diagnostics: diagnostics.to_owned() };
        if let Some(exit) = self.exit.filter(|exit| !exit.success()) {
            let failure = last.ok().flatten().and_then(|job| job.failure);
            let why = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
            return end(
                AppFailed,
                &format!("the program has ended with {exit}{why}; its own words are in jobmanager.log"),
            );
        }
        match (last, &self.failure) {
            (Err(error), _) => end(AppFailed, &error.to_string()),
            (Ok(_), Some(failure)) => end(AppFailed, failure),
            (Ok(Some(job)), None) if is_single => match (job.state, &job.failure) {
                (JobState::Finished, _) => end(AppSucceeded, ""),
                (_, Some(failure)) => end(AppFailed, &format!("job {} has failed: {failure}", job.job)),
                (_, None) => end(AppKilled, &format!("job {} was cancelled", job.job)),
            },
            (Ok(_), None) => end(AppSucceeded, ""),
        }
    }

    async fn finish(&self, end: &End) -> Result<()> {
        let told = self.rpc.finish(end.status, &end.diagnostics, "");
        match timeout(FINISH_MAX, told).await {
            Ok(told) => Ok(told?),
            Err(_) => {
                let seconds = FINISH_MAX.as_secs();
                Err(Error::Resource { message: format!("the ResourceManager doesn't answer for {seconds} s") })
            }
        }
    }
}
