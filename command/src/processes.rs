//! `flinkrs jobmanager` and `flinkrs taskexecutor`: this process is one of a cluster, until it is told to end.

use crate::options::{
    Common, JOBMANAGER, TASK_EXECUTOR, jobmanager_options, log_folder, process_folder, taskexecutor_options,
};
use crate::output::Output;
use crate::runtime;
use clap::Args;
use flinkrs_core::error::{Error, Result};
use flinkrs_jobmanager::{JobManager, RestOptions};
use flinkrs_taskexecutor::TaskExecutor;
use std::io::Write;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Options of `flinkrs jobmanager`.
#[derive(Debug, Args)]
pub(super) struct JobManagerCommand {
    #[command(flatten)]
    common: Common,

    /// Write HOST:PORT of the RPC server to this file when it listens
    #[arg(long, value_name = "FILE", hide = true)]
    address_file: Option<PathBuf>,
}

/// Options of `flinkrs taskexecutor`.
#[derive(Debug, Args)]
pub(super) struct TaskExecutorCommand {
    /// The JobManager [default: jobmanager.rpc.address and jobmanager.rpc.port of the configuration]
    #[arg(short = 'm', long, value_name = "HOST:PORT")]
    jobmanager: Option<String>,

    #[command(flatten)]
    common: Common,
}

impl JobManagerCommand {
    pub(super) fn run(&self) -> Result<()> {
        let config = self.common.configuration()?;
        let options = jobmanager_options(&config)?;
        let scheme = options.rest.as_ref().map_or("http", RestOptions::scheme);
        let (folder, logs) = (process_folder(&config, JOBMANAGER), log_folder(&config, JOBMANAGER));
        remove_those_of_the_dead(&folder);
        let output = Output::copy_to(&logs, JOBMANAGER)?;
        let result = runtime()?.block_on(async {
            let manager = JobManager::bind(options).await?;
            let address = manager.address();
            eprintln!("JobManager listens on {address}");
            if let Some(rest) = manager.rest_address() {
                eprintln!("REST listens on {scheme}://{rest}");
            }
            if let Some(file) = &self.address_file {
                write_whole(file, &address.to_string())?;
            }
            manager.run(ended()).await.map(drop)
        });
        output.finish(result.as_ref().err());
        // Nobody would find again what is in there.
        let _ = std::fs::remove_dir_all(folder);
        result
    }
}

impl TaskExecutorCommand {
    pub(super) fn run(&self) -> Result<()> {
        let options = taskexecutor_options(&self.common.configuration()?, self.jobmanager.as_deref())?;
        let folder = options.folder.clone();
        let output = Output::copy_to(&options.logs, TASK_EXECUTOR)?;
        let result = runtime()?.block_on(async { TaskExecutor::new(options)?.run(ended()).await });
        output.finish(result.as_ref().err());
        // Executables, partitions and logs are of no use to anybody else.
        let _ = std::fs::remove_dir_all(folder);
        result
    }
}

/// Removes the folders beside `folder` that processes which were killed have left: their names end in process ids.
fn remove_those_of_the_dead(folder: &std::path::Path) {
    let (Some(place), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let Some((prefix, _)) = name.rsplit_once('-') else { return };
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let id = found.to_str().and_then(|found| found.strip_prefix(prefix)?.strip_prefix('-')?.parse::<u32>().ok());
        if id.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            // Another one that starts may do the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Ends with SIGTERM or SIGINT.
pub(crate) async fn ended() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Writes a file that is never seen half-written.
fn write_whole(path: &std::path::Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let written = std::fs::File::create(&new).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| std::fs::rename(&new, path)).map_err(|error| Error::io("write", path, error))
}
