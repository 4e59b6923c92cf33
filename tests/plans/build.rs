//! Writes a random program down with the public API.

use crate::program::{JoinKind, Node, Op, Pair, Program, Spread, record};
use crate::run::{Gather, ON_PURPOSE, Trickle};
use crate::semantics::{
    FORWARDED, Filler, Key, Order, PAIRED, Rec, apply, captured, co_group, crossed, fill, group, group_sorted, keep,
    merge, modulo, pair, set_sum, several,
};
use flinkrs::prelude::*;
use flinkrs::types::hash_key;
use flinkrs_plan::JoinHint;

/// Hands `$body` the selector that `$key` names.
macro_rules! with_key {
    ($key:expr, $k:ident => $body:expr) => {
        match $key {
            Key::F0 => with_key!(@ f0, $k => $body),
            Key::F2 => with_key!(@ f2, $k => $body),
            Key::F02 => with_key!(@ (f0, f2), $k => $body),
            Key::F20 => with_key!(@ (f2, f0), $k => $body),
            Key::F01 => with_key!(@ (f0, f1), $k => $body),
            Key::Mod => with_key!(@ modulo, $k => $body),
            Key::Captured(m) => with_key!(@ captured(m), $k => $body),
        }
    };
    (@ $selector:expr, $k:ident => $body:expr) => {{
        let $k = $selector;
        $body
    }};
}

type Set = DataSet<Rec>;

/// Describes the program; its sinks gather into `gathered`.
pub(crate) fn build(program: &Program, env: &ExecutionEnvironment, gathered: &Gather) {
    let filler = fill(program.filler);
    let mut sets: Vec<Set> = Vec::new();
    for node in &program.nodes {
        let mut set = step(env, &sets, node, &filler);
        if let Some(parallelism) = node.parallelism.filter(|_| may_set_parallelism(&node.op)) {
            set = set.parallelism(parallelism);
        }
        if let Some(records) = node.records {
            set = set.with_records(records);
        }
        set = match node.chaining {
            1 => set.start_new_chain(),
            2 => set.disable_chaining(),
            _ => set,
        };
        if program.panics == Some(sets.len()) {
            let gathered = gathered.clone();
            set = set.map(move |r| panics_sometimes(r, &gathered)).with_forwarded_fields("*");
        }
        sets.push(set);
    }
    for sink in &program.sinks {
        let _ = sets[*sink].output(gathered.sink(*sink)).name(&format!("sink of {sink}"));
    }
}

fn panics_sometimes(r: Rec, gathered: &Gather) -> Rec {
    if !keep(20, &r) {
        gathered.panicked();
        panic!("{ON_PURPOSE}");
    }
    r
}

/// Whether the step is one operator, or its last operator may run in other subtasks than the one before it.
fn may_set_parallelism(op: &Op) -> bool {
    !matches!(
        op,
        Op::Same
            | Op::PartitionThenDistinct(..)
            | Op::SortThenCheck(_)
            | Op::RangeSort(_)
            | Op::ZipWithIndex
            | Op::FirstOfAll(_)
            | Op::FirstOfSorted(_)
    )
}

fn step(env: &ExecutionEnvironment, sets: &[Set], node: &Node, filler: &Filler) -> Set {
    if let Op::Source(numbers, step) = &node.op {
        let records: Vec<Rec> = numbers.iter().map(|numbers| record(*numbers, filler)).collect();
        return match step {
            None => env.from_collection(records),
            Some(step) => env.create_input(Trickle { records, step: *step }),
        };
    }
    let first = &sets[node.inputs[0]];
    let Some(second) = node.inputs.get(1).map(|input| &sets[*input]) else { return unary(&node.op, first) };
    match &node.op {
        Op::Join(kind, keys, hint, function) => join(*kind, *keys, *hint, *function, first, second),
        Op::CoGroup(keys, sorted) => co_grouped(*keys, *sorted, first, second),
        Op::Cross(hint) => {
            let pairs = match hint {
                0 => first.cross(second),
                1 => first.cross_with_tiny(second),
                _ => first.cross_with_huge(second),
            };
            let kept = pairs.flat_map(|l, r, out| {
                if crossed(l, r) {
                    out.collect(pair(0, Some(l), Some(r)));
                }
            });
            kept.with_forwarded_fields_first(PAIRED[0].0).with_forwarded_fields_second(PAIRED[0].1)
        }
        Op::Union => first.union(second),
        Op::MapWithSet => first
            .map_rich(|context| {
                let sum = set_sum(&context.broadcast_set::<Rec>("set")?);
                Ok(move |r: Rec| (r.0, r.1.wrapping_add(sum), r.2, r.3))
            })
            .with_broadcast_set(second, "set")
            .with_forwarded_fields("f0;f2"),
        Op::FilterWithSet => first
            .filter_rich(|context| {
                let set = context.broadcast_set::<Rec>("members")?;
                Ok(move |r: &Rec| set.iter().any(|other| other.0 == r.0 && other.2 == r.2))
            })
            .with_broadcast_set(second, "members"),
        other => unary(other, first),
    }
}

