//! Programs with loops, with and without what makes them fast, and programs whose keys lie close together.

use flinkrs::prelude::*;
use flinkrs_core::strategy::{ShipStrategy, Side};
use flinkrs_optimizer::Force;

use crate::programs::{GROUP, JOIN, Pair, Pin, Program, STAY_GROUP, hash_join, key, picked, ship, unique};

const KEPT: &str = "HYBRIDHASH_BUILD_SECOND; input 0 FORWARD; input 1 PARTITION_HASH on [f0]";
const REBUILT: &str = "HYBRIDHASH_BUILD_FIRST; input 0 FORWARD; input 1 PARTITION_HASH on [f0]";
const SHIPPED: &str = "HYBRIDHASH_BUILD_SECOND; input 0 PARTITION_HASH on [f0]; input 1 PARTITION_HASH on [f0]";
const SHIPPED_GROUP: &str = "HASHED_REDUCE; input 0 PARTITION_HASH on [f0]";
const COMBINED: &str = "HASHED_REDUCE; combiner HASHED_PARTIAL_REDUCE; input 0 PARTITION_HASH on [f0]";

/// The join is built of what changes.
const REBUILD: &[Pin] = &[
    (JOIN, |operator| hash_join(operator, Side::First)),
    (JOIN, |operator| ship(operator, 0, ShipStrategy::Forward)),
    (JOIN, |operator| ship(operator, 1, ShipStrategy::PartitionHash)),
];

/// A grouping without a combiner.
const NO_COMBINER: &[Pin] = &[(GROUP, |operator| Force::Combiner { operator, combine: false })];

/// All of them; of each kind at least two that have little in common.
pub(crate) const LOOPS: &[Program] = &[
    Program {
        choice: "loop: kept table",
        name: "bulk, 200 k ⋈ 2 M, 20 supersteps",
        build: |env, divisor| looked_up(env, 200_000 / divisor, 2_000_000 / divisor, 20),
        other: None,
        chosen: &[(JOIN, KEPT)],
        forced: &[(JOIN, REBUILT)],
        pins: REBUILD,
    },
    Program {
        choice: "loop: kept table",
        name: "delta, 1 k walkers on 1 M edges, 20 supersteps",
        build: |env, divisor| walkers(env, 1_000_000 / divisor, 1_000, f0),
        other: None,
        chosen: &[(JOIN, KEPT)],
        forced: &[(JOIN, REBUILT)],
        pins: REBUILD,
    },
    Program {
        choice: "loop: carried partitioning",
        name: "2 M ⋈ 100 k, 20 supersteps",
        build: |env, divisor| looked_up(env, 2_000_000 / divisor, 100_000 / divisor, 20),
        other: None,
        chosen: &[(JOIN, KEPT)],
        forced: &[(JOIN, SHIPPED)],
        pins: &[(JOIN, |operator| ship(operator, 0, ShipStrategy::PartitionHash))],
    },
    Program {
        choice: "loop: carried partitioning",
        name: "2 M grouped, 10 supersteps",
        build: |env, divisor| regrouped(env, 2_000_000 / divisor),
        other: None,
        chosen: &[(GROUP, STAY_GROUP)],
        forced: &[(GROUP, SHIPPED_GROUP)],
        pins: &[(GROUP, |operator| ship(operator, 0, ShipStrategy::PartitionHash))],
    },
    Program {
        choice: "loop: combiner",
        name: "4 M readings around 1 k levels, 10 supersteps",
        build: |env, divisor| levels(env, 4_000_000 / divisor, 1_000),
        other: None,
        chosen: &[(GROUP, COMBINED)],
        forced: &[(GROUP, SHIPPED_GROUP)],
        pins: NO_COMBINER,
    },
    Program {
        choice: "loop: combiner",
        name: "2 M counters, their totals of 100 kinds, 10 supersteps",
        build: |env, divisor| totals(env, 2_000_000 / divisor, 100),
        other: None,
        chosen: &[(GROUP, COMBINED)],
        forced: &[(GROUP, SHIPPED_GROUP)],
        pins: NO_COMBINER,
    },
    Program {
        choice: "dense keys",
        name: "20 M of 1 M keys grouped",
        build: |env, divisor| dense_group(env, 20_000_000 / divisor, 1_000_000 / divisor, f0),
        other: Some(|env, divisor| dense_group(env, 20_000_000 / divisor, 1_000_000 / divisor, |r: &Pair| (r.0,))),
        chosen: &[],
        forced: &[],
        pins: &[],
    },
    Program {
        choice: "dense keys",
        name: "2 M ⋈ 10 M",
        build: |env, divisor| dense_join(env, 2_000_000 / divisor, 10_000_000 / divisor, f0),
        other: Some(|env, divisor| dense_join(env, 2_000_000 / divisor, 10_000_000 / divisor, |r: &Pair| (r.0,))),
        chosen: &[],
        forced: &[],
        pins: &[],
    },
    Program {
        choice: "dense keys",
        name: "delta, 500 k walkers in 1 M places, 20 supersteps",
        build: |env, divisor| walkers(env, 1_000_000 / divisor, 500_000 / divisor, f0),
        other: Some(|env, divisor| walkers(env, 1_000_000 / divisor, 500_000 / divisor, |r: &Pair| (r.0,))),
        chosen: &[],
        forced: &[],
        pins: &[],
    },
];

