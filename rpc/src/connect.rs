//! Connections to a JobManager, and errors of calls in the user's words.

use crate::auth::{Prove, Secret};
use crate::proto::dispatcher_client::DispatcherClient;
use crate::proto::task_executor_gateway_client::TaskExecutorGatewayClient;
use crate::proto::worker_gateway_client::WorkerGatewayClient;
use crate::proto::{HelloReply, HelloRequest};
use crate::{MESSAGE_BYTES, PROTOCOL, VERSION};
use flinkrs_core::error::{Error, Result};
use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls go through this.
pub type Calls = InterceptedService<Channel, Prove>;

/// A JobManager that has been found, and that speaks the same version.
#[derive(Clone, Debug)]
pub struct JobManagerClient {
    /// Where it is, as it was named.
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
    secret: Option<Secret>,
}

impl JobManagerClient {
    /// Connects to the JobManager at `HOST:PORT`.
    ///
    /// Errors when nobody answers there within 5 s, when it is of another version, or when it wants another secret.
    pub async fn connect(address: &str, secret: Option<Secret>) -> Result<JobManagerClient> {
        let wrong = || {
            Error::usage(format!(
                "'{address}' is no address of a JobManager; that is HOST:PORT, such as localhost:6123"
            ))
        };
        let (_, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        port.parse::<u16>().map_err(|_| wrong())?;
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| wrong())?;
        let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| Error::Resource {
            message: format!(
                "no JobManager answers at {address}: {}; start one with `flinkrs cluster start`, or name another \
                 (option -m)",
                deepest(&error)
            ),
        })?;
        let mut client = JobManagerClient {
            address: address.to_owned(),
            rest_address: String::new(),
            slots: 0,
            slot_bytes: 0,
            task_executors: 0,
            channel,
            secret,
        };
        let reply = client.hello().await?;
        (client.rest_address, client.slots, client.slot_bytes) = (reply.rest_address, reply.slots, reply.slot_bytes);
        client.task_executors = reply.task_executors;
        Ok(client)
    }

    async fn hello(&self) -> Result<HelloReply> {
        let request = HelloRequest { version: VERSION.to_owned(), protocol: PROTOCOL };
        let reply = self.dispatcher().hello(request).await.map_err(|status| self.error(&status))?.into_inner();
        if (reply.protocol, reply.version.as_str()) == (PROTOCOL, VERSION) {
            return Ok(reply);
        }
        Err(Error::usage(format!(
            "the JobManager at {} is of flinkrs {} (protocol {}), and this is {VERSION} (protocol {PROTOCOL}); both \
             have to be the same",
            self.address, reply.version, reply.protocol
        )))
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
        InterceptedService::new(self.channel.clone(), Prove(self.secret.clone()))
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
            Code::Internal => Error::internal(format!("JobManager at {address}: {message}")),
            Code::Aborted => Error::Resource { message: format!("the JobManager at {address}: {message}") },
            _ => {
                Error::Resource { message: format!("the connection to the JobManager at {address} is lost: {message}") }
            }
        }
    }
}

/// The innermost cause of an error: the operating system's own words.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
