//! Groups whose records come in an order.

use crate::{Rec, by_key, everywhere, same};
use flinkrs::prelude::*;
use std::cmp::Reverse;

/// Key and the numbers of its group, in the group's order.
fn numbers(group: &mut Group<Rec>, out: &mut Collector<'_, (u64, Vec<i64>)>) {
    let key = group.first().expect("a group has records").0;
    out.collect((key, group.iter().map(|r| r.1).collect()));
}

fn expected<K: Ord>(data: &[Rec], order: impl Fn(&Rec) -> K) -> Vec<(u64, Vec<i64>)> {
    let sorted = |(key, mut rs): (u64, Vec<Rec>)| {
        rs.sort_by_key(&order);
        (key, rs.iter().map(|r| r.1).collect())
    };
    by_key(data, |r| r.0).into_iter().map(sorted).collect()
}

#[test]
fn ascending_and_descending() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let up = input.group_by(f0).sort_group(Asc(f1)).reduce_group(numbers);
        same(up.collect().unwrap(), expected(data, |r| r.1));
        let down = input.group_by(f0).sort_group(Desc(f1)).reduce_group(numbers);
        same(down.collect().unwrap(), expected(data, |r| Reverse(r.1)));
    });
}

#[test]
fn several_orders_and_selectors() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let two = input.group_by(f0).sort_group((Desc(f2), Asc(f1))).reduce_group(numbers);
        same(two.collect().unwrap(), expected(data, |r| (Reverse(r.2.clone()), r.1)));
        let three = input.group_by(f0).sort_group((Asc(|r: &Rec| r.1 % 3), Desc(f2), Desc(f1))).reduce_group(numbers);
        same(three.collect().unwrap(), expected(data, |r| (r.1 % 3, Reverse(r.2.clone()), Reverse(r.1))));
        let modulus = data.len() as i64 % 5 + 2;
        let captured =
            input.group_by(f0).sort_group((Asc(move |r: &Rec| r.1 % modulus), Asc(f1))).reduce_group(numbers);
        same(captured.collect().unwrap(), expected(data, |r| (r.1 % modulus, r.1)));
    });
}

#[test]
fn orders_follow_the_order_of_texts() {
    everywhere(|env, data| {
        let texts =
            env.from_collection(data.to_vec()).map(|r| (r.0, Text::from(format!("a long text {} {}", r.2, r.1))));
        let got = texts.group_by(f0).sort_group(Desc(f1)).reduce_group(|group: &mut Group<(u64, Text)>, out| {
            let records = group.into_records();
            assert!(records.is_sorted_by(|a, b| a.1 >= b.1), "longer than what a sort compares first");
            out.collect((records[0].0, records.len() as u64));
        });
        let counts = by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.len() as u64));
        same(got.collect().unwrap(), counts.collect());
    });
}

#[test]
fn the_first_of_sorted_groups() {
    everywhere(|env, data| {
        for count in [0, 1, 4, 100_000] {
            let input = env.from_collection(data.to_vec());
            let got = input.group_by(f0).sort_group((Desc(f1), Asc(f2))).first(count);
            let best = by_key(data, |r| r.0).into_values().flat_map(|mut rs| {
                rs.sort_by_key(|r| (Reverse(r.1), r.2.clone()));
                rs.truncate(count);
                rs
            });
            same(got.collect().unwrap(), best.collect());
        }
    });
}

#[test]
fn combined_groups_are_sorted_too() {
    everywhere(|env, data| {
        let parts = env.from_collection(data.to_vec()).group_by(f0).sort_group(Asc(f1)).combine_group(|group, out| {
            let records: Vec<Rec> = group.into_records();
            assert!(records.is_sorted_by_key(|r| r.1) && records.iter().all(|r| r.0 == records[0].0));
            out.collect((records[0].0, records.len() as u64));
        });
        let counts = by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.len() as u64));
        same(parts.group_by(f0).sum(f1).collect().unwrap(), counts.collect());
    });
}

#[test]
fn reduces_and_aggregations_of_sorted_groups_ignore_the_order() {
    everywhere(|env, data| {
        let grouped = env.from_collection(data.to_vec()).group_by(f0).sort_group(Asc(f1));
        let sums = by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.iter().map(|r| r.1).sum::<i64>()));
        let sums: Vec<(u64, i64)> = sums.collect();
        same(grouped.reduce(|a, b| a.1 += b.1).map(|r| (r.0, r.1)).collect().unwrap(), sums.clone());
        same(grouped.sum(f1).map(|r| (r.0, r.1)).collect().unwrap(), sums);
    });
}
