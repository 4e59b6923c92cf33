//! `flinkrs run PROGRAM ARGS`: a program on a cluster, or on this machine.

use crate::options::Target;
use clap::{Args, ValueEnum};
use flinkrs_core::config::execution::{self, BatchShuffleMode};
use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::roles::{ROLE, SUBMIT, SUBMIT_SPEC, SubmitSpec};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Where a program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Where {
    /// On the threads of this process
    Local,
    /// On the cluster of a JobManager
    #[default]
    Remote,
}

/// Options of `flinkrs run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Where to run it
    #[arg(short, long, value_enum, default_value_t)]
    target: Where,

    /// How many subtasks each operator runs in, unless the program says otherwise [default: one for each slot]
    #[arg(short, long, value_name = "N")]
    parallelism: Option<std::num::NonZeroU32>,

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
    /// Becomes the program, whose exit code is the command's.
    pub(super) fn run(&self) -> Result<()> {
        let (jobmanager, secret_file, config) = self.cluster.resolve()?;
        let program = if self.program.components().count() == 1 && self.program.exists() {
            PathBuf::from(".").join(&self.program)
        } else {
            self.program.clone()
        };
        let mut command = Command::new(&program);
        command.args(&self.arguments);
        if self.target == Where::Remote {
            let spec = SubmitSpec {
                jobmanager,
                secret_file,
                parallelism: self.parallelism.or(config.get(&execution::PARALLELISM)).map(std::num::NonZeroU32::get),
                detached: self.detached || !config.get(&execution::ATTACHED),
                cancel_on_lost_client: self.shutdown_on_attached_exit
                    || config.get(&execution::SHUTDOWN_ON_ATTACHED_EXIT),
                blocking_exchanges: config.get(&execution::BATCH_SHUFFLE_MODE) == BatchShuffleMode::Blocking,
            };
            let spec = serde_json::to_string(&spec)
                .map_err(|error| Error::internal(format!("a submission that isn't JSON: {error}")))?;
            command.env(ROLE, SUBMIT).env(SUBMIT_SPEC, spec);
        } else if let Some(parallelism) = self.parallelism {
            command.arg("--parallelism").arg(parallelism.to_string());
        }
        Err(Error::io("start program", &program, command.exec()))
    }
}
