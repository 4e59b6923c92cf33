//! How properties pass along an edge and through an operator.

use super::{GlobalProperties, LocalProperties, Order, Partitioning, Properties, key_order, key_set, sort_order};
use crate::choice::Choice;
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy};
use flinkrs_core::types::KeyField;
use flinkrs_plan::{ForwardedFields, KeySpec, OperatorKind, PlanOperator, SortField};

/// What arrives at input `input`, of `parallelism` subtasks. Only FORWARD keeps anything.
pub(crate) fn channel(
    op: &PlanOperator,
    input: usize,
    ship: ShipStrategy,
    parallelism: u32,
    producer: &Properties,
) -> Properties {
    let global = match ship {
        ShipStrategy::Forward => return producer.clone(),
        ShipStrategy::Broadcast => GlobalProperties { partitionings: Vec::new(), replicated: true },
        ShipStrategy::Rebalance => GlobalProperties::default(),
        // One subtask has everything anyway.
        _ if parallelism == 1 => GlobalProperties::default(),
        ShipStrategy::PartitionHash => {
            GlobalProperties::partitioned(Partitioning::Hash { key: input_key(op, input).to_vec() })
        }
        ShipStrategy::PartitionRange => {
            GlobalProperties::partitioned(Partitioning::Range { key: input_key(op, input).to_vec(), by: op.id })
        }
        ShipStrategy::PartitionCustom => {
            GlobalProperties::partitioned(Partitioning::Custom { key: input_key(op, input).to_vec(), by: op.id })
        }
    };
    Properties { global, local: LocalProperties::default() }
}

/// The key that is registered for an input of an operator; empty where there is none.
pub(crate) fn input_key(op: &PlanOperator, input: usize) -> &[KeyField] {
    match &op.kind {
        OperatorKind::Reduce { key, .. }
        | OperatorKind::Distinct { key }
        | OperatorKind::GroupReduce { key, .. }
        | OperatorKind::GroupCombine { key, .. }
        | OperatorKind::SolutionSet { key }
        | OperatorKind::Partition { key, .. } => key,
        OperatorKind::DeltaIteration { key, .. } if input == 0 => key,
        OperatorKind::Join { first_key, second_key, .. } | OperatorKind::CoGroup { first_key, second_key, .. } => {
            if input == 0 {
                first_key
            } else {
                second_key
            }
        }
        _ => &[],
    }
}

/// Which fields of an input pass unchanged; operators that emit their input's records need not declare it.
pub(crate) fn forwarded(op: &PlanOperator, input: usize) -> ForwardedFields {
    match op.kind {
        OperatorKind::Filter
        | OperatorKind::Distinct { .. }
        | OperatorKind::Union
        | OperatorKind::Partition { .. }
        | OperatorKind::SortPartition { .. }
        | OperatorKind::Limit { .. }
        | OperatorKind::SolutionSet { .. }
        | OperatorKind::Sink => ForwardedFields::all(),
        _ => op.forwarded.get(input).cloned().unwrap_or_default(),
    }
}

/// What the output of an operator is known to be, from what arrives at its inputs.
pub(crate) fn output(
    op: &PlanOperator,
    choice: &Choice,
    mut channels: Vec<Properties>,
    parallelism: u32,
) -> Properties {
    if choice.sort {
        let input = choice.sorted_input();
        channels[input].local = LocalProperties { orders: vec![sort_order(op, input)], groupings: Vec::new() };
    }
    let mut out = match &op.kind {
        OperatorKind::Source { .. } => Properties::default(),
        OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } => paired(op, choice, &channels),
        OperatorKind::Cross { .. } => crossed(op, choice, &channels),
        OperatorKind::Union => united(&channels),
        // What the last superstep left, or the solution set: spread by its key, in no order.
        OperatorKind::BulkIteration { .. } => {
            Properties { global: channels.swap_remove(0).global, local: LocalProperties::default() }
        }
        OperatorKind::DeltaIteration { key, .. } => Properties {
            global: GlobalProperties::partitioned(Partitioning::Hash { key: key.clone() }),
            local: LocalProperties::default(),
        },
        _ => Properties {
            global: map_global(&channels[0].global, &forwarded(op, 0)),
            local: unary_local(op, choice, &channels[0].local),
        },
    };
    if parallelism == 1 {
        out.global = GlobalProperties::default();
    }
    normalize(out)
}

