//! The TaskExecutor: its registration, its workers, its finished partitions.

mod message;

pub use message::{HoldingsView, TaskExecutorCommand, TaskExecutorEvent, WorkerExit};
