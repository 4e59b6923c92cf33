//! The processes in containers. What they are told lies in their credentials; nothing of it stands in their arguments.

use crate::options::{ip_of, jobmanager_options, taskexecutor_options};
use crate::processes::ended;
use crate::run::{environment, json};
use crate::runtime;
use crate::yarn::tokens::{Keeper, TOKENS_FILE, follow};
use clap::Args;
use flinkrs_control::options::Elastic;
use flinkrs_core::config::{Configuration, Declaration, jobmanager, rest, taskmanager, yarn};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::FinalApplicationStatusProto;
use flinkrs_hadoop::token::{Credentials, TOKEN_FILE};
use flinkrs_hdfs::HdfsFileSystem;
use flinkrs_jobmanager::JobManagerOptions;
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::roles::{Destination, ROLE, SUBMIT, SUBMIT_SPEC, SubmitSpec};
use flinkrs_taskexecutor::{TaskExecutor, TaskExecutorOptions};
use flinkrs_yarn_am::containers::Limits;
use flinkrs_yarn_am::launch::Launch;
use flinkrs_yarn_am::master::{End, Executors, MasterOptions};
use flinkrs_yarn_am::spec::{ApplicationSpec, Common, ContainerSpec, EXECUTABLE, OwnProgram, PROGRAMS, Work};
use flinkrs_yarn_am::tokens::Source;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The folder with Hadoop's configuration in a container's own.
pub(super) const HADOOP_CONF: &str = "hadoop-conf";

/// The file with the secret in the ApplicationMaster's folder, for programs that it starts.
const SECRET_FILE: &str = "cluster.secret";

/// The file in an application's folder that has host and port of the JobManager, where that may be started again.
pub(super) const ADDRESS_FILE: &str = "jobmanager";

/// For how long a failed container counts.
const FAILURES_INTERVAL: Duration = Duration::from_secs(60);

/// Failures on one node within that time after which it is avoided.
const NODE_FAILURES_MAX: usize = 3;

/// Options of `flinkrs yarn-master`.
#[derive(Debug, Args)]
pub(crate) struct MasterCommand {}

/// Options of `flinkrs yarn-taskexecutor`.
#[derive(Debug, Args)]
pub(crate) struct TaskExecutorCommand {}

impl MasterCommand {
    /// Is the ApplicationMaster.
    pub(crate) fn run(&self) -> Result<()> {
        let credentials = credentials()?;
        let spec = ApplicationSpec::load(&credentials)?;
        let config = prepare(&spec.common)?;
        let view = Secret::new(&spec.common.secret).derive("view");
        let view: String = view.bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let host = variable("NM_HOST")?;
        let hdfs = HdfsFileSystem::new(&spec.common.hadoop(), "")?;
        let staging = PathBuf::from(&spec.staging);
        let address_file = (spec.attempts > 1).then(|| staging.join(ADDRESS_FILE));
        let jobmanager = master_jobmanager(&spec, &config, &host, &view)?;
        let executors = executors(&spec, &config, jobmanager.resources.elastic.as_ref(), address_file.as_deref())?;
        let first = match &spec.work {
            Work::Job(first) => Some((first.clone(), folder()?)),
            Work::Session | Work::Program(_) => None,
        };
        let (told, tokens) = watch::channel(credentials.tokens_for_others());
        let keeper = match &spec.tokens {
            Some(new) => {
                let source = Source::new(&spec.common, new, &folder()?);
                Some(Keeper::start(source, hdfs.clone(), staging.join(TOKENS_FILE), told)?)
            }
            None => None,
        };
        let options = MasterOptions {
            conf: spec.common.hadoop(),
            credentials,
            tokens,
            jobmanager,
            host,
            view,
            first,
            executors,
            limits: Limits {
                failures_max: config.get(&yarn::START_MAX_FAILURES).get() as usize,
                interval: FAILURES_INTERVAL,
                node_failures_max: NODE_FAILURES_MAX,
            },
            intervals: (config.get(&yarn::HEARTBEAT_INTERVAL), config.get(&yarn::CONTAINER_REQUEST_INTERVAL)),
        };
        let listens = |address: &str| {
            if let Some(file) = &address_file {
                write_to(&hdfs, file, address)?;
            }
            match &spec.work {
                Work::Program(program) => start(program, &config, address).map(Some),
                Work::Session | Work::Job(_) => Ok(None),
            }
        };
        let ended = runtime()?.block_on(flinkrs_yarn_am::master::run(options, ended(), listens));
        // Unless YARN has been told it may start another one, which needs what lies there.
        let is_last = ended.is_ok() || spec.attempts == 1;
        let removed = if is_last { hdfs.remove(&staging) } else { Ok(()) };
        let kept = keeper.filter(|_| is_last).map_or(Ok(()), Keeper::end);
        match ended? {
            End { status: FinalApplicationStatusProto::AppFailed, diagnostics } => {
                Err(Error::Resource { message: diagnostics })
            }
            _ => removed.and(kept),
        }
    }
}

