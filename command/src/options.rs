//! Configuration: its file, `-D`, and what follows from them for processes.

use clap::Args;
use flinkrs_control::options::{DispatcherOptions, ResourceOptions};
use flinkrs_control::task_executor::TaskExecutorOptions as Times;
use flinkrs_core::config::{
    self, ConfigOption, ConfigValue, Configuration, Declaration, execution, heartbeat, jobmanager, observation, rest,
    security, taskmanager,
};
use flinkrs_core::error::{Error, Result};
use flinkrs_jobmanager::{JobManagerOptions, RestOptions};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::connect::{Access, JobManagerClient};
use flinkrs_rpc::tls::{self, Tls, TlsFiles};
use flinkrs_taskexecutor::TaskExecutorOptions;
use rustls::ServerConfig;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The memory of a TaskExecutor's worker that is neither managed nor the network's: code, threads, batches.
const UNMANAGED_BYTES: u64 = 24 << 20;

/// Options that all commands have.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Set an option of the configuration; see docs/configuration.md
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    pub(crate) define: Vec<String>,

    /// The file of the configuration [default: flinkrs.toml in $FLINKRS_CONF_DIR or here, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A standalone cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct Standalone {
    /// The JobManager [default: jobmanager.rpc.address and jobmanager.rpc.port of the configuration]
    #[arg(short = 'm', long, value_name = "HOST:PORT")]
    pub(crate) jobmanager: Option<String>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Which cluster a command is for, wherever that is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Where it is: local, remote, yarn-session, yarn-per-job or yarn-application [default: execution.target of the
    /// configuration, or the session on YARN that was started last, or remote]
    #[arg(short, long, value_name = "TARGET", value_parser = parse_target, conflicts_with = "jobmanager")]
    pub(crate) target: Option<execution::Target>,

    #[command(flatten)]
    pub(crate) standalone: Standalone,
}

/// A JobManager that a command found.
pub(crate) struct Found {
    /// Host and port.
    pub(crate) address: String,
    /// The secret that it may want.
    pub(crate) secret: Option<FoundSecret>,
    /// The files of certificates that it may want.
    pub(crate) tls: Option<TlsFiles>,
}

/// Where a secret comes from.
pub(crate) enum FoundSecret {
    /// From a file that the configuration names.
    File(PathBuf),
    /// From the folder of an application on YARN.
    Application(Secret),
}

impl Found {
    /// How this process shows that it may talk to it.
    ///
    /// Errors when a file can't be read.
    pub(crate) fn access(&self) -> Result<Access> {
        let secret = match &self.secret {
            None => None,
            Some(FoundSecret::File(path)) => Some(Secret::from_file(path)?),
            Some(FoundSecret::Application(secret)) => Some(secret.clone()),
        };
        Ok(Access { secret, tls: self.tls.clone().map(Tls::read).transpose()? })
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> Result<JobManagerClient> {
        JobManagerClient::connect(&self.address, self.access()?).await
    }
}

fn parse_target(text: &str) -> Result<execution::Target, String> {
    execution::Target::parse(text).ok_or_else(|| format!("it has to be {}", execution::Target::allowed()))
}

impl Common {
    /// Reads the configuration.
    pub(crate) fn configuration(&self) -> Result<Configuration> {
        let folder = std::env::var_os("FLINKRS_CONF_DIR").map(PathBuf::from);
        let file = config::find_file(self.config.as_deref(), folder.as_deref());
        Configuration::load(file.as_deref(), &self.define)
    }

    /// The same options for another process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let file = self.config.iter().flat_map(|file| ["--config".to_owned(), file.display().to_string()]);
        file.chain(self.define.iter().map(|define| format!("-D{define}"))).collect()
    }
}

impl Standalone {
    /// The JobManager that is named, or else the configuration's.
    pub(crate) fn find(&self, config: &Configuration) -> Result<Found> {
        let address = self.jobmanager.clone().unwrap_or_else(|| address_of(config));
        let secret = config.get(&security::CLUSTER_SECRET_FILE).map(FoundSecret::File);
        Ok(Found { address, secret, tls: tls_files_of(config)? })
    }
}

impl Target {
    /// Reads the configuration.
    pub(crate) fn configuration(&self) -> Result<Configuration> {
        self.standalone.common.configuration()
    }

    /// Where programs run, by the options and the configuration.
    pub(crate) fn target(&self, config: &Configuration) -> execution::Target {
        let chosen = self.target.or_else(|| config.get(&execution::TARGET));
        let is_named = || self.standalone.jobmanager.is_none() && crate::yarn::find::is_named(config);
        match chosen {
            Some(target) => target,
            None if is_named() => execution::Target::YarnSession,
            None => execution::Target::Remote,
        }
    }

