//! Joins of every kind, in every way that hints can ask for.

use crate::{Rec, by_key, everywhere_twice, same};
use flinkrs::prelude::*;

const HINTS: [JoinHint; 6] = [
    JoinHint::OptimizerChooses,
    JoinHint::BroadcastHashFirst,
    JoinHint::BroadcastHashSecond,
    JoinHint::RepartitionHashFirst,
    JoinHint::RepartitionHashSecond,
    JoinHint::RepartitionSortMerge,
];

/// Hints that every kind of join can follow.
const ALWAYS: [JoinHint; 4] = [
    JoinHint::OptimizerChooses,
    JoinHint::RepartitionHashFirst,
    JoinHint::RepartitionHashSecond,
    JoinHint::RepartitionSortMerge,
];

/// Both numbers of a pair; `None` where a side is missing.
type Row = (u64, Option<i64>, Option<i64>);

/// What an outer join that keeps these sides gives.
fn rows(first: &[Rec], second: &[Rec], keep_first: bool, keep_second: bool) -> Vec<Row> {
    let (left, right) = (by_key(first, |r| r.0), by_key(second, |r| r.0));
    let mut rows = Vec::new();
    for l in first {
        let partners = right.get(&l.0).map(Vec::as_slice).unwrap_or_default();
        rows.extend(partners.iter().map(|r| (l.0, Some(l.1), Some(r.1))));
        if partners.is_empty() && keep_first {
            rows.push((l.0, Some(l.1), None));
        }
    }
    let alone = second.iter().filter(|r| keep_second && !left.contains_key(&r.0));
    rows.extend(alone.map(|r| (r.0, None, Some(r.1))));
    rows
}

fn sets(env: &ExecutionEnvironment, first: &[Rec], second: &[Rec]) -> (DataSet<Rec>, DataSet<Rec>) {
    (env.from_collection(first.to_vec()), env.from_collection(second.to_vec()))
}

#[test]
fn inner() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        let expected = rows(first, second, false, false);
        for hint in HINTS {
            let mapped = l.join(&r).hint(hint).on(f0, f0).map(|l, r| (l.0, Some(l.1), Some(r.1)));
            same(mapped.collect().unwrap(), expected.clone());
            let flat = l.join(&r).hint(hint).on(f0, f0).flat_map(|l, r, out| {
                if l.1 > r.1 {
                    (0..2).for_each(|_| out.collect((l.0, Some(l.1), Some(r.1))));
                }
            });
            let twice = expected.iter().filter(|row| row.1 > row.2).flat_map(|row| [*row; 2]);
            same(flat.collect().unwrap(), twice.collect());
        }
    });
}

#[test]
fn inner_with_tiny_and_huge() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        let expected = rows(first, second, false, false);
        let tiny = l.join_with_tiny(&r).on(f0, f0).map(|l, r| (l.0, Some(l.1), Some(r.1)));
        same(tiny.collect().unwrap(), expected.clone());
        let huge = l.join_with_huge(&r).on(f0, f0).map(|l, r| (l.0, Some(l.1), Some(r.1)));
        same(huge.collect().unwrap(), expected);
    });
}

#[test]
fn pairs_and_projections() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        let pairs: Vec<(Rec, Rec)> = first
            .iter()
            .flat_map(|l| second.iter().filter(|r| r.0 == l.0).map(move |r| (l.clone(), r.clone())))
            .collect();
        let on = || l.join(&r).on(f0, f0);
        same(on().pairs().collect().unwrap(), pairs.clone());
        same(on().project_first().collect().unwrap(), pairs.iter().map(|pair| pair.0.clone()).collect());
        same(on().project_second().collect().unwrap(), pairs.iter().map(|pair| pair.1.clone()).collect());
        // What is projected keeps its place, so the next grouping need not move it.
        let sums = on().project_second().group_by(f0).sum(f1).map(|r| (r.0, r.1)).collect().unwrap();
        let expected = by_key(&pairs, |pair| pair.0.0).into_iter();
        same(sums, expected.map(|(key, pairs)| (key, pairs.iter().map(|pair| pair.1.1).sum())).collect());
    });
}

