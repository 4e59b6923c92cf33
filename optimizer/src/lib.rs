//! The cost-based optimizer: a [`Plan`](flinkrs_plan::Plan) in, a
//! [`JobGraph`](flinkrs_protocol::JobGraph) out, nothing else.
//!
//! It is a pure function of descriptors and statistics; it runs nothing and knows no closures.
//!
//! ```text
//! Plan ─▶ stats ─▶ interesting properties ─▶ enumerate (ship × local, cost, prune)
//!                                                │ one choice per operator
//!                                                ▼
//!         JobGraph ◀─ deadlock ◀─ chain ◀─ physical parts (rules: combine, range_partition)
//! ```
//!
//! ```
//! use flinkrs_core::source::Statistics;
//! use flinkrs_optimizer::{OptimizerOptions, optimize};
//! use flinkrs_plan::{Plan, PlanOperator, OperatorKind};
//! # use flinkrs_core::id::OperatorId;
//! # fn operator(id: u32, name: &str, kind: OperatorKind, inputs: Vec<OperatorId>) -> PlanOperator {
//! #     PlanOperator {
//! #         id: OperatorId(id), name: name.into(), uid: None, kind, inputs, broadcast_inputs: vec![],
//! #         parallelism: None, slot_sharing_group: None, forwarded: vec![], hints: Default::default(),
//! #         chaining: Default::default(), output_type: "u64".into(), output_bytes: 8.0,
//! #     }
//! # }
//!
//! let source = OperatorKind::Source { splits: vec![], statistics: Statistics::default() };
//! let plan = Plan {
//!     name: "copy".into(),
//!     default_parallelism: 4,
//!     operators: vec![
//!         operator(0, "numbers", source, vec![]),
//!         operator(1, "out", OperatorKind::Sink, vec![OperatorId(0)]),
//!     ],
//!     sinks: vec![OperatorId(1)],
//! };
//! let optimized = optimize(&plan, &OptimizerOptions::default())?;
//! assert_eq!(optimized.job_graph()?.vertices.len(), 1, "source and sink are one task");
//! # Ok::<(), flinkrs_core::error::Error>(())
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `context`, `options` | the plan, checked, with what is known before any choice |
//! | `stats` | sizes, from statistics and hints |
//! | `properties` | partitioning and order: provided, passed on, and of interest |
//! | `ship`, `local`, `choice` | the alternatives of one operator |
//! | `cost` | network, disk and CPU of each |
//! | `enumerate` | the cheapest combination; its documentation says what is bounded and how |
//! | `iteration` | how loops begin and close, and what they carry around |
//! | `physical`, `rules` | combiners, sorts and samplers put in |
//! | `chain`, `deadlock`, `jobgraph` | tasks, pipeline breakers, translation |
//! | `explain` | all of it as text, JSON and DOT |

mod chain;
mod choice;
mod context;
mod cost;
mod deadlock;
mod enumerate;
mod explain;
mod iteration;
mod jobgraph;
mod local;
mod optimized;
mod options;
mod physical;
mod properties;
mod rules;
mod ship;
mod stats;
#[cfg(test)]
mod testing;

pub use cost::Cost;
pub use optimized::{OptimizedPlan, enumerate_plans, optimize};
pub use options::{Force, OptimizerOptions};
