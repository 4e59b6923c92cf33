//! The connection of a program to a JobManager, made again when it breaks.

use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::ApplicationId;
use flinkrs_rpc::connect::{Access, JobManagerClient};
use flinkrs_rpc::proto::ApplicationRef;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

/// How long a JobManager may be gone before who waits for it gives up.
const RECONNECT_FOR: Duration = Duration::from_secs(60);

/// How long between two attempts.
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

/// A JobManager, which may be started again meanwhile.
pub(super) struct Connection {
    pub(super) runtime: Runtime,
    address: String,
    access: Access,
    client: Mutex<JobManagerClient>,
    /// Shows the JobManager that this process is there.
    attached: Mutex<Option<JoinHandle<()>>>,
}

impl Connection {
    pub(super) fn new(address: &str, access: Access) -> Result<Connection> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("rpc").enable_all().build();
        let runtime = runtime.map_err(|error| Error::Resource { message: format!("no thread for RPC: {error}") })?;
        let client = runtime.block_on(JobManagerClient::connect(address, access.clone()))?;
        let (client, attached) = (Mutex::new(client), Mutex::default());
        Ok(Connection { runtime, address: address.to_owned(), access, client, attached })
    }

    pub(super) fn client(&self) -> JobManagerClient {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows the JobManager from now on that the client of an application is there.
    pub(super) fn attach(&self, application: ApplicationId) {
        let client = self.client();
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = attached.replace(self.runtime.spawn(async move {
            let request = ApplicationRef { application: application.to_string() };
            if let Ok(stream) = client.dispatcher().attach(request).await {
                let mut stream = stream.into_inner();
                while let Some(Ok(_)) = stream.next().await {}
            }
        })) {
            before.abort();
        }
    }

    /// Connects again after the connection has broken.
    ///
    /// Errors when nobody answers for a minute.
    pub(super) fn again(&self, application: ApplicationId) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.runtime.block_on(JobManagerClient::connect(&self.address, self.access.clone())) {
                Ok(client) => {
                    *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
                    self.attach(application);
                    return Ok(());
                }
                Err(error) if begun.elapsed() > RECONNECT_FOR => return Err(error),
                Err(_) => std::thread::sleep(RECONNECT_EVERY),
            }
        }
    }
}
