//! A JobManager with a TaskExecutor and workers that only talk: they run nothing, and report what they are told to.

use crate::http::{Answer, call, get};
use flinkrs_core::config::{Configuration, PortRange};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, DriverStrategy, ExchangeMode, Part, ShipStrategy};
use flinkrs_jobmanager::{JobManager, JobManagerOptions, RestOptions};
use flinkrs_protocol::{
    ApplicationId, ChainedOperator, ExecutionId, Failure, FailureKind, JobEdge, JobGraph, JobId, JobSource, JobVertex,
    NetworkUse, OperatorCounts, ProcessUse, TaskReport, TaskState, WorkerId, WorkerUse,
};
use flinkrs_rpc::auth::{Secret, random_bytes};
use flinkrs_rpc::body;
use flinkrs_rpc::connect::JobManagerClient;
use flinkrs_rpc::logs::LogFile;
use flinkrs_rpc::message::{FromTaskExecutor, FromWorker, Logs, Submission, ToTaskExecutor, ToWorker};
use flinkrs_rpc::program::{Glibc, NoteSection};
use flinkrs_rpc::proto::{GatewayMessage, OpenApplicationRequest, SubmitJobRequest};
use object::build::elf::{Builder, SectionData};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

pub(crate) const TASK_EXECUTOR: &str = "localhost:1000-fake";

/// What each task says that it has read.
pub(crate) const RECORDS_IN: u64 = 200;

/// What each task says that it has written.
pub(crate) const RECORDS_OUT: u64 = 1400;

/// What the TaskExecutor says that its process uses.
pub(crate) const PROCESS_BYTES: u64 = 12_345_678;

/// The log files of the TaskExecutor.
pub(crate) const LOGS: [(&str, &str); 3] =
    [("taskexecutor.log", "registered\n"), ("taskexecutor.out", ""), ("worker-1.out", "a function says seven\n")];

/// How long anything may take.
const LONG: Duration = Duration::from_secs(60);

/// What tasks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// They run until they are told to finish, or are cancelled.
    Hold,
    /// Those of the second vertex fail.
    Fail,
}

pub(crate) struct TestCluster {
    pub(crate) rest: SocketAddr,
    pub(crate) metrics: SocketAddr,
    client: JobManagerClient,
    finish: Arc<Notify>,
    running: JoinHandle<()>,
    /// Ends when the TaskExecutor is told to.
    task_executor: JoinHandle<bool>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn options(folder: &Path, secret: Option<Secret>) -> JobManagerOptions {
    let bind = "127.0.0.1:0".parse().expect("an address");
    let settings = vec![("rest.port".to_owned(), "0".to_owned())];
    let config = ["restart-strategy.fixed-delay.attempts=1", "restart-strategy.fixed-delay.delay=0"];
    JobManagerOptions {
        bind,
        secret,
        tls: None,
        rest: Some(RestOptions {
            bind,
            host: "localhost".to_owned(),
            metrics_ports: Some(PortRange { first: 0, last: 0 }),
            logs: folder.join("logs"),
            secret_file: None,
            tls_files: None,
            tls: None,
            view: None,
            settings,
        }),
        store: folder.to_path_buf(),
        artifacts: folder.join("artifacts"),
        resources: Default::default(),
        config: Configuration::load(None, &config).expect("these are options"),
        dispatcher: Default::default(),
        driver: None,
        ends_with_application: false,
    }
}

impl TestCluster {
    pub(crate) async fn start(secret: Option<Secret>) -> TestCluster {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("logs")).expect("creates");
        for (name, content) in [("jobmanager.log", "JobManager listens\n"), ("jobmanager.out", "")] {
            std::fs::write(folder.path().join("logs").join(name), content).expect("writes");
        }
        let manager = JobManager::bind(options(folder.path(), secret.clone())).await.expect("listens");
        let (rest, metrics) = (manager.rest_address().expect("REST"), manager.metrics_address().expect("metrics"));
        let address = manager.address().to_string();
        let running = tokio::spawn(async move { drop(manager.run(std::future::pending()).await.expect("ends well")) });
        let client = JobManagerClient::connect(&address, secret).await.expect("connects");
        assert_eq!(client.rest_address, format!("localhost:{}", rest.port()));
        let finish = Arc::new(Notify::new());
        let task_executor = tokio::spawn(task_executor(TASK_EXECUTOR.to_owned(), client.clone(), Arc::clone(&finish)));
        let cluster = TestCluster { rest, metrics, client, finish, running, task_executor, folder };
        if cluster.is_open().await {
            cluster.wait(|| async { get(rest, "/overview").await.json()["taskmanagers"] == json!(1) }).await;
        }
        cluster
    }

