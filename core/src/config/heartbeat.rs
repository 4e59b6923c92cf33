//! Options for noticing that processes are gone.

use crate::config::option::options;
use std::time::Duration;

options! {
    /// How often JobManager and TaskExecutors tell each other that they are alive.
    INTERVAL: Duration = "heartbeat.interval", "1 s";

    /// After how long without a sign of life a process counts as lost.
    TIMEOUT: Duration = "heartbeat.timeout", "5 s";
}
