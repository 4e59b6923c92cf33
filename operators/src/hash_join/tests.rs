//! Hash join against a nested loop: all join types, both build sides, with memory for all, some and none of the table.

use super::*;
use crate::testing::{Gathered, batches, run_with};
use flinkrs_core::types::{Key, f0};
use proptest::prelude::*;
use std::fmt::Debug;

const TYPES: [JoinType; 6] =
    [JoinType::Inner, JoinType::LeftOuter, JoinType::RightOuter, JoinType::FullOuter, JoinType::Semi, JoinType::Anti];

type Left<K> = (K, u32);
type Right<K> = (K, u64);
type Joined<K> = (Option<Left<K>>, Option<Right<K>>);

fn join<K: Key>(join_type: JoinType, build: Side) -> impl Operator {
    let function = |l: Option<&Left<K>>, r: Option<&Right<K>>, out: &mut Collector<'_, Joined<K>>| {
        out.collect((l.cloned(), r.cloned()));
    };
    HybridHashJoin::new(join_type, build, f0, f0, function)
}

fn expected<K: Key>(join_type: JoinType, left: &[Left<K>], right: &[Right<K>]) -> Vec<Joined<K>> {
    let mut all = Vec::new();
    let keeps_left = matches!(join_type, JoinType::LeftOuter | JoinType::FullOuter | JoinType::Anti);
    for l in left {
        let partners: Vec<_> = right.iter().filter(|r| r.0 == l.0).collect();
        match join_type {
            JoinType::Semi if !partners.is_empty() => all.push((Some(l.clone()), None)),
            JoinType::Semi | JoinType::Anti => {}
            _ => all.extend(partners.iter().map(|r| (Some(l.clone()), Some((*r).clone())))),
        }
        if keeps_left && partners.is_empty() {
            all.push((Some(l.clone()), None));
        }
    }
    if matches!(join_type, JoinType::RightOuter | JoinType::FullOuter) {
        let lone = right.iter().filter(|r| left.iter().all(|l| l.0 != r.0));
        all.extend(lone.map(|r| (None, Some(r.clone()))));
    }
    all.sort();
    all
}

fn joined<K: Key>(
    join_type: JoinType,
    build: Side,
    left: &[Left<K>],
    right: &[Right<K>],
    memory: usize,
) -> (Vec<Joined<K>>, u64) {
    let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
    let inputs = vec![batches(left, 100), batches(right, 100)];
    let mut out = run_with(&mut join::<K>(join_type, build), &context, inputs).expect("the join doesn't fail").records;
    out.sort();
    assert_eq!(context.memory.free(), memory, "all memory is given back");
    (out, context.metrics.spilled_bytes.load(std::sync::atomic::Ordering::Relaxed))
}

