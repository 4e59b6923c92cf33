//! One job: its tasks are built and started, watched, and counted.

mod around;
mod deploy;
mod job;
mod report;
mod sinks;
mod slots;
mod splits;

pub use around::{FinishedTask, Master, Surroundings};
pub use job::{Job, JobResult, RuntimeOptions};
pub use report::{OperatorReport, SubtaskReport, VertexReport};

pub use sinks::Sinks;
pub use slots::SlotPools;

pub(crate) use report::TaskStatus;
