//! The connections that TaskExecutors and workers hold.

use crate::cluster::{Message, OUTGOING_MAX};
use crate::service::{Replies, Service, decode};
use flinkrs_protocol::TaskExecutorId;
use flinkrs_rpc::message::{FromTaskExecutor, FromWorker};
use flinkrs_rpc::proto::GatewayMessage;
use flinkrs_rpc::proto::task_executor_gateway_server::TaskExecutorGateway;
use flinkrs_rpc::proto::worker_gateway_server::WorkerGateway;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl TaskExecutorGateway for Service {
    type SessionStream = Replies<GatewayMessage>;

    async fn session(
        &self,
        request: Request<Streaming<GatewayMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let first = first(&mut incoming).await?;
        let registration: FromTaskExecutor = decode(&first.encoded)?;
        let FromTaskExecutor::Register { task_executor, .. } = &registration else {
            return Err(Status::invalid_argument("the first message of a TaskExecutor is no registration"));
        };
        let id = TaskExecutorId::from(task_executor.as_str());
        let (out, outgoing) = mpsc::channel(OUTGOING_MAX);
        self.tell(Message::TaskExecutorConnected { registration, out }).await?;
        let service = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                let Ok(message) = decode(&message.encoded) else { break };
                let task_executor = id.clone();
                if service.tell(Message::FromTaskExecutor { task_executor, message }).await.is_err() {
                    return;
                }
            }
            let _ = service.tell(Message::TaskExecutorGone { task_executor: id }).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing).map(Ok))))
    }
}

#[tonic::async_trait]
impl WorkerGateway for Service {
    type SessionStream = Replies<GatewayMessage>;

    async fn session(
        &self,
        request: Request<Streaming<GatewayMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let first = first(&mut incoming).await?;
        let registration: FromWorker = decode(&first.encoded)?;
        let FromWorker::Register { application, worker, .. } = registration else {
            return Err(Status::invalid_argument("the first message of a worker is no registration"));
        };
        let (out, outgoing) = mpsc::channel(OUTGOING_MAX);
        self.tell(Message::WorkerConnected { registration, out }).await?;
        let service = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                let Ok(message) = decode(&message.encoded) else { break };
                if service.tell(Message::FromWorker { application, worker, message }).await.is_err() {
                    return;
                }
            }
            let _ = service.tell(Message::WorkerGone { application, worker }).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing).map(Ok))))
    }
}

async fn first(incoming: &mut Streaming<GatewayMessage>) -> Result<GatewayMessage, Status> {
    incoming.next().await.transpose()?.ok_or_else(|| Status::invalid_argument("a connection without a registration"))
}
