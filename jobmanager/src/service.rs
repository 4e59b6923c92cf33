//! gRPC: calls become messages for the cluster, and its answers become replies.

mod artifacts;
mod gateways;

use crate::cluster::{Message, Reply};
use crate::secured;
use crate::store::Store;
use flinkrs_control::dispatcher::OnClientLoss;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_protocol::{ApplicationId, JobId};
use flinkrs_rpc::auth::{Check, Secret};
use flinkrs_rpc::message::{JobListed, Program};
use flinkrs_rpc::program::Program as Executable;
use flinkrs_rpc::proto::dispatcher_server::{Dispatcher, DispatcherServer};
use flinkrs_rpc::proto::task_executor_gateway_server::TaskExecutorGatewayServer;
use flinkrs_rpc::proto::worker_gateway_server::WorkerGatewayServer;
use flinkrs_rpc::proto::{
    ApplicationRef, ArtifactChunk, ArtifactRef, Body, CloseApplicationRequest, Empty, FetchResultRequest,
    HasArtifactReply, HelloReply, HelloRequest, JobRef, LogChunk, OpenApplicationRequest, SubmitJobRequest,
};
use flinkrs_rpc::tls::Tls;
use flinkrs_rpc::{MESSAGE_BYTES, PROTOCOL, VERSION, body};
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// How often silent connections are asked whether they are alive, and how long the answer may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// Statuses on their way to a follower at most.
const STATUSES: usize = 2;

/// Blocks or chunks on their way to a client at most.
const CHUNKS: usize = 64;

/// How often an attached client's connection is looked at.
const ATTACHED: Duration = Duration::from_secs(2);

/// A stream of replies.
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves until the listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    messages: mpsc::Sender<Message>,
    store: Store,
    secret: Option<Secret>,
    rest_address: String,
) -> Result<()> {
    let service = Service { messages, store, rest_address };
    let check = Check(secret);
    let dispatcher = DispatcherServer::new(service.clone())
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let executors = TaskExecutorGatewayServer::new(service.clone())
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let workers = WorkerGatewayServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    let (every, within) = KEEP_ALIVE;
    let server = Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(every))
        .http2_keepalive_timeout(Some(within))
        .add_service(InterceptedService::new(dispatcher, check.clone()))
        .add_service(InterceptedService::new(executors, check.clone()))
        .add_service(InterceptedService::new(workers, check));
    match tls {
        Some(tls) => server.serve_with_incoming(secured::connections(listener, tls.server)).await,
        None => server.serve_with_incoming(TcpListenerStream::new(listener)).await,
    }
    .map_err(|error| Error::Resource { message: format!("the RPC server has ended: {error}") })
}

/// What serves calls.
#[derive(Clone)]
pub(crate) struct Service {
    messages: mpsc::Sender<Message>,
    store: Store,
    /// Host and port of REST; empty where there is none.
    rest_address: String,
}

impl Service {
    /// Sends a message and waits for the answer.
    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply)).await?;
        let answer = answer.await.map_err(|_| Status::unavailable("the JobManager ends"))?;
        answer.map_err(|error| status_of(&error))
    }

    async fn tell(&self, message: Message) -> Result<(), Status> {
        self.messages.send(message).await.map_err(|_| Status::unavailable("the JobManager ends"))
    }
}