/// Values that are added to in each superstep, by a table that stays the same.
fn looked_up(env: &ExecutionEnvironment, records: u64, table: u64, supersteps: u32) -> DataSet<Pair> {
    let step = picked(env, records, table).iterate(supersteps);
    let added = step.join(&unique(env, table)).on(f0, f0).map(|value, add| (value.0, value.1.wrapping_add(add.1)));
    step.close_with(&added.with_forwarded_fields_first("f0").with_forwarded_fields_second("f0->f0").name(JOIN))
}

/// Values of which each superstep makes others, key by key.
fn regrouped(env: &ExecutionEnvironment, records: u64) -> DataSet<Pair> {
    let step = unique(env, records).iterate(10);
    let grouped = step.group_by(f0).combine_hint(CombineHint::None).reduce(|a, b| a.1 = a.1.wrapping_add(b.1));
    let grouped = grouped.with_distinct_keys(records).name(GROUP);
    step.close_with(&grouped.map(|(key, value)| (key, value.wrapping_mul(31))).with_forwarded_fields("f0"))
}

/// Levels that move to the sum of the readings that belong to them.
fn levels(env: &ExecutionEnvironment, readings: u64, levels: u64) -> DataSet<Pair> {
    let readings = picked(env, readings, levels);
    let step = unique(env, levels).iterate(10);
    let pulled = step.join(&readings).on(f0, f0).map(|level, reading| (level.0, level.1 ^ reading.1));
    let summed = pulled.group_by(f0).reduce(|sum, next| sum.1 = sum.1.wrapping_add(next.1)).with_distinct_keys(levels);
    step.close_with(&summed.name(GROUP))
}

/// Counters that grow by the total of their kind.
fn totals(env: &ExecutionEnvironment, counters: u64, kinds: u64) -> DataSet<Pair> {
    let step = env.generate_sequence(0, counters - 1).map(|n| (n, n)).iterate(10);
    let of_kind = step.map(move |(n, value)| (n % kinds, value));
    let totals = of_kind.group_by(f0).reduce(|sum, next| sum.1 = sum.1.wrapping_add(next.1)).with_distinct_keys(kinds);
    let grown = step.map_rich(move |context| {
        let mut totals: Vec<Pair> = context.broadcast_set::<Pair>("totals")?.to_vec();
        totals.sort_unstable();
        Ok(move |(n, value): Pair| (n, value.wrapping_add(totals[(n % kinds) as usize].1)))
    });
    step.close_with(&grown.with_broadcast_set(&totals.name(GROUP), "totals"))
}

/// Records of random keys that lie close together.
fn dense(env: &ExecutionEnvironment, records: u64, keys: u64) -> DataSet<Pair> {
    env.generate_sequence(1, records).map(move |number| (key(number) % keys, number)).name("Dense")
}

fn dense_group(env: &ExecutionEnvironment, records: u64, keys: u64, by: impl KeySelector<Pair>) -> DataSet<Pair> {
    let sum = |sum: &mut Pair, next: Pair| sum.1 = sum.1.wrapping_add(next.1);
    dense(env, records, keys).group_by(by).reduce(sum).with_distinct_keys(keys)
}

fn dense_join(env: &ExecutionEnvironment, first: u64, second: u64, by: impl KeySelector<Pair>) -> DataSet<Pair> {
    let places = env.generate_sequence(0, first - 1).map(|number| (number, number));
    let pair = |first: &Pair, second: &Pair| (first.0, first.1.wrapping_add(second.1));
    places.join(&dense(env, second, first)).on(by.clone(), by).map(pair)
}

/// Walkers that go from place to place, each along the one way that there is, and count how often a place is seen.
fn walkers(env: &ExecutionEnvironment, places: u64, walkers: u64, by: impl KeySelector<Pair>) -> DataSet<Pair> {
    let all = env.generate_sequence(0, places - 1);
    let ways = all.map(move |place| (place, (place * 7 + 3) % places)).name("Ways");
    let begin = env.generate_sequence(0, walkers - 1).map(|place| (place, 0)).name("Begin");
    let step = all.map(|place| (place, 0)).iterate_delta(&begin, by.clone(), 20);
    let moved = step.workset().join(&ways).on(by.clone(), by.clone()).map(|walker, way| (way.1, walker.1)).name(JOIN);
    let seen = moved.join(step.solution_set()).on(by.clone(), by).map(|walker, place| (walker.0, place.1 + 1));
    step.close_with(&seen, &seen)
}
