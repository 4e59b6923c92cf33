//! What keeps records, with ten times as many as its memory takes.

use crate::{bits, env, same};
use flinkrs::prelude::*;
use std::collections::BTreeMap;

/// A key, a number, and a text that takes space.
type Wide = (u64, u64, Text);

/// About 46 MB, where 4.8 MB are there for all operators together.
const COUNT: u64 = 250_000;

const PARALLELISMS: [u32; 3] = [1, 3, 8];

fn wide(number: u64, keys: u64) -> Wide {
    (bits(number) % keys, number, Text::from(format!("{number:0>100}")))
}

fn input(env: &ExecutionEnvironment, keys: u64) -> DataSet<Wide> {
    env.generate_sequence(0, COUNT - 1).map(move |number| wide(number, keys))
}

/// How many numbers each key has, and their sum.
fn counts(keys: u64) -> BTreeMap<u64, (u64, u64)> {
    let mut counts = BTreeMap::new();
    for number in 0..COUNT {
        let count = counts.entry(bits(number) % keys).or_insert((0, 0));
        *count = (count.0 + 1, count.1 + number);
    }
    counts
}

fn sums(keys: u64) -> Vec<(u64, u64)> {
    counts(keys).into_iter().map(|(key, (_, sum))| (key, sum)).collect()
}

#[test]
fn reduces_with_more_keys_than_memory() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        for hint in [CombineHint::Sort, CombineHint::Hash, CombineHint::None] {
            let input = input(&env, 150_000);
            let got = input.group_by(f0).combine_hint(hint).reduce(|a, b| a.1 += b.1).map(|r| (r.0, r.1));
            same(got.collect().unwrap(), sums(150_000));
        }
    }
}

#[test]
fn distinct() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let got = input(&env, 180_000).map(|r| (r.0, Text::from(format!("{:0>100}", r.0)))).distinct();
        same(got.map(|r| r.0).collect().unwrap(), counts(180_000).into_keys().collect());
    }
}

#[test]
fn groups_many_and_one() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        for keys in [1, 1_000] {
            let got = input(&env, keys).group_by(f0).sort_group(Desc(f1)).reduce_group(|group, out| {
                let key = group.first().expect("a group has records").0;
                assert!(group.iter().is_sorted_by(|a, b| a.1 > b.1), "sorted");
                let sum = group.iter().map(|r| r.1).sum::<u64>();
                assert!(group.take().all(|r| r.2.len() == 100), "read again");
                out.collect((key, sum));
            });
            same(got.collect().unwrap(), sums(keys));
        }
    }
}

#[test]
fn a_group_function_with_a_combiner() {
    for parallelism in PARALLELISMS {
        let sum = |group: &mut Group<Wide>, out: &mut Collector<'_, Wide>| {
            let first = group.first().expect("a group has records").clone();
            out.collect((first.0, group.iter().map(|r| r.1).sum(), first.2));
        };
        let got = input(&env(parallelism), 60_000).group_by(f0).reduce_group_combinable(sum, sum);
        same(got.map(|r| (r.0, r.1)).collect().unwrap(), sums(60_000));
    }
}

#[test]
fn sorts() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let sorted = input(&env, 1_000).partition_by_range((f0, f1)).sort_partition((Asc(f0), Asc(f1)));
        let got = sorted.map(|r| (r.0, r.1)).collect().unwrap();
        let mut expected: Vec<(u64, u64)> = (0..COUNT).map(|number| (bits(number) % 1_000, number)).collect();
        expected.sort_unstable();
        assert!(got == expected, "in order over all partitions");
    }
}

#[test]
fn joins() {
    let hints = [JoinHint::RepartitionHashFirst, JoinHint::RepartitionHashSecond, JoinHint::RepartitionSortMerge];
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let (first, second) = (input(&env, 200_000), input(&env, 250_000).filter(|r| r.1 % 2 == 0));
        let mut right: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        (0..COUNT).step_by(2).for_each(|number| right.entry(bits(number) % 250_000).or_default().push(number));
        let rows = (0..COUNT).flat_map(|l| {
            let partners = right.get(&(bits(l) % 200_000)).cloned().unwrap_or_else(|| vec![u64::MAX]);
            partners.into_iter().map(move |r| (l, r))
        });
        let rows: Vec<(u64, u64)> = rows.collect();
        for hint in hints {
            let left =
                first.left_outer_join(&second).hint(hint).on(f0, f0).map(|l, r| (l.1, r.map_or(u64::MAX, |r| r.1)));
            same(left.collect().unwrap(), rows.clone());
            let anti = first.anti_join(&second).hint(hint).on(f0, f0).records().map(|l| (l.1, u64::MAX));
            same(anti.collect().unwrap(), rows.iter().filter(|row| row.1 == u64::MAX).copied().collect());
        }
    }
}

#[test]
fn joins_whose_sides_have_one_key() {
    let hints = [JoinHint::RepartitionHashFirst, JoinHint::RepartitionHashSecond, JoinHint::RepartitionSortMerge];
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        for hint in hints {
            let (many, few) = (input(&env, 1), input(&env, 1).filter(|r| r.1 < 3));
            let got = many.join(&few).hint(hint).on(f0, f0).map(|l, r| (r.1, l.1)).group_by(f0).sum(f1);
            same(got.collect().unwrap(), (0..3).map(|key| (key, COUNT * (COUNT - 1) / 2)).collect());
            let got = few.join(&many).hint(hint).on(f0, f0).map(|l, r| (l.1, r.1)).group_by(f0).sum(f1);
            same(got.collect().unwrap(), (0..3).map(|key| (key, COUNT * (COUNT - 1) / 2)).collect());
        }
    }
}

#[test]
fn co_groups() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        for keys in [1, 100_000] {
            let (first, second) = (input(&env, keys), input(&env, keys).filter(|r| r.1 % 2 == 0));
            let got = first.co_group(&second).on(f0, f0).sort_first_group(Asc(f1)).with(|l, r, out| {
                assert!(l.iter().is_sorted_by_key(|l| l.1), "sorted");
                let sum = |group: &Group<Wide>| group.iter().map(|r| r.1).sum::<u64>();
                out.collect((l.first().expect("the second is a part of the first").0, sum(l), sum(r)));
            });
            let mut expected: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for number in 0..COUNT {
                let sums = expected.entry(bits(number) % keys).or_default();
                *sums = (sums.0 + number, sums.1 + if number % 2 == 0 { number } else { 0 });
            }
            same(got.collect().unwrap(), expected.into_iter().map(|(key, (l, r))| (key, l, r)).collect());
        }
    }
}

#[test]
fn crosses() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let few = env.generate_sequence(0, 3);
        for pairs in [input(&env, 10).cross_with_huge(&few), input(&env, 10).cross_with_tiny(&few)] {
            let got = pairs.map(|l, r| (*r, l.1)).group_by(f0).sum(f1).collect().unwrap();
            same(got, (0..4).map(|key| (key, COUNT * (COUNT - 1) / 2)).collect());
        }
    }
}

#[test]
fn a_diamond_whose_branches_meet_again() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let input = input(&env, 50_000);
        let totals = input.group_by(f0).reduce(|a, b| a.1 += b.1);
        let got = input.join(&totals).on(f0, f0).map(|l, r| (l.1, r.1)).collect().unwrap();
        let sums = counts(50_000);
        same(got, (0..COUNT).map(|number| (number, sums[&(bits(number) % 50_000)].1)).collect());
    }
}