fn unary(op: &Op, input: &Set) -> Set {
    match op.clone() {
        Op::Same => input.clone(),
        Op::Map(kind) => input.map(move |r| apply(kind, r)).with_forwarded_fields(FORWARDED[usize::from(kind)]),
        Op::FlatMap(kind) => input
            .flat_map(move |r, out| several(kind, &r).into_iter().for_each(|r| out.collect(r)))
            .with_forwarded_fields(FORWARDED[usize::from(kind)]),
        Op::MapBatches(kind) => input
            .map_batches(move |records, out| records.drain(..).for_each(|r| out.collect(apply(kind, r))))
            .with_forwarded_fields(FORWARDED[usize::from(kind)]),
        Op::MapPartition(kind) => input
            .map_partition(move |records, out| records.for_each(|r| out.collect(apply(kind, r))))
            .with_forwarded_fields(FORWARDED[usize::from(kind)]),
        Op::Filter(salt) => input.filter(move |r| keep(salt, r)),
        Op::MinBy => input.group_by(f0).min_by((f1, f2)),
        Op::Distinct => input.distinct(),
        Op::Aggregate(hint) => input.group_by(f0).combine_hint(hint).aggregate((Max(f1), Min(f2))),
        Op::FirstOfSortedGroup(count) => input.group_by(f0).sort_group((Asc(f1), Desc(f2))).first(count),
        Op::FirstOfAll(count) => input.first(count).map(|r| (0, 0, 0, r.3)),
        Op::FirstOfSorted(count) => input.sort_partition((Asc(f0), Desc(f1), Asc(f2))).parallelism(1).first(count),
        Op::ReduceAll => input.reduce(|a, b| merge(None, a, &b)),
        Op::GroupReduceAll => input.reduce_group(|records, out| all(None, &records.into_records(), out)),
        Op::SortPartition(order) => sorted(input, order),
        Op::SortThenCheck(order) => sorted(input, order).map_partition(move |records, out| {
            let mut last: Option<Rec> = None;
            for r in records {
                assert!(last.as_ref().is_none_or(|last| order.compare(last, &r).is_le()), "the partition isn't sorted");
                last = Some(r.clone());
                out.collect(r);
            }
        }),
        Op::ZipWithIndex => input.zip_with_index().map(|(i, r)| (i, 0, 0, r.3)),
        other => keyed(other, input),
    }
}

fn sorted(input: &Set, order: Order) -> Set {
    match order {
        Order::Up1 => input.sort_partition(Asc(f1)),
        Order::Down1 => input.sort_partition(Desc(f1)),
        Order::Down2Up1 => input.sort_partition((Desc(f2), Asc(f1))),
    }
}

fn all(key: Option<Key>, records: &[Rec], out: &mut Collector<'_, Rec>) {
    group(key, records).into_iter().for_each(|r| out.collect(r));
}

fn keyed(op: Op, input: &Set) -> Set {
    match op {
        Op::Reduce(key, hint) => {
            with_key!(key, k => input.group_by(k).combine_hint(hint).reduce(move |a, b| merge(Some(key), a, &b)))
        }
        Op::DistinctBy(key) => {
            with_key!(key, k => input.distinct_by(k)).map(move |r| key.only(r)).with_forwarded_fields(key.fields())
        }
        Op::GroupReduce(key) => with_key!(key, k => input.group_by(k).reduce_group(move |records, out| {
            all(Some(key), &records.into_records(), out);
        }))
        .with_forwarded_fields(key.fields()),
        Op::GroupReduceSorted(Key::F0, order) => group_sorted_by(f0, order, input).with_forwarded_fields("f0"),
        Op::GroupReduceSorted(Key::F02, order) => {
            group_sorted_by((f0, f2), order, input).with_forwarded_fields("f0;f2")
        }
        Op::GroupReduceSorted(_, order) => group_sorted_by(modulo, order, input),
        Op::GroupReduceCombinable(key) => {
            let sum = move |records: &mut Group<Rec>, out: &mut Collector<'_, Rec>| merged(key, records, out);
            with_key!(key, k => input.group_by(k).reduce_group_combinable(sum, sum)).with_forwarded_fields(key.fields())
        }
        Op::CombineThenReduce(key) => {
            let combined = with_key!(key, k => input.group_by(k).combine_group(move |records, out| {
                merged(key, records, out);
            }))
            .with_forwarded_fields(key.fields());
            with_key!(key, k => combined.group_by(k).reduce(move |a, b| merge(Some(key), a, &b)))
        }
        Op::FirstOfGroup(key, count) => with_key!(key, k => input.group_by(k).first(count))
            .map(move |r| key.only(r))
            .with_forwarded_fields(key.fields()),
        Op::Partition(spread, key) => with_key!(key, k => partitioned(spread, k, input)),
        Op::PartitionThenDistinct(spread, key) => {
            with_key!(key, k => partitioned(spread, k, input)).map_partition(move |records, out| {
                let mut seen = std::collections::BTreeSet::new();
                records.filter(|r| seen.insert(key.of(r))).for_each(|r| out.collect(key.only(r)));
            })
        }
        Op::RangeSort(key) => with_key!(key, k => range_sorted(k, input)),
        other => panic!("{other:?} has no key"),
    }
}

