//! The logical plan: a DAG of operator descriptors, as values, with sinks as roots.
//!
//! ```text
//! program ── api ──▶ Plan ── optimizer ──▶ JobGraph
//! ```
//!
//! A plan holds no closures: the optimizer is a pure function of these descriptors. The typed code lies beside it,
//! found by [`OperatorId`](flinkrs_core::id::OperatorId).

mod hints;
mod loops;
mod operator;
mod plan_graph;
mod semantics;

pub use hints::{ChainingPolicy, CombineHint, CrossHint, JoinHint, SizeHints};
pub use loops::{Loop, Loops};
pub use operator::{KeySpec, OperatorKind, PartitionMethod, PlanOperator, SortField, SortOrder};
pub use plan_graph::Plan;
pub use semantics::ForwardedFields;
