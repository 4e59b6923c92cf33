//! The TaskExecutor: a process that offers slots, runs a worker process per application, and keeps what workers leave.
//!
//! ```text
//!  JobManager ◀──▶ agent ──▶ decisions: crate `control`
//!                    │
//!                    ├──▶ workers: one process per application, its logs, its executable
//!                    └──▶ partitions: files of finished results, served to consumers elsewhere
//! ```
//!
//! User code runs in workers and nowhere else: whatever it does to its process, this one and the workers of other
//! applications go on. When this process ends, however, its workers do.
//!
//! | module | what lives there |
//! |---|---|
//! | [`TaskExecutor`] | the process: its folders and its end |
//! | `agent` | the task that owns the state |
//! | `link` | the connection to the JobManager |
//! | `artifacts` | executables, fetched once |
//! | `estate` | finished partitions, which the next TaskExecutor on the machine takes over |
//! | `workers` | processes |
//! | `logs` | what it and its workers wrote to standard output and error |
//! | `metrics` | what it and its workers use and do, for the JobManager and Prometheus |

mod agent;
mod artifacts;
mod estate;
mod link;
mod logs;
mod metrics;
mod workers;

pub use agent::{TaskExecutor, TaskExecutorOptions};