    /// The JobManager, and the secret that it may want.
    ///
    /// Errors when the session on YARN that is meant doesn't run.
    pub(crate) async fn find(&self, config: &Configuration) -> Result<Found> {
        match self.target(config) {
            execution::Target::Local | execution::Target::Remote => self.standalone.find(config),
            _ => {
                let yarn = crate::yarn::Yarn::new(config)?;
                let session = crate::yarn::find::session(&yarn, config).await?;
                let secret = Some(FoundSecret::Application(Secret::new(&session.secret)));
                Ok(Found { address: session.address, secret, tls: None })
            }
        }
    }
}

/// Where the configuration says that the JobManager is.
pub(crate) fn address_of(config: &Configuration) -> String {
    format!("{}:{}", config.get(&jobmanager::RPC_ADDRESS), config.get(&jobmanager::RPC_PORT))
}

/// The secret that the configuration names.
pub(crate) fn secret_of(config: &Configuration) -> Result<Option<Secret>> {
    config.get(&security::CLUSTER_SECRET_FILE).as_deref().map(Secret::from_file).transpose()
}

/// The files of the cluster's certificates, if the configuration demands them.
pub(crate) fn tls_files_of(config: &Configuration) -> Result<Option<TlsFiles>> {
    if !config.get(&security::SSL_INTERNAL_ENABLED) {
        return Ok(None);
    }
    let keystore = file_of(config, &security::SSL_INTERNAL_KEYSTORE, "security.ssl.internal.enabled")?;
    let truststore = file_of(config, &security::SSL_INTERNAL_TRUSTSTORE, "security.ssl.internal.enabled")?;
    Ok(Some(TlsFiles { keystore, truststore }))
}

/// The file of an option that another one demands; workers run in folders of their own, so its path is a whole one.
fn file_of(config: &Configuration, option: &ConfigOption<Option<PathBuf>>, because: &str) -> Result<PathBuf> {
    let path = config.get(option).ok_or_else(|| {
        Error::usage(format!("{because} is true, and {} isn't set: it names a file in PEM", option.key()))
    })?;
    std::path::absolute(&path).map_err(|error| Error::io("find", &path, error))
}

/// How REST is encrypted, and whether its clients prove themselves.
fn rest_tls_of(config: &Configuration) -> Result<Option<(Arc<ServerConfig>, bool)>> {
    let asks = config.get(&security::SSL_REST_AUTHENTICATION);
    if !config.get(&security::SSL_REST_ENABLED) {
        return match asks {
            true => Err(Error::usage(
                "security.ssl.rest.authentication-enabled is true, and security.ssl.rest.enabled isn't: clients prove \
                 themselves where connections are encrypted",
            )),
            false => Ok(None),
        };
    }
    let keystore = file_of(config, &security::SSL_REST_KEYSTORE, "security.ssl.rest.enabled")?;
    let because = "security.ssl.rest.authentication-enabled";
    let truststore = asks.then(|| file_of(config, &security::SSL_REST_TRUSTSTORE, because)).transpose()?;
    Ok(Some((tls::of_rest(&keystore, truststore.as_deref())?, asks)))
}

/// The folder of a store, where executables can be run in it.
fn artifacts_beside(store: &std::path::Path) -> Option<PathBuf> {
    flinkrs_core::fs::scheme_of(store).is_none().then(|| store.to_path_buf())
}

/// What a JobManager is started with.
pub(crate) fn jobmanager_options(config: &Configuration) -> Result<JobManagerOptions> {
    let port = config.get(&jobmanager::RPC_PORT);
    let bind = SocketAddr::new(ip_of("jobmanager.bind-host", &config.get(&jobmanager::BIND_HOST))?, port);
    let blobs = config.get(&jobmanager::BLOB_STORAGE_DIRECTORY);
    let store = config.get(&jobmanager::HA_STORAGE_DIR);
    let folder = process_folder(config, JOBMANAGER);
    let store = store.unwrap_or_else(|| folder.join("store"));
    Ok(JobManagerOptions {
        bind,
        secret: secret_of(config)?,
        tls: tls_files_of(config)?.map(Tls::read).transpose()?,
        rest: Some(rest_options(config)?),
        artifacts: blobs.unwrap_or_else(|| artifacts_beside(&store).unwrap_or(folder).join("artifacts")),
        store,
        resources: ResourceOptions {
            heartbeat_interval: config.get(&heartbeat::INTERVAL),
            heartbeat_timeout: config.get(&heartbeat::TIMEOUT),
            spread: config.get(&jobmanager::EVENLY_SPREAD_OUT_SLOTS),
            elastic: None,
        },
        config: config.clone(),
        dispatcher: DispatcherOptions {
            finished_jobs: config.get(&jobmanager::JOBSTORE_MAX_CAPACITY).get() as usize,
            ..DispatcherOptions::default()
        },
        driver: None,
        ends_with_application: false,
    })
}

