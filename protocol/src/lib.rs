//! What crosses a process boundary or outlives a process.
//!
//! So far that is the [`JobGraph`]: what the optimizer makes of a plan and the runtime executes.

mod jobgraph;

pub use jobgraph::{
    BroadcastInput, ChainedOperator, EdgeLists, JobEdge, JobGraph, JobLoop, JobSource, JobVertex, LoopEnd,
};
