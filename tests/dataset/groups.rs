//! Groups: keys of every kind, reduces, aggregations, group functions, distinct.

use crate::{Rec, by_key, env, everywhere, same};
use flinkrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Visit {
    page: Page,
    count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Page {
    name: Text,
    site: u32,
}

fn visit(r: &Rec) -> Visit {
    Visit { page: Page { name: r.2.clone(), site: r.0 as u32 }, count: r.1.unsigned_abs() }
}

/// The sum of the second field, per key.
fn sums<K: Ord>(data: &[Rec], key: impl Fn(&Rec) -> K) -> Vec<(K, i64)> {
    by_key(data, key).into_iter().map(|(key, rs)| (key, rs.iter().map(|r| r.1).sum())).collect()
}

#[test]
fn keys_of_every_kind() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let add = |a: &mut Rec, b: Rec| a.1 += b.1;
        let by_field = input.group_by(f0).reduce(add).map(|r| (r.0, r.1));
        same(by_field.collect().unwrap(), sums(data, |r| r.0));
        let by_two = input.group_by((f2, f0)).reduce(add).map(|r| ((r.2, r.0), r.1));
        same(by_two.collect().unwrap(), sums(data, |r| (r.2.clone(), r.0)));
        let by_closure = input.group_by(|r: &Rec| r.0 % 7).reduce(add).map(|r| (r.0 % 7, r.1));
        same(by_closure.collect().unwrap(), sums(data, |r| r.0 % 7));
        let modulus = data.len() as u64 % 11 + 2;
        let captures = input.group_by(move |r: &Rec| r.0 % modulus).reduce(add).map(move |r| (r.0 % modulus, r.1));
        same(captures.collect().unwrap(), sums(data, |r| r.0 % modulus));
        let mixed = input.group_by((f0, |r: &Rec| r.2.len())).reduce(add).map(|r| ((r.0, r.2.len()), r.1));
        same(mixed.collect().unwrap(), sums(data, |r| (r.0, r.2.len())));
    });
}

#[test]
fn keys_of_structs() {
    everywhere(|env, data| {
        let visits: Vec<Visit> = data.iter().map(visit).collect();
        let input = env.from_collection(visits.clone());
        let by_site = input.group_by(field!(Visit, page.site)).sum(field!(Visit, count));
        let expected = by_key(&visits, |visit| visit.page.site);
        let expected = expected.into_iter().map(|(site, vs)| (site, vs.iter().map(|v| v.count).sum::<u64>()));
        let got = by_site.map(|visit| (visit.page.site, visit.count)).collect().unwrap();
        same(got, expected.collect());
        let by_page = input.group_by(field!(Visit, page)).max(field!(Visit, count));
        let expected = by_key(&visits, |visit| visit.page.clone());
        let most = |vs: Vec<Visit>| vs.into_iter().max_by_key(|visit| visit.count).unwrap();
        same(by_page.collect().unwrap(), expected.into_values().map(most).collect());
    });
}

#[test]
fn floats_as_keys() {
    everywhere(|env, data| {
        let floats =
            env.from_collection(data.to_vec()).map(|r| (Total::new(r.0 as f64 / 2.0), 1u64)).group_by(f0).sum(f1);
        let got = floats.map(|(key, count)| ((key.get() * 2.0) as u64, count)).collect().unwrap();
        same(got, by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.len() as u64)).collect());
    });
}

#[test]
fn reduce_with_every_combine_hint() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        for hint in [CombineHint::OptimizerChooses, CombineHint::Sort, CombineHint::Hash, CombineHint::None] {
            let got = input.group_by(f0).combine_hint(hint).reduce(|a, b| a.1 += b.1).map(|r| (r.0, r.1));
            same(got.collect().unwrap(), sums(data, |r| r.0));
            let all = input.all_reduced().collect().unwrap();
            let total: Vec<i64> = (!data.is_empty()).then(|| data.iter().map(|r| r.1).sum()).into_iter().collect();
            assert_eq!(all, total);
        }
    });
}

