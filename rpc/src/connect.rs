//! Connections to a JobManager, and errors of calls in the user's words.

use crate::auth::{Prove, Secret};
use crate::proto::dispatcher_client::DispatcherClient;
use crate::proto::task_executor_gateway_client::TaskExecutorGatewayClient;
use crate::proto::worker_gateway_client::WorkerGatewayClient;
use crate::proto::{HelloReply, HelloRequest};
use crate::tls::Tls;
use crate::{MESSAGE_BYTES, PROTOCOL, VERSION};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Located, locate, scheme_of};
use hyper_util::rt::TokioIo;
use std::io;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

/// Bytes of a file with an address at most.
const ADDRESS_BYTES: u64 = 1024;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a process shows that it may talk to a JobManager.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The cluster's secret, if it has one.
    pub secret: Option<Secret>,
    /// Certificates, if the cluster demands them.
    pub tls: Option<Tls>,
}

impl From<Option<Secret>> for Access {
    fn from(secret: Option<Secret>) -> Access {
        Access { secret, tls: None }
    }
}

/// Calls go through this.
pub type Calls = InterceptedService<Channel, Prove>;

/// A JobManager that has been found, and that speaks the same version.
#[derive(Clone, Debug)]
pub struct JobManagerClient {
    /// Where it is: host and port.
    pub address: String,
    /// Where its web page is.
    pub rest_address: String,
    /// Slots of all TaskExecutors that were registered.
    pub slots: u32,
    /// Managed memory of the smallest of them, in bytes; 0 without any.
    pub slot_bytes: u64,
    /// TaskExecutors that were registered.
    pub task_executors: u32,
    channel: Channel,
    access: Access,
}

impl JobManagerClient {
    /// Connects to the JobManager at `HOST:PORT`, or at what a file says that a URL names.
    ///
    /// Errors when nobody answers there within 5 s, when it is of another version, when it wants another secret, or
    /// when one of both doesn't trust the other's certificate.
    pub async fn connect(address: &str, access: impl Into<Access>) -> Result<JobManagerClient> {
        let address = &resolved(address).await?;
        let access = access.into();
        let wrong = || {
            Error::usage(format!(
                "'{address}' is no address of a JobManager; that is HOST:PORT, such as localhost:6123"
            ))
        };
        let (_, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| wrong())?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        let channel = match &access.tls {
            None => endpoint.connect().await.map_err(|error| nobody(address, &error))?,
            Some(tls) => secured(address, &endpoint, tls).await?,
        };
        let mut client = JobManagerClient {
            address: address.to_owned(),
            rest_address: String::new(),
            slots: 0,
            slot_bytes: 0,
            task_executors: 0,
            channel,
            access,
        };
        let reply = client.hello().await?;
        (client.rest_address, client.slots, client.slot_bytes) = (reply.rest_address, reply.slots, reply.slot_bytes);
        client.task_executors = reply.task_executors;
        Ok(client)
    }

    async fn hello(&self) -> Result<HelloReply> {
        let request = HelloRequest { version: VERSION.to_owned(), protocol: PROTOCOL };
        let reply = self.dispatcher().hello(request).await.map_err(|status| self.unfriendly(&status))?.into_inner();
        if (reply.protocol, reply.version.as_str()) == (PROTOCOL, VERSION) {
            return Ok(reply);
        }
        Err(Error::usage(format!(
            "the JobManager at {} is of flinkrs {} (protocol {}), and this is {VERSION} (protocol {PROTOCOL}); both \
             have to be the same",
            self.address, reply.version, reply.protocol
        )))
    }

    /// The error of the first call, which tells whether both sides encrypt, and trust each other.
    fn unfriendly(&self, status: &Status) -> Error {
        let error = self.error(status);
        // What the JobManager itself has said needs no guess.
        if std::error::Error::source(status).is_none() || !matches!(error, Error::Resource { .. }) {
            return error;
        }
        let hint = match &self.access.tls {
            Some(_) => "it may not trust this process's certificate, or there is no JobManager",
            None => "it may demand certificates, or there is no JobManager",
        };
        Error::Resource { message: format!("{error}; {hint} (options security.ssl.internal.*)") }
    }

