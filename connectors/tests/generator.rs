//! Sequences, collections and iterators: complete for any number of splits, with exact statistics.

mod common;

use common::read_all;
use flinkrs_connectors::{CollectionInput, IteratorInput, SequenceInput};
use flinkrs_core::source::{InputFormat, Statistics};
use flinkrs_core::types::codec;
use proptest::prelude::*;

#[test]
fn sequences_reach_the_ends_of_their_types() {
    let low = SequenceInput { from: i64::MIN, to: i64::MIN + 4 };
    assert_eq!(read_all(&low, 3).expect("reads"), (i64::MIN..=i64::MIN + 4).collect::<Vec<_>>());
    let high = SequenceInput { from: u64::MAX - 4, to: u64::MAX };
    assert_eq!(read_all(&high, 2).expect("reads"), (u64::MAX - 4..=u64::MAX).collect::<Vec<_>>());
    assert_eq!(read_all(&SequenceInput { from: 1u64, to: 0 }, 2).expect("reads"), []);
    let all = SequenceInput { from: i64::MIN, to: i64::MAX };
    let splits = all.splits(4).expect("splits");
    assert_eq!(splits.len(), 4);
    assert_eq!((splits[0].0.0, splits[3].0.1), (i64::MIN, i64::MAX));
    let statistics = SequenceInput { from: -5i64, to: 4 }.statistics().expect("known");
    assert_eq!(statistics, Statistics { records: Some(10.0), bytes: Some(80.0), record_bytes: Some(8.0) });
}

#[test]
fn collections_travel_in_their_splits() {
    let words: Vec<String> = (0..100).map(|i| format!("word {i}")).collect();
    let input = CollectionInput::new(words.clone());
    assert_eq!(input.splits(7).expect("splits").len(), 7);
    let elsewhere = CollectionInput::<String>::new([]);
    let mut found = Vec::new();
    for (split, bytes) in input.splits(7).expect("splits") {
        assert_eq!(split.len() as u64, bytes);
        let mut reader = elsewhere.open(split).expect("opens");
        while flinkrs_core::source::SplitReader::read(&mut reader, &mut found).expect("reads") {}
    }
    assert_eq!(found, words);
    let mut encoded = Vec::new();
    codec::encode(&words, &mut encoded).expect("encodes");
    let statistics = input.statistics().expect("known");
    assert_eq!((statistics.records, statistics.bytes), (Some(100.0), Some(encoded.len() as f64)));
    assert_eq!(read_all(&elsewhere, 4).expect("reads"), [""; 0]);
    assert_eq!(elsewhere.statistics().expect("known").records, Some(0.0));
}

#[test]
fn iterators_know_their_split() {
    let input = IteratorInput::new(|split, splits| (split..5000).step_by(splits)).records(5000.0);
    let mut found = read_all(&input, 3).expect("reads");
    found.sort_unstable();
    assert_eq!(found, (0..5000).collect::<Vec<usize>>());
    assert_eq!(input.statistics().expect("known").records, Some(5000.0));
}

proptest! {
    #[test]
    fn complete_for_any_number_of_splits(from in -5000i64..5000, count in 0i64..5000, wanted in 1usize..40) {
        let expected: Vec<i64> = (from..from + count).collect();
        prop_assert_eq!(&read_all(&SequenceInput { from, to: from + count - 1 }, wanted).expect("reads"), &expected);
        prop_assert_eq!(&read_all(&CollectionInput::new(expected.clone()), wanted).expect("reads"), &expected);
    }
}
