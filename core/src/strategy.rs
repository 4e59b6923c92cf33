//! The optimizer's choices as values: how records travel, how an operator works, which side is built.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the records of one edge reach the parallel instances of its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ShipStrategy {
    /// Subtask `i` to subtask `i`; needs equal parallelism.
    Forward,
    /// By the high bits of the key's hash.
    PartitionHash,
    /// By sampled bounds of the key: subtask `i` gets smaller keys than subtask `i + 1`.
    PartitionRange,
    /// By the user's own function of the key.
    PartitionCustom,
    /// Every record to every subtask.
    Broadcast,
    /// In turn, for equal shares.
    Rebalance,
}

/// The slot sharing group of operators that are in no other.
pub const DEFAULT_SLOT_SHARING_GROUP: &str = "default";

/// Whether a consumer may read while its producer still writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExchangeMode {
    /// Through a bounded queue.
    Pipelined,
    /// Kept whole, in memory and then on disk, until the producer has ended: a pipeline breaker.
    Blocking,
}

/// Which rows without a partner a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JoinType {
    /// Pairs only.
    Inner,
    /// Pairs, and first-side records without a partner.
    LeftOuter,
    /// Pairs, and second-side records without a partner.
    RightOuter,
    /// Pairs, and records of both sides without a partner.
    FullOuter,
    /// First-side records that have a partner, each once.
    Semi,
    /// First-side records that have none.
    Anti,
}

/// One of the two inputs of a binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Input 0, Flink's `FIRST`.
    First,
    /// Input 1, Flink's `SECOND`.
    Second,
}

impl Side {
    /// 0 or 1.
    pub fn index(self) -> usize {
        match self {
            Side::First => 0,
            Side::Second => 1,
        }
    }

    /// The other input.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }
}

/// How a grouping operator, a join, a cross or any other operator does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DriverStrategy {
    /// The operator has only one way: map, filter, source, sink.
    Only,
    /// Groups in a hash table that spills.
    HashGroup,
    /// Groups of an input that is sorted or grouped by the key already.
    SortedGroup,
    /// Hybrid hash join; the built side is held in memory as far as the budget goes.
    HybridHash {
        /// The side held in the table.
        build: Side,
    },
    /// Merge of two inputs, each sorted first unless it already is.
    Merge {
        /// Whether the driver sorts input 0.
        sort_first: bool,
        /// Whether the driver sorts input 1.
        sort_second: bool,
    },
    /// The records of one input look up the solution set of the enclosing delta iteration, which is the other.
    SolutionSet {
        /// The input that is the solution set.
        side: Side,
    },
    /// One input is kept, the other streams past it.
    NestedLoop {
        /// The side that is kept and read again for every block of the other.
        inner: Side,
    },
}

/// A piece of typed code that the optimizer puts into a task: the operator's own or one the user never wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The operator itself, working as the strategy says.
    Driver(DriverStrategy),
    /// Pre-aggregation before the shuffle of input 0, in the producer's task ([`DriverStrategy::HashGroup`]
    /// or [`DriverStrategy::SortedGroup`] after a [`Part::Sort`]).
    Combine(DriverStrategy),
    /// External sort of an input by the operator's key and, if it has one, its order within groups.
    Sort {
        /// Which input's key.
        input: u8,
    },
    /// Passes records on and sends a sample of an input's keys to side output 0.
    Sample {
        /// Which input's key.
        input: u8,
    },
    /// Turns all samples into the bounds of a range partitioning.
    RangeBounds {
        /// Which input's key.
        input: u8,
    },
    /// Where a loop's supersteps begin: passes on the loop's initial input, then what each superstep feeds back.
    LoopHead,
    /// Passes records on unchanged.
    NoOp,
}

impl fmt::Display for ShipStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ShipStrategy::Forward => "FORWARD",
            ShipStrategy::PartitionHash => "PARTITION_HASH",
            ShipStrategy::PartitionRange => "PARTITION_RANGE",
            ShipStrategy::PartitionCustom => "PARTITION_CUSTOM",
            ShipStrategy::Broadcast => "BROADCAST",
            ShipStrategy::Rebalance => "REBALANCE",
        })
    }
}

impl fmt::Display for ExchangeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExchangeMode::Pipelined => "PIPELINED",
            ExchangeMode::Blocking => "BLOCKING",
        })
    }
}
