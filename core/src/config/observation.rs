//! Options of logs and metrics.

use crate::config::option::options;
use std::path::PathBuf;

options! {
    /// Folder for the logs of JobManager and TaskExecutors, and for what workers print.
    LOG_DIR: Option<PathBuf> = "env.log.dir", "";

    /// Port at which each process shows its metrics to Prometheus; without one it doesn't.
    PROMETHEUS_PORT: Option<u16> = "metrics.reporter.prom.port", "";
}
