//! What the operators of random plans compute, on records of four numbers.
//!
//! Every function keeps the forwarded fields that its operator declares, and gives the same multiset of records
//! however its input is spread and ordered within what the operator requires.

use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::KeyField;
use flinkrs_plan::{ForwardedFields, OperatorKind, PlanOperator, SortField, SortOrder};
use std::cmp::Ordering;
use std::collections::BTreeMap;

pub type Record = [i64; 4];

/// Stands for the fields of an absent side.
const NULL: i64 = -1;

pub fn index(field: &KeyField) -> usize {
    match field {
        KeyField::Path(path) => path.parse().expect("fields of tests are numbers"),
        other => panic!("{other:?} isn't a field"),
    }
}

pub fn key_of(key: &[KeyField], record: &Record) -> Vec<i64> {
    key.iter().map(|field| record[index(field)]).collect()
}

pub fn mix(values: &[i64], salt: u64) -> u64 {
    let mut state = salt ^ 0x9e37_79b9_7f4a_7c15;
    for value in values {
        state = (state ^ *value as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    state
}

pub fn compare(order: &[SortField], a: &Record, b: &Record) -> Ordering {
    order
        .iter()
        .map(|sort| {
            let field = index(&sort.field);
            match sort.order {
                SortOrder::Ascending => a[field].cmp(&b[field]),
                SortOrder::Descending => b[field].cmp(&a[field]),
            }
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn moved(forwarded: &ForwardedFields, input: &Record, out: &mut Record) {
    if forwarded.all {
        *out = *input;
    }
    for (from, to) in &forwarded.fields {
        out[index(to)] = input[index(from)];
    }
}

/// Map-like operators: some records for one; `set` is the sum over the broadcast set, if there is one.
pub fn per_record(op: &PlanOperator, input: &Record, set: i64) -> Vec<Record> {
    let made = |salt: u64| {
        let mut out = [0; 4];
        for (i, value) in out.iter_mut().enumerate() {
            *value = (mix(input, salt + i as u64).wrapping_add(set as u64) % 6) as i64;
        }
        moved(&op.forwarded[0], input, &mut out);
        out
    };
    match op.kind {
        OperatorKind::Filter => {
            if mix(input, 1).is_multiple_of(3) {
                Vec::new()
            } else {
                vec![*input]
            }
        }
        OperatorKind::FlatMap => (0..mix(input, 2) % 3).map(|i| made(10 * i)).collect(),
        _ => vec![made(0)],
    }
}

/// Pairwise combination of reduces and distincts, also in combiners.
pub fn combine(op: &PlanOperator, key: &[KeyField], a: &Record, b: &Record) -> Record {
    if matches!(op.kind, OperatorKind::Distinct { .. }) {
        return *a.min(b);
    }
    let mut out = *a;
    for (i, value) in out.iter_mut().enumerate() {
        if !key.iter().any(|field| index(field) == i) {
            *value = (*value + b[i]) % 1_000_003;
        }
    }
    out
}

/// A group of a group reduce; one or two records.
pub fn group(op: &PlanOperator, key: &[KeyField], order: &[SortField], records: &[Record]) -> Vec<Record> {
    let sum = records[1..].iter().fold(records[0], |a, b| combine(op, key, &a, b));
    let mut out = sum;
    let mut free = (0..4).filter(|i| !key.iter().any(|field| index(field) == *i));
    if let (Some(sort), Some(target)) = (order.first(), free.next()) {
        // Depends on the order, but not on that of equal records.
        out[target] = records[0][index(&sort.field)];
    }
    let mut second = out;
    match free.next() {
        Some(target) if sum.iter().sum::<i64>() % 2 == 0 => {
            second[target] = 77;
            vec![out, second]
        }
        _ => vec![out],
    }
}

/// A pair of a join or cross; absent sides are null.
pub fn pair(op: &PlanOperator, first: Option<&Record>, second: Option<&Record>) -> Record {
    let mut out = [NULL; 4];
    if let Some(first) = first {
        moved(&op.forwarded[0], first, &mut out);
    }
    if let Some(second) = second {
        moved(&op.forwarded[1], second, &mut out);
    }
    out
}

pub fn keeps_pair(first: &Record, second: &Record) -> bool {
    (mix(first, 3) ^ mix(second, 4)).is_multiple_of(5)
}

/// One key's groups of both sides of a join.
pub fn join(op: &PlanOperator, join_type: JoinType, first: &[Record], second: &[Record]) -> Vec<Record> {
    use JoinType::{Anti, FullOuter, Inner, LeftOuter, RightOuter, Semi};
    match join_type {
        Semi => {
            if second.is_empty() {
                Vec::new()
            } else {
                first.to_vec()
            }
        }
        Anti => {
            if second.is_empty() {
                first.to_vec()
            } else {
                Vec::new()
            }
        }
        Inner | LeftOuter | RightOuter | FullOuter => {
            if second.is_empty() && matches!(join_type, LeftOuter | FullOuter) {
                return first.iter().map(|record| pair(op, Some(record), None)).collect();
            }
            if first.is_empty() && matches!(join_type, RightOuter | FullOuter) {
                return second.iter().map(|record| pair(op, None, Some(record))).collect();
            }
            first.iter().flat_map(|a| second.iter().map(|b| pair(op, Some(a), Some(b)))).collect()
        }
    }
}

/// One key's groups of both sides of a co-group: the key's first field, which both forward to field 0, and sums.
pub fn co_group(first_key: &[KeyField], second_key: &[KeyField], first: &[Record], second: &[Record]) -> Vec<Record> {
    let key = match (first.first(), second.first()) {
        (Some(record), _) => record[index(&first_key[0])],
        (None, Some(record)) => record[index(&second_key[0])],
        (None, None) => return Vec::new(),
    };
    let sum = |records: &[Record]| records.iter().flatten().sum::<i64>() % 7;
    vec![[key, sum(first), sum(second), first.len() as i64]]
}

pub fn by_key(key: &[KeyField], records: &[Record]) -> BTreeMap<Vec<i64>, Vec<Record>> {
    let mut groups: BTreeMap<Vec<i64>, Vec<Record>> = BTreeMap::new();
    for record in records {
        groups.entry(key_of(key, record)).or_default().push(*record);
    }
    groups
}

/// The result of an operator on whole inputs: what every plan has to give.
pub fn reference(op: &PlanOperator, inputs: &[&Vec<Record>], set: i64, source: &[Record]) -> Vec<Record> {
    match &op.kind {
        OperatorKind::Source { .. } => source.to_vec(),
        OperatorKind::Reduce { key, .. } | OperatorKind::Distinct { key } | OperatorKind::GroupCombine { key, .. } => {
            let groups = by_key(key, inputs[0]).into_values();
            groups.map(|records| records[1..].iter().fold(records[0], |a, b| combine(op, key, &a, b))).collect()
        }
        OperatorKind::GroupReduce { key, group_order, .. } => by_key(key, inputs[0])
            .into_values()
            .flat_map(|mut records| {
                records.sort_by(|a, b| compare(group_order, a, b));
                group(op, key, group_order, &records)
            })
            .collect(),
        OperatorKind::Join { join_type, first_key, second_key, .. } => {
            both(first_key, second_key, inputs).flat_map(|(a, b)| join(op, *join_type, &a, &b)).collect()
        }
        OperatorKind::CoGroup { first_key, second_key, .. } => {
            both(first_key, second_key, inputs).flat_map(|(a, b)| co_group(first_key, second_key, &a, &b)).collect()
        }
        OperatorKind::Cross { .. } => cross(op, inputs[0], inputs[1]),
        OperatorKind::Union => inputs.iter().flat_map(|records| records.iter().copied()).collect(),
        OperatorKind::Partition { .. }
        | OperatorKind::SortPartition { .. }
        | OperatorKind::Limit { .. }
        | OperatorKind::Sink => inputs[0].clone(),
        _ => inputs[0].iter().flat_map(|record| per_record(op, record, set)).collect(),
    }
}

pub fn cross(op: &PlanOperator, first: &[Record], second: &[Record]) -> Vec<Record> {
    let pairs = first.iter().flat_map(|a| second.iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| keeps_pair(a, b)).map(|(a, b)| pair(op, Some(a), Some(b))).collect()
}

fn both<'a>(
    first_key: &[KeyField],
    second_key: &[KeyField],
    inputs: &[&'a Vec<Record>],
) -> impl Iterator<Item = (Vec<Record>, Vec<Record>)> + 'a {
    let (mut first, mut second) = (by_key(first_key, inputs[0]), by_key(second_key, inputs[1]));
    let mut keys: Vec<Vec<i64>> = first.keys().chain(second.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().map(move |key| (first.remove(&key).unwrap_or_default(), second.remove(&key).unwrap_or_default()))
}

/// What a broadcast set means to its functions.
pub fn set_sum(records: &[Record]) -> i64 {
    records.iter().flatten().sum::<i64>() % 1000
}