trait AllReduced {
    /// The sum of the second field of all records.
    fn all_reduced(&self) -> DataSet<i64>;
}

impl AllReduced for DataSet<Rec> {
    fn all_reduced(&self) -> DataSet<i64> {
        self.reduce(|a, b| a.1 += b.1).map(|r| r.1)
    }
}

#[test]
fn reduce_group() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let got = input.group_by(f0).reduce_group(|group, out| {
            let (count, key) = (group.len() as u64, group.first().expect("a group has records").0);
            assert_eq!(group.iter().count() as u64, count, "a group is read as often as wanted");
            let most = group.iter().map(|r| r.1).max().unwrap();
            out.collect((key, count, most));
            group.take().filter(|r| r.1 > 200).for_each(|r| out.collect((r.0, 0, r.1)));
        });
        let expected = by_key(data, |r| r.0).into_iter().flat_map(|(key, rs)| {
            let head = (key, rs.len() as u64, rs.iter().map(|r| r.1).max().unwrap());
            let high = rs.into_iter().filter(|r| r.1 > 200).map(|r| (r.0, 0, r.1));
            std::iter::once(head).chain(high).collect::<Vec<_>>()
        });
        same(got.collect().unwrap(), expected.collect());
        let all = input.reduce_group(|group, out| out.collect(group.into_records().len() as u64)).collect().unwrap();
        assert_eq!(all, if data.is_empty() { vec![] } else { vec![data.len() as u64] });
    });
}

#[test]
fn reduce_group_with_a_combiner() {
    everywhere(|env, data| {
        let ones = env.from_collection(data.to_vec()).map(|r| (r.0, 1i64, r.2));
        let got = ones.group_by((f0, f2)).reduce_group_combinable(
            |group, out| {
                let sum = group.iter().map(|r| r.1).sum();
                let first = group.first().expect("a group has records").clone();
                out.collect((first.0, sum, first.2));
            },
            |group, out| {
                let sum: i64 = group.iter().map(|r| r.1).sum();
                let first = group.first().expect("a group has records").clone();
                out.collect(((first.0, first.2), sum));
            },
        );
        let counts = by_key(data, |r| (r.0, r.2.clone())).into_iter().map(|(key, rs)| (key, rs.len() as i64));
        same(got.collect().unwrap(), counts.collect());
    });
}

#[test]
fn combine_group() {
    everywhere(|env, data| {
        let parts = env.from_collection(data.to_vec()).group_by(f0).combine_group(|group, out| {
            let key = group.first().expect("a group has records").0;
            assert!(group.iter().all(|r| r.0 == key), "one key per group");
            out.collect((key, group.len() as u64));
        });
        let count = parts.count().unwrap();
        assert!(count <= data.len() as u64);
        let counts = by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.len() as u64));
        same(parts.group_by(f0).sum(f1).collect().unwrap(), counts.collect());
    });
}

#[test]
fn sums_and_extremes_per_group() {
    everywhere(|env, data| {
        let grouped = env.from_collection(data.to_vec()).group_by(f0);
        let of = |f: fn(&[Rec]) -> i64| -> Vec<(u64, i64)> {
            by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, f(&rs))).collect()
        };
        let two = |set: DataSet<Rec>| set.map(|r| (r.0, r.1)).collect().unwrap();
        same(two(grouped.sum(f1)), of(|rs| rs.iter().map(|r| r.1).sum()));
        same(two(grouped.min(f1)), of(|rs| rs.iter().map(|r| r.1).min().unwrap()));
        same(two(grouped.max(f1)), of(|rs| rs.iter().map(|r| r.1).max().unwrap()));
        let several = grouped.aggregate((Sum(f1), Max(f2))).collect().unwrap();
        let expected = by_key(data, |r| r.0)
            .into_iter()
            .map(|(key, rs)| (key, rs.iter().map(|r| r.1).sum(), rs.iter().map(|r| r.2.clone()).max().unwrap()));
        same(several, expected.collect());
        let least = grouped.min_by((f1, f2)).collect().unwrap();
        let most = grouped.max_by(|r: &Rec| (r.1, r.2.clone())).collect().unwrap();
        let pick = |f: fn(Vec<Rec>) -> Rec| by_key(data, |r| r.0).into_values().map(f).collect::<Vec<_>>();
        same(least, pick(|rs| rs.into_iter().min_by_key(|r| (r.1, r.2.clone())).unwrap()));
        same(most, pick(|rs| rs.into_iter().max_by_key(|r| (r.1, r.2.clone())).unwrap()));
    });
}