fn merged(key: Key, records: &mut Group<Rec>, out: &mut Collector<'_, Rec>) {
    let mut sum = records.first().expect("a group has records").clone();
    records.iter().skip(1).for_each(|r| merge(Some(key), &mut sum, &r));
    out.collect(sum);
}

fn group_sorted_by<S: KeySelector<Rec>>(key: S, order: Order, input: &Set) -> Set {
    let grouped = input.group_by(key);
    let f = move |records: &mut Group<Rec>, out: &mut Collector<'_, Rec>| {
        out.collect(group_sorted(order, &records.into_records()));
    };
    match order {
        Order::Up1 => grouped.sort_group(Asc(f1)).reduce_group(f),
        Order::Down1 => grouped.sort_group(Desc(f1)).reduce_group(f),
        Order::Down2Up1 => grouped.sort_group((Desc(f2), Asc(f1))).reduce_group(f),
    }
}

fn range_sorted<S: KeySelector<Rec>>(key: S, input: &Set) -> Set {
    input.partition_by_range(key.clone()).sort_partition(Asc(key))
}

fn partitioned<S: KeySelector<Rec>>(spread: Spread, key: S, input: &Set) -> Set {
    match spread {
        Spread::Hash => input.partition_by_hash(key),
        Spread::Range => input.partition_by_range(key),
        Spread::Custom => input.partition_custom(key, |key, count| hash_key(key) as usize / 7 % count),
        Spread::Rebalance => input.rebalance(),
    }
}

/// Hands `$body` the selectors of both sides.
macro_rules! with_pair {
    ($pair:expr, $l:ident, $r:ident => $body:expr) => {
        match $pair {
            Pair::F0F0 => with_pair!(@ f0, f0, $l, $r => $body),
            Pair::F0F2 => with_pair!(@ f0, f2, $l, $r => $body),
            Pair::F02F02 => with_pair!(@ (f0, f2), (f0, f2), $l, $r => $body),
            Pair::F02F20 => with_pair!(@ (f0, f2), (f2, f0), $l, $r => $body),
            Pair::ModF0 => with_pair!(@ modulo, f0, $l, $r => $body),
            Pair::CapturedF2 => with_pair!(@ captured(3), f2, $l, $r => $body),
        }
    };
    (@ $first:expr, $second:expr, $l:ident, $r:ident => $body:expr) => {{
        let ($l, $r) = ($first, $second);
        $body
    }};
}

fn join(kind: JoinKind, keys: Pair, hint: JoinHint, function: u8, first: &Set, second: &Set) -> Set {
    with_pair!(keys, l, r => join_on(kind, (l, r), hint, function, first, second))
}

fn join_on<L, R>(kind: JoinKind, (l, r): (L, R), hint: JoinHint, function: u8, first: &Set, second: &Set) -> Set
where
    L: KeySelector<Rec>,
    R: KeySelector<Rec, Key = L::Key>,
{
    let f = function;
    let joined = match kind {
        JoinKind::First => return first.join(second).hint(hint).on(l, r).project_first(),
        JoinKind::Second => return first.join(second).hint(hint).on(l, r).project_second(),
        JoinKind::Semi => return first.semi_join(second).hint(hint).on(l, r).records(),
        JoinKind::Anti => return first.anti_join(second).hint(hint).on(l, r).records(),
        JoinKind::Inner => first.join(second).hint(hint).on(l, r).map(move |l, r| pair(f, Some(l), Some(r))),
        JoinKind::Left => first.left_outer_join(second).hint(hint).on(l, r).map(move |l, r| pair(f, Some(l), r)),
        JoinKind::Right => first.right_outer_join(second).hint(hint).on(l, r).map(move |l, r| pair(f, l, Some(r))),
        JoinKind::Full => first.full_outer_join(second).hint(hint).on(l, r).map(move |l, r| pair(f, l, r)),
    };
    let (forwarded_first, forwarded_second) = PAIRED[usize::from(f)];
    joined.with_forwarded_fields_first(forwarded_first).with_forwarded_fields_second(forwarded_second)
}

fn co_grouped(keys: Pair, sorted: bool, first: &Set, second: &Set) -> Set {
    with_pair!(keys, l, r => {
        let groups = first.co_group(second).on(l, r);
        let f = move |first: &mut Group<Rec>, second: &mut Group<Rec>, out: &mut Collector<'_, Rec>| {
            out.collect(co_group(sorted, &first.into_records(), &second.into_records()));
        };
        if sorted { groups.sort_first_group(Desc(f1)).sort_second_group(Desc(f1)).with(f) } else { groups.with(f) }
    })
}
