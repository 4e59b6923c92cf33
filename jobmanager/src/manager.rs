//! The process: listens, and ends when it is told to.

use crate::cluster::{Cluster, JobEnd, Message, Options, Reply};
use crate::driver::Driver;
use crate::rest::{self, Rest, RestOptions};
use crate::secured::check_open;
use crate::service;
use crate::store::Store;
use flinkrs_control::dispatcher::OnClientLoss;
use flinkrs_control::options::{DispatcherOptions, ResourceOptions};
use flinkrs_core::config::Configuration;
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, JobId};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::message::{Program, Submission};
use flinkrs_rpc::program::Program as Executable;
use flinkrs_rpc::tls::Tls;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Messages that wait for the cluster's task at most; services wait when there are more.
const MESSAGES_MAX: usize = 4096;

/// How long the last messages and answers may take on their way out of a process that ends.
const LAST_MESSAGES: Duration = Duration::from_millis(200);

/// What a JobManager is started with.
#[derive(Clone, Debug)]
pub struct JobManagerOptions {
    /// Where it listens for RPC; another address than a loopback one needs a secret or certificates.
    pub bind: SocketAddr,
    /// What clients and processes of the cluster have to prove that they have.
    pub secret: Option<Secret>,
    /// By which certificates all prove themselves, if they do.
    pub tls: Option<Tls>,
    /// REST and metrics; `None`: there are none.
    pub rest: Option<RestOptions>,
    /// The folder for jobs and results.
    pub store: PathBuf,
    /// The folder for executables.
    pub artifacts: PathBuf,
    /// How TaskExecutors and slots are treated.
    pub resources: ResourceOptions,
    /// How jobs are treated that have no options of their own.
    pub config: Configuration,
    /// How clients and finished jobs are treated.
    pub dispatcher: DispatcherOptions,
    /// What starts TaskExecutors; `None`: they start by themselves.
    pub driver: Option<Driver>,
    /// Whether it is there for one application, and ends with it.
    pub ends_with_application: bool,
}

/// A JobManager that listens.
pub struct JobManager {
    listener: TcpListener,
    address: SocketAddr,
    secret: Option<Secret>,
    tls: Option<Tls>,
    rest: Option<Rest>,
    store: Store,
    cluster: Cluster,
    messages: mpsc::Sender<Message>,
    received: mpsc::Receiver<Message>,
    has_driver: bool,
}

/// What the process of a JobManager says to it, from within.
#[derive(Clone)]
pub struct JobManagerHandle {
    messages: mpsc::Sender<Message>,
    store: Store,
}

impl JobManagerHandle {
    /// Fails what runs: there will be no more TaskExecutors than there are.
    pub async fn no_more_slots(&self, reason: String) {
        // One that has ended has nothing left to fail.
        let _ = self.messages.send(Message::NoMoreSlots(reason)).await;
    }

    /// Opens an application as a client does, for a program whose executable is a file here. With `attached` a client
    /// comes and stays; it tells whether the job is cancelled when that is lost.
    ///
    /// Errors when the executable is no program of this version, when it can't be taken into the store, or when the
    /// application is there already.
    pub async fn open(&self, program: Program, executable: &Path, attached: Option<bool>) -> Result<()> {
        let read = Executable::read(executable, &format!("'{}'", program.name))?;
        self.store.adopt(&program.artifact, executable)?;
        let attached = attached.map(|cancel| if cancel { OnClientLoss::Cancel } else { OnClientLoss::GoOn });
        self.ask(|reply| Message::Open { program, executable: read, attached, reply }).await
    }

    /// Whether a JobManager before this one has left this job in the store, ended or not.
    ///
    /// Errors when it ends.
    pub async fn has(&self, job: JobId) -> Result<bool> {
        self.ask(|reply| {
            Message::Look(Box::new(move |cluster| {
                // Whoever asks waits.
                let _ = reply.send(Ok(cluster.dispatcher.job(job).is_some()));
            }))
        })
        .await
    }

