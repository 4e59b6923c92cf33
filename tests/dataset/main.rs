//! Every transformation of a data set against a plain computation on vectors, at several parallelisms and on several
//! kinds of data: many keys, one key, nothing, and more than fits in memory.

mod elements;
mod groups;
mod joins;
mod large;
mod outputs;
mod pairs;
mod partitions;
mod samples;
mod sorted_groups;

use flinkrs::prelude::*;
use flinkrs::resource::ByteSize;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A small key, a number, and a text.
type Rec = (u64, i64, Text);

const PARALLELISMS: [u32; 3] = [1, 3, 8];

/// An environment with the least memory that a process may have.
fn env(parallelism: u32) -> ExecutionEnvironment {
    LocalEnvironment::new().parallelism(parallelism).memory(ByteSize(32 << 20)).create().expect("an environment")
}

/// Bits that follow from `number` and look random.
fn bits(number: u64) -> u64 {
    flinkrs::types::hash_key(&number)
}

/// A record of a data set with so many keys.
fn record(number: u64, keys: u64) -> Rec {
    let bits = bits(number);
    (bits % keys, (bits >> 20) as i64 % 500 - 250, Text::from(format!("text {}", (bits >> 40) % 9)))
}

fn records(count: u64, keys: u64) -> Vec<Rec> {
    (0..count).map(|number| record(number, keys)).collect()
}

/// Many keys, one key, and no record.
fn shapes() -> [Vec<Rec>; 3] {
    [records(3_000, 50), records(300, 1), Vec::new()]
}

/// Calls `check` with every parallelism and every kind of data.
fn everywhere(check: impl Fn(&ExecutionEnvironment, &[Rec])) {
    for parallelism in PARALLELISMS {
        for shape in shapes() {
            check(&env(parallelism), &shape);
        }
    }
}

/// Calls `check` with every parallelism and pairs of data sets: of common keys, of one key, and with empty ones.
fn everywhere_twice(check: impl Fn(&ExecutionEnvironment, &[Rec], &[Rec])) {
    let second: Vec<Rec> = records(200, 70).into_iter().map(|(a, b, c)| (a + 20, b, c)).collect();
    let pairs = [
        (records(500, 50), second.clone()),
        (records(60, 1), records(50, 1)),
        (Vec::new(), second.clone()),
        (second, Vec::new()),
        (Vec::new(), Vec::new()),
    ];
    for parallelism in PARALLELISMS {
        for (first, second) in &pairs {
            check(&env(parallelism), first, second);
        }
    }
}

/// The same records in whatever order.
#[track_caller]
fn same<T: Ord + Debug>(mut got: Vec<T>, mut expected: Vec<T>) {
    got.sort();
    expected.sort();
    let counts = (got.len(), expected.len());
    let different = got.iter().zip(&expected).position(|(got, expected)| got != expected);
    if let Some(at) = different {
        panic!("{counts:?} records; record {at} is {:?} and should be {:?}", got[at], expected[at]);
    }
    assert_eq!(counts.0, counts.1, "the records of the shorter one are right");
}

/// The records of each key, in their order.
fn by_key<T: Clone, K: Ord>(records: &[T], key: impl Fn(&T) -> K) -> BTreeMap<K, Vec<T>> {
    let mut groups: BTreeMap<K, Vec<T>> = BTreeMap::new();
    for record in records {
        groups.entry(key(record)).or_default().push(record.clone());
    }
    groups
}
