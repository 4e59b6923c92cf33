//! The connection of a worker to its JobManager.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_protocol::{Failure, FailureKind, JobId};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::body;
use flinkrs_rpc::connect::{Access, JobManagerClient};
use flinkrs_rpc::message::{FromWorker, ResultBlock, ToWorker, WorkerSpec};
use flinkrs_rpc::proto::{FetchResultRequest, GatewayMessage};
use flinkrs_rpc::tls::Tls;
use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Messages on their way to the JobManager at most; whoever has one more waits.
const OUTGOING_MAX: usize = 1024;

/// Commands that wait for the program at most: one that deploys very many small regions sends that many.
const INCOMING_MAX: usize = 1 << 16;

/// How often the worker says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The exit code of a worker whose JobManager or TaskExecutor has gone.
const ORPHANED: i32 = 75;

/// A connection: messages go out, commands come in.
pub(crate) struct Link {
    outgoing: mpsc::Sender<GatewayMessage>,
    client: JobManagerClient,
    runtime: Runtime,
}

impl Link {
    /// Connects and registers. The process ends with the connection.
    pub(crate) fn connect(
        spec: &WorkerSpec,
        tls: Option<Tls>,
        register: FromWorker,
    ) -> Result<(std::sync::Arc<Link>, Receiver<ToWorker>)> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("rpc").enable_all().build();
        let runtime = runtime.map_err(|error| Error::Resource { message: format!("no thread for RPC: {error}") })?;
        let access = Access { secret: spec.cluster_secret.as_deref().map(Secret::new), tls };
        let client = runtime.block_on(JobManagerClient::connect(&spec.jobmanager, access))?;
        let (outgoing, sent) = mpsc::channel(OUTGOING_MAX);
        let (commands, received) = sync_channel(INCOMING_MAX);
        let first = GatewayMessage { encoded: body::encode(&register)? };
        outgoing.try_send(first).map_err(|_| Error::internal("a new channel is full"))?;
        let mut gateway = client.worker();
        let stream =
            runtime.block_on(gateway.session(ReceiverStream::new(sent))).map_err(|status| client.error(&status))?;
        let mut stream = stream.into_inner();
        runtime.spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                if receive(&message, &commands).is_err() {
                    break;
                }
            }
            // The JobManager counts this worker as lost, and starts another: whatever runs here is for nothing.
            std::process::exit(ORPHANED);
        });
        let alive = outgoing.clone();
        let heartbeat = GatewayMessage { encoded: body::encode(&FromWorker::Heartbeat)? };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                if alive.send(heartbeat.clone()).await.is_err() {
                    return;
                }
            }
        });
        Ok((std::sync::Arc::new(Link { outgoing, client, runtime }), received))
    }

    /// Sends a message, in order; waits while very many are on their way.
    pub(crate) fn send(&self, message: FromWorker) {
        let encoded = body::encode(&message).or_else(|error| {
            // Whoever waits for the message would wait forever.
            eprintln!("error: {error}");
            body::encode(&FromWorker::Unfit(Failure::from(&error)))
        });
        match encoded {
            // When the connection has gone, the process is about to end.
            Ok(encoded) => drop(self.outgoing.blocking_send(GatewayMessage { encoded })),
            Err(_) => std::process::exit(1),
        }
    }

    /// The next command, or `None` when there is none within `timeout`.
    pub(crate) fn next(&self, commands: &Receiver<ToWorker>, timeout: Option<Duration>) -> Option<ToWorker> {
        match timeout {
            None => commands.recv().ok().or_else(|| {
                thread::sleep(HEARTBEAT);
                None
            }),
            Some(timeout) => match commands.recv_timeout(timeout) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(timeout);
                    None
                }
            },
        }
    }

    /// Reads the collected records of a sink.
    pub(crate) fn fetch(
        &self,
        job: JobId,
        sink: OperatorId,
        mut put: impl FnMut(ResultBlock) -> Result<()>,
    ) -> Result<()> {
        let request = FetchResultRequest { job: job.to_string(), sink: sink.0 };
        let fetched = self.runtime.block_on(self.client.dispatcher().fetch_result(request));
        let mut stream = fetched.map_err(|status| self.client.error(&status))?.into_inner();
        while let Some(body) = self.runtime.block_on(stream.next()) {
            put(body::decode(&body.map_err(|status| self.client.error(&status))?.encoded)?)?;
        }
        Ok(())
    }
}

fn receive(message: &GatewayMessage, commands: &SyncSender<ToWorker>) -> Result<()> {
    let command: ToWorker = body::decode(&message.encoded)?;
    if matches!(command, ToWorker::Heartbeat) {
        return Ok(());
    }
    commands.try_send(command).map_err(|_| Error::internal("a worker is told more than it can keep"))
}

/// Ends this process when its parent does: the parent holds the other end of standard input, which nobody writes to.
/// The program's own standard input is empty.
pub(crate) fn end_with_parent() -> Result<()> {
    let failed = |error| Error::io("replace", "standard input", error);
    let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(|e| failed(e.into()))?;
    let null = File::open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(&null).map_err(|e| failed(e.into()))?;
    let mut parent = File::from(stdin);
    let watch = move || {
        let mut byte = [0];
        while matches!(parent.read(&mut byte), Ok(1..)) {}
        std::process::exit(ORPHANED);
    };
    let spawned = thread::Builder::new().name("parent".to_owned()).spawn(watch);
    spawned.map(|_| ()).map_err(|error| Error::Resource { message: format!("no thread to watch the parent: {error}") })
}

/// The error that a failure was.
pub(crate) fn error_of(failure: &Failure) -> Error {
    let message = failure.to_string();
    match failure.kind {
        FailureKind::Usage => Error::usage(message),
        FailureKind::Function => Error::function(message),
        FailureKind::Data => Error::data(message),
        FailureKind::Internal => Error::Internal { message },
        FailureKind::Io | FailureKind::Resource | FailureKind::Lost => Error::Resource { message },
    }
}
