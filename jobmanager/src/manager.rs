//! The process: listens, and ends when it is told to.

use crate::cluster::{Cluster, Message, Options};
use crate::rest::{self, Rest, RestOptions};
use crate::service;
use crate::store::Store;
use flinkrs_control::options::{DispatcherOptions, JobOptions, ResourceOptions};
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::auth::Secret;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
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
    /// Where it listens for RPC; another address than a loopback one needs a secret.
    pub bind: SocketAddr,
    /// What clients and processes of the cluster have to prove that they have.
    pub secret: Option<Secret>,
    /// REST and metrics; `None`: there are none.
    pub rest: Option<RestOptions>,
    /// The folder for jobs and results.
    pub store: PathBuf,
    /// The folder for executables.
    pub artifacts: PathBuf,
    /// How TaskExecutors and slots are treated.
    pub resources: ResourceOptions,
    /// How jobs are treated.
    pub job: JobOptions,
    /// How clients and finished jobs are treated.
    pub dispatcher: DispatcherOptions,
}

/// A JobManager that listens.
pub struct JobManager {
    listener: TcpListener,
    address: SocketAddr,
    secret: Option<Secret>,
    rest: Option<Rest>,
    store: Store,
    cluster: Cluster,
}

impl JobManager {
    /// Listens, and takes up what a JobManager before this one has left in the store.
    ///
    /// Errors when the address is open to others and there is no secret, when it is taken, or when the store can't be
    /// used.
    pub async fn bind(options: JobManagerOptions) -> Result<JobManager> {
        check_open("jobmanager.bind-host", options.bind.ip(), options.secret.as_ref())?;
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
        let (dispatcher, resources, job) = (options.dispatcher, options.resources, options.job);
        let cluster = Cluster::new(Options { dispatcher, resources, job }, store.clone())?;
        Ok(JobManager { listener, address, secret: options.secret, rest, store, cluster })
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

    /// Works until a client ends the cluster, or `end` comes.
    pub async fn run(self, end: impl Future<Output = ()>) -> Result<()> {
        let (messages, received) = mpsc::channel(MESSAGES_MAX);
        let at = self.rest.as_ref().map(Rest::advertised).unwrap_or_default();
        let (store, secret) = (self.store.clone(), self.secret.clone());
        let served = service::serve(self.listener, messages.clone(), store, secret, at);
        let rest = async {
            match self.rest {
                Some(rest) => rest::serve(rest, messages.clone(), self.store, self.secret, self.address).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = async {
                self.cluster.run(received).await;
                tokio::time::sleep(LAST_MESSAGES).await;
            } => Ok(()),
            served = served => served,
            () = rest => Err(Error::internal("the REST server has ended")),
            () = async {
                end.await;
                let (reply, done) = oneshot::channel();
                if messages.send(Message::ShutDown(reply)).await.is_ok() {
                    let _ = done.await;
                    tokio::time::sleep(LAST_MESSAGES).await;
                }
            } => Ok(()),
        }
    }
}

/// Whoever can submit a job can run code: so a cluster that others can reach needs a secret.
pub(crate) fn check_open(option: &str, address: IpAddr, secret: Option<&Secret>) -> Result<()> {
    if address.is_loopback() || secret.is_some() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{option} is {address}, which others can reach, and whoever can submit a job can run code; set \
         security.cluster-secret-file to the file of a secret, or listen on 127.0.0.1"
    )))
}
