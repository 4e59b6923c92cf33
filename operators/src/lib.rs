//! What happens to records: typed operators, without tasks, plans or network.
//!
//! Each operator is generic over its records and its user function, and is boxed as a
//! [`flinkrs_core::Operator`] when a program's code is asked for it.

#[cfg(test)]
mod testing;

mod basic;
mod broadcast;
mod cogroup;
mod cross;
mod group;
mod hash_chunks;
mod hash_dense;
mod hash_gauge;
mod hash_group;
mod hash_group_spill;
mod hash_join;
mod hash_join_build;
mod hash_join_core;
mod hash_join_grouped;
mod hash_join_index;
mod hash_join_nested;
mod hash_join_probe;
mod hash_join_round;
mod hash_join_table;
mod hash_key;
mod hash_memory;
mod hash_spill;
mod hash_table;
mod iteration;
mod map_partition;
mod merge_inputs;
mod merge_join;
mod order;
mod partition;
mod prefetch;
mod range;
mod rich;
mod sink;
mod solution_cogroup;
mod solution_delta;
mod solution_index;
mod solution_join;
mod solution_parts;
mod solution_set;
mod sort;
mod sorted_group;
mod sorted_input;
mod sorter;
mod source;

pub use basic::{FilterOperator, FlatMapOperator, LimitOperator, MapBatchesOperator, MapOperator, NoOpOperator};
pub use broadcast::BroadcastVec;
pub use cogroup::CoGroup;
pub use cross::NestedLoop;
pub use group::{Group, GroupItem, GroupIter, TakeGroup};
pub use hash_group::{GroupMode, HashGroup};
pub use hash_join::HybridHashJoin;
pub use iteration::BulkIterationOperator;
pub use map_partition::{MapPartitionOperator, Records};
pub use merge_join::MergeJoin;
pub use order::{ByKey, Descending, NoKey, RecordOrder, Then, Unordered};
pub use partition::{CustomPartitioner, HashPartitioner, hash_channel};
pub use range::{RANGE_BOUNDS, RangeBounds, RangePartitioner, RangeSampler};
pub use rich::Make;
pub use sink::{CommitterOf, SinkOperator};
pub use solution_cogroup::SolutionCoGroup;
pub use solution_delta::DeltaIterationOperator;
pub use solution_join::SolutionJoin;
pub use solution_set::SolutionSetOperator;
pub use sort::SortOperator;
pub use sorted_group::{SortedGroupReduce, SortedReduce};
pub use sorter::{ExternalSorter, SortedStream};
pub use source::{SourceOperator, decode_split, encode_split};