    /// Submits the first job of an application.
    ///
    /// Errors when the job can't be accepted.
    pub async fn submit(&self, application: ApplicationId, job: JobId, submission: Submission) -> Result<()> {
        let submission = Box::new(submission);
        self.ask(|reply| Message::Submit { application, job, execution: 1, submission, reply }).await
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T> {
        let ends = || Error::Resource { message: "the JobManager ends".to_owned() };
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?
    }
}

impl JobManager {
    /// Listens, and takes up what a JobManager before this one has left in the store.
    ///
    /// Errors when the address is open to others and there is no secret, when it is taken, or when the store can't be
    /// used.
    pub async fn bind(options: JobManagerOptions) -> Result<JobManager> {
        let asks = options.secret.is_some() || options.tls.is_some();
        check_open("jobmanager.bind-host", options.bind, asks, "security.ssl.internal.enabled")?;
        let listener = TcpListener::bind(options.bind).await.map_err(|error| Error::Resource {
            message: format!(
                "cannot listen on {}: {error}; another JobManager may run there (option jobmanager.rpc.port)",
                options.bind
            ),
        })?;
        let address = listener.local_addr().map_err(|error| Error::internal(format!("no local address: {error}")))?;
        let rest = match options.rest {
            Some(rest) => Some(Rest::bind(rest, options.secret.as_ref()).await?),
            None => None,
        };
        let store = Store::open(&options.store, &options.artifacts)?;
        let JobManagerOptions { dispatcher, resources, config, driver, ends_with_application, .. } = options;
        let has_driver = driver.is_some();
        let of_cluster = Options { dispatcher, resources, config, driver, ends_with_application };
        let cluster = Cluster::new(of_cluster, store.clone())?;
        let (messages, received) = mpsc::channel(MESSAGES_MAX);
        Ok(JobManager {
            listener,
            address,
            secret: options.secret,
            tls: options.tls,
            rest,
            store,
            cluster,
            messages,
            received,
            has_driver,
        })
    }

    /// What the process says to it while it runs.
    pub fn handle(&self) -> JobManagerHandle {
        JobManagerHandle { messages: self.messages.clone(), store: self.store.clone() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where REST listens, if it does.
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest.as_ref().map(Rest::address)
    }

    /// Where Prometheus finds metrics, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.rest.as_ref().and_then(Rest::metrics_address)
    }

    /// Works until a client ends the cluster, `end` comes, or the application that it is there for has ended; how the
    /// last job ended, if there was one.
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<Option<JobEnd>> {
        let messages = self.messages;
        let mut running = std::pin::pin!(self.cluster.run(self.received));
        let at = self.rest.as_ref().map(Rest::advertised).unwrap_or_default();
        let (store, secret) = (self.store.clone(), self.secret.clone());
        let served = service::serve(self.listener, self.tls, messages.clone(), store, secret, at);
        let rest = async {
            match self.rest {
                Some(rest) => rest::serve(rest, messages.clone(), self.store, self.secret, self.address).await,
                None => std::future::pending().await,
            }
        };
        let told = async {
            end.await;
            let (reply, done) = oneshot::channel();
            if messages.send(Message::ShutDown(reply)).await.is_ok() {
                let _ = done.await;
            }
            std::future::pending::<()>().await;
        };
        let (mut served, mut rest, mut told) = (std::pin::pin!(served), std::pin::pin!(rest), std::pin::pin!(told));
        let last = tokio::select! {
            last = &mut running => last,
            served = &mut served => return served.map(|()| None),
            () = &mut rest => return Err(Error::internal("the REST server has ended")),
            () = &mut told => None,
        };
        // The last messages and answers are on their way; containers are ended by whoever has started them.
        let wait = if self.has_driver { LAST_MESSAGES / 10 } else { LAST_MESSAGES };
        let _ = tokio::time::timeout(wait, async { tokio::join!(served, rest) }).await;
        Ok(last)
    }
}
