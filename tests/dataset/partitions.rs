//! Where records go and in which order: partitioning, sorting, numbering.

use crate::{Rec, by_key, env, everywhere, records, same};
use flinkrs::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Each record with the subtask it is in.
fn placed(set: &DataSet<Rec>) -> Vec<(u32, Rec)> {
    let placed = set.map_rich(|context| {
        let subtask = context.subtask.index;
        Ok(move |r: Rec| (subtask, r))
    });
    placed.collect().expect("the job succeeds")
}

fn without_place(placed: &[(u32, Rec)]) -> Vec<Rec> {
    placed.iter().map(|(_, r)| r.clone()).collect()
}

#[test]
fn by_hash() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let placed_by_field = placed(&input.partition_by_hash(f0));
        same(without_place(&placed_by_field), data.to_vec());
        let places = by_key(&placed_by_field, |(_, r)| r.0);
        assert!(places.values().all(|rs| rs.iter().all(|r| r.0 == rs[0].0)), "a key is in one place");
        let used: BTreeSet<u32> = placed_by_field.iter().map(|(place, _)| *place).collect();
        assert!(data.len() < 1000 || used.len() == env.parallelism() as usize, "50 keys use every subtask");
        let two = placed(&input.partition_by_hash((f2, |r: &Rec| r.0 % 5)));
        let places = by_key(&two, |(_, r)| (r.2.clone(), r.0 % 5));
        assert!(places.values().all(|rs| rs.iter().all(|r| r.0 == rs[0].0)), "a key is in one place");
    });
}

#[test]
fn by_range() {
    everywhere(|env, data| {
        let placed = placed(&env.from_collection(data.to_vec()).partition_by_range(f1));
        same(without_place(&placed), data.to_vec());
        let mut ranges: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        for (place, r) in &placed {
            let range = ranges.entry(*place).or_insert((r.1, r.1));
            *range = (range.0.min(r.1), range.1.max(r.1));
        }
        let ranges: Vec<(i64, i64)> = ranges.into_values().collect();
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "ranges don't overlap: {ranges:?}");
        assert!(data.len() < 1000 || ranges.len() == env.parallelism() as usize, "{ranges:?}");
    });
}

#[test]
fn by_range_and_sorted_is_sorted_over_all_partitions() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let got = input.partition_by_range(f1).sort_partition((Asc(f1), Asc(f0), Desc(f2))).collect().unwrap();
        let mut expected = data.to_vec();
        expected.sort_by_key(|r| (r.1, r.0, Reverse(r.2.clone())));
        assert!(got == expected, "the records are in order");
        let text = input.partition_by_range((f2, f1)).sort_partition(Asc((f2, f1))).collect().unwrap();
        assert!(text.is_sorted_by_key(|r| (r.2.clone(), r.1)), "by text, then by number");
        same(text, data.to_vec());
    });
}

#[test]
fn by_a_function() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let placed = placed(&input.partition_custom(f0, |key, count| (*key as usize / 2) % count));
        same(without_place(&placed), data.to_vec());
        assert!(placed.iter().all(|(place, r)| u64::from(*place) == r.0 / 2 % u64::from(env.parallelism())));
    });
    let input = env(3).from_collection(records(100, 10));
    let outside = input.partition_custom(f0, |_, count| count);
    assert!(outside.collect().unwrap_err().to_string().contains('3'), "the partition is named");
}

#[test]
fn rebalance() {
    everywhere(|env, data| {
        let placed = placed(&env.from_collection(data.to_vec()).parallelism(1).rebalance());
        same(without_place(&placed), data.to_vec());
        let counts: Vec<usize> = by_key(&placed, |(place, _)| *place).into_values().map(|rs| rs.len()).collect();
        let fair = data.len() / env.parallelism() as usize;
        assert!(counts.iter().all(|count| count.abs_diff(fair) <= 1), "{counts:?}");
    });
}

