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
    let records: Vec<(u64, u64)> = (0..40_000).map(|key| (key << 40, key)).collect();
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

fn gathered<T>() -> crate::testing::Gathered<T> {
    crate::testing::Gathered { records: Vec::new(), side: Vec::new() }
}

/// Runs a superstep and returns what came out.
fn superstep<K, S, F>(operator: &mut HashGroup<(K, u64), S, F>, records: &[(K, u64)]) -> Vec<(K, u64)>
where
    K: flinkrs_core::types::Key,
    S: KeySelector<(K, u64)>,
    F: FnMut(&mut (K, u64), (K, u64)) + Send + 'static,
{
    let mut out = gathered();
    for mut batch in batches(records, 1000) {
        operator.process(0, &mut batch, &mut out).expect("it works");
    }
    operator.superstep_end(Superstep(1), &mut out).expect("it works");
    out.records
}

/// Runs all parts as supersteps of one operator, then as one input, with memory for all, some and none of the groups.
fn check_supersteps<K: flinkrs_core::types::Key + Debug>(parts: &[Vec<(K, u64)>]) {
    for memory in [0, 64 << 10, 1 << 20, 1 << 30] {
        for mode in [GroupMode::Combine, GroupMode::Final] {
            let context = context(memory);
            let mut operator = HashGroup::new(f0, sum::<K>, mode);
            operator.open(&context).expect("it opens");
            for (number, part) in parts.iter().enumerate() {
                let (out, model) = (superstep(&mut operator, part), expected(part));
                assert_eq!(expected(&out), model, "superstep {number}, {mode:?} with {memory} bytes");
                assert!(mode == GroupMode::Combine || out.len() == model.len(), "{number}, {memory} bytes");
            }
            operator.close().expect("it closes");
            assert_eq!(context.memory.free(), memory);
        }
    }
    check(&parts.concat());
}

fn is_dense<K: flinkrs_core::types::Key, S: KeySelector<(K, u64)>, F>(
    operator: &mut HashGroup<(K, u64), S, F>,
) -> bool {
    operator.state.as_mut().expect("it is open").table.dense().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn integers_close_together_and_far_away(
        parts in prop::collection::vec((0usize..25_000, 1u64..60_000, any::<u64>(), 0usize..3000, any::<u64>()), 1..4),
    ) {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            seed >> 20
        };
        let parts: Vec<Vec<(u64, u64)>> = parts
            .into_iter()
            .map(|(count, range, base, far, spread)| {
                let mut records: Vec<(u64, u64)> =
                    (0..count).map(|i| (base.wrapping_add(next() % range), i as u64)).collect();
                for _ in 0..far {
                    let place = next() as usize % (records.len() + 1);
                    let key = (next() % 5000).wrapping_mul(spread);
                    records.push((key, 1));
                    let last = records.len() - 1;
                    records.swap(place, last);
                }
                records
            })
            .collect();
        check_supersteps(&parts);
        let signed: Vec<Vec<(i64, u64)>> =
            parts.iter().map(|part| part.iter().map(|(key, value)| (*key as i64, *value)).collect()).collect();
        check_supersteps(&signed);
    }
}

#[test]
fn keys_at_the_ends_of_their_type() {
    let up: Vec<(u64, u64)> = (0..20_000).map(|i| (u64::MAX - i * 7919 % 20_000, i)).collect();
    let both: Vec<(u64, u64)> = (0..20_000).map(|i| (if i % 2 == 0 { i } else { u64::MAX - i }, i)).collect();
    check_supersteps(&[up.clone(), both, up]);
    let around: Vec<(i32, u64)> = (0..20_000).map(|i| (i * 7919 % 20_000 - 10_000, 1)).collect();
    let lowest: Vec<(i32, u64)> = (0..20_000).map(|i| (i32::MIN + i, 1)).collect();
    check_supersteps(&[around, lowest]);
    check_supersteps(&[(0..40_000).map(|i| (i as u16, 1)).collect::<Vec<(u16, u64)>>()]);
    check_supersteps(&[(0..40_000).map(|i| (i as u8 as i8, 1)).collect::<Vec<(i8, u64)>>()]);
}

#[test]
fn keys_that_come_in_order_from_either_end() {
    let down: Vec<(u64, u64)> = (0..30_000).rev().map(|i| (i + 1000, 1)).collect();
    let up: Vec<(u64, u64)> = (0..30_000).map(|i| (2 * i + 100_000, 1)).collect();
    check_supersteps(&[down.clone(), up, down]);
}

