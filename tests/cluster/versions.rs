//! Processes of different versions: one message on either side, and no work together.

use crate::faults::assert_failed;
use crate::faults::flinkrs;
use crate::harness::PROGRAM;
use flinkrs_rpc::VERSION;
use flinkrs_rpc::proto::dispatcher_server::{Dispatcher, DispatcherServer};
use flinkrs_rpc::proto::{
    ApplicationRef, ArtifactChunk, ArtifactRef, Body, CloseApplicationRequest, Empty, FetchResultRequest,
    HasArtifactReply, HelloReply, HelloRequest, JobRef, LogChunk, OpenApplicationRequest, SubmitJobRequest,
};
use std::net::SocketAddr;
use std::thread;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Stream<T> = ReceiverStream<Result<T, Status>>;

/// A JobManager of another version: it says so, and nothing else is asked of it.
struct Other(HelloReply);

fn unasked<T>() -> Answer<T> {
    panic!("a client goes on after it has heard of another version")
}

#[tonic::async_trait]
impl Dispatcher for Other {
    type AttachStream = Stream<Empty>;
    type WatchJobStream = Stream<Body>;
    type FetchResultStream = Stream<Body>;
    type JobLogsStream = Stream<LogChunk>;
    type GetArtifactStream = Stream<ArtifactChunk>;

    async fn hello(&self, _: Request<HelloRequest>) -> Answer<HelloReply> {
        Ok(Response::new(self.0.clone()))
    }

    async fn open_application(&self, _: Request<OpenApplicationRequest>) -> Answer<Empty> {
        unasked()
    }

    async fn attach(&self, _: Request<ApplicationRef>) -> Answer<Self::AttachStream> {
        unasked()
    }

    async fn close_application(&self, _: Request<CloseApplicationRequest>) -> Answer<Empty> {
        unasked()
    }

    async fn submit_job(&self, _: Request<SubmitJobRequest>) -> Answer<Empty> {
        unasked()
    }

    async fn watch_job(&self, _: Request<JobRef>) -> Answer<Self::WatchJobStream> {
        unasked()
    }

    async fn cancel_job(&self, _: Request<JobRef>) -> Answer<Empty> {
        unasked()
    }

    async fn fetch_result(&self, _: Request<FetchResultRequest>) -> Answer<Self::FetchResultStream> {
        unasked()
    }

    async fn list_jobs(&self, _: Request<Empty>) -> Answer<Body> {
        unasked()
    }

    async fn job_logs(&self, _: Request<JobRef>) -> Answer<Self::JobLogsStream> {
        unasked()
    }

    async fn has_artifact(&self, _: Request<ArtifactRef>) -> Answer<HasArtifactReply> {
        unasked()
    }

    async fn put_artifact(&self, _: Request<Streaming<ArtifactChunk>>) -> Answer<Empty> {
        unasked()
    }

    async fn get_artifact(&self, _: Request<ArtifactRef>) -> Answer<Self::GetArtifactStream> {
        unasked()
    }

    async fn shut_down(&self, _: Request<Empty>) -> Answer<Empty> {
        unasked()
    }
}

/// Serves until the end of the test's process.
fn other(reply: HelloReply) -> SocketAddr {
    let (to, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
            to.send(listener.local_addr().expect("an address")).expect("is waited for");
            let server = Server::builder().add_service(DispatcherServer::new(Other(reply)));
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("serves");
        });
    });
    address.recv().expect("it listens")
}

#[test]
fn another_version_is_named_and_ends_whoever_meets_it() {
    let protocol = flinkrs_rpc::PROTOCOL;
    for (version, protocol) in [(VERSION, protocol + 1), ("99.1.0", protocol)] {
        let reply = HelloReply { version: version.to_owned(), protocol, ..HelloReply::default() };
        let address = other(reply).to_string();
        let words = [
            &format!("the JobManager at {address} is of flinkrs {version} (protocol {protocol})"),
            &format!("this is {VERSION}"),
        ];
        let words = words.map(String::as_str);
        assert_failed(&flinkrs(&["list", "-m", &address]), 2, &words);
        assert_failed(&flinkrs(&["run", "-m", &address, PROGRAM, "sums"]), 2, &words);
        assert_failed(&flinkrs(&["taskexecutor", "-m", &address]), 2, &words);
    }
}
