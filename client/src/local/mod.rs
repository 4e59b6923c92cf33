//! Runs plans on the threads of this process: the MiniCluster.

mod executor;
mod machine;
pub(crate) mod signals;

pub use signals::received as received_signal;

use crate::roles;
pub(crate) use executor::{LocalExecutor, check_targets};
use flinkrs_api::ExecutionEnvironment;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Located, locate, set_default_scheme};
use flinkrs_core::resource::ByteSize;
use flinkrs_runtime::{RuntimeOptions, SnapshotOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The least memory that a process can work with.
const LEAST_MEMORY: ByteSize = ByteSize(32 << 20);

/// The most subtasks of one operator: more are a mistake, since each has queues of its own to all others.
const MOST_PARALLELISM: u32 = 32_768;

/// Describes an environment on this machine, and makes it.
#[derive(Clone, Debug, Default)]
pub struct LocalEnvironment {
    parallelism: Option<u32>,
    memory: Option<ByteSize>,
    temp_dir: Option<PathBuf>,
    collect_limit: Option<ByteSize>,
    progress: bool,
    report: Option<PathBuf>,
    loop_snapshot: Option<(PathBuf, u32)>,
    resume: bool,
    default_scheme: Option<String>,
}

impl LocalEnvironment {
    /// All cores, half of the machine's memory, the system's folder for temporary files, and no output of its own.
    pub fn new() -> LocalEnvironment {
        LocalEnvironment::default()
    }

    /// How many subtasks each operator runs in, unless it says otherwise.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = Some(parallelism);
        self
    }

    /// Memory of the whole process; what doesn't fit is spilled.
    #[must_use]
    pub fn memory(mut self, memory: ByteSize) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The folder for spilled data.
    #[must_use]
    pub fn temp_dir(mut self, folder: &Path) -> Self {
        self.temp_dir = Some(folder.to_path_buf());
        self
    }

    /// How much memory the records of one `collect` may take.
    #[must_use]
    pub fn collect_limit(mut self, limit: ByteSize) -> Self {
        self.collect_limit = Some(limit);
        self
    }

    /// Whether to show progress on standard error while jobs run, and a summary afterwards.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// Writes a page about each job to `file`.
    #[must_use]
    pub fn report(mut self, file: &Path) -> Self {
        self.report = Some(file.to_path_buf());
        self
    }

    /// Keeps the state of each loop in a folder below `folder`, every `every` supersteps, while its job runs.
    ///
    /// The folder belongs to one program. What a job keeps there is removed when it has succeeded, and when it starts
    /// anew without [`resume`](LocalEnvironment::resume).
    #[must_use]
    pub fn loop_snapshot(mut self, folder: &Path, every: u32) -> Self {
        self.loop_snapshot = Some((folder.to_path_buf(), every));
        self
    }

    /// Whether loops go on from the newest snapshots that an earlier run of the program, with the same plan and inputs,
    /// has left in the folder of [`loop_snapshot`](LocalEnvironment::loop_snapshot).
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// What stands before paths that have no scheme, such as `hdfs://namenode:8020`; local paths by default. It counts
    /// for the whole process from then on.
    #[must_use]
    pub fn default_scheme(mut self, scheme: &str) -> Self {
        self.default_scheme = Some(scheme.to_owned());
        self
    }

    /// Makes the environment; errors when a value can't be used.
    pub fn create(self) -> Result<ExecutionEnvironment> {
        #[cfg(feature = "mimalloc")]
        crate::allocator::tune();
        roles::role_is_known()?;
        if let Some(scheme) = &self.default_scheme {
            set_default_scheme(scheme)?;
        }
        let cores = machine::cores();
        let parallelism = match self.parallelism {
            Some(parallelism) => parallelism,
            None => roles::parallelism()?.unwrap_or(cores),
        };
        if parallelism == 0 || parallelism > MOST_PARALLELISM {
            return Err(Error::usage(format!(
                "parallelism is {parallelism}; it has to be between 1 and {MOST_PARALLELISM} (option --parallelism)"
            )));
        }
        let memory = self.memory.unwrap_or_else(|| ByteSize(machine::memory_bytes() / 2));
        if memory < LEAST_MEMORY {
            return Err(Error::usage(format!(
                "memory is {memory}; it has to be at least {LEAST_MEMORY} (option --memory)"
            )));
        }
        let temp_dir = self.temp_dir.unwrap_or_else(std::env::temp_dir);
        let runtime = RuntimeOptions {
            job: Arc::from("program"),
            threads: parallelism.min(cores) as usize,
            memory_bytes: machine::managed_bytes(memory.0) as usize,
            temp_dir,
            snapshots: None,
        };
        let snapshots = snapshots(self.loop_snapshot, self.resume)?;
        let local = LocalExecutor { runtime, snapshots, progress: self.progress, report: self.report };
        let env = ExecutionEnvironment::new(parallelism, Arc::new(roles::executor(local)?));
        let told = if self.collect_limit.is_some() { None } else { roles::collect_limit()? };
        if let Some(limit) = self.collect_limit.or(told) {
            env.set_collect_limit(limit);
        }
        Ok(env)
    }
}

/// Memory of the machine, or of the control group if that has less.
pub fn machine_memory() -> ByteSize {
    ByteSize(machine::memory_bytes())
}

/// Where loops are snapshotted, if they are.
fn snapshots(folder: Option<(PathBuf, u32)>, resume: bool) -> Result<Option<SnapshotOptions>> {
    match folder {
        None if resume => {
            Err(Error::usage("there is nothing to go on from; name the folder of snapshots (option --loop-snapshot)"))
        }
        Some((_, 0)) => {
            Err(Error::usage("a snapshot every 0 supersteps isn't possible; it has to be 1 or more (option --every)"))
        }
        None => Ok(None),
        Some((folder, every)) => {
            let Located { files, path: folder } = locate(&folder)?;
            Ok(Some(SnapshotOptions { files, folder, every, resume }))
        }
    }
}
