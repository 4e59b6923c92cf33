//! What crosses a process boundary or outlives a process.
//!
//! - [`JobGraph`]: what the optimizer makes of a plan and the runtime executes.
//! - [`Deployment`]: the part of it that one worker is told to run.
//! - [`JobId`] and the other ids, [`JobState`] and [`TaskState`], [`Failure`]: what processes call things.

mod deployment;
mod failure;
mod id;
mod jobgraph;
mod report;
mod state;

pub use deployment::{
    Deployment, GatherDeployment, InputDeployment, Location, LoopDeployment, LoopMember, Producer, Producers,
    TaskDeployment,
};
pub use failure::{Failure, FailureKind};
pub use id::{ApplicationId, ExecutionId, JobId, PartitionId, SlotId, TaskExecutorId, WorkerId};
pub use jobgraph::{
    BroadcastInput, ChainedOperator, EdgeLists, JobEdge, JobGraph, JobLoop, JobSource, JobVertex, LoopEnd,
};
pub use report::{NetworkUse, OperatorCounts, OperatorPrint, ProcessUse, TaskReport, WorkerUse};
pub use state::{JobState, TaskState};
