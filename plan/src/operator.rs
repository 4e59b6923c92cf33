//! The descriptor of one operator.

use crate::hints::{ChainingPolicy, CombineHint, CrossHint, JoinHint, SizeHints};
use crate::semantics::ForwardedFields;
use flinkrs_core::id::OperatorId;
use flinkrs_core::source::{Split, Statistics};
use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::KeyField;
use serde::{Deserialize, Serialize};

/// A key as the optimizer sees it: comparable within one data set.
pub type KeySpec = Vec<KeyField>;

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// One field of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SortField {
    /// The field or selector.
    pub field: KeyField,
    /// Its direction.
    pub order: SortOrder,
}

/// How a program asked for its records to be spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionMethod {
    /// By the hash of the key.
    Hash,
    /// By sampled bounds of the key.
    Range,
    /// By a function of the key.
    Custom,
    /// In turn.
    Rebalance,
}

/// What an operator does, as far as the optimizer has to know.
///
/// Operators with a `key` have its typed selector registered as that input's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OperatorKind {
    /// Reads an input; no inputs.
    Source {
        /// What there is to read, enumerated when the plan is made.
        splits: Vec<Split>,
        /// What is known of its size.
        statistics: Statistics,
    },
    /// One record for each.
    Map,
    /// Any number of records for each.
    FlatMap,
    /// Some of the records.
    Filter,
    /// A function of a whole batch, cooperative; any number of records.
    MapBatches,
    /// A function that pulls the whole partition; starts a task of its own.
    MapPartition,
    /// Combines the records of a group, or (`key` empty) all records, pairwise into one; includes aggregations,
    /// minBy and maxBy.
    Reduce {
        /// What is grouped by; empty for all records.
        key: KeySpec,
        /// Whether and how to pre-aggregate.
        combine: CombineHint,
    },
    /// One record per key.
    Distinct {
        /// What makes two records equal.
        key: KeySpec,
    },
    /// A function of all records of a group, or (`key` empty) of all records.
    GroupReduce {
        /// What is grouped by; empty for all records.
        key: KeySpec,
        /// The order of the records within a group.
        group_order: Vec<SortField>,
        /// Whether [`Part::Combine`](flinkrs_core::strategy::Part::Combine) exists.
        combinable: bool,
    },
    /// A group function run on whatever is there, without a shuffle.
    GroupCombine {
        /// What is grouped by.
        key: KeySpec,
        /// The order of the records within a group.
        group_order: Vec<SortField>,
    },
    /// Pairs records of equal keys.
    Join {
        /// Which records without a partner are kept.
        join_type: JoinType,
        /// The key of input 0.
        first_key: KeySpec,
        /// The key of input 1.
        second_key: KeySpec,
        /// The program's wish.
        hint: JoinHint,
    },
    /// A function of the groups of both inputs with one key.
    CoGroup {
        /// The key of input 0.
        first_key: KeySpec,
        /// The key of input 1.
        second_key: KeySpec,
        /// The order within groups of input 0.
        first_order: Vec<SortField>,
        /// The order within groups of input 1.
        second_order: Vec<SortField>,
    },
    /// Pairs every record with every record.
    Cross {
        /// Which side is small.
        hint: CrossHint,
    },
    /// All records of all inputs; any number of inputs of one type.
    Union,
    /// Spreads records as told.
    Partition {
        /// By what rule.
        method: PartitionMethod,
        /// The key; empty for REBALANCE.
        key: KeySpec,
    },
    /// Sorts each partition.
    SortPartition {
        /// By what.
        order: Vec<SortField>,
    },
    /// Lets the first `count` records of each partition pass.
    Limit {
        /// How many.
        count: u64,
    },
    /// What a loop's step begins with: its initial input in the first superstep, then what the superstep before fed
    /// back. Of a delta iteration the workset; its second input is the solution set, which has to be complete first.
    LoopInput,
    /// The solution set of a delta iteration, made from its initial records; only joins and coGroups by its key and
    /// the iteration itself use it.
    SolutionSet {
        /// The key that identifies a record.
        key: KeySpec,
    },
    /// Closes a bulk iteration: input 0 becomes the next superstep's [`LoopInput`](OperatorKind::LoopInput), an
    /// input 1 ends the loop when it has no record.
    BulkIteration {
        /// The loop's [`LoopInput`](OperatorKind::LoopInput).
        head: OperatorId,
        /// Supersteps at most; at least 1.
        max_supersteps: u32,
    },
    /// Closes a delta iteration: input 0 changes the solution set, input 1 is the next workset; a single input is
    /// both. Its output is the solution set at the end.
    DeltaIteration {
        /// The loop's [`LoopInput`](OperatorKind::LoopInput).
        head: OperatorId,
        /// The loop's [`SolutionSet`](OperatorKind::SolutionSet).
        solution: OperatorId,
        /// The solution set's key.
        key: KeySpec,
        /// Supersteps at most; at least 1.
        max_supersteps: u32,
    },
    /// Writes records; a root of the plan.
    Sink,
}

