//! What a random program has to compute, on plain vectors.

use crate::program::{JoinKind, Node, Op, Program, record};
use crate::semantics::{
    Filler, Key, Order, Rec, Recs, apply, co_group, crossed, fill, group, group_sorted, keep, merge, pair, set_sum,
    several,
};
use std::collections::BTreeMap;

/// The result of every step.
pub(crate) fn run(program: &Program) -> Vec<Recs> {
    let mut results: Vec<Recs> = Vec::new();
    let filler = fill(program.filler);
    for node in &program.nodes {
        let result = step(node, &results, &filler, usize::MAX).expect("no limit");
        results.push(result);
    }
    results
}

/// The result of a step, or `None` if it would have more than `most` records.
pub(crate) fn step(node: &Node, results: &[Recs], filler: &Filler, most: usize) -> Option<Recs> {
    let first: &[Rec] = node.inputs.first().map_or(&[], |input| &results[*input]);
    let second: &[Rec] = node.inputs.get(1).map_or(&[], |input| &results[*input]);
    let result = match &node.op {
        Op::Source(records, _) => records.iter().map(|numbers| record(*numbers, filler)).collect(),
        Op::Join(kind, keys, _, function) => {
            let (first_key, second_key) = keys.keys();
            join(*kind, *function, &by_key(first_key, first), &by_key(second_key, second), most)?
        }
        Op::CoGroup(keys, sorted) => {
            let (first_key, second_key) = keys.keys();
            co_groups(*sorted, by_key(first_key, first), by_key(second_key, second))
        }
        Op::Cross(_) => {
            if first.len() * second.len() > 20 * most.min(1 << 40) {
                return None;
            }
            let pairs = first.iter().flat_map(|l| second.iter().map(move |r| (l, r)));
            pairs.filter(|(l, r)| crossed(l, r)).map(|(l, r)| pair(0, Some(l), Some(r))).collect()
        }
        Op::Union => [first, second].concat(),
        Op::MapWithSet => {
            let sum = set_sum(second);
            first.iter().cloned().map(|r| (r.0, r.1.wrapping_add(sum), r.2, r.3)).collect()
        }
        Op::FilterWithSet => {
            first.iter().filter(|r| second.iter().any(|other| other.0 == r.0 && other.2 == r.2)).cloned().collect()
        }
        op => unary(op, first),
    };
    (result.len() <= most).then_some(result)
}

fn unary(op: &Op, input: &[Rec]) -> Recs {
    let all = || input.iter().cloned();
    match op {
        Op::Map(kind) | Op::MapBatches(kind) | Op::MapPartition(kind) => all().map(|r| apply(*kind, r)).collect(),
        Op::FlatMap(kind) => input.iter().flat_map(|r| several(*kind, r)).collect(),
        Op::Filter(salt) => all().filter(|r| keep(*salt, r)).collect(),
        Op::FirstOfAll(count) => all().take(*count).map(|r| (0, 0, 0, r.3)).collect(),
        Op::FirstOfSorted(count) => {
            let mut sorted: Recs = all().collect();
            sorted.sort_by_key(|r| (r.0, std::cmp::Reverse(r.1), r.2));
            sorted.truncate(*count);
            sorted
        }
        Op::ReduceAll => merged(None, input).into_iter().collect(),
        Op::GroupReduceAll if input.is_empty() => Vec::new(),
        Op::GroupReduceAll => group(None, input),
        Op::ZipWithIndex => all().enumerate().map(|(i, r)| (i as u64, 0, 0, r.3)).collect(),
        Op::Distinct => {
            let mut sorted: Recs = all().collect();
            sorted.sort();
            sorted.dedup();
            sorted
        }
        Op::Same
        | Op::Partition(..)
        | Op::SortPartition(_)
        | Op::SortThenCheck(_)
        | Op::RangeSort(_)
        | Op::Source(..) => all().collect(),
        grouping => groups(grouping, input),
    }
}