fn unary_local(op: &PlanOperator, choice: &Choice, input: &LocalProperties) -> LocalProperties {
    let forwarded = forwarded(op, 0);
    match &op.kind {
        OperatorKind::SortPartition { order } => LocalProperties { orders: vec![order.clone()], groupings: Vec::new() },
        OperatorKind::Reduce { key, .. }
        | OperatorKind::Distinct { key }
        | OperatorKind::GroupReduce { key, .. }
        | OperatorKind::GroupCombine { key, .. } => group_local(key, choice.driver, input, &forwarded),
        // These may emit in an order of their own.
        OperatorKind::MapBatches | OperatorKind::MapPartition => LocalProperties::default(),
        _ => map_local(input, &forwarded),
    }
}

/// Groups come out in the order in which they go in; within a group nothing is known. A hash table has one record
/// per key, which makes each a group of its own.
fn group_local(
    key: &[KeyField],
    driver: DriverStrategy,
    input: &LocalProperties,
    forwarded: &ForwardedFields,
) -> LocalProperties {
    let set = key_set(key);
    if set.is_empty() {
        return LocalProperties::default();
    }
    let kept = match driver {
        DriverStrategy::SortedGroup => {
            let by_key = |order: &Order| -> Order {
                order.iter().take_while(|sort| set.contains(&sort.field)).cloned().collect()
            };
            LocalProperties { orders: input.orders.iter().map(by_key).collect(), groupings: vec![set] }
        }
        _ => LocalProperties { orders: Vec::new(), groupings: vec![set] },
    };
    map_local(&kept, forwarded)
}

/// Of a join or co-group: what holds for a side holds for the output if every output record has a record of that
/// side in it; of a side that may be absent nothing is left but what both sides agree in.
fn paired(op: &PlanOperator, choice: &Choice, channels: &[Properties]) -> Properties {
    let (first_always, second_always) = match &op.kind {
        OperatorKind::Join { join_type, .. } => match join_type {
            JoinType::Inner => (true, true),
            JoinType::LeftOuter | JoinType::Semi | JoinType::Anti => (true, false),
            JoinType::RightOuter => (false, true),
            JoinType::FullOuter => (false, false),
        },
        _ => (false, false),
    };
    let forwards = [forwarded(op, 0), forwarded(op, 1)];
    let common = common_key(op, &forwards, first_always && second_always);
    let mut out = Properties::default();
    for (i, always) in [first_always, second_always].into_iter().enumerate() {
        let global = &channels[i].global;
        if always && !global.replicated {
            out.global.partitionings.extend(map_global(global, &forwards[i]).partitionings);
        }
    }
    if !channels.iter().any(|channel| channel.global.replicated)
        && let Some(common) = &common
    {
        let by_key = |partitioning: &&Partitioning| partitioning.key() == input_key(op, 0);
        let rules = channels[0].global.partitionings.iter().filter(by_key);
        out.global.partitionings.extend(rules.map(|rule| rule.with_key(common.clone())));
    }
    if matches!(choice.driver, DriverStrategy::Merge { .. }) {
        let by_key =
            |i: usize| LocalProperties { orders: vec![key_order(input_key(op, i), &[])], groupings: Vec::new() };
        for (i, always) in [first_always, second_always].into_iter().enumerate() {
            if always {
                out.local.orders.extend(map_local(&by_key(i), &forwards[i]).orders);
            }
        }
        out.local.orders.extend(common.map(|common| key_order(&common, &[])));
    }
    out
}

/// Where the key lies in the output, whichever of the two sides a record was made from. If every record is made from
/// both (`either`), it is enough that one side forwards a field.
fn common_key(op: &PlanOperator, forwards: &[ForwardedFields; 2], either: bool) -> Option<KeySpec> {
    let (first, second) = (input_key(op, 0), input_key(op, 1));
    if first.len() != second.len() {
        return None;
    }
    let target = |(a, b): (&KeyField, &KeyField)| match (forwards[0].target(a), forwards[1].target(b)) {
        (Some(a), Some(b)) if a == b => Some(a),
        (Some(target), _) | (None, Some(target)) if either => Some(target),
        _ => None,
    };
    first.iter().zip(second).map(target).collect()
}

/// Of a cross: the outer side stays where it is.
fn crossed(op: &PlanOperator, choice: &Choice, channels: &[Properties]) -> Properties {
    let DriverStrategy::NestedLoop { inner } = choice.driver else { return Properties::default() };
    let outer = inner.other().index();
    let global = map_global(&channels[outer].global, &forwarded(op, outer));
    Properties { global, local: LocalProperties::default() }
}

