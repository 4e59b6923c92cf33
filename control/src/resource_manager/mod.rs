//! The ResourceManager: TaskExecutors come and go, their slots are given to applications.

mod message;

pub use message::{Registration, ResourceCommand, ResourceEvent, ResourceView, TaskExecutorView};
