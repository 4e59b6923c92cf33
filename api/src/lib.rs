//! What a user writes: a program that describes a data flow, typed and with plain closures.
//!
//! ```text
//! program ── DataSet calls ──▶ Plan (descriptors) + Program (typed code) ── Executor ──▶ result
//! ```
//!
//! Nothing here runs records: every call adds a descriptor to the plan and the typed code for it to the
//! [`Program`]; [`ExecutionEnvironment::execute`] hands both to an [`Executor`].

mod dataset;
mod environment;
mod program;

pub use dataset::{
    Aggregation, Asc, BulkIteration, CoGroupOn, CoGrouped, CrossPair, DataSet, DeltaIteration, Desc, Grouped, JoinOn,
    JoinPair, Joined, Max, Min, OuterKind, SortSpec, Sum, Summable,
};
pub use environment::{ExecutionEnvironment, Executor, JobExecutionResult, LoopResult};
pub use program::Program;
