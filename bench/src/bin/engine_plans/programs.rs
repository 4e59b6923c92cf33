//! The programs: for each choice of the optimizer at least two, one for each direction.

use flinkrs::prelude::*;
use flinkrs_bench::rng::{SEED, SplitMix64};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, ShipStrategy, Side};
use flinkrs_optimizer::Force;

/// A record: key and value.
pub(crate) type Pair = (u64, u64);

/// The name of an operator, and what is pinned for it.
pub(crate) type Pin = (&'static str, fn(OperatorId) -> Force);

/// A program with two plans.
pub(crate) struct Program {
    /// What is chosen.
    pub(crate) choice: &'static str,
    /// The direction.
    pub(crate) name: &'static str,
    /// Describes the program, with inputs of a fraction of their size.
    pub(crate) build: fn(&ExecutionEnvironment, u64) -> DataSet<Pair>,
    /// Where no plan makes the difference: the same with keys of another type.
    pub(crate) other: Option<fn(&ExecutionEnvironment, u64) -> DataSet<Pair>>,
    /// How the strategies end that the optimizer is to choose, by operator.
    pub(crate) chosen: &'static [(&'static str, &'static str)],
    /// Those of the other plan.
    pub(crate) forced: &'static [(&'static str, &'static str)],
    /// What makes it the other plan.
    pub(crate) pins: &'static [Pin],
}

pub(crate) const JOIN: &str = "Join";
pub(crate) const GROUP: &str = "Group";

const STAY_BUILD_FIRST: &str = "HYBRIDHASH_BUILD_FIRST; input 0 FORWARD; input 1 FORWARD";
const STAY_BUILD_SECOND: &str = "HYBRIDHASH_BUILD_SECOND; input 0 FORWARD; input 1 FORWARD";
const STAY_MERGE: &str = "INNER_MERGE; input 0 FORWARD; input 1 FORWARD";
const SHUFFLE_HASH: &str = "HYBRIDHASH_BUILD_FIRST; input 0 PARTITION_HASH on [f0]; input 1 PARTITION_HASH on [f0]";
const SHUFFLE_MERGE: &str = "INNER_MERGE; input 0 PARTITION_HASH on [f0], Sort on [f0 ASC]; \
                             input 1 PARTITION_HASH on [f0], Sort on [f0 ASC]";
const BROADCAST_FIRST: &str = "HYBRIDHASH_BUILD_FIRST; input 0 BROADCAST; input 1 FORWARD";
const SHUFFLE_GROUP: &str = "HASHED_REDUCE; input 0 PARTITION_HASH on [f0]";
const COMBINE_GROUP: &str = "HASHED_REDUCE; combiner HASHED_PARTIAL_REDUCE; input 0 PARTITION_HASH on [f0]";
/// With or without a combiner.
const SHUFFLED: &str = "; input 0 PARTITION_HASH on [f0]";
pub(crate) const STAY_GROUP: &str = "HASHED_REDUCE; input 0 FORWARD";

/// All of them. Those that are "nearly" something else are where the model has the other plan little dearer.
pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        choice: "build side",
        name: "200 k ⋈ 6 M",
        build: |env, divisor| partitioned_join(env, 200_000 / divisor, 6_000_000 / divisor),
        other: None,
        chosen: &[(JOIN, STAY_BUILD_FIRST)],
        forced: &[(JOIN, STAY_BUILD_SECOND)],
        pins: &[(JOIN, |operator| hash_join(operator, Side::Second))],
    },
    Program {
        choice: "build side",
        name: "6 M ⋈ 200 k",
        build: |env, divisor| partitioned_join(env, 6_000_000 / divisor, 200_000 / divisor),
        other: None,
        chosen: &[(JOIN, STAY_BUILD_SECOND)],
        forced: &[(JOIN, STAY_BUILD_FIRST)],
        pins: &[(JOIN, |operator| hash_join(operator, Side::First))],
    },
    Program {
        choice: "broadcast or hash",
        name: "broadcast: 1 k ⋈ 30 M",
        build: |env, divisor| join(&unique(env, 1_000 / divisor), &picked(env, 30_000_000 / divisor, 1_000 / divisor)),
        other: None,
        chosen: &[(JOIN, BROADCAST_FIRST)],
        forced: &[(JOIN, SHUFFLE_HASH)],
        pins: &[
            (JOIN, |operator| ship(operator, 0, ShipStrategy::PartitionHash)),
            (JOIN, |operator| ship(operator, 1, ShipStrategy::PartitionHash)),
        ],
    },
    Program {
        choice: "broadcast or hash",
        name: "hash, nearly broadcast: 2 M ⋈ 8 M",
        build: |env, divisor| {
            join(&unique(env, 2_000_000 / divisor), &picked(env, 8_000_000 / divisor, 2_000_000 / divisor))
        },
        other: None,
        chosen: &[(JOIN, SHUFFLE_HASH)],
        forced: &[(JOIN, BROADCAST_FIRST)],
        pins: &[(JOIN, |operator| ship(operator, 0, ShipStrategy::Broadcast))],
    },
    Program {
        choice: "broadcast or hash",
        name: "hash: 5 M ⋈ 5 M",
        build: |env, divisor| equal_join(env, 5_000_000 / divisor),
        other: None,
        chosen: &[(JOIN, SHUFFLE_HASH)],
        forced: &[(JOIN, BROADCAST_FIRST)],
        pins: &[(JOIN, |operator| ship(operator, 0, ShipStrategy::Broadcast))],
    },
    Program {
        choice: "sort-merge or hash",
        name: "merge: sorted, 4 M ⋈ 4 M",
        build: |env, divisor| sorted_join(env, 4_000_000 / divisor, 1),
        other: None,
        chosen: &[(JOIN, STAY_MERGE)],
        forced: &[(JOIN, STAY_BUILD_FIRST)],
        pins: &[(JOIN, |operator| hash_join(operator, Side::First))],
    },
    Program {
        choice: "sort-merge or hash",
        name: "merge, nearly hash: sorted, 2 M ⋈ 10 M",
        build: |env, divisor| sorted_join(env, 2_000_000 / divisor, 5),
        other: None,
        chosen: &[(JOIN, STAY_MERGE)],
        forced: &[(JOIN, STAY_BUILD_FIRST)],
        pins: &[(JOIN, |operator| hash_join(operator, Side::First))],
    },
    Program {
        choice: "sort-merge or hash",
        name: "hash: sorted, 500 k ⋈ 10 M",
        build: |env, divisor| sorted_join(env, 500_000 / divisor, 20),
        other: None,
        chosen: &[(JOIN, STAY_BUILD_FIRST)],
        forced: &[(JOIN, STAY_MERGE)],
        pins: &[(JOIN, |operator| merge_join(operator, false))],
    },
    Program {
        choice: "sort-merge or hash",
        name: "hash: unsorted, 5 M ⋈ 5 M",
        build: |env, divisor| equal_join(env, 5_000_000 / divisor),
        other: None,
        chosen: &[(JOIN, SHUFFLE_HASH)],
        forced: &[(JOIN, SHUFFLE_MERGE)],
        pins: &[(JOIN, |operator| merge_join(operator, true))],
    },
    Program {
        choice: "combiner or none",
        name: "combiner: 40 M of 1 k keys",
        build: |env, divisor| group(&picked(env, 40_000_000 / divisor, 1_000 / divisor), 1_000 / divisor),
        other: None,
        chosen: &[(GROUP, COMBINE_GROUP)],
        forced: &[(GROUP, SHUFFLE_GROUP)],
        pins: &[(GROUP, |operator| Force::Combiner { operator, combine: false })],
    },
    Program {
        choice: "combiner or none",
        name: "none, nearly combiner: 8 M of 2 M keys",
        build: |env, divisor| group(&picked(env, 8_000_000 / divisor, 2_000_000 / divisor), 2_000_000 / divisor),
        other: None,
        chosen: &[(GROUP, SHUFFLE_GROUP)],
        forced: &[(GROUP, COMBINE_GROUP)],
        pins: &[(GROUP, |operator| Force::Combiner { operator, combine: true })],
    },
    Program {
        choice: "combiner or none",
        name: "none: 8 M of 8 M keys",
        build: |env, divisor| group(&unique(env, 8_000_000 / divisor), 8_000_000 / divisor),
        other: None,
        chosen: &[(GROUP, SHUFFLE_GROUP)],
        forced: &[(GROUP, COMBINE_GROUP)],
        pins: &[(GROUP, |operator| Force::Combiner { operator, combine: true })],
    },
    Program {
        choice: "reused partitioning",
        name: "reused: 2 M ⋈ 20 M, by the same key, not combinable",
        build: |env, divisor| {
            let (first, second) =
                (unique(env, 2_000_000 / divisor), picked(env, 20_000_000 / divisor, 2_000_000 / divisor));
            // With a combiner in front of it, a second shuffle would have next to nothing to ship.
            let joined = join(&first, &second).group_by(f0).combine_hint(CombineHint::None);
            joined
                .reduce(|sum, next| sum.1 = sum.1.wrapping_add(next.1))
                .with_distinct_keys(2_000_000 / divisor)
                .name(GROUP)
        },
        other: None,
        chosen: &[(JOIN, SHUFFLE_HASH), (GROUP, STAY_GROUP)],
        forced: &[(JOIN, SHUFFLE_HASH), (GROUP, SHUFFLED)],
        pins: &[(GROUP, |operator| ship(operator, 0, ShipStrategy::PartitionHash))],
    },
    Program {
        choice: "reused partitioning",
        name: "not made: 1 k ⋈ 30 M, by the same key",
        build: |env, divisor| {
            let (first, second) = (unique(env, 1_000 / divisor), picked(env, 30_000_000 / divisor, 1_000 / divisor));
            group(&join(&first, &second), 1_000 / divisor)
        },
        other: None,
        chosen: &[(JOIN, BROADCAST_FIRST), (GROUP, COMBINE_GROUP)],
        forced: &[(JOIN, SHUFFLE_HASH), (GROUP, STAY_GROUP)],
        pins: &[(GROUP, |operator| ship(operator, 0, ShipStrategy::Forward))],
    },
];

