//! `flinkrs run PROGRAM ARGS`: a program on a cluster, or on this machine.

use crate::options::{Found, FoundSecret, Target};
use crate::{program, runtime, yarn};
use clap::Args;
use flinkrs_core::config::execution::{self, BatchShuffleMode};
use flinkrs_core::config::{self, Configuration, files, security};
use flinkrs_core::error::{Error, Result};
use flinkrs_hadoop::kerberos::{KEYTAB, PRINCIPAL, TICKET_CACHE};
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::roles::{COLLECT_LIMIT, DEFAULT_SCHEME, Destination, ROLE, SUBMIT, SUBMIT_SPEC, SubmitSpec};
use rustix::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Options of `flinkrs run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// How many subtasks each operator runs in, unless the program says otherwise [default: one for each slot]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32768))]
    parallelism: Option<u32>,

    /// Don't wait for the end of the job
    #[arg(short, long)]
    detached: bool,

    /// Cancel the job when this command is lost
    #[arg(long = "shutdownOnAttachedExit", alias = "sae")]
    shutdown_on_attached_exit: bool,

    #[command(flatten)]
    cluster: Target,

    /// The program: an executable that links flinkrs
    program: PathBuf,

    /// The program's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Run {
    /// Becomes the program, whose exit code is the command's, or stays with the application that runs it.
    pub(super) fn run(&self) -> Result<()> {
        let config = self.cluster.configuration()?;
        let program = Program {
            path: program::find(&self.program)?,
            arguments: self.arguments.clone(),
            environment: environment(&config),
        };
        match self.cluster.target(&config) {
            execution::Target::Local => {
                self.warn_of_late_options();
                self.embedded(&program)
            }
            execution::Target::YarnPerJob => yarn::per_job::run(&program, &config, &self.how(&config)),
            execution::Target::YarnApplication => yarn::application::run(&program, &config, &self.how(&config)),
            execution::Target::Remote | execution::Target::YarnSession => {
                self.warn_of_late_options();
                let Found { address, secret, tls } = runtime()?.block_on(self.cluster.find(&config))?;
                let secret_file = match secret {
                    None => None,
                    Some(FoundSecret::File(path)) => Some(path),
                    Some(FoundSecret::Application(secret)) => Some(in_memory(&secret)?),
                };
                let spec = self.how(&config).to(Destination::JobManager { address, secret_file, tls });
                let mut command = program.command();
                command.env(ROLE, SUBMIT).env(SUBMIT_SPEC, json(&spec)?);
                Err(Error::io("start program", &program.path, command.exec()))
            }
        }
    }

    /// Says which options of the command line have no effect: those of processes that run already, or aren't there.
    fn warn_of_late_options(&self) {
        let keys = self.cluster.standalone.common.define.iter().filter_map(|text| Some(text.split_once('=')?.0.trim()));
        for key in keys.filter(|key| config::is_of_processes(key)) {
            eprintln!("warning: {key} has no effect here: the processes of a cluster read it when they are started");
        }
    }

    fn embedded(&self, program: &Program) -> Result<()> {
        let mut command = program.command();
        if let Some(parallelism) = self.parallelism {
            command.arg("--parallelism").arg(parallelism.to_string());
        }
        Err(Error::io("start program", &program.path, command.exec()))
    }

    fn how(&self, config: &Configuration) -> How {
        How {
            parallelism: self.parallelism.or(config.get(&execution::PARALLELISM).map(NonZeroU32::get)),
            detached: self.detached || !config.get(&execution::ATTACHED),
            cancel_on_lost_client: self.shutdown_on_attached_exit || config.get(&execution::SHUTDOWN_ON_ATTACHED_EXIT),
            blocking_exchanges: config.get(&execution::BATCH_SHUFFLE_MODE) == BatchShuffleMode::Blocking,
            settings: config.job_settings(),
        }
    }
}

/// What a program is told of the configuration, whatever its role.
pub(crate) fn environment(config: &Configuration) -> Vec<(&'static str, String)> {
    let limit = (COLLECT_LIMIT, config.get(&execution::COLLECT_LIMIT).0.to_string());
    let scheme = config.get(&files::DEFAULT_SCHEME).map(|scheme| (DEFAULT_SCHEME, scheme));
    [limit].into_iter().chain(scheme).chain(kerberos(config)).collect()
}

/// What a process is told of the login to Hadoop.
pub(crate) fn kerberos(config: &Configuration) -> Vec<(&'static str, String)> {
    // Workers run in folders of their own.
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let keytab = config.get(&security::KERBEROS_KEYTAB).map(|path| (KEYTAB, absolute(path).display().to_string()));
    let principal = config.get(&security::KERBEROS_PRINCIPAL).map(|principal| (PRINCIPAL, principal));
    let cache = (!config.get(&security::KERBEROS_USE_TICKET_CACHE)).then(|| (TICKET_CACHE, false.to_string()));
    [keytab, principal, cache].into_iter().flatten().collect()
}

/// A program and its arguments.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Program {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }

    /// What lists call it unless it says otherwise.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// How a program submits its jobs.
pub(crate) struct How {
    pub(crate) parallelism: Option<u32>,
    pub(crate) detached: bool,
    pub(crate) cancel_on_lost_client: bool,
    pub(crate) blocking_exchanges: bool,
    pub(crate) settings: BTreeMap<String, String>,
}

impl How {
    /// The same as a program in role submit is told.
    pub(crate) fn to(&self, to: Destination) -> SubmitSpec {
        SubmitSpec {
            to,
            parallelism: self.parallelism,
            detached: self.detached,
            cancel_on_lost_client: self.cancel_on_lost_client,
            blocking_exchanges: self.blocking_exchanges,
            settings: self.settings.clone(),
        }
    }
}

/// What a program is told, as it stands in its environment.
pub(crate) fn json(spec: &SubmitSpec) -> Result<String> {
    serde_json::to_string(spec).map_err(|error| Error::internal(format!("a submission that isn't JSON: {error}")))
}

/// A file that has a secret, in memory only; a program that this process becomes or starts finds it under this path.
pub(crate) fn in_memory(secret: &Secret) -> Result<PathBuf> {
    let failed = |error: std::io::Error| Error::io("write", "a file in memory", error);
    // Without the flag that would close it when this process becomes the program.
    let file = rustix::fs::memfd_create("secret", rustix::fs::MemfdFlags::empty());
    let mut file = File::from(file.map_err(|error| failed(error.into()))?);
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    file.write_all(secret.bytes()).map_err(failed)?;
    let file = OwnedFd::from(file);
    let path = path_of(&file);
    // It stays open until this process ends, whatever it becomes.
    let _ = file.into_raw_fd();
    Ok(path)
}

/// The path under which a program finds a file that it inherits.
pub(crate) fn path_of(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
