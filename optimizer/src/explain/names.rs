//! The names of strategies, Flink's where it has them.

use crate::choice::{Choice, Combiner};
use crate::properties::pass::input_key;
use crate::properties::{show_key, show_order, sort_order};
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy, Side};
use flinkrs_plan::{OperatorKind, PartitionMethod, PlanOperator};

/// The driver strategy of an operator.
pub(crate) fn driver(op: &PlanOperator, driver: DriverStrategy) -> String {
    let grouping = |one: &str, hashed: &str, sorted: &str, key: &[_]| {
        let name = match driver {
            _ if key.is_empty() => one,
            DriverStrategy::HashGroup => hashed,
            _ => sorted,
        };
        name.to_owned()
    };
    match &op.kind {
        OperatorKind::Source { .. } => "SOURCE".to_owned(),
        OperatorKind::Map => "MAP".to_owned(),
        OperatorKind::FlatMap => "FLAT_MAP".to_owned(),
        OperatorKind::Filter => "FILTER".to_owned(),
        OperatorKind::MapBatches => "MAP_BATCHES".to_owned(),
        OperatorKind::MapPartition => "MAP_PARTITION".to_owned(),
        OperatorKind::Reduce { key, .. } => grouping("ALL_REDUCE", "HASHED_REDUCE", "SORTED_REDUCE", key),
        OperatorKind::Distinct { key } => grouping("ALL_REDUCE", "HASHED_REDUCE", "SORTED_REDUCE", key),
        OperatorKind::GroupReduce { key, .. } => {
            grouping("ALL_GROUP_REDUCE", "HASHED_GROUP_REDUCE", "SORTED_GROUP_REDUCE", key)
        }
        OperatorKind::GroupCombine { key, .. } => {
            grouping("ALL_GROUP_COMBINE", "HASHED_GROUP_COMBINE", "SORTED_GROUP_COMBINE", key)
        }
        OperatorKind::Join { join_type, .. } => join(*join_type, driver),
        OperatorKind::CoGroup { .. } if matches!(driver, DriverStrategy::SolutionSet { .. }) => {
            "CO_GROUP_WITH_SOLUTION_SET".to_owned()
        }
        OperatorKind::CoGroup { .. } => "CO_GROUP".to_owned(),
        OperatorKind::Cross { .. } => match driver {
            DriverStrategy::NestedLoop { inner: Side::Second } => "NESTEDLOOP_BLOCKED_OUTER_FIRST".to_owned(),
            _ => "NESTEDLOOP_BLOCKED_OUTER_SECOND".to_owned(),
        },
        OperatorKind::Union => "UNION".to_owned(),
        OperatorKind::Partition { .. } => "UNARY_NO_OP".to_owned(),
        OperatorKind::SortPartition { .. } => "SORT_PARTITION".to_owned(),
        OperatorKind::Limit { .. } => "LIMIT".to_owned(),
        OperatorKind::LoopInput => "PARTIAL_SOLUTION".to_owned(),
        OperatorKind::SolutionSet { .. } => "SOLUTION_SET_INDEX".to_owned(),
        OperatorKind::BulkIteration { .. } => "BULK_ITERATION".to_owned(),
        OperatorKind::DeltaIteration { .. } => "WORKSET_ITERATION".to_owned(),
        OperatorKind::Sink => "SINK".to_owned(),
    }
}

fn join(join_type: JoinType, driver: DriverStrategy) -> String {
    let (hash, merge) = match join_type {
        JoinType::Inner => ("", "INNER"),
        JoinType::LeftOuter => ("LEFT_", "LEFT_OUTER"),
        JoinType::RightOuter => ("RIGHT_", "RIGHT_OUTER"),
        JoinType::FullOuter => ("FULL_OUTER_", "FULL_OUTER"),
        JoinType::Semi => ("SEMI_", "SEMI"),
        JoinType::Anti => ("ANTI_", "ANTI"),
    };
    match driver {
        DriverStrategy::HybridHash { build: Side::First } => format!("{hash}HYBRIDHASH_BUILD_FIRST"),
        DriverStrategy::HybridHash { build: Side::Second } => format!("{hash}HYBRIDHASH_BUILD_SECOND"),
        DriverStrategy::SolutionSet { .. } => format!("{merge}_JOIN_WITH_SOLUTION_SET"),
        _ => format!("{merge}_MERGE"),
    }
}

/// The strategy of an operator's combiner.
pub(crate) fn combiner(op: &PlanOperator, combiner: Combiner) -> &'static str {
    let group_reduce = matches!(op.kind, OperatorKind::GroupReduce { .. });
    match combiner.driver {
        DriverStrategy::HashGroup => "HASHED_PARTIAL_REDUCE",
        _ if group_reduce && input_key(op, 0).is_empty() => "ALL_GROUP_REDUCE_COMBINE",
        _ if group_reduce => "SORTED_GROUP_COMBINE",
        _ => "SORTED_PARTIAL_REDUCE",
    }
}

/// What happens to an input on arrival, such as `sort on [f0 ASC]`.
pub(crate) fn local_strategy(op: &PlanOperator, choice: &Choice, input: usize) -> Option<String> {
    let sorts = match choice.driver {
        DriverStrategy::Merge { sort_first, sort_second } => [sort_first, sort_second][input],
        _ => choice.sort && input == 0 || matches!(op.kind, OperatorKind::SortPartition { .. }),
    };
    sorts.then(|| format!("Sort on {}", show_order(&sort_order(op, input))))
}

/// The ship strategy of an input as texts show it, with its key.
pub(crate) fn ship(op: &PlanOperator, choice: &Choice, input: usize) -> String {
    let ship = choice.ships[input];
    match ship {
        ShipStrategy::PartitionHash | ShipStrategy::PartitionRange | ShipStrategy::PartitionCustom => {
            on(&ship.to_string(), op, input)
        }
        _ => ship.to_string(),
    }
}

/// A strategy with the input's key; what a loop carries around has the key of a consumer, which its properties show.
fn on(name: &str, op: &PlanOperator, input: usize) -> String {
    match input_key(op, input) {
        [] => name.to_owned(),
        key => format!("{name} on {}", show_key(key)),
    }
}

/// The same in the words of Flink's JSON.
pub(crate) fn json_ship(op: &PlanOperator, choice: &Choice, input: usize) -> String {
    let forced = matches!(op.kind, OperatorKind::Partition { method: PartitionMethod::Rebalance, .. });
    match choice.ships[input] {
        ShipStrategy::Forward => "Forward".to_owned(),
        ShipStrategy::Broadcast => "Broadcast".to_owned(),
        ShipStrategy::PartitionHash => on("Hash Partition", op, input),
        ShipStrategy::PartitionRange => on("Range Partition", op, input),
        ShipStrategy::PartitionCustom => on("Custom Partition", op, input),
        ShipStrategy::Rebalance if forced => "Rebalance".to_owned(),
        ShipStrategy::Rebalance => "Redistribute".to_owned(),
    }
}

/// A choice in one line.
pub(crate) fn choice(op: &PlanOperator, choice: &Choice) -> String {
    let mut parts = vec![driver(op, choice.driver)];
    if let Some(combine) = choice.combine {
        let sort = if combine.sort { " after a sort" } else { "" };
        parts.push(format!("combiner {}{sort}", combiner(op, combine)));
    }
    for input in 0..choice.ships.len() {
        let local = local_strategy(op, choice, input).map(|sort| format!(", {sort}")).unwrap_or_default();
        parts.push(format!("input {input} {}{local}", ship(op, choice, input)));
    }
    parts.join("; ")
}
