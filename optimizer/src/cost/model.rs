//! What each strategy costs, from estimated sizes.

use super::Cost;
use crate::choice::Choice;
use crate::context::Context;
use crate::stats::{COMBINED_PER_RECORD, Size};
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy, Side};
use flinkrs_plan::{OperatorKind, PlanOperator};

/// Any operator, per record: handing it over.
const PASS: f64 = 2.0;
/// Routing a record into a batch and handing that over, inside a process; what a network adds is weighed by the byte.
const SHIP: f64 = 4.0;
/// Drawing a sample of keys, and finding a record's place among the bounds.
const RANGE: f64 = 15.0;
/// Finding a record's group in a hash table and combining with it.
const HASH_GROUP: f64 = 25.0;
/// Putting a record into a join's hash table: it is copied and kept.
const BUILD: f64 = 50.0;
/// The same, per byte: copied with its heap, into memory that is new.
const BUILD_BYTE: f64 = 0.3;
/// Looking a record up in it.
const PROBE: f64 = 10.0;
/// Remembering which built records found a partner, where those without one are emitted or left out.
const MARK: f64 = 5.0;
/// Sorting, per record: copying it into the sorter and out of it.
const SORT: f64 = 20.0;
/// Sorting, per record and doubling of their number: a comparison.
const COMPARE: f64 = 3.0;
/// Comparing a record with its neighbour.
const ADJACENT: f64 = 4.0;
/// Merging sorted inputs, per record: comparing it with the other side's head, and keeping it as long as its key.
const MERGE: f64 = 15.0;
/// One pair of a nested loop.
const PAIR: f64 = 1.0;
/// A table that spills is split into so many parts per level.
const SPILL_FANOUT: f64 = 16.0;

/// The cost of an operator alone: shipping its inputs, combining, sorting, and its own work.
pub(crate) fn operator_cost(context: &Context, op: &PlanOperator, choice: &Choice) -> Cost {
    let parallelism = f64::from(context.parallelism(op.id));
    let supersteps = context.supersteps(op.id);
    let mut cost = Cost::default();
    let mut sizes: Vec<Size> = op.inputs.iter().map(|input| *context.size(*input)).collect();
    if let Some(combiner) = choice.combine {
        let producers = f64::from(context.input_parallelism(op, 0));
        cost += combine(context, op, combiner.driver, combiner.sort, producers, &mut sizes[0]) * supersteps;
    }
    for (i, ship) in choice.ships.iter().enumerate() {
        let producers = f64::from(context.input_parallelism(op, i));
        cost += ship_cost(context, *ship, &sizes[i], producers, parallelism) * context.input_supersteps(op, i);
    }
    for (_, set) in &op.broadcast_inputs {
        let times = if context.loops.feeds_anew(*set, op.id) { supersteps } else { 1.0 };
        cost += ship_cost(context, ShipStrategy::Broadcast, context.size(*set), 1.0, parallelism) * times;
    }
    if choice.sort || matches!(op.kind, OperatorKind::SortPartition { .. }) {
        cost += sort(context, &sizes[choice.sorted_input()], parallelism) * supersteps;
    }
    cost + driver(context, op, choice, &sizes, parallelism) * supersteps
        + kept(context, op, choice, &sizes, parallelism)
}

/// What a loop's operator saves, a negative cost: an input that is the same in all supersteps is built into a table or
/// sorted once.
fn kept(context: &Context, op: &PlanOperator, choice: &Choice, sizes: &[Size], parallelism: f64) -> Cost {
    let saved = context.supersteps(op.id) - 1.0;
    if saved <= 0.0 {
        return Cost::default();
    }
    let constant = |input: usize| context.input_supersteps(op, input) <= 1.0;
    match choice.driver {
        DriverStrategy::HybridHash { build } if constant(build.index()) => {
            Cost { cpu: sizes[build.index()].records * (BUILD + PASS) * -saved, ..Cost::default() }
        }
        DriverStrategy::Merge { sort_first, sort_second } => {
            let sorts =
                [(sort_first, 0), (sort_second, 1)].into_iter().filter(|(sorts, input)| *sorts && constant(*input));
            sorts.fold(Cost::default(), |sum, (_, input)| sum + sort(context, &sizes[input], parallelism) * -saved)
        }
        _ => Cost::default(),
    }
}

fn ship_cost(context: &Context, ship: ShipStrategy, size: &Size, producers: f64, consumers: f64) -> Cost {
    let once = Cost { network: size.bytes(), disk: 0.0, cpu: size.records * SHIP };
    match ship {
        ShipStrategy::Forward => Cost::default(),
        ShipStrategy::Rebalance | ShipStrategy::PartitionHash | ShipStrategy::PartitionCustom => once,
        ShipStrategy::PartitionRange => {
            // All records wait until the bounds are known.
            let disk = if size.bytes() / producers > context.memory() { 2.0 * size.bytes() } else { 0.0 };
            once + Cost { network: 0.0, disk, cpu: size.records * RANGE }
        }
        ShipStrategy::Broadcast => {
            let size = size.pessimistic();
            Cost { network: size.bytes() * consumers, disk: 0.0, cpu: size.records * SHIP * consumers }
        }
    }
}

