//! The `flinkrs` command: plans, clusters, jobs.
//!
//! | module | what lives there |
//! |---|---|
//! | `info` | `flinkrs info`: what the optimizer makes of a program |
//! | `run` | `flinkrs run`: a program on a cluster, or here |
//! | `jobs` | `list`, `cancel`, `logs` |
//! | `processes` | `jobmanager` and `taskexecutor`: this process is one |
//! | `program` | a program is read before it is run |
//! | `cluster` | `cluster start`, `stop` and `status`: a standalone cluster |
//! | `output` | what a process prints, in files besides |
//! | `yarn` | clusters on YARN |
//! | `flink` | options in Flink's own spelling |
//! | `options` | configuration: its file, `-D`, and what follows from them |

mod cluster;
mod flink;
mod info;
mod jobs;
mod options;
mod output;
mod processes;
mod program;
mod run;
mod yarn;

use clap::{Parser, Subcommand};
use flinkrs_core::error::{Error, Result};
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Runs flinkrs programs, and the clusters that they run on.
#[derive(Debug, Parser)]
#[command(name = "flinkrs", version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run a program on a cluster, or on this machine
    Run(run::Run),
    /// Show the plan that the optimizer chooses for a program, without running it
    Info(info::Info),
    /// List the jobs of a cluster
    List(jobs::List),
    /// Cancel a job
    Cancel(jobs::Cancel),
    /// Show what the workers of a job wrote to standard output and error
    Logs(jobs::Logs),
    /// Start, stop or look at a standalone cluster
    Cluster(cluster::Cluster),
    /// Start a cluster on YARN, attach to one, or show what YARN has
    #[command(name = "yarn-session")]
    YarnSession(yarn::session::YarnSession),
    /// Be the JobManager of a cluster, in the foreground
    #[command(name = "jobmanager")]
    JobManager(processes::JobManagerCommand),
    /// Be a TaskExecutor of a cluster, in the foreground
    #[command(name = "taskexecutor")]
    TaskExecutor(processes::TaskExecutorCommand),
    /// Be an ApplicationMaster, in a container of YARN
    #[command(name = "yarn-master", hide = true)]
    YarnMaster(yarn::container::MasterCommand),
    /// Be a TaskExecutor, in a container of YARN
    #[command(name = "yarn-taskexecutor", hide = true)]
    YarnTaskExecutor(yarn::container::TaskExecutorCommand),
}

/// The command's main: reads the arguments, acts, and returns the exit code.
pub fn main() -> ExitCode {
    flinkrs::main_of(flink::spelled(std::env::args_os()), |cli: Cli| match cli.action {
        Action::Run(run) => run.run(),
        Action::Info(info) => info.run(),
        Action::List(list) => list.run(),
        Action::Cancel(cancel) => cancel.run(),
        Action::Logs(logs) => logs.run(),
        Action::Cluster(cluster) => cluster.run(),
        Action::JobManager(command) => command.run(),
        Action::TaskExecutor(command) => command.run(),
        Action::YarnSession(session) => session.run(),
        Action::YarnMaster(command) => command.run(),
        Action::YarnTaskExecutor(command) => command.run(),
    })
}

/// What calls and processes run on: one thread.
fn runtime() -> Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Resource { message: format!("no thread for RPC: {error}") })
}

/// Prints a line; a reader that has gone is no reason to fail.
fn print(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