impl OperatorKind {
    /// Flink's name for the kind of operator ("pact"), as plans show it.
    pub fn pact(&self) -> &'static str {
        match self {
            OperatorKind::Source { .. } => "Data Source",
            OperatorKind::Map => "Map",
            OperatorKind::FlatMap => "FlatMap",
            OperatorKind::Filter => "Filter",
            OperatorKind::MapBatches => "MapBatches",
            OperatorKind::MapPartition => "MapPartition",
            OperatorKind::Reduce { .. } => "Reduce",
            OperatorKind::Distinct { .. } => "Distinct",
            OperatorKind::GroupReduce { .. } => "GroupReduce",
            OperatorKind::GroupCombine { .. } => "GroupCombine",
            OperatorKind::Join { join_type, .. } => match join_type {
                JoinType::Inner => "Join",
                JoinType::LeftOuter => "Left Outer Join",
                JoinType::RightOuter => "Right Outer Join",
                JoinType::FullOuter => "Full Outer Join",
                JoinType::Semi => "Semi Join",
                JoinType::Anti => "Anti Join",
            },
            OperatorKind::CoGroup { .. } => "CoGroup",
            OperatorKind::Cross { .. } => "Cross",
            OperatorKind::Union => "Union",
            OperatorKind::Partition { .. } => "Partition",
            OperatorKind::SortPartition { .. } => "Sort-Partition",
            OperatorKind::Limit { .. } => "Limit",
            OperatorKind::LoopInput => "Partial Solution",
            OperatorKind::SolutionSet { .. } => "Solution Set",
            OperatorKind::BulkIteration { .. } => "Bulk Iteration",
            OperatorKind::DeltaIteration { .. } => "Workset Iteration",
            OperatorKind::Sink => "Data Sink",
        }
    }
}

/// One operator of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanOperator {
    /// Its position in [`Plan::operators`](crate::Plan::operators).
    pub id: OperatorId,
    /// What plans, metrics and errors call it.
    pub name: String,
    /// A name that stays when the program changes.
    pub uid: Option<String>,
    /// What it does.
    pub kind: OperatorKind,
    /// Its inputs, in order; each built before it.
    pub inputs: Vec<OperatorId>,
    /// The data sets that each of its subtasks sees whole, by name.
    pub broadcast_inputs: Vec<(String, OperatorId)>,
    /// Its parallelism, if the program set one.
    pub parallelism: Option<u32>,
    /// Its slot sharing group, if the program set one.
    pub slot_sharing_group: Option<String>,
    /// Fields that pass unchanged, per input.
    pub forwarded: Vec<ForwardedFields>,
    /// Sizes that the program knows.
    pub hints: SizeHints,
    /// Whether it may share a task.
    pub chaining: ChainingPolicy,
    /// The type of its output records, for display.
    pub output_type: String,
    /// The inline size of an output record in bytes: the estimate where nothing better is known.
    pub output_bytes: f64,
}
