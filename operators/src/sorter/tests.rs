//! The sorter against the standard library's sort.

use super::*;
use crate::order::{ByKey, Descending, Then, Unordered};
use flinkrs_core::types::{Text, Whole, f0, f1};
use proptest::prelude::*;

fn space() -> SpillSpace {
    SpillSpace::new(&std::env::temp_dir())
}

fn sort<T: Data, O: RecordOrder<T>>(records: &[T], order: O, budget: usize) -> (Vec<T>, u64) {
    let space = space();
    let mut sorter = ExternalSorter::new(order, MemoryBudget::standalone(budget), space.clone());
    sorter.push_all(&mut records.to_vec()).expect("there is space");
    let mut stream = sorter.finish().expect("there is space");
    let mut sorted = Vec::new();
    let mut batch = Vec::new();
    loop {
        let peeked = stream.peek().is_some();
        assert_eq!(stream.next_batch(&mut batch, 100).expect("readable"), peeked);
        if !peeked {
            return (sorted, space.spilled_bytes());
        }
        assert!(batch.len() <= 100);
        sorted.append(&mut batch);
    }
}

const BUDGETS: [usize; 4] = [1, 32 << 10, 1 << 20, 1 << 30];

type Wide = ([u8; 10], [u8; 32], [u8; 32], [u8; 26]);

fn wide(key: u64, i: usize) -> Wide {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[8..].copy_from_slice(&(i as u16).to_be_bytes());
    (bytes, [i as u8; 32], [1; 32], [2; 26])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn numbers(mut records in prop::collection::vec(prop_oneof![0..20u64, any::<u64>()], 0..20_000)) {
        for budget in BUDGETS {
            let (sorted, _) = sort(&records, ByKey(Whole), budget);
            records.sort_unstable();
            prop_assert!(sorted == records, "budget {}", budget);
        }
    }

    #[test]
    fn texts_with_long_common_prefixes(words in prop::collection::vec("(http://www.)?[a-c]{0,30}", 0..3000)) {
        let mut records: Vec<Text> = words.iter().map(|word| Text::from(word.as_str())).collect();
        for budget in BUDGETS {
            let (sorted, _) = sort(&records, Descending(ByKey(Whole)), budget);
            records.sort_unstable();
            records.reverse();
            prop_assert!(sorted == records, "budget {}", budget);
        }
    }

    #[test]
    fn wide_records(keys in prop::collection::vec(0..200u64, 0..3000)) {
        let mut records: Vec<Wide> = keys.iter().enumerate().map(|(i, key)| wide(*key, i)).collect();
        for budget in BUDGETS {
            let (sorted, _) = sort(&records, ByKey(f0), budget);
            records.sort_unstable();
            prop_assert!(sorted == records, "budget {}", budget);
        }
    }

    #[test]
    fn two_fields_in_different_directions(mut records in prop::collection::vec((0..9i32, "[a-z]{0,30}"), 0..3000)) {
        for budget in BUDGETS {
            let (sorted, _) = sort(&records, Then(Descending(ByKey(f0)), ByKey(f1)), budget);
            records.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            prop_assert!(sorted == records, "budget {}", budget);
        }
    }
}

#[test]
fn merges_in_several_passes_and_counts_what_it_writes() {
    let records: Vec<u64> = (0..300_000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let mut expected = records.clone();
    expected.sort_unstable();
    let (sorted, spilled) = sort(&records, ByKey(Whole), 32 << 10);
    assert!(sorted == expected);
    assert!(spilled > 2 * 8 * 300_000, "{spilled} bytes: the first runs and more than one pass");
    let (sorted, spilled) = sort(&records, ByKey(Whole), 4 << 20);
    assert!(sorted == expected);
    assert!((8 * 100_000..8 * 320_000).contains(&spilled), "{spilled} bytes: one pass, the last run stayed in memory");
}

#[test]
fn never_asks_for_more_than_its_budget() {
    let budget = 1 << 20;
    let mut sorter = ExternalSorter::new(ByKey(Whole), MemoryBudget::standalone(budget), space());
    for i in 0..50_000u64 {
        sorter.push(format!("{:>40}", i.wrapping_mul(7919) % 50_000)).expect("there is space");
        assert!(sorter.store.len() * (24 + 16 + 56) < budget, "{} records", sorter.store.len());
    }
    assert!(sorter.store.len() > 0 && !sorter.runs.is_empty());
}

#[test]
fn runs_stay_long_when_records_grow() {
    let mut sorter = ExternalSorter::new(ByKey(Whole), MemoryBudget::standalone(1 << 20), space());
    (0..40_000).try_for_each(|i| sorter.push(format!("{i}"))).expect("there is space");
    let before = sorter.runs.len();
    (0..4_000).try_for_each(|i| sorter.push(format!("{i:>1000}"))).expect("there is space");
    assert!(sorter.runs.len() - before < 10, "{} runs of 4 MB in 1 MB", sorter.runs.len() - before);
}

#[test]
fn records_larger_than_the_budget() {
    let records: Vec<(u32, String)> = (0..5).map(|i| (i * 3 % 5, "x".repeat(64 << 20))).collect();
    let (sorted, spilled) = sort(&records, ByKey(f0), 1 << 20);
    assert!(sorted.iter().map(|record| record.0).eq(0..5));
    assert!(sorted.iter().all(|record| record.1.len() == 64 << 20));
    assert!(spilled >= 5 * (64 << 20));
}

#[test]
fn records_without_an_order_or_a_size() {
    assert_eq!(sort(&[(); 10_000], Unordered, 1 << 10).0.len(), 10_000);
    assert_eq!(sort(&Vec::<u64>::new(), ByKey(Whole), 1 << 10).0, Vec::<u64>::new());
}

#[test]
fn a_missing_folder_is_an_error_that_names_the_option() {
    let space = SpillSpace::new(std::path::Path::new("/nowhere/spill"));
    let mut sorter = ExternalSorter::new(ByKey(Whole), MemoryBudget::standalone(32 << 10), space);
    let error = (0..100_000u64).try_for_each(|i| sorter.push(i)).expect_err("there is no such folder");
    assert!(error.to_string().contains("--temp-dir"), "{error}");
}

#[test]
fn a_cancelled_job_stops_spilling() {
    let context = RuntimeContext::standalone(32 << 10, &std::env::temp_dir());
    let mut sorter = ExternalSorter::open(ByKey(Whole), &context);
    context.cancelled.cancel();
    let error = (0..100_000u64).try_for_each(|i| sorter.push(i)).expect_err("the job is cancelled");
    assert!(matches!(error, flinkrs_core::Error::Cancelled));
}