/// An error as the other side of a call gets it.
fn status_of(error: &Error) -> Status {
    match error.root() {
        Error::Usage { .. } | Error::Plan { .. } => Status::invalid_argument(error.to_string()),
        Error::Internal { .. } => Status::internal(error.to_string()),
        _ => Status::aborted(error.to_string()),
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Status> {
    text.parse().map_err(|error| Status::invalid_argument(format!("{error}")))
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Status> {
    body::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl Dispatcher for Service {
    type AttachStream = Replies<Empty>;
    type WatchJobStream = Replies<Body>;
    type FetchResultStream = Replies<Body>;
    type JobLogsStream = Replies<LogChunk>;
    type GetArtifactStream = Replies<ArtifactChunk>;

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let (slots, slot_bytes, task_executors) = self
            .ask(|reply| {
                Message::Look(Box::new(move |cluster| {
                    let view = cluster.resources.view();
                    let of = || view.task_executors.iter().map(|executor| &executor.registration);
                    let slots: u32 = of().map(|registration| registration.slots).sum();
                    let on_demand = cluster.options.resources.elastic.as_ref().map_or(0, |elastic| elastic.slot_bytes);
                    let slot_bytes = of().map(|registration| registration.slot_bytes).min().unwrap_or(on_demand);
                    let _ = reply.send(Ok((slots, slot_bytes, view.task_executors.len() as u32)));
                }))
            })
            .await?;
        let (version, rest_address) = (VERSION.to_owned(), self.rest_address.clone());
        let protocol = PROTOCOL;
        Ok(Response::new(HelloReply { version, protocol, rest_address, slots, slot_bytes, task_executors }))
    }

    async fn open_application(&self, request: Request<OpenApplicationRequest>) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        let program = Program {
            application: parse(&request.application)?,
            name: request.name,
            artifact: request.artifact,
            arguments: request.arguments,
            directory: request.directory,
        };
        artifacts::check_name(&program.artifact)?;
        let attached = match (request.detached, request.cancel_on_lost_client) {
            (true, _) => None,
            (false, true) => Some(OnClientLoss::Cancel),
            (false, false) => Some(OnClientLoss::GoOn),
        };
        let (path, name) = (self.store.artifact(&program.artifact), format!("'{}'", program.name));
        if !path.exists() {
            let artifact = &program.artifact;
            return Err(Status::invalid_argument(format!("the executable {artifact} was not uploaded")));
        }
        // It may have been stored by a JobManager of another version.
        let executable = Executable::read(&path, &name).map_err(|error| status_of(&error))?;
        self.ask(|reply| Message::Open { program, executable, attached, reply }).await?;
        Ok(Response::new(Empty {}))
    }

    async fn attach(&self, request: Request<ApplicationRef>) -> Result<Response<Self::AttachStream>, Status> {
        let application: ApplicationId = parse(&request.into_inner().application)?;
        let (to, stream) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            // The client reads the stream as long as it is there; a stream that nobody reads is closed.
            loop {
                let alive = service.tell(Message::Attached(application)).await.is_ok();
                tokio::select! {
                    () = to.closed() => break,
                    () = tokio::time::sleep(ATTACHED) => {}
                }
                if !alive {
                    return;
                }
            }
            let _ = service.tell(Message::ClientLost(application)).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn close_application(&self, request: Request<CloseApplicationRequest>) -> Result<Response<Empty>, Status> {
        let application = parse(&request.into_inner().application)?;
        self.ask(|reply| Message::Close { application, reply }).await?;
        Ok(Response::new(Empty {}))
    }

    async fn submit_job(&self, request: Request<SubmitJobRequest>) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        let (application, job) = (parse(&request.application)?, parse(&request.job)?);
        let submission = Box::new(decode(&request.graph)?);
        let execution = request.execution;
        self.ask(|reply| Message::Submit { application, job, execution, submission, reply }).await?;
        Ok(Response::new(Empty {}))
    }

    async fn watch_job(&self, request: Request<JobRef>) -> Result<Response<Self::WatchJobStream>, Status> {
        let job = parse(&request.into_inner().job)?;
        let (to, statuses) = mpsc::channel(STATUSES);
        self.ask(|reply| Message::Watch { job, to, reply }).await?;
        let bodies = ReceiverStream::new(statuses).map(|encoded| Ok(Body { encoded }));
        Ok(Response::new(Box::pin(bodies)))
    }

    async fn cancel_job(&self, request: Request<JobRef>) -> Result<Response<Empty>, Status> {
        let job = parse(&request.into_inner().job)?;
        self.ask(|reply| Message::Cancel { job, reply }).await?;
        Ok(Response::new(Empty {}))
    }

    async fn fetch_result(
        &self,
        request: Request<FetchResultRequest>,
    ) -> Result<Response<Self::FetchResultStream>, Status> {
        let request = request.into_inner();
        let (job, sink) = (parse::<JobId>(&request.job)?, OperatorId(request.sink));
        let (to, blocks) = mpsc::channel(CHUNKS);
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let read = store.read_result(job, sink, |block| {
                let sent = to.blocking_send(Ok(Body { encoded: body::encode(&block)? }));
                sent.map_err(|_| Error::Cancelled)
            });
            if let Err(error) = read {
                let _ = to.blocking_send(Err(status_of(&error)));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(blocks))))
    }

    async fn list_jobs(&self, _: Request<Empty>) -> Result<Response<Body>, Status> {
        let listed: Vec<JobListed> = self
            .ask(|reply| {
                Message::Look(Box::new(move |cluster| {
                    let line = |line: &flinkrs_control::dispatcher::JobLine| JobListed {
                        job: line.job,
                        name: line.name.to_string(),
                        state: line.state,
                        started_ms: line.started.0,
                    };
                    let _ = reply.send(Ok(cluster.dispatcher.jobs().map(line).collect()));
                }))
            })
            .await?;
        Ok(Response::new(Body { encoded: body::encode(&listed).map_err(|error| status_of(&error))? }))
    }

    async fn job_logs(&self, request: Request<JobRef>) -> Result<Response<Self::JobLogsStream>, Status> {
        let job = parse(&request.into_inner().job)?;
        let (to, chunks) = mpsc::channel(CHUNKS);
        self.ask(|reply| Message::Logs { job, to, reply }).await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(chunks).map(Ok))))
    }

    async fn has_artifact(&self, request: Request<ArtifactRef>) -> Result<Response<HasArtifactReply>, Status> {
        let name = request.into_inner().sha256;
        artifacts::check_name(&name)?;
        Ok(Response::new(HasArtifactReply { present: self.store.artifact(&name).exists() }))
    }

    async fn put_artifact(&self, request: Request<Streaming<ArtifactChunk>>) -> Result<Response<Empty>, Status> {
        artifacts::put(&self.store, request.into_inner()).await?;
        Ok(Response::new(Empty {}))
    }

    async fn get_artifact(&self, request: Request<ArtifactRef>) -> Result<Response<Self::GetArtifactStream>, Status> {
        let chunks = artifacts::get(&self.store, &request.into_inner().sha256)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(chunks))))
    }

    async fn shut_down(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.ask(Message::ShutDown).await?;
        Ok(Response::new(Empty {}))
    }
}