/// How REST and metrics are served.
fn rest_options(config: &Configuration) -> Result<RestOptions> {
    let ip = ip_of("rest.bind-address", &config.get(&rest::BIND_ADDRESS))?;
    Ok(RestOptions {
        bind: SocketAddr::new(ip, config.get(&rest::PORT)),
        host: config.get(&rest::ADDRESS),
        metrics_ports: config.get(&observation::PROMETHEUS_PORT),
        logs: log_folder(config, JOBMANAGER),
        secret_file: config.get(&security::CLUSTER_SECRET_FILE),
        tls_files: tls_files_of(config)?,
        tls: rest_tls_of(config)?,
        view: None,
        settings: config.settings().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

/// What a JobManager is called in names of files.
pub(crate) const JOBMANAGER: &str = "jobmanager";

/// What a TaskExecutor is called in names of files.
pub(crate) const TASK_EXECUTOR: &str = "taskexecutor";

/// The folder of this process for what is of no use after it.
pub(crate) fn process_folder(config: &Configuration, role: &str) -> PathBuf {
    temp_dir(config).join(process_name(role))
}

/// The folder of this process for logs.
pub(crate) fn log_folder(config: &Configuration, role: &str) -> PathBuf {
    match config.get(&observation::LOG_DIR) {
        Some(folder) => folder.join(process_name(role)),
        None => process_folder(config, role).join("logs"),
    }
}

/// A name that no other process has that sees the same files.
fn process_name(role: &str) -> String {
    format!("flinkrs-{role}-{}-{}", machine_name(), std::process::id())
}

fn temp_dir(config: &Configuration) -> PathBuf {
    let named = config.get(&taskmanager::TMP_DIRS).and_then(|dirs| dirs.into_iter().next());
    named.unwrap_or_else(std::env::temp_dir)
}

/// What a TaskExecutor is started with: its memory is divided into the network's, the managed of each slot, and the
/// rest.
pub(crate) fn taskexecutor_options(config: &Configuration, jobmanager: Option<&str>) -> Result<TaskExecutorOptions> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let slots = config.get(&taskmanager::SLOTS).map_or(cores, std::num::NonZeroU32::get);
    let process = config.get(&taskmanager::PROCESS_MEMORY).map_or_else(|| machine_bytes() / 2, |bytes| bytes.0);
    let usable = process.saturating_sub(UNMANAGED_BYTES);
    let network = (usable as f64 * config.get(&taskmanager::NETWORK_MEMORY_FRACTION).0) as u64;
    let (least, most) =
        (config.get(&taskmanager::NETWORK_MEMORY_MIN).0, config.get(&taskmanager::NETWORK_MEMORY_MAX).0);
    let network_bytes = network.clamp(least, most);
    let managed = (usable.saturating_sub(network_bytes) as f64 * config.get(&taskmanager::MANAGED_FRACTION).0) as u64;
    let slot_bytes = managed / u64::from(slots);
    if slot_bytes < 1 << 20 {
        return Err(Error::usage(format!(
            "taskmanager.memory.process.size is {process} bytes, of which {slot_bytes} are left for each of {slots} \
             slots; give it more memory or fewer slots (option taskmanager.numberOfTaskSlots)"
        )));
    }
    let bind = ip_of("taskmanager.bind-host", &config.get(&taskmanager::BIND_HOST))?;
    Ok(TaskExecutorOptions {
        name: None,
        jobmanager: jobmanager.map_or_else(|| address_of(config), str::to_owned),
        secret: secret_of(config)?,
        tls: tls_files_of(config)?.map(Tls::read).transpose()?,
        bind,
        data_port: config.get(&taskmanager::DATA_PORT),
        host: config.get(&taskmanager::HOST).unwrap_or_else(|| bind.to_string()),
        slots,
        slot_bytes,
        network_bytes,
        compress: false,
        threads: slots.min(cores),
        folder: process_folder(config, TASK_EXECUTOR),
        logs: log_folder(config, TASK_EXECUTOR),
        metrics_ports: config.get(&observation::PROMETHEUS_PORT),
        temp_dir: temp_dir(config),
        programs: None,
        worker_directory: None,
        environment: crate::run::environment(config),
        times: Times {
            heartbeat_interval: config.get(&heartbeat::INTERVAL),
            heartbeat_timeout: config.get(&heartbeat::TIMEOUT),
            reconnect_delay: Duration::from_millis(500),
            registration_timeout: config.get(&taskmanager::REGISTRATION_TIMEOUT),
        },
    })
}

/// The IP address of a host to listen on.
pub(crate) fn ip_of(option: &str, host: &str) -> Result<IpAddr> {
    let found = (host, 0).to_socket_addrs().ok().and_then(|found| {
        let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        found.iter().copied().find(IpAddr::is_ipv4).or(found.first().copied())
    });
    found.ok_or_else(|| Error::usage(format!("{option} is '{host}', which is neither an IP address nor a host's name")))
}

/// What this machine calls itself, for names in folders that others may see.
fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Memory of the machine, or of the control group if that has less, in bytes.
fn machine_bytes() -> u64 {
    flinkrs::machine_memory().0
}
