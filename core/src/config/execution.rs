//! Options of single executions.

use crate::config::option::options;
use crate::config::value::choices;
use crate::resource::ByteSize;
use std::num::NonZeroU32;
use std::time::Duration;

choices! {
    /// How records go from one task to the next where the plan leaves the choice.
    BatchShuffleMode {
        /// While they are made.
        Pipelined = "ALL_EXCHANGES_PIPELINED",
        /// When all of them are there, on disk: a lost task doesn't take its consumers with it.
        Blocking = "ALL_EXCHANGES_BLOCKING",
    }
}

choices! {
    /// Where programs run.
    Target {
        /// On the threads of their own process.
        Local = "local",
        /// On the cluster of a JobManager that runs.
        Remote = "remote",
        /// In a session on YARN.
        YarnSession = "yarn-session",
        /// In an application of their own on YARN, planned here.
        YarnPerJob = "yarn-per-job",
        /// In an application of their own on YARN, where their `main` runs, too.
        YarnApplication = "yarn-application",
    }
}

options! {
    /// Where programs run; in the last session on YARN that was started, or else on the cluster of
    /// `jobmanager.rpc.address`, unless it is set.
    TARGET: Option<Target> = "execution.target", "";

    /// How many subtasks an operator has that sets none; as many as the client has cores unless it is set.
    PARALLELISM: Option<NonZeroU32> = "parallelism.default", "";

    /// Whether tasks hand over records while they make them, or a whole result from disk, which makes a failed task
    /// cheaper to repeat.
    BATCH_SHUFFLE_MODE: BatchShuffleMode = "execution.batch-shuffle-mode", "ALL_EXCHANGES_PIPELINED";

    /// How long finished results of a lost TaskExecutor are waited for before they are made again: the next one on its
    /// machine comes with them.
    PREVIOUS_WORKER_RECOVERY_TIMEOUT: Duration = "execution.batch.job-recovery.previous-worker.recovery.timeout", "5 s";

    /// Whether a client waits for the end of its job.
    ATTACHED: bool = "execution.attached", "true";

    /// Whether a job is cancelled when the client that waits for it ends.
    SHUTDOWN_ON_ATTACHED_EXIT: bool = "execution.shutdown-on-attached-exit", "false";

    /// How much memory the records of one `collect` may take in the program.
    COLLECT_LIMIT: ByteSize = "execution.collect-limit", "4gb";
}