impl TaskExecutorCommand {
    /// Is a TaskExecutor.
    pub(crate) fn run(&self) -> Result<()> {
        let spec = ContainerSpec::load(&credentials()?)?;
        let config = prepare(&spec.common)?;
        let host = variable("NM_HOST")?;
        let local = first_folder("LOCAL_DIRS")?;
        let own = local.join(format!("flinkrs-{}", spec.container));
        let container = folder()?;
        if let Some(file) = spec.tokens {
            follow(HdfsFileSystem::new(&spec.common.hadoop(), "")?, PathBuf::from(file))?;
        }
        let options = TaskExecutorOptions {
            name: Some(spec.container),
            secret: Some(Secret::new(&spec.common.secret)),
            bind: ip_of("NM_HOST", &host)?,
            host,
            programs: Some(container.join(PROGRAMS)),
            worker_directory: Some(container),
            folder: own.clone(),
            logs: first_folder("LOG_DIRS")?,
            temp_dir: local,
            ..taskexecutor_options(&config, Some(&spec.jobmanager))?
        };
        let result = runtime()?.block_on(async { TaskExecutor::new(options)?.run(ended()).await });
        // The folder is the application's: others of it on this node go on.
        let _ = fs::remove_dir_all(own);
        result
    }
}

/// Starts a program beside the JobManager, to which it submits.
fn start(program: &OwnProgram, config: &Configuration, address: &str) -> Result<Child> {
    let path = folder()?.join(PROGRAMS).join(&program.artifact);
    let secret_file = Some(folder()?.join(SECRET_FILE));
    let spec = SubmitSpec {
        to: Destination::JobManager { address: address.to_owned(), secret_file, tls: None },
        parallelism: program.parallelism,
        detached: false,
        cancel_on_lost_client: true,
        blocking_exchanges: program.blocking_exchanges,
        // What is set for the job is set for the cluster.
        settings: BTreeMap::new(),
    };
    let mut command = Command::new(&path);
    command
        .args(&program.arguments)
        .envs(environment(config))
        .env(ROLE, SUBMIT)
        .env(SUBMIT_SPEC, json(&spec)?)
        .kill_on_drop(true);
    command.stdin(Stdio::null()).spawn().map_err(|error| Error::io("start program", &path, error))
}

/// How the JobManager of an application is started.
fn master_jobmanager(
    spec: &ApplicationSpec,
    config: &Configuration,
    host: &str,
    view: &str,
) -> Result<JobManagerOptions> {
    let secret = &spec.common.secret;
    let is_set = |key: &str| config.settings().any(|(set, _)| set == key);
    let ip = ip_of("NM_HOST", host)?;
    let mut options = jobmanager_options(config)?;
    options.secret = Some(Secret::new(secret));
    options.bind = SocketAddr::new(ip, config.get(&yarn::APPLICATION_MASTER_PORT));
    options.ends_with_application = matches!(spec.work, Work::Job(_));
    if config.get(&jobmanager::HA_STORAGE_DIR).is_none() {
        // One that is started again finds its jobs on HDFS.
        let again = spec.attempts > 1;
        options.store = if again { Path::new(&spec.staging).join("store") } else { folder()?.join("store") };
    }
    options.artifacts = folder()?.join("artifacts");
    let secret_file = folder()?.join(SECRET_FILE);
    write_secretly(&secret_file, secret)?;
    if let Some(of_rest) = &mut options.rest {
        let port = if is_set(rest::PORT.key()) { config.get(&rest::PORT) } else { 0 };
        of_rest.bind = SocketAddr::new(ip, port);
        of_rest.host = host.to_owned();
        of_rest.logs = first_folder("LOG_DIRS")?;
        of_rest.secret_file = Some(secret_file);
        of_rest.view = Some(Secret::new(view.as_bytes()));
    }
    // What a TaskExecutor makes of the same configuration.
    let executor = taskexecutor_options(config, Some("none:0"))?;
    let slots_each = executor.slots.max(1);
    let max = config.get(&yarn::SLOTS_MAX).map_or(u32::MAX, |slots| slots.get() / slots_each);
    options.resources.elastic = Some(Elastic {
        slots_each,
        slot_bytes: executor.slot_bytes,
        max,
        idle_timeout: config.get(&yarn::TASKMANAGER_TIMEOUT),
    });
    Ok(options)
}

