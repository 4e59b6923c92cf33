//! Local strategies: what is sorted, how the driver works, and whether the producer pre-aggregates.

use crate::choice::{Choice, Combiner};
use crate::context::Context;
use crate::iteration;
use crate::properties::{Properties, sort_order};
use flinkrs_core::strategy::{DriverStrategy, ShipStrategy, Side};
use flinkrs_core::types::KeyField;
use flinkrs_plan::{CombineHint, JoinHint, OperatorKind, PlanOperator, SortField};

/// All ways to execute an operator whose inputs travel by `ships`.
///
/// `inputs` are the properties at the producers (where a combiner works), `channels` those on arrival.
pub(crate) fn alternatives(
    context: &Context,
    op: &PlanOperator,
    ships: &[ShipStrategy],
    inputs: &[&Properties],
    channels: &[Properties],
) -> Vec<Choice> {
    if let Some(side) = iteration::solution_side(&context.plan, op) {
        let sort = matches!(op.kind, OperatorKind::CoGroup { .. });
        return vec![Choice { sort, driver: DriverStrategy::SolutionSet { side }, ..Choice::only(ships.to_vec()) }];
    }
    let choice = |driver| Choice { ships: ships.to_vec(), sort: false, driver, combine: None, by: None };
    match &op.kind {
        OperatorKind::Reduce { key, combine } => {
            let combiners = reduce_combiners(key, *combine, inputs[0]);
            grouping(ships, drivers(key, &[], &channels[0], true), combiners)
        }
        OperatorKind::Distinct { key } => {
            let combiners = reduce_combiners(key, CombineHint::OptimizerChooses, inputs[0]);
            grouping(ships, drivers(key, &[], &channels[0], true), combiners)
        }
        OperatorKind::GroupReduce { key, group_order, combinable } => {
            let sorted = sorted_combiner(key, group_order, inputs[0]);
            let combiners = if *combinable { vec![Some(sorted), None] } else { vec![None] };
            grouping(ships, drivers(key, group_order, &channels[0], false), combiners)
        }
        OperatorKind::GroupCombine { key, group_order } => {
            grouping(ships, drivers(key, group_order, &channels[0], false), vec![None])
        }
        OperatorKind::Join { hint, .. } => {
            joins(*hint, ships).into_iter().map(|driver| choice(driver.unwrap_or(merge(op, channels)))).collect()
        }
        OperatorKind::CoGroup { .. } => vec![choice(merge(op, channels))],
        OperatorKind::Cross { .. } => {
            let inner = if ships[0] == ShipStrategy::Broadcast { Side::First } else { Side::Second };
            vec![choice(DriverStrategy::NestedLoop { inner })]
        }
        _ => {
            debug_assert!(ships.len() == op.inputs.len(), "{} of {:?}", op.name, context.plan.name);
            vec![Choice::only(ships.to_vec())]
        }
    }
}

/// Drivers of a grouping, each with whether a sort goes before it.
fn drivers(
    key: &[KeyField],
    within: &[SortField],
    channel: &Properties,
    may_hash: bool,
) -> Vec<(DriverStrategy, bool)> {
    let sort = !channel.local.grouped(key, within);
    let mut drivers = Vec::new();
    // All records as one group need no table.
    if may_hash && !key.is_empty() {
        drivers.push((DriverStrategy::HashGroup, false));
    }
    drivers.push((DriverStrategy::SortedGroup, sort));
    drivers
}

fn reduce_combiners(key: &[KeyField], hint: CombineHint, input: &Properties) -> Vec<Option<Combiner>> {
    let hash = Some(Combiner { driver: DriverStrategy::HashGroup, sort: false });
    let sorted = Some(sorted_combiner(key, &[], input));
    match hint {
        CombineHint::OptimizerChooses if key.is_empty() => vec![sorted, None],
        CombineHint::OptimizerChooses => vec![hash, sorted, None],
        CombineHint::Sort => vec![sorted],
        CombineHint::Hash => vec![hash],
        CombineHint::None => vec![None],
    }
}

fn sorted_combiner(key: &[KeyField], within: &[SortField], input: &Properties) -> Combiner {
    Combiner { driver: DriverStrategy::SortedGroup, sort: !input.local.grouped(key, within) }
}

/// Combines drivers and combiners; what isn't shipped isn't combined before.
fn grouping(
    ships: &[ShipStrategy],
    drivers: Vec<(DriverStrategy, bool)>,
    combiners: Vec<Option<Combiner>>,
) -> Vec<Choice> {
    let combiners = if ships[0] == ShipStrategy::Forward { vec![None] } else { combiners };
    drivers
        .iter()
        .flat_map(|(driver, sort)| {
            combiners.iter().map(|combine| Choice {
                ships: ships.to_vec(),
                sort: *sort,
                driver: *driver,
                combine: *combine,
                by: None,
            })
        })
        .collect()
}

/// Drivers of a join that the hint allows; `None` stands for the merge.
fn joins(hint: JoinHint, ships: &[ShipStrategy]) -> Vec<Option<DriverStrategy>> {
    let first = Some(DriverStrategy::HybridHash { build: Side::First });
    let second = Some(DriverStrategy::HybridHash { build: Side::Second });
    if ships[0] == ShipStrategy::Broadcast {
        return vec![first];
    }
    if ships[1] == ShipStrategy::Broadcast {
        return vec![second];
    }
    match hint {
        JoinHint::RepartitionHashFirst => vec![first],
        JoinHint::RepartitionHashSecond => vec![second],
        JoinHint::RepartitionSortMerge => vec![None],
        _ => vec![first, second, None],
    }
}

/// A merge that sorts what isn't in order yet.
fn merge(op: &PlanOperator, channels: &[Properties]) -> DriverStrategy {
    let unsorted = |input: usize| !channels[input].local.ordered(&sort_order(op, input));
    DriverStrategy::Merge { sort_first: unsorted(0), sort_second: unsorted(1) }
}
