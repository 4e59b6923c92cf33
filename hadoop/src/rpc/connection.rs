//! One connection to a server, with many calls on their way at once.

use super::Options;
use super::frame::{CALL_PING, Frames, NO_RETRY, Unreadable, encode, encode_sealed, take_header};
use super::login::Opening;
use super::sealer::Sealer;
use crate::error::{Error, ServerException};
use crate::proto::common::RequestHeaderProto;
use crate::proto::common::rpc_response_header_proto::RpcStatusProto;
use prost::bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// Requests that may wait for the socket; whoever has another one waits too.
const QUEUED_MAX: usize = 64;

/// A connection that is logged in. Dropping it ends it.
pub(super) struct Connection {
    requests: mpsc::Sender<Vec<u8>>,
    calls: Arc<Calls>,
    task: AbortHandle,
}

/// How a call ended that got no answer of its own.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server answered this.
    Exception(ServerException),
    /// The connection is of no use any more.
    Broken(Unreadable),
    /// The connection was already closed: the request was not sent.
    NotSent,
    /// The time is up.
    TimedOut,
}

impl Connection {
    /// Connects and logs in, within the connect timeout.
    pub(super) async fn open(opening: &Opening<'_>, options: &Options) -> Result<Connection, Error> {
        let server = opening.server;
        let connect = |error: std::io::Error| Error::Connect { server: server.to_owned(), reason: error.to_string() };
        let open = async {
            let stream = TcpStream::connect(server).await.map_err(connect)?;
            stream.set_nodelay(true).map_err(connect)?;
            let (reader, mut writer) = stream.into_split();
            let mut frames = Frames::new(reader, options.response_bytes_max);
            let sealer = opening.run(&mut frames, &mut writer).await?;
            Ok((frames, writer, sealer))
        };
        let waited = options.connect_timeout;
        let opened = timeout(waited, open).await;
        let late = |_| Error::Timeout { server: server.to_owned(), method: "connect", waited };
        let (frames, writer, sealer) = opened.map_err(late)??;
        let (requests, queue) = mpsc::channel(QUEUED_MAX);
        let calls = Arc::new(Calls::default());
        let ping = encode(CALL_PING, NO_RETRY, opening.client, None, None::<&RequestHeaderProto>);
        let sending = Sending { queue, writer, sealer, ping, calls: Arc::clone(&calls), options: options.clone() };
        let task = tokio::spawn(run(frames, sending, Arc::clone(&calls))).abort_handle();
        Ok(Connection { requests, calls, task })
    }

    /// Sends a request and waits for its answer. Dropping the future forgets the call.
    pub(super) async fn call(&self, id: i32, frame: Vec<u8>, options: &Options) -> Result<Bytes, Failure> {
        let sent_at = Instant::now();
        let answer = self.calls.begin(id)?;
        let _forget = Forget { calls: &self.calls, id };
        let exchange = async {
            // Nobody takes the request when the task has ended: it has told why, unless its runtime is gone.
            match self.requests.send(frame).await {
                Ok(()) => answer.await.unwrap_or(Err(Failure::NotSent)),
                Err(_) => Err(Failure::NotSent),
            }
        };
        match timeout(options.call_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => {
                self.calls.close_if_silent_since(sent_at);
                Err(Failure::TimedOut)
            }
        }
    }