    async fn is_open(&self) -> bool {
        get(self.rest, "/overview").await.status == 200
    }

    pub(crate) async fn wait<F: Future<Output = bool>>(&self, mut until: impl FnMut() -> F) {
        let waits = async {
            while !until().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, waits).await.expect("it comes about");
    }

    /// Waits until a job is in a state, and as it should be.
    pub(crate) async fn until(&self, job: &str, state: &str, is: impl Fn(&Value) -> bool) {
        let path = format!("/jobs/{job}");
        self.wait(|| async {
            let seen = get(self.rest, &path).await.json();
            let reported = |vertex: &Value| vertex["metrics"]["read-records"] != json!(0);
            let all = seen["vertices"].as_array().is_some_and(|vertices| vertices.iter().all(reported));
            seen["state"] == state && is(&seen) && (all || state != "RUNNING")
        })
        .await;
    }

    /// Registers more TaskExecutors, which stay as long as what is returned.
    pub(crate) async fn more_task_executors(&self, count: usize) -> Vec<JoinHandle<bool>> {
        let start = |i: usize| {
            let (client, finish) = (self.client.clone(), Arc::clone(&self.finish));
            tokio::spawn(task_executor(format!("localhost:{i}-many"), client, finish))
        };
        let started = (0..count).map(start).collect();
        let rest = self.rest;
        self.wait(|| async { get(rest, "/overview").await.json()["taskmanagers"] == json!(count + 1) }).await;
        started
    }

    /// Tells tasks that are held to finish.
    pub(crate) fn finish(&self) {
        self.finish.notify_waiters();
    }

    /// Waits until the JobManager has ended, and has told its TaskExecutor to.
    pub(crate) async fn ended(self) {
        assert!(self.task_executor.await.expect("it ends well"), "the TaskExecutor was not told to end");
        tokio::time::timeout(LONG, self.running).await.expect("it ends").expect("it ends well");
    }

    pub(crate) async fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let head = format!(
            "--frontier\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n\
             Content-Type: application/x-java-archive\r\n\r\n"
        );
        let body = [head.as_bytes(), content, b"\r\n--frontier--\r\n"].concat();
        let form = [("Content-Type", "multipart/form-data; boundary=frontier")];
        call(self.rest, "POST", "/jars/upload", &form, &body).await
    }

    /// Executables in the store, whole or not.
    pub(crate) fn stored_artifacts(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path().join("artifacts")).expect("lists");
        entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count()
    }

    /// Submits a job of the uploaded program.
    pub(crate) async fn submit(&self, name: &str, behaviour: Behaviour, jar: &str) -> String {
        let application = ApplicationId(u128::from_ne_bytes(random_bytes()));
        let job = JobId(u128::from_ne_bytes(random_bytes()));
        let open = OpenApplicationRequest {
            application: application.to_string(),
            name: name.to_owned(),
            artifact: jar[..64].to_owned(),
            arguments: vec![format!("{behaviour:?}")],
            directory: "/".to_owned(),
            detached: true,
            cancel_on_lost_client: false,
        };
        self.client.dispatcher().open_application(open).await.expect("opens");
        let submission = Submission {
            graph: graph(name),
            operators: Vec::new(),
            has_sinks: false,
            results: Vec::new(),
            snapshots: None,
            once: Vec::new(),
            plan_json: plan().to_string(),
            settings: BTreeMap::new(),
        };
        let graph = body::encode(&submission).expect("encodes");
        let (application, text) = (application.to_string(), job.to_string());
        let request = SubmitJobRequest { application, job: text.clone(), execution: 1, graph };
        self.client.dispatcher().submit_job(request).await.expect("submits");
        text
    }
}

/// An executable of this machine, with the note that programs carry.
pub(crate) fn program(path: &str) -> Vec<u8> {
    let executable = std::fs::read(path).expect("there is one");
    let mut builder = Builder::read(&*executable).expect("it is an executable");
    let section = builder.sections.add();
    section.name = ".note.flinkrs".into();
    section.sh_type = object::elf::SHT_NOTE;
    section.sh_addralign = 4;
    section.data = SectionData::Note(NoteSection::new("tests").bytes().into());
    let mut written = Vec::new();
    builder.write(&mut object::write::StreamingBuffer::new(&mut written)).expect("is written");
    written
}

