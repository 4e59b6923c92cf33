//! The options that all programs share; a program flattens them into its own.

use crate::local::LocalEnvironment;
use flinkrs_api::ExecutionEnvironment;
use flinkrs_core::error::Result;
use flinkrs_core::resource::ByteSize;
use std::path::PathBuf;

/// Supersteps from one snapshot of a loop to the next, unless the program's options say otherwise.
const SNAPSHOT_EVERY: u32 = 10;

/// Options of every program: `#[command(flatten)] common: CommonOptions`.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonOptions {
    /// How many subtasks each operator runs in [default: the number of cores]
    #[arg(short, long)]
    pub parallelism: Option<u32>,

    /// Memory of the whole process, such as 512mb; what doesn't fit is spilled [default: half of the machine's]
    #[arg(long)]
    pub memory: Option<ByteSize>,

    /// Folder for spilled data [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,

    /// Memory that the records of one collect may take, such as 512mb [default: 4gb]
    #[arg(long, value_name = "SIZE")]
    pub collect_limit: Option<ByteSize>,

    /// What stands before paths without a scheme, such as hdfs://namenode:8020 [default: local paths]
    #[arg(long, value_name = "SCHEME")]
    pub default_scheme: Option<String>,

    /// Show a line of progress per operator while the job runs, and a summary afterwards
    #[arg(long)]
    pub progress: bool,

    /// Write a page with plan, strategies, timings and skew
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,

    /// Keep the states of loops in this folder while the job runs, so that it can go on with --resume
    #[arg(long, value_name = "DIR")]
    pub loop_snapshot: Option<PathBuf>,

    /// Supersteps of a loop from one snapshot to the next
    #[arg(long, value_name = "N", default_value_t = SNAPSHOT_EVERY, requires = "loop_snapshot")]
    pub every: u32,

    /// Go on from the newest snapshots in the folder of --loop-snapshot; loops without one begin anew
    #[arg(long, requires = "loop_snapshot")]
    pub resume: bool,
}

impl Default for CommonOptions {
    fn default() -> CommonOptions {
        CommonOptions {
            parallelism: None,
            memory: None,
            temp_dir: None,
            collect_limit: None,
            default_scheme: None,
            progress: false,
            report: None,
            loop_snapshot: None,
            every: SNAPSHOT_EVERY,
            resume: false,
        }
    }
}

impl CommonOptions {
    /// The environment that these options describe.
    ///
    /// Errors when an option's value can't be used.
    pub fn environment(&self) -> Result<ExecutionEnvironment> {
        let mut local = LocalEnvironment::new().progress(self.progress);
        if let Some(parallelism) = self.parallelism {
            local = local.parallelism(parallelism);
        }
        if let Some(memory) = self.memory {
            local = local.memory(memory);
        }
        if let Some(folder) = &self.temp_dir {
            local = local.temp_dir(folder);
        }
        if let Some(limit) = self.collect_limit {
            local = local.collect_limit(limit);
        }
        if let Some(scheme) = &self.default_scheme {
            local = local.default_scheme(scheme);
        }
        if let Some(file) = &self.report {
            local = local.report(file);
        }
        if let Some(folder) = &self.loop_snapshot {
            local = local.loop_snapshot(folder, self.every);
        }
        local.resume(self.resume).create()
    }
}
