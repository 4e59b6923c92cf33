//! `flinkrs list`, `cancel` and `logs`: what can be done with the jobs of a cluster.

use crate::options::Target;
use crate::{print, runtime};
use clap::Args;
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{JobId, JobState};
use flinkrs_rpc::body;
use flinkrs_rpc::connect::JobManagerClient;
use flinkrs_rpc::message::JobListed;
use flinkrs_rpc::proto::{Empty, JobRef};
use std::io::Write;
use tokio_stream::StreamExt;

/// Options of `flinkrs list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only jobs that run
    #[arg(short, long, group = "which")]
    running: bool,

    /// Only jobs that wait to run
    #[arg(short, long, group = "which")]
    scheduled: bool,

    /// Also jobs that have ended
    #[arg(short, long, group = "which")]
    all: bool,

    #[command(flatten)]
    cluster: Target,
}

/// Options of `flinkrs cancel`.
#[derive(Debug, Args)]
pub(super) struct Cancel {
    #[command(flatten)]
    cluster: Target,

    /// The job's id: 32 hexadecimal digits
    job: JobId,
}

/// Options of `flinkrs logs`.
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    cluster: Target,

    /// The job's id: 32 hexadecimal digits
    job: JobId,
}

impl List {
    pub(super) fn run(&self) -> Result<()> {
        let jobs: Vec<JobListed> = runtime()?.block_on(async {
            let client = connect(&self.cluster).await?;
            let listed = client.dispatcher().list_jobs(Empty {}).await.map_err(|status| client.error(&status))?;
            body::decode(&listed.into_inner().encoded)
        })?;
        let is_scheduled = |state| matches!(state, JobState::Initializing | JobState::Created);
        let shown = |job: &&JobListed| match (self.all, self.running, self.scheduled) {
            (true, _, _) => true,
            (_, true, _) => !job.state.is_terminal() && !is_scheduled(job.state),
            (_, _, true) => is_scheduled(job.state),
            _ => !job.state.is_terminal(),
        };
        let mut found = false;
        for job in jobs.iter().filter(shown) {
            found = true;
            print(&format!("{} : {} ({})", job.job, job.name, job.state));
        }
        if !found {
            print("No jobs.");
        }
        Ok(())
    }
}

impl Cancel {
    pub(super) fn run(&self) -> Result<()> {
        runtime()?.block_on(async {
            let client = connect(&self.cluster).await?;
            let request = JobRef { job: self.job.to_string() };
            client.dispatcher().cancel_job(request).await.map_err(|status| client.error(&status))
        })?;
        print(&format!("Cancelled job {}.", self.job));
        Ok(())
    }
}

impl Logs {
    pub(super) fn run(&self) -> Result<()> {
        runtime()?.block_on(async {
            let client = connect(&self.cluster).await?;
            let request = JobRef { job: self.job.to_string() };
            let chunks = client.dispatcher().job_logs(request).await.map_err(|status| client.error(&status))?;
            let mut chunks = chunks.into_inner();
            let (mut out, mut file) = (std::io::stdout().lock(), String::new());
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk.map_err(|status| client.error(&status))?;
                let mut write = || {
                    if chunk.name != file {
                        writeln!(out, "==> {} <==", chunk.name)?;
                        file.clone_from(&chunk.name);
                    }
                    out.write_all(&chunk.content)
                };
                write().map_err(|error| Error::io("write to", "standard output", error))?;
            }
            Ok(())
        })
    }
}

async fn connect(target: &Target) -> Result<JobManagerClient> {
    target.find(&target.configuration()?).await?.connect().await
}