/// Of a union: the rules that all inputs are spread by.
fn united(channels: &[Properties]) -> Properties {
    let mut global = channels[0].global.clone();
    for channel in &channels[1..] {
        global.partitionings.retain(|partitioning| channel.global.partitionings.contains(partitioning));
    }
    Properties { global, local: LocalProperties::default() }
}

fn map_global(global: &GlobalProperties, forwarded: &ForwardedFields) -> GlobalProperties {
    let partitionings = global
        .partitionings
        .iter()
        .filter_map(|partitioning| Some(partitioning.with_key(forwarded.targets(partitioning.key())?)))
        .collect();
    GlobalProperties { partitionings, replicated: false }
}

fn map_local(local: &LocalProperties, forwarded: &ForwardedFields) -> LocalProperties {
    let map_sort = |sort: &SortField| Some(SortField { field: forwarded.target(&sort.field)?, order: sort.order });
    LocalProperties {
        orders: local.orders.iter().map(|order| order.iter().map_while(map_sort).collect()).collect(),
        groupings: local.groupings.iter().filter_map(|key| Some(key_set(&forwarded.targets(key)?))).collect(),
    }
}

/// Sorted lists without repetition, so that equal properties compare equal.
pub(crate) fn normalize(mut properties: Properties) -> Properties {
    let Properties { global, local } = &mut properties;
    global.partitionings.sort();
    global.partitionings.dedup();
    local.orders.retain(|order| !order.is_empty());
    local.orders.sort();
    local.orders.dedup();
    local.groupings.retain(|key| !key.is_empty());
    local.groupings.sort();
    local.groupings.dedup();
    properties
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PlanBuilder, ascending, field, fields, keeps, moves};
    use flinkrs_core::id::OperatorId;
    use flinkrs_plan::{PartitionMethod, Plan};

    const MERGE: DriverStrategy = DriverStrategy::Merge { sort_first: true, sort_second: true };

    fn hash(key: &[u32]) -> Partitioning {
        Partitioning::Hash { key: fields(key) }
    }

    /// What the last operator but the sink provides, from hashed or else broadcast inputs.
    fn provided(plan: &Plan, driver: DriverStrategy, ships: &[ShipStrategy], inputs: &[Properties]) -> Properties {
        let op = &plan.operators[plan.operators.len() - 2];
        let choice = Choice { ships: ships.to_vec(), sort: false, driver, combine: None, by: None };
        let channels =
            ships.iter().zip(inputs).enumerate().map(|(i, (ship, input))| channel(op, i, *ship, 4, input)).collect();
        output(op, &choice, channels, 4)
    }

    fn join(join_type: JoinType, forwards: [ForwardedFields; 2]) -> Plan {
        let mut builder = PlanBuilder::new(4);
        let (a, b) = (builder.source(1.0, 1.0), builder.source(1.0, 1.0));
        let join = builder.join(join_type, a, b, &[field(0)], &[field(0)]);
        let [first, second] = forwards;
        builder.forwards(join, 0, first);
        builder.forwards(join, 1, second);
        builder.sink(join);
        builder.build()
    }

    #[test]
    fn joins_keep_what_every_output_record_has() {
        use JoinType::{Anti, FullOuter, Inner, LeftOuter, RightOuter, Semi};
        let expected: [(JoinType, &[u32]); 6] =
            [(Inner, &[0, 5]), (LeftOuter, &[0]), (RightOuter, &[5]), (FullOuter, &[]), (Semi, &[0]), (Anti, &[0])];
        let shuffled = [ShipStrategy::PartitionHash; 2];
        let unknown = [Properties::default(), Properties::default()];
        for (join_type, targets) in expected {
            let plan = join(join_type, [keeps(&[0]), moves(&[(0, 5)])]);
            let out = provided(&plan, MERGE, &shuffled, &unknown);
            let partitionings: Vec<Partitioning> = targets.iter().map(|i| hash(&[*i])).collect();
            assert_eq!(out.global.partitionings, partitionings, "{join_type:?}");
            let orders: Vec<Order> = targets.iter().map(|i| vec![ascending(*i)]).collect();
            assert_eq!(out.local.orders, orders, "{join_type:?}");
        }
    }

    #[test]
    fn a_full_outer_join_keeps_a_key_that_both_sides_put_in_the_same_place() {
        let plan = join(JoinType::FullOuter, [moves(&[(0, 3)]), moves(&[(0, 3)])]);
        let out =
            provided(&plan, MERGE, &[ShipStrategy::PartitionHash; 2], &[Properties::default(), Properties::default()]);
        assert_eq!(out.global.partitionings, [hash(&[3])]);
        assert_eq!(out.local.orders, [vec![ascending(3)]]);
    }

    #[test]
    fn a_broadcast_join_keeps_the_partitioning_of_the_side_that_stays_and_no_order() {
        let plan = join(JoinType::Inner, [keeps(&[0]), moves(&[(0, 5), (7, 6)])]);
        let stays = Properties {
            global: GlobalProperties::partitioned(hash(&[7])),
            local: LocalProperties { orders: vec![vec![ascending(7)]], groupings: Vec::new() },
        };
        let driver = DriverStrategy::HybridHash { build: flinkrs_core::strategy::Side::First };
        let ships = [ShipStrategy::Broadcast, ShipStrategy::Forward];
        let out = provided(&plan, driver, &ships, &[stays.clone(), stays]);
        assert_eq!(out.global.partitionings, [hash(&[6])]);
        assert_eq!(out.local, LocalProperties::default());
    }

    #[test]
    fn a_union_keeps_what_all_inputs_share() {
        let mut builder = PlanBuilder::new(4);
        let (a, b) = (builder.source(1.0, 1.0), builder.source(1.0, 1.0));
        let union = builder.union(&[a, b]);
        builder.sink(union);
        let plan = builder.build();
        let rules = |rules: &[Partitioning]| Properties {
            global: GlobalProperties { partitionings: rules.to_vec(), replicated: false },
            local: LocalProperties { orders: vec![vec![ascending(0)]], groupings: Vec::new() },
        };
        let range = |by| Partitioning::Range { key: fields(&[0]), by: OperatorId(by) };
        let inputs = [rules(&[hash(&[0]), hash(&[1]), range(7)]), rules(&[hash(&[1]), range(8)])];
        let out = provided(&plan, DriverStrategy::Only, &[ShipStrategy::Forward; 2], &inputs);
        assert_eq!(out.global.partitionings, [hash(&[1])]);
        assert_eq!(out.local, LocalProperties::default());
        let out = provided(&plan, DriverStrategy::Only, &[ShipStrategy::Forward, ShipStrategy::Rebalance], &inputs);
        assert_eq!(out, Properties::default());
    }

    #[test]
    fn maps_keep_what_they_forward_as_far_as_it_is_an_order() {
        let mut builder = PlanBuilder::new(4);
        let source = builder.source(1.0, 1.0);
        let map = builder.map(source);
        builder.forwards(map, 0, moves(&[(0, 3), (2, 4)]));
        builder.sink(map);
        let input = Properties {
            global: GlobalProperties { partitionings: vec![hash(&[0, 2]), hash(&[1])], replicated: false },
            local: LocalProperties {
                orders: vec![vec![ascending(0), ascending(1), ascending(2)]],
                groupings: vec![fields(&[0, 2]), fields(&[1])],
            },
        };
        let out = provided(&builder.build(), DriverStrategy::Only, &[ShipStrategy::Forward], &[input]);
        assert_eq!(out.global.partitionings, [hash(&[3, 4])]);
        assert_eq!(out.local.orders, [vec![ascending(3)]]);
        assert_eq!(out.local.groupings, [fields(&[3, 4])]);
    }

    #[test]
    fn only_forward_keeps_an_order_and_one_subtask_has_no_partitioning() {
        let mut builder = PlanBuilder::new(4);
        let source = builder.source(1.0, 1.0);
        let partition = builder.partition(source, PartitionMethod::Hash, &[0]);
        let plan = {
            builder.sink(partition);
            builder.build()
        };
        let op = &plan.operators[1];
        let input = Properties {
            global: GlobalProperties::partitioned(hash(&[0])),
            local: LocalProperties { orders: vec![vec![ascending(0)]], groupings: Vec::new() },
        };
        assert_eq!(channel(op, 0, ShipStrategy::Forward, 4, &input), input);
        let shuffled = channel(op, 0, ShipStrategy::PartitionHash, 4, &input);
        assert_eq!((shuffled.global, shuffled.local), (input.global.clone(), LocalProperties::default()));
        assert_eq!(channel(op, 0, ShipStrategy::PartitionHash, 1, &input), Properties::default());
        assert!(channel(op, 0, ShipStrategy::Broadcast, 4, &input).global.replicated);
    }
}
