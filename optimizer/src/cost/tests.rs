//! What is dearer than what.

use super::model::combined_records;
use super::{Cost, operator_cost};
use crate::choice::{Choice, Combiner};
use crate::context::Context;
use crate::options::OptimizerOptions;
use crate::stats::Size;
use crate::testing::{PlanBuilder, field};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy, Side};
use flinkrs_core::types::hash_key;
use std::collections::HashSet;

const HASH: ShipStrategy = ShipStrategy::PartitionHash;
const BUILD_FIRST: DriverStrategy = DriverStrategy::HybridHash { build: Side::First };

fn join_cost(first: f64, second: f64, memory_bytes: u64, ships: [ShipStrategy; 2], driver: DriverStrategy) -> Cost {
    let mut builder = PlanBuilder::new(4);
    let (a, b) = (builder.source(first, 100.0), builder.source(second, 100.0));
    let join = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
    builder.sink(join);
    let options = OptimizerOptions { memory_bytes, ..OptimizerOptions::default() };
    let context = Context::new(&builder.build(), &options).expect("a valid plan");
    let choice = Choice { ships: ships.to_vec(), sort: false, driver, combine: None, by: None };
    operator_cost(&context, context.operator(join), &choice)
}

#[test]
fn shipping_counts_bytes_and_broadcasting_counts_them_per_subtask() {
    assert_eq!(join_cost(10.0, 20.0, 1 << 30, [HASH, HASH], BUILD_FIRST).network, 3000.0);
    let broadcast = [ShipStrategy::Broadcast, ShipStrategy::Forward];
    assert_eq!(join_cost(10.0, 20.0, 1 << 30, broadcast, BUILD_FIRST).network, 4000.0);
}

#[test]
fn what_fits_into_memory_costs_no_disk() {
    let cost = |memory| join_cost(1e6, 2e6, memory, [HASH, HASH], BUILD_FIRST);
    assert_eq!(cost(1 << 30).disk, 0.0);
    let (some, little) = (cost(20 << 20).disk, cost(1 << 20).disk);
    assert!(0.0 < some && some < little, "{some} {little}");
    let merge = DriverStrategy::Merge { sort_first: true, sort_second: true };
    assert_eq!(join_cost(1e6, 2e6, 1 << 20, [HASH, HASH], merge).disk, 2.0 * 3e8);
}

#[test]
fn building_the_smaller_side_is_cheaper() {
    let build_second = DriverStrategy::HybridHash { build: Side::Second };
    let options = OptimizerOptions::default();
    let first = join_cost(1e3, 1e6, 1 << 30, [HASH, HASH], BUILD_FIRST).total(&options);
    assert!(first < join_cost(1e3, 1e6, 1 << 30, [HASH, HASH], build_second).total(&options));
}

fn reduce_network(keys: Option<f64>, parallelism: u32, combine: bool) -> f64 {
    let mut builder = PlanBuilder::new(parallelism);
    let source = builder.source(1e6, 10.0);
    let reduce = builder.reduce(source, &[0]);
    builder.op(reduce).hints.distinct_keys = keys;
    builder.sink(reduce);
    let context = Context::new(&builder.build(), &OptimizerOptions::default()).expect("a valid plan");
    let combiner = Combiner { driver: DriverStrategy::HashGroup, sort: false };
    let choice = Choice {
        ships: vec![HASH],
        sort: false,
        driver: DriverStrategy::HashGroup,
        combine: combine.then_some(combiner),
        by: None,
    };
    operator_cost(&context, context.operator(OperatorId(1)), &choice).network
}

#[test]
fn a_combiner_leaves_at_most_one_record_per_key_and_producer() {
    assert_eq!(reduce_network(Some(100.0), 4, false), 1e7);
    assert!((reduce_network(Some(100.0), 4, true) - 4000.0).abs() < 1.0);
    assert!((reduce_network(Some(100.0), 1, true) - 1000.0).abs() < 1.0, "one producer has all records of a group");
    let distinct = reduce_network(Some(1e6), 4, true);
    assert!((distinct - 1e7).abs() < 1.0, "unique keys are not combined: {distinct}");
    assert_eq!(reduce_network(None, 64, true), 1e6);
}

/// So many records of each of so many groups, dealt to producers at random, whose tables hold `room` groups.
fn simulated(groups: usize, per_group: usize, producers: usize, room: usize) -> f64 {
    let mut records: Vec<(u64, usize)> =
        (0..groups * per_group).map(|number| (hash_key(&number), number % groups)).collect();
    records.sort_unstable();
    let mut tables = vec![HashSet::new(); producers];
    let mut left = 0;
    for (random, group) in records {
        let table = &mut tables[(random % producers as u64) as usize];
        if table.len() == room && !table.contains(&group) {
            left += table.len();
            table.clear();
        }
        table.insert(group);
    }
    (left + tables.iter().map(HashSet::len).sum::<usize>()) as f64
}

#[test]
fn a_combiner_leaves_what_a_simulated_one_leaves() {
    let context = |groups: f64| {
        let mut builder = PlanBuilder::new(1);
        let source = builder.source(groups, 1.0);
        let reduce = builder.reduce(source, &[0]);
        builder.op(reduce).hints.distinct_keys = Some(groups);
        builder.sink(reduce);
        Context::new(&builder.build(), &OptimizerOptions::default()).expect("a valid plan")
    };
    for (groups, per_group, producers) in [(20_000, 1, 2), (20_000, 2, 2), (10_000, 4, 8), (1_000, 50, 3), (500, 20, 1)]
    {
        for room in [groups, groups / 2, groups / 10] {
            let context = context(groups as f64);
            let grouping = *context.size(OperatorId(1));
            let input = Size { records: (groups * per_group) as f64, ..*context.size(OperatorId(0)) };
            let estimate = combined_records(&grouping, &input, producers as f64, room as f64);
            let counted = simulated(groups, per_group, producers, room);
            let shape = format!("{per_group} of each of {groups}, {producers} producers, room for {room}");
            assert!((estimate / counted - 1.0).abs() < 0.05, "{shape}: {estimate}, {counted} in fact");
        }
    }
}

#[test]
fn weights_scale_the_parts() {
    let cost = Cost { network: 1.0, disk: 10.0, cpu: 100.0 };
    let options = OptimizerOptions { network_weight: 2.0, disk_weight: 0.5, cpu_weight: 0.0, ..Default::default() };
    assert_eq!(cost.total(&options), 7.0);
    assert_eq!((cost + cost).cpu, 200.0);
}