#[test]
fn sort_partition() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let sorted = input.sort_partition((Desc(f0), Asc(f1)));
        let whole = sorted.map_partition(|records, out| {
            let all: Vec<Rec> = records.collect();
            assert!(all.is_sorted_by_key(|r| (Reverse(r.0), r.1)), "sorted");
            all.into_iter().for_each(|r| out.collect(r));
        });
        same(whole.collect().unwrap(), data.to_vec());
        let mut expected = data.to_vec();
        expected.sort_by_key(|r| (Reverse(r.0), r.1, r.2.clone()));
        let one = input.sort_partition((Desc(f0), Asc(f1), Asc(f2))).parallelism(1);
        assert!(one.collect().unwrap() == expected, "one partition is all records");
        expected.truncate(17);
        assert!(one.first(17).collect().unwrap() == expected, "the first of one sorted partition");
        let modulus = data.len() as i64 % 7 + 2;
        let captured = input.sort_partition(Asc(move |r: &Rec| r.1 % modulus)).parallelism(1).collect().unwrap();
        assert!(captured.is_sorted_by_key(|r| r.1 % modulus), "by a selector that captures");
    });
}

#[test]
fn zip_with_index() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        for set in [input.clone(), input.partition_by_hash(f0), input.filter(|r| r.1 > 0), input.rebalance()] {
            let (zipped, plain) = (set.zip_with_index().collect().unwrap(), set.collect().unwrap());
            same(zipped.iter().map(|(i, _)| *i).collect(), (0..plain.len() as u64).collect());
            same(zipped.into_iter().map(|(_, r)| r).collect(), plain);
        }
        let sorted = input.partition_by_range(f1).sort_partition(Asc(f1)).zip_with_index().collect().unwrap();
        assert!(sorted.is_sorted_by_key(|(i, _)| *i) && sorted.is_sorted_by_key(|(_, r)| r.1), "indexes in order");
    });
}

#[test]
fn zip_with_index_of_a_data_set_with_another_parallelism() {
    for parallelism in [1, 2, 5] {
        let input = env(3).from_collection(records(5_000, 50)).parallelism(parallelism);
        let filtered = input.filter(|r| r.0 % 3 == 0).parallelism(parallelism);
        let zipped = filtered.zip_with_index().collect().unwrap();
        let count = records(5_000, 50).iter().filter(|r| r.0 % 3 == 0).count() as u64;
        same(zipped.into_iter().map(|(i, _)| i).collect(), (0..count).collect());
    }
}

#[test]
fn zip_with_index_with_a_parallelism_of_its_own() {
    for (input, result) in [(3, 2), (1, 4), (4, 1)] {
        let key = |n: &u64| *n;
        let ranges = env(3).generate_sequence(1, 5_000).partition_by_range(key).parallelism(input);
        let sorted = ranges.sort_partition(Asc(key)).parallelism(input);
        let zipped = sorted.zip_with_index().parallelism(result).collect().unwrap();
        same(zipped, (0..5_000).map(|i| (i, i + 1)).collect());
    }
}

/// The order of a single partition counts, whatever the parallelism of others.
#[test]
fn zip_with_index_of_one_sorted_partition() {
    let sorted = env(3).from_collection(records(5_000, 50)).sort_partition(Desc(f1)).parallelism(1);
    let mut zipped = sorted.zip_with_index().map(|(i, r)| (i, r.1)).collect().unwrap();
    zipped.sort();
    assert!(zipped.len() == 5_000 && zipped.is_sorted_by_key(|(_, number)| Reverse(*number)));
}

#[test]
fn zip_with_unique_id() {
    everywhere(|env, data| {
        let zipped = env.from_collection(data.to_vec()).filter(|r| r.1 != 7).zip_with_unique_id().collect().unwrap();
        let ids: BTreeSet<u64> = zipped.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), zipped.len(), "no number twice");
        same(zipped.into_iter().map(|(_, r)| r).collect(), data.iter().filter(|r| r.1 != 7).cloned().collect());
    });
}
