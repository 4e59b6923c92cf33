//! Submits the executions of a program, each as a job.

use crate::cluster::connection::Connection;
use crate::cluster::{follow, loops_of, prints, result_of};
use crate::local::{LocalExecutor, check_targets};
use crate::report;
use flinkrs_api::JobExecutionResult;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::FunctionSource;
use flinkrs_core::resource::ByteSize;
use flinkrs_plan::Plan;
use flinkrs_protocol::{ApplicationId, JobId};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::body;
use flinkrs_rpc::connect::Access;
use flinkrs_rpc::message::{ExecutionResult, ONCE_BYTES, ResultBlock, Snapshots, Submission};
use flinkrs_rpc::program::{Program, hash_of};
use flinkrs_rpc::proto::{
    ArtifactChunk, ArtifactRef, CloseApplicationRequest, FetchResultRequest, OpenApplicationRequest, SubmitJobRequest,
};
use flinkrs_rpc::roles::{Destination, StartRequest, Started, SubmitSpec, read_message, write_message};
use flinkrs_rpc::tls::Tls;
use flinkrs_runtime::JobResult;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a piece of an executable on its way.
const CHUNK_BYTES: usize = 1 << 20;

/// Pieces on their way at most.
const CHUNKS: usize = 4;

/// A program that submits.
pub(crate) struct Submitter {
    spec: SubmitSpec,
    /// Known from the beginning, or from the first job on.
    cluster: OnceLock<Cluster>,
    /// Whether the JobManager knows the application.
    opened: Mutex<bool>,
    /// Values that were made for all processes of the program.
    once: Mutex<Vec<Vec<u8>>>,
}

/// A JobManager, and what this run of the program is called there.
struct Cluster {
    connection: Connection,
    application: ApplicationId,
}

impl Submitter {
    /// Finds the JobManager, if there is one already.
    pub(crate) fn connect(spec: SubmitSpec) -> Result<Submitter> {
        let cluster = OnceLock::new();
        if let Destination::JobManager { address, secret_file, tls } = &spec.to {
            let secret = secret_file.as_deref().map(Secret::from_file).transpose()?;
            let tls = tls.clone().map(Tls::read).transpose()?;
            let connection = Connection::new(address, Access { secret, tls })?;
            let application = ApplicationId(u128::from_ne_bytes(flinkrs_rpc::auth::random_bytes()));
            cluster.get_or_init(|| Cluster { connection, application });
        }
        Ok(Submitter { spec, cluster, opened: Mutex::new(false), once: Mutex::default() })
    }

    /// How many subtasks operators have unless the program says otherwise: as the user says, or one for each slot.
    pub(crate) fn parallelism(&self) -> u32 {
        let slots = self.cluster.get().map_or(0, |cluster| cluster.connection.client().slots);
        self.spec.parallelism.unwrap_or(slots.max(1))
    }

    /// Managed memory of a slot, in bytes.
    fn slot_bytes(&self) -> u64 {
        match &self.spec.to {
            Destination::Starter { slot_bytes, .. } => *slot_bytes,
            Destination::JobManager { .. } => {
                self.cluster.get().map_or(0, |cluster| cluster.connection.client().slot_bytes)
            }
        }
    }

    fn cluster(&self) -> Result<&Cluster> {
        self.cluster.get().ok_or_else(|| Error::internal("a cluster is asked before it is there"))
    }

    /// Keeps a value for the other processes of the program.
    ///
    /// Errors when they have become too large.
    pub(crate) fn keep(&self, value: Vec<u8>) -> Result<()> {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = once.iter().map(Vec::len).sum::<usize>() + value.len();
        if bytes > ONCE_BYTES {
            let most = ByteSize(ONCE_BYTES as u64);
            return Err(Error::usage(format!(
                "the values of `once` have {bytes} bytes together; at most {most} go to each worker: let it read \
                 larger ones from a file"
            )));
        }
        once.push(value);
        Ok(())
    }

