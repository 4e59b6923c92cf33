//! Samples: a part of the records, or so many of them.

use crate::{env, everywhere, records, same};
use flinkrs::prelude::*;
use std::collections::BTreeSet;

#[test]
fn sample() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        assert_eq!(input.sample(0.0, 1).count().unwrap(), 0);
        same(input.sample(1.0, 1).collect().unwrap(), data.to_vec());
        let some = input.sample(0.3, 5).collect().unwrap();
        assert!(some.iter().all(|r| data.contains(r)), "records of the input");
        if data.len() > 1000 {
            assert!((700..1100).contains(&some.len()), "{} of 3000 records", some.len());
        }
    });
    let fixed = |seed| env(1).from_collection(records(1_000, 50)).sample(0.5, seed).collect().unwrap();
    assert!(fixed(3) == fixed(3) && fixed(3) != fixed(4), "the seed decides");
}

#[test]
fn sample_with_size() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec()).zip_with_unique_id();
        for size in [0, 1, 100, 2_999, 3_000, 10_000, usize::MAX] {
            let sample = input.sample_with_size(false, size, 7).collect().unwrap();
            assert_eq!(sample.len(), size.min(data.len()), "as many as wanted, or all");
            let ids: BTreeSet<u64> = sample.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids.len(), sample.len(), "no record twice");
            assert!(sample.iter().all(|(_, r)| data.contains(r)), "records of the input");
        }
        same(input.sample_with_size(false, data.len(), 8).map(|(_, r)| r).collect().unwrap(), data.to_vec());
    });
}

#[test]
fn sample_with_size_and_replacement() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        for size in [0, 1, 100, 10_000] {
            let sample = input.sample_with_size(true, size, 7).collect().unwrap();
            assert_eq!(sample.len(), if data.is_empty() { 0 } else { size });
            assert!(sample.iter().all(|r| data.contains(r)), "records of the input");
        }
    });
}

/// In whichever subtask, and wherever in it: samples of 600 out of 6,000 numbers, of which one subtask has most. The
/// bounds are six standard deviations away.
#[test]
fn every_record_is_as_likely() {
    for with_replacement in [false, true] {
        for parallelism in [1, 2, 5] {
            let skewed = env(parallelism)
                .generate_sequence(0, 5_999)
                .partition_custom(|n: &u64| *n, |n, count| if *n < 4_800 { 0 } else { *n as usize % count });
            let mut counts = [0u32; 5];
            for seed in 0..10 {
                let sample = skewed.sample_with_size(with_replacement, 600, seed).collect().unwrap();
                sample.into_iter().for_each(|n| counts[n as usize / 1_200] += 1);
            }
            assert!(counts.iter().all(|n| (1_010..1_390).contains(n)), "{with_replacement} {parallelism}: {counts:?}");
        }
    }
}

#[test]
fn draws_with_replacement_repeat_some_records() {
    let sample = env(3).generate_sequence(0, 9_999).sample_with_size(true, 10_000, 3).collect().unwrap();
    let different = sample.into_iter().collect::<BTreeSet<u64>>().len();
    // All but 1 / e of them, as it is for independent draws.
    assert!((6_130..6_510).contains(&different), "{different} of 10,000");
}

#[test]
fn the_seed_decides_on_samples_of_a_size() {
    for with_replacement in [false, true] {
        let fixed = |seed| {
            let input = env(1).from_collection(records(1_000, 50));
            let mut sample = input.sample_with_size(with_replacement, 100, seed).collect().unwrap();
            sample.sort();
            sample
        };
        assert!(fixed(3) == fixed(3) && fixed(3) != fixed(4));
    }
}
