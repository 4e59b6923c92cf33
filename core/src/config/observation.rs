//! Options of logs and metrics.

use crate::config::PortRange;
use crate::config::option::options;
use std::path::PathBuf;

options! {
    /// Folder for the logs of JobManager and TaskExecutors, and for what workers print: each process has a folder of
    /// its own there, which stays when it ends; in its folder for temporary files, which doesn't, unless it is set.
    LOG_DIR: Option<PathBuf> = "env.log.dir", "";

    /// Port at which each process shows its metrics to Prometheus, or a range of ports, of which it takes the first
    /// that is free; without one it doesn't.
    PROMETHEUS_PORT: Option<PortRange> = "metrics.reporter.prom.port", "";
}