pub(crate) fn hash_join(operator: OperatorId, build: Side) -> Force {
    Force::Driver { operator, driver: DriverStrategy::HybridHash { build } }
}

fn merge_join(operator: OperatorId, sort: bool) -> Force {
    Force::Driver { operator, driver: DriverStrategy::Merge { sort_first: sort, sort_second: sort } }
}

pub(crate) fn ship(operator: OperatorId, input: u8, ship: ShipStrategy) -> Force {
    Force::Ship { operator, input, ship }
}

/// Key number `number`: all are different, and small numbers lie far apart and in no order.
pub(crate) fn key(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// So many records, each of another key.
pub(crate) fn unique(env: &ExecutionEnvironment, records: u64) -> DataSet<Pair> {
    env.generate_sequence(1, records).map(|number| (key(number), number)).name("Unique")
}

/// So many records of random keys out of so many.
pub(crate) fn picked(env: &ExecutionEnvironment, records: u64, keys: u64) -> DataSet<Pair> {
    let pick = move |number| (key(1 + SplitMix64::at(SEED, number).below(keys)), number);
    env.generate_sequence(1, records).map(pick).name("Picked")
}

fn join(first: &DataSet<Pair>, second: &DataSet<Pair>) -> DataSet<Pair> {
    let pair = |first: &Pair, second: &Pair| (first.0, first.1.wrapping_add(second.1));
    let joined = first.join(second).on(f0, f0).map(pair);
    joined.with_forwarded_fields_first("f0").with_forwarded_fields_second("f0").name(JOIN)
}

/// Both are of the same size and in no order, and every record has one partner.
fn equal_join(env: &ExecutionEnvironment, records: u64) -> DataSet<Pair> {
    join(&unique(env, records), &unique(env, records))
}

/// Both are partitioned already, so that only the build side is left to choose. The smaller one has all keys.
fn partitioned_join(env: &ExecutionEnvironment, first: u64, second: u64) -> DataSet<Pair> {
    let input = |records: u64, other: u64| {
        let input = if records < other { unique(env, records) } else { picked(env, records, other) };
        input.partition_by_hash(f0)
    };
    join(&input(first, second), &input(second, first))
}

/// Both are partitioned and sorted by a group function; the second has `second` records of each key.
fn sorted_join(env: &ExecutionEnvironment, keys: u64, second: u64) -> DataSet<Pair> {
    let sorted = |copies: u64| {
        let grouped = unique(env, keys).group_by(f0).reduce_group(move |group, out| {
            for record in group.iter() {
                (0..copies).for_each(|copy| out.collect((record.0, record.1 + copy)));
            }
        });
        grouped.with_forwarded_fields("f0").with_records(keys * copies).name("Sorted")
    };
    join(&sorted(1), &sorted(second))
}

fn group(records: &DataSet<Pair>, keys: u64) -> DataSet<Pair> {
    let sum = |sum: &mut Pair, next: Pair| sum.1 = sum.1.wrapping_add(next.1);
    records.group_by(f0).reduce(sum).with_distinct_keys(keys).name(GROUP)
}
