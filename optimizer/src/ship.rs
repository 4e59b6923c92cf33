//! Ship strategies: how the records of each input may reach an operator.

use crate::context::{Context, may_broadcast_first, may_broadcast_second};
use crate::iteration;
use crate::properties::Properties;
use flinkrs_core::strategy::{JoinType, ShipStrategy, Side};
use flinkrs_core::types::KeyField;
use flinkrs_plan::{CrossHint, JoinHint, OperatorKind, PartitionMethod, PlanOperator};

/// All combinations of ship strategies, one per input, that bring together what the operator needs together.
pub(crate) fn alternatives(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<Vec<ShipStrategy>> {
    match &op.kind {
        OperatorKind::Reduce { key, .. } | OperatorKind::Distinct { key } | OperatorKind::GroupReduce { key, .. } => {
            grouping(context, op, inputs[0], key)
        }
        OperatorKind::Join { first_key, second_key, .. } | OperatorKind::CoGroup { first_key, second_key, .. }
            if iteration::solution_side(&context.plan, op).is_some() =>
        {
            pairing(context, op, inputs, first_key, second_key)
        }
        OperatorKind::SolutionSet { key } => {
            one_side(context, op, inputs, 0, key).into_iter().map(|s| vec![s]).collect()
        }
        OperatorKind::Join { join_type, first_key, second_key, hint } => {
            let mut ships = Vec::new();
            if !matches!(hint, JoinHint::BroadcastHashFirst | JoinHint::BroadcastHashSecond) {
                ships.extend(pairing(context, op, inputs, first_key, second_key));
            }
            ships.extend(broadcasts(context, op, *join_type, *hint));
            ships
        }
        OperatorKind::CoGroup { first_key, second_key, .. } => pairing(context, op, inputs, first_key, second_key),
        OperatorKind::Cross { hint } => cross(context, op, *hint),
        OperatorKind::Partition { method, key } => partition(context, op, inputs[0], *method, key),
        _ => vec![(0..op.inputs.len()).map(|input| straight(context, op, input)).collect()],
    }
}

/// The strategy of an input that may be spread in any way.
fn straight(context: &Context, op: &PlanOperator, input: usize) -> ShipStrategy {
    if context.equal_parallelism(op, input) { ShipStrategy::Forward } else { ShipStrategy::Rebalance }
}

/// Whether both ends have one subtask, so that FORWARD brings everything together.
fn all_in_one(context: &Context, op: &PlanOperator, input: usize) -> bool {
    context.parallelism(op.id) == 1 && context.input_parallelism(op, input) == 1
}

fn grouping(context: &Context, op: &PlanOperator, input: &Properties, key: &[KeyField]) -> Vec<Vec<ShipStrategy>> {
    if key.is_empty() || all_in_one(context, op, 0) {
        return vec![vec![straight(context, op, 0)]];
    }
    let mut ships = Vec::new();
    if context.equal_parallelism(op, 0) && input.global.colocates(key) {
        ships.push(vec![ShipStrategy::Forward]);
    }
    ships.push(vec![ShipStrategy::PartitionHash]);
    ships
}

/// One input by the hash of its key, FORWARD if it already is spread so.
fn one_side(
    context: &Context,
    op: &PlanOperator,
    inputs: &[&Properties],
    input: usize,
    key: &[KeyField],
) -> Vec<ShipStrategy> {
    if all_in_one(context, op, input) {
        return vec![ShipStrategy::Forward];
    }
    let mut ships = Vec::new();
    if context.equal_parallelism(op, input) && inputs[input].global.hashed_by(key) {
        ships.push(ShipStrategy::Forward);
    }
    ships.push(ShipStrategy::PartitionHash);
    ships
}

/// Both inputs by the hash of their keys, each FORWARD where it already is spread so; or both FORWARD if they are
/// spread by another rule that is the same for both.
fn pairing(
    context: &Context,
    op: &PlanOperator,
    inputs: &[&Properties],
    first_key: &[KeyField],
    second_key: &[KeyField],
) -> Vec<Vec<ShipStrategy>> {
    let side = |input: usize, key: &[KeyField]| match context.operator(op.inputs[input]).kind {
        // It was spread when it was built, and is looked up where it lies.
        OperatorKind::SolutionSet { .. } => vec![ShipStrategy::Forward],
        _ => one_side(context, op, inputs, input, key),
    };
    let (first, second) = (side(0, first_key), side(1, second_key));
    let mut ships: Vec<Vec<ShipStrategy>> = first.iter().flat_map(|a| second.iter().map(|b| vec![*a, *b])).collect();
    let stay = vec![ShipStrategy::Forward, ShipStrategy::Forward];
    if !ships.contains(&stay)
        && context.equal_parallelism(op, 0)
        && context.equal_parallelism(op, 1)
        && inputs[0].global.same_rule(first_key, &inputs[1].global, second_key)
    {
        ships.insert(0, stay);
    }
    ships
}

fn broadcasts(context: &Context, op: &PlanOperator, join_type: JoinType, hint: JoinHint) -> Vec<Vec<ShipStrategy>> {
    let free = hint == JoinHint::OptimizerChooses;
    let mut ships = Vec::new();
    if (free || hint == JoinHint::BroadcastHashFirst) && may_broadcast_first(join_type) {
        ships.push(kept_everywhere(context, op, Side::First));
    }
    if (free || hint == JoinHint::BroadcastHashSecond) && may_broadcast_second(join_type) {
        ships.push(kept_everywhere(context, op, Side::Second));
    }
    ships
}

fn cross(context: &Context, op: &PlanOperator, hint: CrossHint) -> Vec<Vec<ShipStrategy>> {
    let sides: &[Side] = match hint {
        CrossHint::OptimizerChooses => &[Side::First, Side::Second],
        CrossHint::FirstIsSmall => &[Side::First],
        CrossHint::SecondIsSmall => &[Side::Second],
    };
    sides.iter().map(|side| kept_everywhere(context, op, *side)).collect()
}

/// One side to every subtask, the other stays.
fn kept_everywhere(context: &Context, op: &PlanOperator, side: Side) -> Vec<ShipStrategy> {
    let mut ships = vec![ShipStrategy::Broadcast; 2];
    ships[side.other().index()] = straight(context, op, side.other().index());
    ships
}

fn partition(
    context: &Context,
    op: &PlanOperator,
    input: &Properties,
    method: PartitionMethod,
    key: &[KeyField],
) -> Vec<Vec<ShipStrategy>> {
    if all_in_one(context, op, 0) {
        return vec![vec![ShipStrategy::Forward]];
    }
    let told = match method {
        PartitionMethod::Hash => ShipStrategy::PartitionHash,
        PartitionMethod::Custom => ShipStrategy::PartitionCustom,
        PartitionMethod::Rebalance => ShipStrategy::Rebalance,
        PartitionMethod::Range if context.parallelism(op.id) == 1 => ShipStrategy::Rebalance,
        PartitionMethod::Range => ShipStrategy::PartitionRange,
    };
    let mut ships = Vec::new();
    if method == PartitionMethod::Hash && context.equal_parallelism(op, 0) && input.global.hashed_by(key) {
        ships.push(vec![ShipStrategy::Forward]);
    }
    ships.push(vec![told]);
    ships
}