/// Far keys before, among and behind those that are close together.
#[test]
fn sparse_keys_and_then_dense_ones_and_back() {
    let sparse: Vec<(u64, u64)> = (0..10_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1)).collect();
    let dense: Vec<(u64, u64)> = (0..60_000).map(|i| (i * 7919 % 20_000, 1)).collect();
    let mixed: Vec<(u64, u64)> = dense.iter().zip(sparse.iter().cycle()).flat_map(|(a, b)| [*a, *b]).collect();
    let behind = [dense.clone(), sparse.clone()].concat();
    check_supersteps(&[sparse, dense, behind, mixed]);
}

#[test]
fn an_array_takes_dense_keys_and_leaves_far_ones_to_the_table() {
    let context = context(1 << 30);
    for mode in [GroupMode::Combine, GroupMode::Final] {
        let mut operator = HashGroup::new(f0, sum::<u64>, mode);
        operator.open(&context).expect("it opens");
        let mut records: Vec<(u64, u64)> = (0..60_000).map(|i| (i * 7919 % 20_000, 1)).collect();
        records.insert(10_000, (u64::MAX, 1));
        let out = superstep(&mut operator, &records);
        assert!(is_dense(&mut operator));
        assert_eq!(out.len(), 20_001);
        assert!(out.is_sorted(), "keys come in order");
        // Few keys of a range that is there from before, too.
        assert_eq!(superstep(&mut operator, &[(77, 1), (19_000, 1), (3, 1), (77, 1)]), [(3, 1), (77, 2), (19_000, 1)]);
        assert!(is_dense(&mut operator));
    }
}

#[test]
fn memory_for_an_array_may_end_in_the_middle() {
    // The range is known early, most of its places are needed late.
    let keys = (0..8_000u64).map(|i| i * 8).chain((8_000..400_000).map(|i| i * 7919 % 400_000));
    let records: Vec<(u64, u64)> = keys.map(|key| (key, 1)).collect();
    let mut spilled = Vec::new();
    for memory in [256 << 10, 1 << 20, 2 << 20, 3 << 20, 4 << 20, 6 << 20, 8 << 20, 64 << 20] {
        let (complete, bytes) = grouped(&records, GroupMode::Final, memory);
        assert_eq!(expected(&complete), expected(&records));
        assert_eq!(complete.len(), expected(&records).len());
        let (combined, _) = grouped(&records, GroupMode::Combine, memory);
        assert_eq!(expected(&combined), expected(&records));
        spilled.push(bytes);
    }
    assert!(spilled.is_sorted_by(|a, b| a >= b) && spilled[0] > 0 && spilled[7] == 0, "{spilled:?}");
}

/// A superstep's end looks at places in proportion to the groups of its own superstep and, once, of those before.
#[test]
fn a_small_superstep_does_not_pay_for_a_large_one() {
    for factor in [1, 0x9e37_79b9_7f4a_7c15] {
        let context = context(1 << 30);
        let mut operator = HashGroup::new(f0, sum::<u64>, GroupMode::Final);
        operator.open(&context).expect("it opens");
        let records = |count: u64| (0..count).map(|i| (i.wrapping_mul(factor), 1)).collect::<Vec<(u64, u64)>>();
        superstep(&mut operator, &records(200_000));
        let mut all = 0;
        for round in 0..1000 {
            let mut out = gathered::<(u64, u64)>();
            let state = operator.state.as_mut().expect("it is open");
            let mut batch = Batch::new(records(10));
            let mut sink = Sink { mode: GroupMode::Final, out: &mut out, buffer: &mut operator.buffer };
            group(&mut operator.grouping, state, batch.records(), &mut sink).expect("it works");
            let looked_at = sink.emit_superstep(state, &f0).expect("it works");
            assert_eq!(out.records.len(), 10);
            assert!(round < 10 || looked_at <= LOOKED_AT_END, "{looked_at} in round {round}");
            all += looked_at;
        }
        assert!(all < 4 * 200_000 + 1000 * LOOKED_AT_END, "{all}");
    }
}

/// Places that are looked at for 10 groups when a table has no more than it should.
const LOOKED_AT_END: usize = 1200;

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