/// A source, a chain in two subtasks, a sink.
fn graph(name: &str) -> JobGraph {
    let vertex = |id: u32, parallelism, names: &[&str]| JobVertex {
        id: VertexId(id),
        name: names.join(" -> "),
        parallelism,
        slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
        chain: names
            .iter()
            .enumerate()
            .map(|(i, name)| ChainedOperator {
                operator: OperatorId(id + 10 * i as u32),
                part: Part::Driver(DriverStrategy::Only),
                name: (*name).to_owned(),
                memory_weight: 0,
            })
            .collect(),
        inputs: u8::from(id > 0),
        source: (id == 0).then(|| JobSource { splits: Vec::new() }),
        broadcast_inputs: Vec::new(),
        of_loop: None,
    };
    let edge = |from: u32, ship| JobEdge {
        from: VertexId(from),
        side: None,
        to: VertexId(from + 1),
        input: 0,
        ship,
        mode: ExchangeMode::Pipelined,
        partitioner: None,
        replay: false,
    };
    JobGraph {
        name: name.to_owned(),
        vertices: vec![
            vertex(0, 1, &["Source"]),
            vertex(1, 2, &["FlatMap (at a.rs:1)", "Combine"]),
            vertex(2, 2, &["Sink"]),
        ],
        edges: vec![edge(0, ShipStrategy::Rebalance), edge(1, ShipStrategy::Forward)],
        loops: Vec::new(),
    }
}

/// What the optimizer says of it, in its own JSON.
fn plan() -> Value {
    let known = json!([{ "name": "Partitioning", "value": "RANDOM" }]);
    let node = |id: u32| {
        json!({
            "id": id,
            "pact": "FlatMap",
            "driver_strategy": "FlatMap",
            "predecessors": if id == 0 { json!([]) } else { json!([{ "ship_strategy": "Forward" }]) },
            "global_properties": known,
            "local_properties": known,
            "estimates": known,
            "costs": known,
            "compiler_hints": known,
        })
    };
    json!({ "nodes": [node(0), node(1), node(11), node(2)] })
}

fn message<T: serde::Serialize>(value: &T) -> GatewayMessage {
    GatewayMessage { encoded: body::encode(value).expect("encodes") }
}