/// Combines at the producer; `size` becomes what is left to ship.
fn combine(
    context: &Context,
    op: &PlanOperator,
    driver: DriverStrategy,
    sorted: bool,
    producers: f64,
    size: &mut Size,
) -> Cost {
    let mut cost = if sorted { sort(context, size, producers) } else { Cost::default() };
    let per_record = if driver == DriverStrategy::HashGroup { HASH_GROUP } else { ADJACENT };
    cost.cpu += size.records * per_record;
    let table = if driver == DriverStrategy::HashGroup { context.memory() } else { f64::INFINITY };
    size.records = combined_records(context.size(op.id), size, producers, table);
    cost
}

/// How many records the combiners of all producers leave, if records come in random order.
pub(super) fn combined_records(grouping: &Size, input: &Size, producers: f64, table_bytes: f64) -> f64 {
    if !grouping.groups_known {
        return input.records * COMBINED_PER_RECORD;
    }
    let groups = grouping.groups.max(1.0);
    let each = input.records / producers;
    // A producer sees a group unless all of the group's records are with the others.
    let missed = (1.0 - 1.0 / producers).powf(input.records / groups);
    let seen = (groups * (1.0 - missed)).min(each);
    let part = (table_bytes / input.record_bytes).max(1.0) / seen;
    // A full table is emptied and starts again: a record that isn't its group's first finds the group with the chance
    // that it is there, while the table fills.
    let found = if part < 1.0 { 1.0 + part / f64::ln_1p(-part) } else { 1.0 };
    (each - (each - seen) * found) * producers
}

fn sort(context: &Context, size: &Size, parallelism: f64) -> Cost {
    let each = size.records / parallelism;
    let cpu = size.records * (SORT + COMPARE * each.max(2.0).log2());
    // Runs are written once and merged once.
    let spills = size.bytes() / parallelism > context.memory();
    Cost { network: 0.0, disk: if spills { 2.0 * size.bytes() } else { 0.0 }, cpu }
}

fn driver(context: &Context, op: &PlanOperator, choice: &Choice, sizes: &[Size], parallelism: f64) -> Cost {
    let records: f64 = sizes.iter().map(|size| size.records).sum();
    let pass = Cost { cpu: records * PASS, ..Cost::default() };
    pass + match choice.driver {
        DriverStrategy::Only => match op.kind {
            OperatorKind::Source { .. } => Cost { disk: context.size(op.id).bytes(), ..Cost::default() },
            _ => Cost::default(),
        },
        DriverStrategy::SortedGroup => Cost { cpu: records * ADJACENT, ..Cost::default() },
        DriverStrategy::HashGroup => {
            let table = context.size(op.id).groups.min(records) * sizes[0].record_bytes / parallelism;
            let spilled = (1.0 - context.memory() / table).max(0.0);
            let disk = 2.0 * spilled * sizes[0].bytes();
            Cost { network: 0.0, disk, cpu: records * HASH_GROUP * (1.0 + spilled) }
        }
        DriverStrategy::HybridHash { build } => hybrid_hash(context, op, choice, build, sizes, parallelism),
        DriverStrategy::Merge { sort_first, sort_second } => {
            let mut cost = Cost { cpu: records * MERGE, ..Cost::default() };
            for (sorts, size) in [(sort_first, &sizes[0]), (sort_second, &sizes[1])] {
                if sorts {
                    cost += sort(context, size, parallelism);
                }
            }
            cost
        }
        DriverStrategy::SolutionSet { .. } => Cost { cpu: records * PROBE, ..Cost::default() },
        DriverStrategy::NestedLoop { inner } => nested_loop(context, inner, sizes, parallelism),
    }
}

fn hybrid_hash(
    context: &Context,
    op: &PlanOperator,
    choice: &Choice,
    side: Side,
    sizes: &[Size],
    parallelism: f64,
) -> Cost {
    let everywhere = choice.ships[side.index()] == ShipStrategy::Broadcast;
    let (mut build, probe) = (sizes[side.index()], sizes[side.other().index()]);
    if everywhere {
        build = build.pessimistic();
        build.records *= parallelism;
    }
    let over = build.bytes() / parallelism / context.memory();
    let (spilled, levels) =
        if over > 1.0 { (1.0 - 1.0 / over, (over.ln() / SPILL_FANOUT.ln()).ceil().max(1.0)) } else { (0.0, 0.0) };
    let marks = match &op.kind {
        OperatorKind::Join { join_type, .. } => match join_type {
            JoinType::Inner => false,
            JoinType::LeftOuter | JoinType::Semi | JoinType::Anti => side == Side::First,
            JoinType::RightOuter => side == Side::Second,
            JoinType::FullOuter => true,
        },
        _ => false,
    };
    let mark = if marks { MARK * build.records } else { 0.0 };
    let once = build.records * BUILD + build.bytes() * BUILD_BYTE + probe.records * PROBE;
    Cost {
        network: 0.0,
        disk: 2.0 * spilled * levels * (build.bytes() + probe.bytes()),
        cpu: once * (1.0 + spilled * levels) + mark,
    }
}

/// The inner side is kept by every subtask, and read again for every block of the outer one.
fn nested_loop(context: &Context, inner: Side, sizes: &[Size], parallelism: f64) -> Cost {
    let (outer, inner) = (sizes[inner.other().index()], sizes[inner.index()].pessimistic());
    let disk = if inner.bytes() > context.memory() {
        let blocks = (outer.bytes() / parallelism / context.memory()).ceil().max(1.0);
        inner.bytes() * parallelism * (1.0 + blocks)
    } else {
        0.0
    };
    Cost { network: 0.0, disk, cpu: outer.records * inner.records * PAIR + inner.records * parallelism * PASS }
}
