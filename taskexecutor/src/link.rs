//! The connection to the JobManager.

use crate::agent::{Event, Events};
use flinkrs_control::task_executor::TaskExecutorEvent;
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::body;
use flinkrs_rpc::connect::{Access, JobManagerClient};
use flinkrs_rpc::message::FromTaskExecutor;
use flinkrs_rpc::proto::GatewayMessage;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Messages on their way to the JobManager at most.
const OUTGOING_MAX: usize = 4096;

/// A connection, or an attempt to make one.
pub(crate) struct Link {
    address: String,
    access: Access,
    events: Events,
    outgoing: Option<mpsc::Sender<GatewayMessage>>,
    /// Ends the session, for this reason.
    give_up: Option<oneshot::Sender<String>>,
    client: Arc<Mutex<Option<JobManagerClient>>>,
    task: Option<JoinHandle<()>>,
}

impl Link {
    pub(crate) fn new(address: String, access: Access, events: Events) -> Link {
        Link { address, access, events, outgoing: None, give_up: None, client: Arc::default(), task: None }
    }

    /// Tries to connect; the agent hears how it went. Messages may be sent at once.
    pub(crate) fn connect(&mut self) {
        self.disconnect();
        let (outgoing, sent) = mpsc::channel(OUTGOING_MAX);
        let (give_up, given_up) = oneshot::channel();
        (self.outgoing, self.give_up) = (Some(outgoing), Some(give_up));
        let (address, access, events) = (self.address.clone(), self.access.clone(), self.events.clone());
        let client = Arc::clone(&self.client);
        self.task = Some(tokio::spawn(async move {
            let ended = tokio::select! {
                ended = session(&address, access, sent, &events, &client) => ended,
                Ok(reason) = given_up => Err(Error::network(reason)),
            };
            let _ = events.send(Event::Disconnected(ended.err())).await;
        }));
    }

    /// Ends the connection.
    pub(crate) fn disconnect(&mut self) {
        (self.outgoing, self.give_up) = (None, None);
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Sends a message; on a connection that takes none it is lost, and so is the connection.
    pub(crate) fn send(&mut self, message: &FromTaskExecutor) {
        let Some(outgoing) = &self.outgoing else { return };
        let sent = body::encode(message).map_err(|error| error.to_string()).and_then(|encoded| {
            let waiting = |_| format!("the JobManager doesn't take messages: {OUTGOING_MAX} of them wait");
            outgoing.try_send(GatewayMessage { encoded }).map_err(waiting)
        });
        if let (Err(reason), Some(give_up)) = (sent, self.give_up.take()) {
            // A session that has ended meanwhile has said so itself.
            let _ = give_up.send(reason);
            self.outgoing = None;
        }
    }

    /// The way of messages, for whoever sends many and waits.
    pub(crate) fn outgoing(&self) -> Option<mpsc::Sender<GatewayMessage>> {
        self.outgoing.clone()
    }

    /// Calls to the JobManager, if there is a connection.
    pub(crate) fn client(&self) -> Option<JobManagerClient> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn session(
    address: &str,
    access: Access,
    sent: mpsc::Receiver<GatewayMessage>,
    events: &Events,
    client: &Mutex<Option<JobManagerClient>>,
) -> Result<()> {
    let connected = JobManagerClient::connect(address, access).await?;
    *client.lock().unwrap_or_else(PoisonError::into_inner) = Some(connected.clone());
    // The registration that the agent answers with is the first message of the stream.
    if events.send(Event::Decide(TaskExecutorEvent::Connected)).await.is_err() {
        return Ok(());
    }
    let session = connected.task_executor().session(ReceiverStream::new(sent)).await;
    let mut told = session.map_err(|status| connected.error(&status))?.into_inner();
    while let Some(message) = told.next().await {
        let message = message.map_err(|status| connected.error(&status))?;
        if events.send(Event::Told(body::decode(&message.encoded)?)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
