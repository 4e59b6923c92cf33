//! Co-groups and crosses.

use crate::{Rec, by_key, everywhere_twice, same};
use flinkrs::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeSet;

type Numbers = (u64, Vec<i64>, Vec<i64>);

/// Per key the numbers of both sides, each sorted by `order`.
fn expected<K: Ord>(first: &[Rec], second: &[Rec], left: fn(&Rec) -> K, right: fn(&Rec) -> K) -> Vec<Numbers> {
    let (l, r) = (by_key(first, |r| r.0), by_key(second, |r| r.0));
    let keys: BTreeSet<u64> = l.keys().chain(r.keys()).copied().collect();
    let side = |group: Option<&Vec<Rec>>, order: fn(&Rec) -> K| -> Vec<i64> {
        let mut group = group.cloned().unwrap_or_default();
        group.sort_by_key(order);
        group.iter().map(|r| r.1).collect()
    };
    keys.into_iter().map(|key| (key, side(l.get(&key), left), side(r.get(&key), right))).collect()
}

fn numbers(l: &mut Group<Rec>, r: &mut Group<Rec>, out: &mut Collector<'_, Numbers>) {
    let key = l.first().or(r.first()).expect("a side has records").0;
    out.collect((key, l.iter().map(|r| r.1).collect(), r.iter().map(|r| r.1).collect()));
}

fn sort_numbers((key, mut l, mut r): Numbers) -> Numbers {
    l.sort_unstable();
    r.sort_unstable();
    (key, l, r)
}

#[test]
fn co_group() {
    everywhere_twice(|env, first, second| {
        let (l, r) = (env.from_collection(first.to_vec()), env.from_collection(second.to_vec()));
        let got = l.co_group(&r).on(f0, f0).with(numbers).map(sort_numbers);
        same(got.collect().unwrap(), expected(first, second, |r| r.1, |r| r.1));
        let selectors = l.co_group(&r).on(|l: &Rec| (l.0, l.2.clone()), (f0, f2)).with(|l, r, out| {
            let key = |r: &Rec| (r.0, r.2.clone());
            let of = l.first().or(r.first()).map(key).expect("a side has records");
            assert!(l.iter().chain(r.iter()).all(|r| key(&r) == of), "one key per call");
            out.collect((of, l.len() as u64, r.len() as u64));
        });
        let (left, right) = (by_key(first, |r| (r.0, r.2.clone())), by_key(second, |r| (r.0, r.2.clone())));
        let keys: BTreeSet<(u64, Text)> = left.keys().chain(right.keys()).cloned().collect();
        let count = |group: Option<&Vec<Rec>>| group.map_or(0, Vec::len) as u64;
        let counts = keys.into_iter().map(|key| (key.clone(), count(left.get(&key)), count(right.get(&key))));
        same(selectors.collect().unwrap(), counts.collect());
    });
}

#[test]
fn co_group_with_orders() {
    everywhere_twice(|env, first, second| {
        let (l, r) = (env.from_collection(first.to_vec()), env.from_collection(second.to_vec()));
        let up = |r: &Rec| (r.1, Reverse(0));
        let one = l.co_group(&r).on(f0, f0).sort_first_group(Asc(f1)).with(numbers);
        let one = one.map(|(key, l, mut r)| {
            r.sort_unstable();
            (key, l, r)
        });
        same(one.collect().unwrap(), expected(first, second, up, up));
        let both = l.co_group(&r).on(f0, f0).sort_first_group((Asc(f2), Desc(f1))).sort_second_group(Desc(f1));
        let left = |r: &Rec| (Some(r.2.clone()), Reverse(r.1));
        let right = |r: &Rec| (None, Reverse(r.1));
        same(both.with(numbers).collect().unwrap(), expected(first, second, left, right));
    });
}

#[test]
fn co_group_of_a_data_set_with_itself() {
    everywhere_twice(|env, first, _| {
        let input = env.from_collection(first.to_vec());
        let got = input.co_group(&input).on(f0, f0).with(numbers).map(sort_numbers);
        same(got.collect().unwrap(), expected(first, first, |r| r.1, |r| r.1));
    });
}

#[test]
fn cross() {
    everywhere_twice(|env, first, second| {
        let first = &first[..first.len().min(60)];
        let (l, r) = (env.from_collection(first.to_vec()), env.from_collection(second.to_vec()));
        let pairs: Vec<(Rec, Rec)> =
            first.iter().flat_map(|l| second.iter().map(move |r| (l.clone(), r.clone()))).collect();
        same(l.cross(&r).pairs().collect().unwrap(), pairs.clone());
        let sums = || pairs.iter().map(|(l, r)| l.1 * r.1).collect();
        same(l.cross_with_tiny(&r).map(|l, r| l.1 * r.1).collect().unwrap(), sums());
        same(l.cross_with_huge(&r).map(|l, r| l.1 * r.1).collect().unwrap(), sums());
        let some = l.cross(&r).flat_map(|l, r, out| {
            if l.1 < r.1 {
                out.collect((l.1, r.1));
            }
        });
        let expected = pairs.iter().filter(|(l, r)| l.1 < r.1).map(|(l, r)| (l.1, r.1));
        same(some.collect().unwrap(), expected.collect());
    });
}

#[test]
fn cross_of_a_data_set_with_itself() {
    everywhere_twice(|env, first, _| {
        let first = &first[..first.len().min(60)];
        let input = env.from_collection(first.to_vec());
        let pairs = first.iter().flat_map(|l| first.iter().map(|r| (l.clone(), r.clone())));
        same(input.cross(&input).pairs().collect().unwrap(), pairs.collect());
    });
}
