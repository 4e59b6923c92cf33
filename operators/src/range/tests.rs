//! Range partitioning by hand: sampler, bounds and partitioner one after the other.

use super::*;
use crate::partition::tests::Received;
use crate::testing::{batches, run_with};
use flinkrs_core::types::Whole;
use proptest::prelude::*;

fn context() -> RuntimeContext {
    RuntimeContext::standalone(1 << 20, &std::env::temp_dir())
}

/// The sorted sample of records that several subtasks have.
fn sample(parts: &[Vec<u64>]) -> Vec<u64> {
    let mut samples = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let mut context = context();
        context.subtask.index = index as u32;
        let mut sampler = RangeSampler::<u64, _>::new(Whole);
        let out = run_with::<u64>(&mut sampler, &context, vec![batches(part, 1000)]).expect("it works");
        assert_eq!(&out.records, part, "records pass unchanged");
        samples.extend(out.side);
    }
    run_with::<u64>(&mut RangeBounds::<u64>::new(), &context(), vec![samples]).expect("it works").records
}

fn partitioned(records: &[u64], sample: Vec<u64>, count: usize) -> Vec<Vec<u64>> {
    let mut context = context();
    context.broadcast_sets.insert(RANGE_BOUNDS.to_owned(), Arc::new(sample));
    let mut partitioner = RangePartitioner::<u64, _>::new(Whole);
    partitioner.open(&context).expect("there is a sample");
    Received::of(&mut partitioner, records, count).expect("it works")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn channels_are_ordered_and_equal_keys_together(
        records in prop::collection::vec(0u64..200, 0..600),
        count in 1usize..9,
    ) {
        let channels = partitioned(&records, sample(std::slice::from_ref(&records)), count);
        let mut all: Vec<u64> = channels.concat();
        all.sort_unstable();
        let mut expected = records;
        expected.sort_unstable();
        prop_assert_eq!(all, expected);
        let used = channels.iter().filter(|c| !c.is_empty());
        let ranges: Vec<_> = used.map(|c| (c.iter().min(), c.iter().max())).collect();
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}

#[test]
fn shares_are_about_equal() {
    let parts: Vec<Vec<u64>> =
        (0..3u64).map(|i| (0..100_000u64).map(|k| (k * 7919 + i) % 1_000_003).collect()).collect();
    let sample = sample(&parts);
    assert_eq!(sample.len(), BOUND_KEYS);
    assert!(sample.is_sorted());
    let records = parts.concat();
    for channel in partitioned(&records, sample, 7) {
        let share = channel.len() * 7;
        assert!(share > records.len() * 9 / 10 && share < records.len() * 11 / 10, "{share}");
    }
}

#[test]
fn the_sample_is_uniform_and_the_same_in_every_run() {
    let part: Vec<u64> = (0..1_000_000).collect();
    let first = sample(std::slice::from_ref(&part));
    assert_eq!(first, sample(&[part]));
    assert_eq!(first.len(), SAMPLE_KEYS);
    for tenth in 0..10u64 {
        let count = first.iter().filter(|key| **key / 100_000 == tenth).count() * 10;
        assert!(count > SAMPLE_KEYS * 8 / 10 && count < SAMPLE_KEYS * 12 / 10, "{count}");
    }
}

#[test]
fn without_a_sample_all_goes_to_one_channel() {
    assert_eq!(partitioned(&[3, 1, 2], Vec::new(), 3), [vec![3, 1, 2], vec![], vec![]]);
}