fn groups(op: &Op, input: &[Rec]) -> Recs {
    let of = |key: Key| by_key(key, input).into_values();
    match op {
        Op::Reduce(key, _) | Op::GroupReduceCombinable(key) | Op::CombineThenReduce(key) => {
            of(*key).filter_map(|records| merged(Some(*key), &records)).collect()
        }
        Op::Aggregate(_) => of(Key::F0).filter_map(aggregated).collect(),
        Op::MinBy => of(Key::F0).filter_map(|records| records.into_iter().min_by_key(|r| (r.1, r.2))).collect(),
        Op::DistinctBy(key) | Op::PartitionThenDistinct(_, key) => {
            of(*key).map(|records| key.only(records[0].clone())).collect()
        }
        Op::GroupReduce(key) => of(*key).flat_map(|records| group(Some(*key), &records)).collect(),
        Op::GroupReduceSorted(key, order) => {
            let sorted = |mut records: Recs, order: Order| {
                records.sort_by(|a, b| order.compare(a, b));
                group_sorted(order, &records)
            };
            of(*key).map(|records| sorted(records, *order)).collect()
        }
        Op::FirstOfSortedGroup(count) => of(Key::F0)
            .flat_map(|mut records| {
                records.sort_by_key(|r| (r.1, std::cmp::Reverse(r.2)));
                records.truncate(*count);
                records
            })
            .collect(),
        Op::FirstOfGroup(key, count) => {
            of(*key).flat_map(|records| records.into_iter().take(*count).map(|r| key.only(r))).collect()
        }
        other => panic!("{other:?} is no grouping"),
    }
}

fn aggregated(records: Recs) -> Option<Rec> {
    let filler = records.first()?.3.clone();
    let (most, least) = (records.iter().map(|r| r.1).max()?, records.iter().map(|r| r.2).min()?);
    Some((records[0].0, most, least, filler))
}

fn merged(key: Option<Key>, records: &[Rec]) -> Option<Rec> {
    let mut sum = records.first()?.clone();
    records[1..].iter().for_each(|r| merge(key, &mut sum, r));
    Some(sum)
}

type Groups = BTreeMap<Vec<i64>, Recs>;

fn by_key(key: Key, records: &[Rec]) -> Groups {
    let mut groups = Groups::new();
    for r in records {
        groups.entry(key.of(r)).or_default().push(r.clone());
    }
    groups
}

fn join(kind: JoinKind, function: u8, first: &Groups, second: &Groups, most: usize) -> Option<Recs> {
    let none = Recs::new();
    let partners = |groups: &Groups, key: &Vec<i64>| groups.get(key).map_or(0, Vec::len);
    if first.iter().map(|(key, records)| records.len() * partners(second, key).max(1)).sum::<usize>() > most {
        return None;
    }
    let mut out = Recs::new();
    for (key, left) in first {
        let right = second.get(key).unwrap_or(&none);
        for l in left {
            match kind {
                JoinKind::Semi if !right.is_empty() => out.push(l.clone()),
                JoinKind::Anti if right.is_empty() => out.push(l.clone()),
                JoinKind::Semi | JoinKind::Anti => {}
                JoinKind::First => out.extend(right.iter().map(|_| l.clone())),
                JoinKind::Second => out.extend(right.iter().cloned()),
                JoinKind::Left | JoinKind::Full if right.is_empty() => out.push(pair(function, Some(l), None)),
                _ => out.extend(right.iter().map(|r| pair(function, Some(l), Some(r)))),
            }
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let alone = second.iter().filter(|(key, _)| !first.contains_key(*key)).flat_map(|(_, records)| records);
        out.extend(alone.map(|r| pair(function, None, Some(r))));
    }
    Some(out)
}

fn co_groups(sorted: bool, mut first: Groups, mut second: Groups) -> Recs {
    let keys: std::collections::BTreeSet<Vec<i64>> = first.keys().chain(second.keys()).cloned().collect();
    let mut one = |key: Vec<i64>| {
        let (mut l, mut r) = (first.remove(&key).unwrap_or_default(), second.remove(&key).unwrap_or_default());
        if sorted {
            l.sort_by(|a, b| Order::Down1.compare(a, b));
            r.sort_by(|a, b| Order::Down1.compare(a, b));
        }
        co_group(sorted, &l, &r)
    };
    keys.into_iter().map(&mut one).collect()
}