    /// Runs a plan as the program's execution `number` on the cluster, and waits for its end unless it is detached.
    pub(crate) fn run(
        &self,
        local: &LocalExecutor,
        plan: &Plan,
        functions: &dyn FunctionSource,
        number: u32,
    ) -> Result<JobExecutionResult> {
        if self.spec.detached && number > 1 {
            return Err(Error::usage(
                "a detached program can't execute a second time: nobody waits for what came of the first (option -d)",
            ));
        }
        check_targets(plan, functions)?;
        if let Some(file) = &local.report {
            report::check(file)?;
        }
        let optimized = local.optimize_for_cluster(plan, self.slot_bytes(), self.spec.blocking_exchanges)?;
        let graph = optimized.job_graph()?;
        let results: Vec<_> = plan.sinks.iter().copied().filter(|sink| functions.result(*sink).is_some()).collect();
        if self.spec.detached && !results.is_empty() {
            return Err(Error::usage(
                "a detached program can't collect, count or print: nobody waits for the records (option -d)",
            ));
        }
        let job = JobId(u128::from_ne_bytes(flinkrs_rpc::auth::random_bytes()));
        let submission = Submission {
            operators: prints(plan),
            has_sinks: plan.sinks.iter().any(|sink| functions.committer(*sink).is_some()),
            results,
            snapshots: local.snapshots_of(number).map(|options| Snapshots {
                folder: options.folder.display().to_string(),
                every: options.every,
                resume: options.resume,
            }),
            once: self.once.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            plan_json: optimized.explain_json().to_string(),
            settings: self.spec.settings.clone(),
            graph,
        };
        self.hand_over(&plan.name, job, number, &submission)?;
        if self.spec.detached {
            println_job(job);
            return Ok(JobExecutionResult { job_name: plan.name.clone(), ..JobExecutionResult::default() });
        }
        let cluster = self.cluster()?;
        let (result, vertices) =
            follow::to_its_end(&cluster.connection, cluster.application, job, &submission, local.progress)?;
        self.fetch(&result, functions)?;
        let job_result = JobResult {
            name: plan.name.clone(),
            runtime: result.runtime,
            accumulators: result.accumulators.clone(),
            vertices,
            loops: loops_of(&result.loops),
        };
        if local.progress {
            crate::progress::Progress::new().summary(&job_result);
        }
        if let Some(file) = &local.report {
            report::write(file, &optimized, &job_result)?;
        }
        Ok(result_of(plan.name.clone(), result))
    }

    /// Says that no execution follows.
    pub(crate) fn close(&self) {
        if !*self.opened.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        let Some(Cluster { connection, application }) = self.cluster.get() else { return };
        let request = CloseApplicationRequest { application: application.to_string() };
        // When the JobManager has gone, it will notice that this process has, too.
        let _ = connection.runtime.block_on(connection.client().dispatcher().close_application(request));
    }

    /// Submits a job, to the cluster that there is or to one that is started for it.
    fn hand_over(&self, name: &str, job: JobId, number: u32, submission: &Submission) -> Result<()> {
        if let (Destination::Starter { requests, replies, .. }, None) = (&self.spec.to, self.cluster.get()) {
            return self.start(
                requests,
                replies,
                StartRequest { name: name.to_owned(), job, submission: submission.clone() },
            );
        }
        self.open(name)?;
        self.submit(job, number, submission)
    }

    /// Lets whoever has started this program start a cluster for its first job.
    fn start(&self, requests: &Path, replies: &Path, request: StartRequest) -> Result<()> {
        let opened = File::options().write(true).open(requests);
        let mut to = opened.map_err(|error| Error::io("open", requests, error))?;
        write_message(&mut to, &request)?;
        drop(to);
        let mut from = File::open(replies).map_err(|error| Error::io("open", replies, error))?;
        let started: Started = read_message(&mut from)?
            .ok_or_else(|| Error::Resource { message: "the command that started this program has ended".to_owned() })?;
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = true;
        if self.spec.detached {
            return Ok(());
        }
        let Started { application, address, secret } = started;
        let connection = Connection::new(&address, Some(Secret::new(&secret)).into())?;
        connection.attach(application);
        self.cluster.get_or_init(|| Cluster { connection, application });
        Ok(())
    }