fn check<K: Key + Debug>(left: &[Left<K>], right: &[Right<K>]) {
    for join_type in TYPES {
        let expected = expected(join_type, left, right);
        for build in [Side::First, Side::Second] {
            for memory in [0, 8 << 10, 64 << 10, 1 << 30] {
                let (out, _) = joined(join_type, build, left, right, memory);
                assert!(
                    out == expected,
                    "{join_type:?}, {build:?} built with {memory} bytes: {} of {} records",
                    out.len(),
                    expected.len()
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn numbers(
        left in prop::collection::vec(0u64..300, 0..800),
        right in prop::collection::vec(0u64..300, 0..800),
    ) {
        let left: Vec<_> = left.into_iter().zip(0..).collect();
        let right: Vec<_> = right.into_iter().zip(0..).collect();
        check(&left, &right);
    }

    #[test]
    fn strings(
        left in prop::collection::vec("[a-c]{0,3}|[a-z]{30}", 0..300),
        right in prop::collection::vec("[a-c]{0,3}|[a-z]{30}", 0..300),
    ) {
        let left: Vec<_> = left.into_iter().zip(0..).collect();
        let right: Vec<_> = right.into_iter().zip(0..).collect();
        check(&left, &right);
    }
}

/// Many records of one key, close together or far apart, below 0 and up to the largest number.
#[test]
fn many_records_per_key() {
    let mut seed = 1u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) % below
    };
    for (keys, spread) in [(40, 1), (40, u64::MAX / 39), (150, 3), (60, 0x9e37_79b9_7f4a_7c15)] {
        let left: Vec<Left<u64>> = (0..2_000).map(|i| (next(keys).wrapping_mul(spread), i)).collect();
        let right: Vec<Right<u64>> = (0..200).map(|i| (next(keys + 20).wrapping_mul(spread), i)).collect();
        check(&left, &right);
        let signed = |key: u64| (key as i64).wrapping_sub(20);
        check(
            &left.iter().map(|l| (signed(l.0), l.1)).collect::<Vec<_>>(),
            &right.iter().map(|r| (signed(r.0), r.1)).collect::<Vec<_>>(),
        );
    }
    let left: Vec<Left<u64>> = (0..2_000).map(|i| (u64::MAX - next(50), i)).collect();
    let right: Vec<Right<u64>> = (0..200).map(|i| (if i % 5 == 0 { i } else { u64::MAX - i }, i)).collect();
    check(&left, &right);
    let left: Vec<Left<String>> =
        (0..1_500).map(|i| (format!("a key with heap of its own: {}", next(30)), i)).collect();
    let right: Vec<Right<String>> = (0..40).map(|i| (format!("a key with heap of its own: {i}"), i)).collect();
    check(&left, &right);
}

#[test]
fn an_empty_side() {
    let left: Vec<Left<u64>> = (0..500).map(|i| (u64::from(i) / 2, i)).collect();
    let right: Vec<Right<u64>> = (0..500).map(|i| (i / 3, i)).collect();
    check(&left, &[]);
    check(&[], &right);
    check::<u64>(&[], &[]);
}

/// Partitioning doesn't help here, so that a part of the built side is joined after the other.
#[test]
fn one_key_for_all() {
    let left: Vec<Left<u64>> = (0..1500).map(|i| (7, i)).collect();
    let right: Vec<Right<u64>> = (0..300).map(|i| (7, i)).collect();
    check(&left, &right);
    check(
        &right.iter().map(|r| (r.0, r.1 as u32)).collect::<Vec<_>>(),
        &left.iter().map(|l| (l.0, u64::from(l.1))).collect::<Vec<_>>(),
    );
    assert!(joined(JoinType::Inner, Side::First, &left, &right, 8 << 10).1 > 0);
}

#[test]
fn one_key_and_others_on_both_sides() {
    let left: Vec<Left<u64>> = (0..1000).map(|i| (if i % 10 == 0 { u64::from(i) } else { 7 }, i)).collect();
    let right: Vec<Right<u64>> = (0..400).map(|i| (if i % 4 == 0 { 7 } else { i }, i)).collect();
    check(&left, &right);
}

#[test]
fn large_sides_recurse() {
    let left: Vec<Left<u64>> = (0..20_000).map(|i| (u64::from(i), i)).collect();
    let right: Vec<Right<u64>> = (0..20_000).map(|i| (i * 3 % 20_000 + i % 2 * 10_000, i)).collect();
    let (all, spilled) = joined(JoinType::FullOuter, Side::First, &left, &right, 1 << 30);
    assert_eq!(spilled, 0);
    let mut before = u64::MAX;
    for memory in [32 << 10, 128 << 10, 512 << 10] {
        for build in [Side::First, Side::Second] {
            let (out, spilled) = joined(JoinType::FullOuter, build, &left, &right, memory);
            assert!(out == all, "{memory} bytes");
            assert!(spilled > 0 && (build == Side::Second || spilled < before), "{spilled} bytes with {memory}");
            if build == Side::First {
                before = spilled;
            }
        }
    }
}

/// A built side that has ended stays, in memory or on disk; one that hasn't is read anew.
#[test]
fn keeps_a_constant_built_side_over_supersteps() {
    for (constant, memory) in [(true, 1 << 30), (true, 2 << 30), (true, 16 << 10), (false, 1 << 30), (false, 16 << 10)]
    {
        for join_type in TYPES {
            let mut context = RuntimeContext::standalone(memory, &std::env::temp_dir());
            context.iteration = Some(Default::default());
            let keys = if memory > 1 << 30 { 80 } else { 1_500 };
            let left: Vec<Left<u64>> = (0..2_000).map(|i| (u64::from(i) % keys, i)).collect();
            let mut operator = join::<u64>(join_type, Side::First);
            operator.open(&context).expect("it opens");
            for round in 1..4u32 {
                let right: Vec<Right<u64>> = (0..400).map(|i| (i * u64::from(round), i)).collect();
                let mut out = Gathered::<Joined<u64>> { records: Vec::new(), side: Vec::new() };
                if round == 1 || !constant {
                    assert_eq!(operator.preferred_input(), Some(0));
                    for mut batch in batches(&left, 100) {
                        operator.process(0, &mut batch, &mut out).expect("it works");
                    }
                }
                if constant && round == 1 {
                    operator.end_input(0, &mut out).expect("it works");
                }
                for mut batch in batches(&right, 100) {
                    operator.process(1, &mut batch, &mut out).expect("it works");
                }
                operator.superstep_end(Superstep(round), &mut out).expect("it works");
                out.records.sort();
                assert!(
                    out.records == expected(join_type, &left, &right),
                    "{join_type:?} in round {round}, {memory} bytes"
                );
            }
            let mut out = Gathered::<Joined<u64>> { records: Vec::new(), side: Vec::new() };
            operator.end_input(1, &mut out).expect("it works");
            assert_eq!(operator.advance(&mut out).expect("it works"), Progress::Done);
            assert!(out.records.is_empty());
        }
    }
}