    /// Calls of clients.
    pub fn dispatcher(&self) -> DispatcherClient<Calls> {
        DispatcherClient::new(self.calls())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    /// The connection of a TaskExecutor.
    pub fn task_executor(&self) -> TaskExecutorGatewayClient<Calls> {
        TaskExecutorGatewayClient::new(self.calls())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    /// The connection of a worker.
    pub fn worker(&self) -> WorkerGatewayClient<Calls> {
        WorkerGatewayClient::new(self.calls())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    fn calls(&self) -> Calls {
        InterceptedService::new(self.channel.clone(), Prove(self.access.secret.clone()))
    }

    /// The error of a call.
    pub fn error(&self, status: &Status) -> Error {
        let (address, message) = (&self.address, status.message());
        match status.code() {
            Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => {
                Error::usage(message.to_owned())
            }
            Code::Unauthenticated => Error::usage(format!("the JobManager at {address} refuses: {message}")),
            Code::Unimplemented => Error::usage(format!("what listens at {address} is no JobManager of this version")),
            // One that has a cause comes from the connection, not from the JobManager.
            Code::Internal if std::error::Error::source(status).is_none() => {
                Error::internal(format!("JobManager at {address}: {message}"))
            }
            Code::Aborted => Error::Resource { message: format!("the JobManager at {address}: {message}") },
            _ => {
                let cause = std::error::Error::source(status).map(deepest);
                let cause = cause.as_deref().unwrap_or(message);
                Error::Resource { message: format!("the connection to the JobManager at {address} is lost: {cause}") }
            }
        }
    }
}

/// Encrypts a connection, and gives calls their way through it.
async fn secured(address: &str, endpoint: &Endpoint, tls: &Tls) -> Result<Channel> {
    let shaken = tokio::time::timeout(CONNECT_TIMEOUT, async {
        let stream = TcpStream::connect(address).await?;
        // Small messages are not held back for others.
        stream.set_nodelay(true)?;
        TlsConnector::from(Arc::clone(&tls.client)).connect(Tls::name(), stream).await
    });
    let stream = shaken.await.unwrap_or_else(|late| Err(late.into())).map_err(|error| {
        let inner = error.get_ref().map(|inner| inner.is::<rustls::Error>());
        // A connection that just ends says nothing about trust: it may be better in a moment.
        match inner {
            Some(true) => Error::usage(format!(
                "the JobManager at {address} and this process don't trust each other: {error} (options \
                 security.ssl.internal.*)"
            )),
            _ => nobody(address, &error),
        }
    })?;
    let mut only: Option<TlsStream<TcpStream>> = Some(stream);
    // A connection that breaks is not made again here: whoever has it connects anew.
    let connector = tower::service_fn(move |_: Uri| {
        let stream = only.take().map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset));
        std::future::ready(stream)
    });
    endpoint.connect_with_connector(connector).await.map_err(|error| nobody(address, &error))
}

fn nobody(address: &str, error: &dyn std::error::Error) -> Error {
    Error::Resource {
        message: format!(
            "no JobManager answers at {address}: {}; start one with `flinkrs cluster start`, or name another (option \
             -m)",
            deepest(error)
        ),
    }
}

/// Host and port of a JobManager: as they are given, or as they stand in a file.
async fn resolved(address: &str) -> Result<String> {
    let path = PathBuf::from(address);
    if scheme_of(&path).is_none() {
        return Ok(address.to_owned());
    }
    let read = move || {
        let Located { files, path } = locate(&path)?;
        let mut text = String::new();
        let read = files.open(&path, 0)?.take(ADDRESS_BYTES).read_to_string(&mut text);
        read.map_err(|error| Error::io("read", &path, error))?;
        Ok(text.trim().to_owned())
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| Error::internal(format!("reading an address: {error}")))?
}

/// The innermost cause of an error: the operating system's own words.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
