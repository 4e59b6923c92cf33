//! Where TaskExecutors come from, where they don't start by themselves.

use flinkrs_protocol::TaskExecutorId;
use tokio::sync::mpsc;

/// What whoever starts TaskExecutors has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverCommand {
    /// There should be so many in all, with those that are registered; replaces the number named before.
    Want(u32),
    /// One is lost to the JobManager, and is not to come back: it has ended, or is to be ended.
    Lost(TaskExecutorId),
    /// One that counts as lost isn't needed any more, and is to be ended.
    Release(TaskExecutorId),
}

/// The way of commands to the driver. Each TaskExecutor causes a few, so their number is bounded by that of processes.
pub type Driver = mpsc::UnboundedSender<DriverCommand>;