/// What TaskExecutors run in.
fn executors(
    spec: &ApplicationSpec,
    config: &Configuration,
    elastic: Option<&Elastic>,
    address_file: Option<&Path>,
) -> Result<Executors> {
    let slots = elastic.map_or(1, |elastic| elastic.slots_each);
    let memory = config.get(&taskmanager::PROCESS_MEMORY).map_or(0, |size| size.0);
    let label = config.get(&yarn::TASKMANAGER_NODE_LABEL).or_else(|| config.get(&yarn::APPLICATION_NODE_LABEL));
    let mut launch = Launch { log_name: "taskexecutor".to_owned(), ..Launch::default() };
    launch.command = vec![format!("./{EXECUTABLE}"), "yarn-taskexecutor".to_owned()];
    launch.environment = super::deploy::environment(&spec.common);
    for file in &spec.files {
        let (name, resource) = file.to_proto()?;
        launch.resources.insert(name, resource);
    }
    Ok(Executors {
        memory_mb: memory.div_ceil(1 << 20),
        vcores: config.get(&yarn::CONTAINERS_VCORES).map_or(slots, NonZeroU32::get),
        node_label: label,
        nodes: spec.nodes.clone(),
        launch,
        common: spec.common.clone(),
        address_file: address_file.map(|file| file.display().to_string()),
        tokens_file: spec.tokens.as_ref().map(|_| format!("{}/{TOKENS_FILE}", spec.staging)),
    })
}

/// The credentials that YARN has given to this container.
fn credentials() -> Result<Credentials> {
    Ok(Credentials::load(Path::new(&variable(TOKEN_FILE)?))?)
}

/// Writes Hadoop's configuration where this process and those that it starts find it; returns the engine's own.
fn prepare(common: &Common) -> Result<Configuration> {
    let path = folder()?.join(HADOOP_CONF);
    let written = fs::create_dir_all(&path).and_then(|()| fs::write(path.join("core-site.xml"), common.site()));
    written.map_err(|error| Error::io("write", &path, error))?;
    let settings: Vec<String> = common.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Configuration::load(None, &settings)
}

/// This container's own folder.
fn folder() -> Result<PathBuf> {
    std::env::current_dir().map_err(|error| Error::io("find", "the container's folder", error))
}

/// The first of the folders in a variable that YARN sets: `LOCAL_DIRS` are the application's on this node, which
/// outlive containers, and those of `LOG_DIRS` are collected as the container's logs. YARN removes both.
fn first_folder(name: &str) -> Result<PathBuf> {
    let folders = variable(name)?;
    let first = folders.split(',').next().unwrap_or_default();
    Ok(PathBuf::from(first))
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| {
        Error::usage(format!(
            "{name} isn't set: this command is for containers of YARN, which `flinkrs yarn-session` starts"
        ))
    })
}

/// Puts a small file on HDFS so that it is never seen half-written.
fn write_to(hdfs: &HdfsFileSystem, path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let failed = |error| Error::io("write", &new, error);
    let mut file = hdfs.create(&new)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.close().map_err(failed)?;
    hdfs.rename(&new, path)
}

fn write_secretly(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Error::io("write", path, error))
}