    /// Uploads the executable, unless it is there, and starts the application.
    fn open(&self, name: &str) -> Result<()> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if *opened {
            return Ok(());
        }
        let executable = std::env::current_exe().map_err(|error| Error::io("find", "this executable", error))?;
        // What was linked in a way that loses the note would be refused elsewhere.
        Program::read(&executable, &executable.display().to_string())?;
        let sha256 = hash_of(&executable)?;
        let Cluster { connection, application } = self.cluster()?;
        let (client, runtime) = (connection.client(), &connection.runtime);
        let present = runtime
            .block_on(async { client.dispatcher().has_artifact(ArtifactRef { sha256: sha256.clone() }).await })
            .map_err(|status| client.error(&status))?
            .into_inner()
            .present;
        if !present {
            upload(connection, &executable, &sha256)?;
        }
        let directory = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
        let request = OpenApplicationRequest {
            application: application.to_string(),
            name: name.to_owned(),
            artifact: sha256,
            arguments: std::env::args().skip(1).collect(),
            cancel_on_lost_client: self.spec.cancel_on_lost_client,
            detached: self.spec.detached,
            directory,
        };
        runtime
            .block_on(async { client.dispatcher().open_application(request).await })
            .map_err(|status| client.error(&status))?;
        if !self.spec.detached {
            connection.attach(*application);
        }
        *opened = true;
        Ok(())
    }

    fn submit(&self, job: JobId, number: u32, submission: &Submission) -> Result<()> {
        let Cluster { connection, application } = self.cluster()?;
        let client = connection.client();
        let request = SubmitJobRequest {
            application: application.to_string(),
            job: job.to_string(),
            execution: number,
            graph: body::encode(submission)?,
        };
        let submitted = connection.runtime.block_on(async { client.dispatcher().submit_job(request).await });
        submitted.map(|_| ()).map_err(|status| client.error(&status))
    }

    /// Takes the records of result sinks.
    fn fetch(&self, result: &ExecutionResult, functions: &dyn FunctionSource) -> Result<()> {
        let Some(job) = result.job else { return Ok(()) };
        let connection = &self.cluster()?.connection;
        let client = connection.client();
        for sink in &result.results {
            let Some(into) = functions.result(*sink) else { continue };
            into.reset();
            let request = FetchResultRequest { job: job.to_string(), sink: sink.0 };
            connection.runtime.block_on(async {
                let stream = client.dispatcher().fetch_result(request).await.map_err(|status| client.error(&status))?;
                let mut stream = stream.into_inner();
                while let Some(body) = stream.next().await {
                    let body = body.map_err(|status| client.error(&status))?;
                    let ResultBlock { subtask, attempt, block } = body::decode(&body.encoded)?;
                    into.put(subtask, attempt, &block)?;
                }
                Ok::<(), Error>(())
            })?;
        }
        Ok(())
    }
}

/// Sends an executable to the JobManager, piece by piece.
fn upload(connection: &Connection, executable: &Path, sha256: &str) -> Result<()> {
    let failed = |error| Error::io("read", executable, error);
    let mut file = File::open(executable).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let (to, chunks) = mpsc::channel(CHUNKS);
    let sha256 = sha256.to_owned();
    let read = connection.runtime.spawn_blocking(move || -> std::io::Result<()> {
        loop {
            let mut content = vec![0; CHUNK_BYTES];
            let read = file.read(&mut content)?;
            content.truncate(read);
            let chunk = ArtifactChunk { sha256: sha256.clone(), size, content };
            if read == 0 || to.blocking_send(chunk).is_err() {
                return Ok(());
            }
        }
    });
    let client = connection.client();
    let sent =
        connection.runtime.block_on(async { client.dispatcher().put_artifact(ReceiverStream::new(chunks)).await });
    sent.map_err(|status| client.error(&status))?;
    match connection.runtime.block_on(read) {
        Ok(read) => read.map_err(failed),
        Err(_) => Err(Error::internal("reading the executable has panicked")),
    }
}

/// Tells the user, as Flink does, which job to ask for.
#[expect(clippy::print_stdout, reason = "it is what a detached program leaves")]
fn println_job(job: JobId) {
    println!("Job has been submitted with JobID {job}");
}
