//! What a program tells the optimizer beyond what its operators do.

use serde::{Deserialize, Serialize};

/// How a join is to be executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinHint {
    /// The cheapest way.
    #[default]
    OptimizerChooses,
    /// The first input is small: it is sent everywhere and built into a table.
    BroadcastHashFirst,
    /// The second input is small: it is sent everywhere and built into a table.
    BroadcastHashSecond,
    /// Both are partitioned, the first is built.
    RepartitionHashFirst,
    /// Both are partitioned, the second is built.
    RepartitionHashSecond,
    /// Both are partitioned and sorted.
    RepartitionSortMerge,
}

/// How a reduce pre-aggregates before its shuffle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CombineHint {
    /// The cheapest way.
    #[default]
    OptimizerChooses,
    /// By sorting.
    Sort,
    /// In a hash table.
    Hash,
    /// Not at all.
    None,
}

/// Which side of a cross is small enough to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CrossHint {
    /// By estimated sizes.
    #[default]
    OptimizerChooses,
    /// The first input (Flink's `crossWithHuge`).
    FirstIsSmall,
    /// The second input (Flink's `crossWithTiny`).
    SecondIsSmall,
}

/// Whether an operator may run in the task of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainingPolicy {
    /// Whenever the edge between them is FORWARD.
    #[default]
    Always,
    /// It begins a task of its own, others may follow in it.
    StartNewChain,
    /// It runs alone.
    Never,
}

/// Sizes that a program knows about the output of an operator; `None` leaves the estimate to the optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SizeHints {
    /// Output records.
    pub records: Option<f64>,
    /// Average bytes per output record.
    pub record_bytes: Option<f64>,
    /// Output records per input record.
    pub selectivity: Option<f64>,
    /// Distinct keys of a grouping's or join's output.
    pub distinct_keys: Option<f64>,
}
