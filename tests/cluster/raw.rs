//! A client that says what no program would.

use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, DriverStrategy, Part};
use flinkrs_protocol::{ApplicationId, ChainedOperator, Failure, JobGraph, JobId, JobSource, JobVertex};
use flinkrs_rpc::auth::random_bytes;
use flinkrs_rpc::body;
use flinkrs_rpc::connect::{Access, JobManagerClient};
use flinkrs_rpc::message::{JobStatus, Submission};
use flinkrs_rpc::proto::{ArtifactChunk, CloseApplicationRequest, JobRef, OpenApplicationRequest, SubmitJobRequest};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::StreamExt;
use tonic::Status;

pub(crate) struct Raw {
    runtime: Runtime,
    client: JobManagerClient,
}

impl Raw {
    pub(crate) fn connect(address: &str) -> Raw {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(JobManagerClient::connect(address, Access::default())).expect("connects");
        Raw { runtime, client }
    }

    /// Uploads a file; its hash.
    pub(crate) fn upload(&self, content: &[u8]) -> Result<String, Status> {
        let sha256: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let chunk = |content: &[u8]| ArtifactChunk { sha256: sha256.clone(), size: 0, content: content.to_vec() };
        let chunks: Vec<ArtifactChunk> = content.chunks(1 << 20).map(chunk).collect();
        self.runtime.block_on(self.client.dispatcher().put_artifact(tokio_stream::iter(chunks)))?;
        Ok(sha256)
    }

    /// Starts an application.
    pub(crate) fn open(&self, artifact: &str) -> Result<ApplicationId, Status> {
        let application = ApplicationId(u128::from_ne_bytes(random_bytes()));
        let request = OpenApplicationRequest {
            application: application.to_string(),
            name: "raw".to_owned(),
            artifact: artifact.to_owned(),
            directory: "/".to_owned(),
            detached: true,
            ..OpenApplicationRequest::default()
        };
        self.runtime.block_on(self.client.dispatcher().open_application(request))?;
        Ok(application)
    }

    /// Submits a job of one vertex that reads nothing.
    pub(crate) fn submit(&self, application: ApplicationId, job: JobId) -> Result<(), Status> {
        let operator = ChainedOperator {
            operator: OperatorId(0),
            part: Part::Driver(DriverStrategy::Only),
            name: "nothing".to_owned(),
            memory_weight: 0,
        };
        let vertex = JobVertex {
            id: VertexId(0),
            name: "nothing".to_owned(),
            parallelism: 1,
            slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
            chain: vec![operator],
            inputs: 0,
            source: Some(JobSource { splits: Vec::new() }),
            broadcast_inputs: Vec::new(),
            of_loop: None,
        };
        let graph = JobGraph { name: "raw".to_owned(), vertices: vec![vertex], edges: Vec::new(), loops: Vec::new() };
        let submission = Submission {
            once: Vec::new(),
            graph,
            operators: Vec::new(),
            has_sinks: false,
            results: Vec::new(),
            snapshots: None,
            plan_json: "{}".to_owned(),
            settings: BTreeMap::new(),
        };
        let graph = body::encode(&submission).expect("encodes");
        let (application, job) = (application.to_string(), job.to_string());
        let request = SubmitJobRequest { application, job, execution: 1, graph };
        self.runtime.block_on(self.client.dispatcher().submit_job(request)).map(drop)
    }

    /// Cancels a job, and ends its application.
    pub(crate) fn cancel(&self, application: ApplicationId, job: JobId) {
        self.runtime.block_on(async {
            let mut dispatcher = self.client.dispatcher();
            dispatcher.cancel_job(JobRef { job: job.to_string() }).await.expect("is cancelled");
            let request = CloseApplicationRequest { application: application.to_string() };
            dispatcher.close_application(request).await.expect("is closed");
        });
    }

    /// Waits for the end of a job that fails.
    pub(crate) fn failure(&self, job: JobId) -> Failure {
        self.runtime.block_on(async {
            let watched = self.client.dispatcher().watch_job(JobRef { job: job.to_string() }).await;
            let mut statuses = watched.expect("is there").into_inner();
            while let Some(status) = statuses.next().await {
                let status: JobStatus = body::decode(&status.expect("a status").encoded).expect("decodes");
                if let Some(ended) = status.ended {
                    return ended.expect_err("fails");
                }
            }
            panic!("the job has no end")
        })
    }
}