#[test]
fn keys_of_several_fields_and_selectors() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        let count = |equal: fn(&Rec, &Rec) -> bool| {
            first.iter().map(|l| second.iter().filter(|r| equal(l, r)).count()).sum::<usize>() as u64
        };
        for hint in HINTS {
            let two = l.join(&r).hint(hint).on((f0, f2), (f0, f2)).pairs();
            assert_eq!(two.count().unwrap(), count(|l, r| (l.0, &l.2) == (r.0, &r.2)));
            let text = l.join(&r).hint(hint).on((f2, f1), |r: &Rec| (r.2.clone(), r.1)).pairs();
            assert_eq!(text.count().unwrap(), count(|l, r| (l.1, &l.2) == (r.1, &r.2)));
            let offset = first.len() as u64 % 3;
            let captured = l.join(&r).hint(hint).on(move |l: &Rec| l.0 + offset, f0).pairs().count().unwrap();
            let moved = |l: &Rec, r: &Rec| l.0 + offset == r.0;
            let expected: usize = first.iter().map(|l| second.iter().filter(|r| moved(l, r)).count()).sum();
            assert_eq!(captured, expected as u64);
        }
    });
}

#[test]
fn left_outer() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        for hint in ALWAYS.into_iter().chain([JoinHint::BroadcastHashSecond]) {
            let on = l.left_outer_join(&r).hint(hint).on(f0, f0);
            let mapped = on.map(|l, r| (l.0, Some(l.1), r.map(|r| r.1)));
            same(mapped.collect().unwrap(), rows(first, second, true, false));
            let alone = on.flat_map(|l, r, out| {
                if r.is_none() {
                    out.collect(l.clone())
                }
            });
            let expected = first.iter().filter(|l| second.iter().all(|r| r.0 != l.0));
            same(alone.collect().unwrap(), expected.cloned().collect());
        }
    });
}

#[test]
fn right_outer() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        for hint in ALWAYS.into_iter().chain([JoinHint::BroadcastHashFirst]) {
            let on = l.right_outer_join(&r).hint(hint).on(f0, f0);
            let mapped = on.map(|l, r| (r.0, l.map(|l| l.1), Some(r.1)));
            same(mapped.collect().unwrap(), rows(first, second, false, true));
            let alone = on.flat_map(|l, r, out| {
                if l.is_none() {
                    out.collect(r.clone())
                }
            });
            let expected = second.iter().filter(|r| first.iter().all(|l| r.0 != l.0));
            same(alone.collect().unwrap(), expected.cloned().collect());
        }
    });
}

#[test]
fn full_outer() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        for hint in ALWAYS {
            let on = l.full_outer_join(&r).hint(hint).on(f0, f0);
            let key = |l: Option<&Rec>, r: Option<&Rec>| l.or(r).expect("a side is there").0;
            let mapped = on.map(move |l, r| (key(l, r), l.map(|l| l.1), r.map(|r| r.1)));
            same(mapped.collect().unwrap(), rows(first, second, true, true));
            let alone = on.flat_map(|l, r, out| {
                if l.is_some() != r.is_some() {
                    out.collect(1u64)
                }
            });
            let expected = rows(first, second, true, true).iter().filter(|r| r.1.is_none() || r.2.is_none()).count();
            assert_eq!(alone.count().unwrap(), expected as u64);
        }
    });
}

#[test]
fn semi_and_anti() {
    everywhere_twice(|env, first, second| {
        let (l, r) = sets(env, first, second);
        let (with, without): (Vec<Rec>, Vec<Rec>) =
            first.iter().cloned().partition(|l| second.iter().any(|r| r.0 == l.0));
        for hint in ALWAYS.into_iter().chain([JoinHint::BroadcastHashSecond]) {
            same(l.semi_join(&r).hint(hint).on(f0, f0).records().collect().unwrap(), with.clone());
            same(l.anti_join(&r).hint(hint).on(f0, f0).records().collect().unwrap(), without.clone());
        }
    });
}

#[test]
fn a_join_of_a_data_set_with_itself() {
    everywhere_twice(|env, first, _| {
        let input = env.from_collection(first.to_vec());
        let expected = rows(first, first, false, false);
        for hint in HINTS {
            let got = input.join(&input).hint(hint).on(f0, f0).map(|l, r| (l.0, Some(l.1), Some(r.1)));
            same(got.collect().unwrap(), expected.clone());
        }
    });
}

#[test]
fn hints_that_a_kind_of_join_cannot_follow() {
    let env = crate::env(3);
    let (l, r) = sets(&env, &crate::records(20, 5), &crate::records(10, 5));
    let got = l.full_outer_join(&r).hint(JoinHint::BroadcastHashFirst).on(f0, f0).map(|l, _| u64::from(l.is_some()));
    let error = got.collect().unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}
