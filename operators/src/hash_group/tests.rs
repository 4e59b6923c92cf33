//! Hash group against a map, with memory for all, some and none of the groups.

use super::*;
use crate::testing::{batches, run_with};
use flinkrs_core::types::{Whole, f0};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Debug;

fn context(memory: usize) -> RuntimeContext {
    RuntimeContext::standalone(memory, &std::env::temp_dir())
}

fn sum<K>(a: &mut (K, u64), b: (K, u64)) {
    a.1 += b.1;
}

/// Runs a sum per key and returns the records that came out and the bytes that were spilled.
fn grouped<K: flinkrs_core::types::Key>(records: &[(K, u64)], mode: GroupMode, memory: usize) -> (Vec<(K, u64)>, u64) {
    let context = context(memory);
    let mut operator = HashGroup::new(f0, sum::<K>, mode);
    let out = run_with(&mut operator, &context, vec![batches(records, 100)]).expect("the operator doesn't fail");
    (out.records, context.metrics.spilled_bytes.load(std::sync::atomic::Ordering::Relaxed))
}

fn expected<K: flinkrs_core::types::Key>(records: &[(K, u64)]) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, value) in records {
        *sums.entry(key.clone()).or_insert(0) += value;
    }
    sums
}

fn check<K: flinkrs_core::types::Key + Debug>(records: &[(K, u64)]) {
    let expected = expected(records);
    for memory in [0, 32 << 10, 1 << 20, 1 << 30] {
        let (combined, spilled) = grouped(records, GroupMode::Combine, memory);
        assert!(combined.len() >= expected.len() && spilled == 0);
        assert_eq!(self::expected(&combined), expected, "combined with {memory} bytes");
        let (complete, _) = grouped(records, GroupMode::Final, memory);
        assert_eq!(complete.len(), expected.len(), "with {memory} bytes");
        assert_eq!(self::expected(&complete), expected, "with {memory} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn numbers(keys in prop::collection::vec(0u64..2000, 0..5000), spread in 1u64..1 << 60) {
        check(&keys.iter().map(|key| (key.wrapping_mul(spread), 1)).collect::<Vec<_>>());
    }

    #[test]
    fn strings(keys in prop::collection::vec("[a-d]{0,4}|[a-z]{20,60}", 0..1500)) {
        check(&keys.into_iter().map(|key| (key, 3)).collect::<Vec<_>>());
    }
}

#[test]
fn one_key_for_all() {
    check(&vec![("the only key of them all".to_owned(), 1); 50_000]);
}

#[test]
fn all_distinct_spills_and_recurses() {
    let records: Vec<(u64, u64)> = (0..100_000).map(|key| (key, 1)).collect();
    check(&records);
    let (complete, spilled) = grouped(&records, GroupMode::Final, 32 << 10);
    assert_eq!(complete.len(), records.len());
    assert!(spilled > 0);
    assert_eq!(grouped(&records, GroupMode::Final, 64 << 20).1, 0);
}

#[test]
fn a_little_too_much_spills_a_part() {
    let records: Vec<(u64, u64)> = (0..40_000).map(|key| (key, key)).collect();
    let (_, all) = grouped(&records, GroupMode::Final, 64 << 10);
    let (_, part) = grouped(&records, GroupMode::Final, 1 << 20);
    assert!(part > 0 && part < all * 3 / 4, "{part} of {all}");
}

/// A reduce whose result grows: the heap of the groups counts against the budget.
#[test]
fn groups_that_grow_are_held_to_the_budget() {
    let records: Vec<(u32, Vec<u32>)> = (0..40_000).map(|i| (i * 7919 % 50, vec![i])).collect();
    for memory in [32 << 10, 1 << 30] {
        let context = context(memory);
        let concat = |a: &mut (u32, Vec<u32>), mut b: (u32, Vec<u32>)| a.1.append(&mut b.1);
        let mut operator = HashGroup::new(f0, concat, GroupMode::Final);
        let out =
            run_with::<(u32, Vec<u32>)>(&mut operator, &context, vec![batches(&records, 1000)]).expect("it works");
        assert_eq!(out.records.len(), 50);
        assert!(out.records.iter().all(|(key, all)| all.len() == 800 && all.iter().all(|i| i * 7919 % 50 == *key)));
        let spilled = context.metrics.spilled_bytes.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(spilled > 0, memory == 32 << 10);
    }
}

#[test]
fn gives_all_memory_back() {
    let context = context(1 << 20);
    let records: Vec<String> = (0..100_000).map(|i| format!("record number {}", i % 30_000)).collect();
    let mut operator = HashGroup::new(Whole, |_: &mut String, _| {}, GroupMode::Final);
    let out = run_with::<String>(&mut operator, &context, vec![batches(&records, 1000)]).expect("it works");
    assert_eq!(out.records.len(), 30_000);
    assert_eq!(context.memory.free(), 1 << 20);
}

#[test]
fn a_combiner_that_does_not_help_steps_aside_and_tries_again() {
    let mut gauge = Gauge::default();
    gauge.count(TRIED_RECORDS);
    assert!(gauge.is_useless(TRIED_RECORDS) && !gauge.is_useless(TRIED_RECORDS / 2));
    gauge.emitted(TRIED_RECORDS);
    let skipped = (0..).take_while(|_| gauge.skips(1 << 10)).count();
    assert_eq!(skipped << 10, 4 * TRIED_RECORDS);
    gauge.count(TRIED_RECORDS);
    gauge.emitted(TRIED_RECORDS);
    assert_eq!(gauge.skip, 8 * TRIED_RECORDS);
}

#[test]
fn a_superstep_ends_with_everything_emitted_and_begins_empty() {
    let context = context(32 << 10);
    let mut operator = HashGroup::new(f0, sum::<u64>, GroupMode::Final);
    operator.open(&context).expect("it opens");
    for round in 1..4 {
        let mut out = crate::testing::Gathered::<(u64, u64)> { records: Vec::new(), side: Vec::new() };
        let records: Vec<(u64, u64)> = (0..20_000).map(|i| (i % 7_000, round)).collect();
        for mut batch in batches(&records, 1000) {
            operator.process(0, &mut batch, &mut out).expect("it works");
        }
        operator.superstep_end(Superstep(round as u32), &mut out).expect("it works");
        assert_eq!(expected(&out.records), expected(&records));
        assert_eq!(out.records.len(), 7_000);
    }
}