/// A TaskExecutor with two slots, which starts workers as tasks of this process.
/// Says whether it was told to end, rather than left alone.
async fn task_executor(name: String, client: JobManagerClient, finish: Arc<Notify>) -> bool {
    let (out, sent) = mpsc::channel(64);
    let register = FromTaskExecutor::Register {
        task_executor: name,
        host: "localhost".to_owned(),
        data_address: "localhost:1000".to_owned(),
        slots: 2,
        slot_bytes: 64 << 20,
        glibc: Glibc::here(),
    };
    out.send(message(&register)).await.expect("has room");
    let alive = out.clone();
    tokio::spawn(async move {
        let process = ProcessUse { memory_bytes: PROCESS_BYTES, ..ProcessUse::default() };
        let network = NetworkUse { total_bytes: 1000, credit_bytes: 30, held_bytes: 4, ..NetworkUse::default() };
        let workers = WorkerUse { managed_bytes: vec![5, 6], network, ..WorkerUse::default() };
        while alive.send(message(&FromTaskExecutor::Heartbeat { process, workers: workers.clone() })).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let mut stream = client.task_executor().session(ReceiverStream::new(sent)).await.expect("connects").into_inner();
    let mut workers: BTreeMap<(ApplicationId, WorkerId), JoinHandle<()>> = BTreeMap::new();
    while let Some(Ok(received)) = stream.next().await {
        match body::decode(&received.encoded).expect("decodes") {
            ToTaskExecutor::StartWorker { worker, program, .. } => {
                let fails = program.arguments[0] == format!("{:?}", Behaviour::Fail);
                let work = work(client.clone(), program.application, worker, fails, Arc::clone(&finish));
                workers.insert((program.application, worker), tokio::spawn(work));
            }
            ToTaskExecutor::StopWorker { application, worker } => {
                if let Some(running) = workers.remove(&(application, worker)) {
                    running.abort();
                }
                let failure = Failure::new(FailureKind::Lost, "it was stopped");
                out.send(message(&FromTaskExecutor::WorkerLost { application, worker, failure }))
                    .await
                    .expect("has room");
            }
            ToTaskExecutor::ReadLogs { request, which: Logs::List } => {
                let file = |(name, content): (&str, &str)| LogFile {
                    name: name.to_owned(),
                    size: content.len() as u64,
                    modified_ms: 1,
                };
                let files = LOGS.into_iter().map(file).collect();
                out.send(message(&FromTaskExecutor::LogFiles { request, files })).await.expect("has room");
            }
            ToTaskExecutor::ReadLogs { request, which: Logs::File(name) } => {
                let (_, content) = LOGS.into_iter().find(|(of, _)| *of == name).expect("it was listed");
                let piece = |name: String, content: Vec<u8>| message(&FromTaskExecutor::Log { request, name, content });
                out.send(piece(name, content.into())).await.expect("has room");
                out.send(piece(String::new(), Vec::new())).await.expect("has room");
            }
            ToTaskExecutor::ShutDown => return true,
            _ => {}
        }
    }
    false
}

/// A worker: its tasks are RUNNING at once, and say what they have done.
async fn work(
    client: JobManagerClient,
    application: ApplicationId,
    worker: WorkerId,
    fails: bool,
    finish: Arc<Notify>,
) {
    let (out, sent) = mpsc::channel(256);
    let (task_executor, data_address) = (TASK_EXECUTOR.to_owned(), "localhost:1001".to_owned());
    let register = FromWorker::Register { application, worker, task_executor, data_address };
    out.send(message(&register)).await.expect("has room");
    let alive = out.clone();
    tokio::spawn(async move {
        while alive.send(message(&FromWorker::Heartbeat)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let mut stream = client.worker().session(ReceiverStream::new(sent)).await.expect("connects").into_inner();
    let mut tasks: Vec<(JobId, ExecutionId)> = Vec::new();
    loop {
        let received = tokio::select! {
            received = stream.next() => received,
            () = finish.notified() => {
                for (job, execution) in tasks.drain(..) {
                    out.send(message(&changed(job, execution, TaskState::Finished))).await.expect("has room");
                }
                continue;
            }
        };
        let Some(Ok(received)) = received else { return };
        match body::decode(&received.encoded).expect("decodes") {
            ToWorker::Deploy(deployment) => {
                for task in &deployment.tasks {
                    let (job, execution) = (deployment.job, task.execution);
                    out.send(message(&changed(job, execution, TaskState::Running))).await.expect("has room");
                    let report = FromWorker::Report { job, tasks: vec![report(execution)], loops: Vec::new() };
                    out.send(message(&report)).await.expect("has room");
                    if fails && execution.vertex == VertexId(1) {
                        out.send(message(&changed(job, execution, TaskState::Failed))).await.expect("has room");
                    } else {
                        tasks.push((job, execution));
                    }
                }
            }
            ToWorker::Cancel { job, executions } => {
                tasks.retain(|(_, execution)| !executions.contains(execution));
                for execution in executions {
                    out.send(message(&changed(job, execution, TaskState::Canceled))).await.expect("has room");
                }
            }
            _ => {}
        }
    }
}

fn changed(job: JobId, execution: ExecutionId, state: TaskState) -> FromWorker {
    let failure = (state == TaskState::Failed).then(|| Failure {
        kind: FailureKind::Function,
        message: "no words".to_owned(),
        operator: Some("FlatMap (at a.rs:1)".to_owned()),
    });
    let words = BTreeMap::from([("words".to_owned(), AccumulatorValue::Long(7))]);
    let accumulators = if state == TaskState::Finished { words } else { BTreeMap::new() };
    FromWorker::Task { job, execution, state, failure, accumulators, report: None, looping: None }
}

fn report(execution: ExecutionId) -> TaskReport {
    let (records_in, records_out) = (RECORDS_IN, RECORDS_OUT);
    let counts = OperatorCounts { records_in, records_out, bytes_in: 10, bytes_out: 20, spilled_bytes: 0 };
    let operators = vec![counts; if execution.vertex == VertexId(1) { 2 } else { 1 }];
    let (backpressured, idle) = (Duration::from_millis(6), Duration::from_millis(7));
    TaskReport { execution, busy: Duration::from_millis(5), backpressured, idle, done: false, operators }
}
