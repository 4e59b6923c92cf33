//! One job: its tasks are built and started, watched, and counted.

mod deploy;
mod job;
mod report;
mod splits;

pub use job::{Job, JobResult, RuntimeOptions};
pub use report::{OperatorReport, SubtaskReport, VertexReport};

pub(crate) use report::TaskStatus;