#[test]
fn sums_and_extremes_over_all_records() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        let one = |set: DataSet<Rec>, f: fn(&Rec) -> i64| set.collect().unwrap().first().map(f);
        assert_eq!(one(input.sum(f1), |r| r.1).unwrap_or(0), data.iter().map(|r| r.1).sum::<i64>());
        assert_eq!(one(input.min(f1), |r| r.1), data.iter().map(|r| r.1).min());
        assert_eq!(one(input.max(f1), |r| r.1), data.iter().map(|r| r.1).max());
        let both = input.aggregate((Min(f0), Max(f1), Min(f2))).collect().unwrap();
        let expected = data.first().map(|_| {
            let most = data.iter().map(|r| r.1).max().unwrap();
            (data.iter().map(|r| r.0).min().unwrap(), most, data.iter().map(|r| r.2.clone()).min().unwrap())
        });
        assert_eq!(both, Vec::from_iter(expected));
        assert_eq!(input.min_by((f1, f0, f2)).collect().unwrap().first(), data.iter().min_by_key(|r| (r.1, r.0, &r.2)));
        assert_eq!(input.max_by((f1, f0, f2)).collect().unwrap().first(), data.iter().max_by_key(|r| (r.1, r.0, &r.2)));
        assert_eq!(input.sum(f1).count().unwrap(), u64::from(!data.is_empty()));
    });
}

#[test]
fn a_sum_that_overflows_fails_the_job() {
    let numbers = env(3).from_collection([(1u64, u8::MAX), (1, 1)]);
    let error = numbers.group_by(f0).sum(f1).collect().unwrap_err().to_string();
    assert!(error.contains("overflow in the sum of field 1") && error.contains("u8"), "{error}");
}

#[test]
fn distinct() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec()).union(&env.from_collection(data.to_vec()));
        let mut unique = data.to_vec();
        unique.sort();
        unique.dedup();
        same(input.distinct().collect().unwrap(), unique);
        let one_per_key = input.distinct_by(f0).collect().unwrap();
        assert!(one_per_key.iter().all(|r| data.contains(r)), "a record of the input");
        same(one_per_key.into_iter().map(|r| r.0).collect(), by_key(data, |r| r.0).into_keys().collect());
        let two = input.distinct_by((f2, |r: &Rec| r.0 % 2)).map(|r| (r.2, r.0 % 2)).collect().unwrap();
        same(two, by_key(data, |r| (r.2.clone(), r.0 % 2)).into_keys().collect());
    });
}

#[test]
fn the_first_of_each_group_and_of_all() {
    everywhere(|env, data| {
        let input = env.from_collection(data.to_vec());
        for count in [0, 1, 3, 100_000] {
            let some = input.first(count).collect().unwrap();
            assert_eq!(some.len(), count.min(data.len()));
            assert!(some.iter().all(|r| data.contains(r)), "a record of the input");
            let per_group = input.group_by(f0).first(count).map(|r| (r.0, 1u64)).group_by(f0).sum(f1);
            let expected = by_key(data, |r| r.0).into_iter().map(|(key, rs)| (key, rs.len().min(count) as u64));
            same(per_group.collect().unwrap(), expected.filter(|_| count > 0).collect());
        }
    });
}