    /// Whether a call may still be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.requests.is_closed() && self.calls.lock().closed.is_none()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The calls that wait for their answers.
struct Calls(Mutex<Waiting>);

struct Waiting {
    answers: HashMap<i32, oneshot::Sender<Result<Bytes, Failure>>>,
    closed: Option<Failure>,
    received_at: Instant,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls(Mutex::new(Waiting { answers: HashMap::new(), closed: None, received_at: Instant::now() }))
    }
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: i32) -> Result<oneshot::Receiver<Result<Bytes, Failure>>, Failure> {
        let mut waiting = self.lock();
        if waiting.closed.is_some() {
            return Err(Failure::NotSent);
        }
        let (sender, receiver) = oneshot::channel();
        waiting.answers.insert(id, sender);
        Ok(receiver)
    }

    fn finish(&self, id: i32, answer: Result<Bytes, Failure>) {
        let mut waiting = self.lock();
        waiting.received_at = Instant::now();
        // Nobody waits any more for the answer to a call that was given up.
        if let Some(sender) = waiting.answers.remove(&id) {
            let _ = sender.send(answer);
        }
    }

    /// No further call; those that wait fail for the same reason.
    fn close(&self, reason: Failure) {
        let mut waiting = self.lock();
        let answers = std::mem::take(&mut waiting.answers);
        let reason = waiting.closed.get_or_insert(reason).clone();
        drop(waiting);
        answers.into_values().for_each(|sender| drop(sender.send(Err(reason.clone()))));
    }

    fn are_waiting(&self) -> bool {
        !self.lock().answers.is_empty()
    }

    /// Closes unless a call waits or an answer came within `idle_max`.
    fn close_if_idle(&self, idle_max: Duration) -> bool {
        let mut waiting = self.lock();
        let idle = waiting.answers.is_empty() && waiting.received_at.elapsed() >= idle_max;
        if idle {
            waiting.closed.get_or_insert(Failure::NotSent);
        }
        idle
    }

    /// Gives a connection up on which nothing came since: the next call makes a new one.
    fn close_if_silent_since(&self, then: Instant) {
        let mut waiting = self.lock();
        if waiting.received_at < then {
            waiting.closed.get_or_insert(Failure::NotSent);
        }
    }
}

/// Forgets a call whose caller is gone.
struct Forget<'a> {
    calls: &'a Calls,
    id: i32,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.calls.lock().answers.remove(&self.id);
    }
}

/// Reads and writes until either ends.
async fn run<R, W>(frames: Frames<R>, sending: Sending<W>, calls: Arc<Calls>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let reason = tokio::select! {
        reason = receive(frames, &calls) => reason,
        reason = sending.run() => reason,
    };
    calls.close(reason);
}

/// Hands answers out until the connection is of no use.
async fn receive<R: AsyncRead + Unpin>(mut frames: Frames<R>, calls: &Calls) -> Failure {
    loop {
        let header = match frames.next().await {
            Ok(mut frame) => take_header(&mut frame).map(|header| (header, frame)),
            Err(error) => Err(error),
        };
        let (header, body) = match header {
            Ok(parts) => parts,
            Err(error) => return Failure::Broken(error),
        };
        let class = header.exception_class_name.as_deref().unwrap_or("java.io.IOException");
        let exception = || Failure::Exception(ServerException::new(class, header.error_msg()));
        match header.status() {
            RpcStatusProto::Success => calls.finish(header.call_id as i32, Ok(body)),
            RpcStatusProto::Error => calls.finish(header.call_id as i32, Err(exception())),
            RpcStatusProto::Fatal => return exception(),
        }
    }
}

/// The half of a connection that writes.
struct Sending<W> {
    queue: mpsc::Receiver<Vec<u8>>,
    writer: W,
    sealer: Option<Sealer>,
    ping: Vec<u8>,
    calls: Arc<Calls>,
    options: Options,
}

impl<W: AsyncWrite + Unpin> Sending<W> {
    /// Writes requests, and pings while calls wait; ends after a time without calls.
    async fn run(mut self) -> Failure {
        let Options { idle_max, ping_interval, .. } = self.options;
        let mut written_at = Instant::now();
        loop {
            let frame = match timeout(idle_max.min(ping_interval), self.queue.recv()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Failure::NotSent,
                Err(_) if self.calls.close_if_idle(idle_max) => return Failure::NotSent,
                Err(_) if written_at.elapsed() >= ping_interval && self.calls.are_waiting() => self.ping.clone(),
                Err(_) => continue,
            };
            let frame = match &mut self.sealer {
                Some(sealer) => match encode_sealed(sealer, &frame) {
                    Ok(sealed) => sealed,
                    Err(error) => return Failure::Broken(Unreadable::Ended(format!("a message to protect: {error}"))),
                },
                None => frame,
            };
            written_at = Instant::now();
            if let Err(error) = self.writer.write_all(&frame).await {
                return Failure::Broken(Unreadable::Ended(error.to_string()));
            }
        }
    }
}
