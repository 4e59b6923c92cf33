//! Partitioners against channels that keep what they get.

use super::*;
use flinkrs_core::types::{Key, Whole, f0};
use proptest::prelude::*;

/// What each channel has received.
pub(crate) struct Received<T> {
    channels: Vec<Vec<T>>,
    largest: usize,
}

impl<T: Data> Received<T> {
    /// Sends the records in batches through `partitioner` over `count` channels.
    pub(crate) fn of(partitioner: &mut dyn Partitioner, records: &[T], count: usize) -> Result<Vec<Vec<T>>> {
        let mut received = Received { channels: vec![Vec::new(); count], largest: 0 };
        for mut batch in crate::testing::batches(records, 300) {
            partitioner.partition(&mut batch, &mut received)?;
            assert!(batch.is_empty());
        }
        partitioner.flush(&mut received)?;
        if count > 1 {
            assert!(received.largest <= (OPEN_RECORDS / count).max(OPEN_RECORDS_MIN));
        }
        Ok(received.channels)
    }
}

impl<T: Data> Channels for Received<T> {
    fn count(&self) -> usize {
        self.channels.len()
    }
    fn send(&mut self, channel: usize, batch: &mut Batch) -> Result<()> {
        assert!(!batch.is_empty(), "an empty batch is never sent");
        self.largest = self.largest.max(batch.len());
        self.channels[channel].append(batch.records::<T>());
        Ok(())
    }
}

fn check<K: Key + std::fmt::Debug>(records: Vec<K>, count: usize) {
    let mut partitioner = HashPartitioner::<K, _>::new(Whole);
    let channels = Received::of(&mut partitioner, &records, count).expect("it works");
    for (number, channel) in channels.iter().enumerate() {
        assert!(channel.iter().all(|key| hash_channel(flinkrs_core::types::hash_key(key), count) == number));
    }
    let mut all = channels.concat();
    all.sort();
    let mut expected = records;
    expected.sort();
    assert_eq!(all, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_record_goes_to_the_channel_of_its_hash(
        numbers in prop::collection::vec(0u64..500, 0..3000),
        strings in prop::collection::vec("[a-z]{0,40}", 0..500),
        count in prop::sample::select(vec![1usize, 2, 3, 64, 1000, 10_000]),
    ) {
        check(numbers, count);
        check(strings, count);
    }
}

#[test]
fn batches_end_at_their_bytes() {
    let records = vec!["x".repeat(BATCH_BYTES / 4); 40];
    let mut partitioner = HashPartitioner::<String, _>::new(Whole);
    let mut received: Received<String> = Received { channels: vec![Vec::new(); 2], largest: 0 };
    partitioner.partition(&mut Batch::new(records), &mut received).expect("it works");
    assert_eq!(received.largest, 4);
    assert_eq!(received.channels.concat().len(), 40);
}

#[test]
fn a_custom_partition_out_of_range_is_an_error_with_both_numbers() {
    let records: Vec<(u64, u64)> = (0..100).map(|i| (i, i)).collect();
    let mut modulo = CustomPartitioner::<(u64, u64), _, _>::new(f0, |key: &u64, count| *key as usize % count);
    let channels = Received::of(&mut modulo, &records, 3).expect("it works");
    assert!(channels.iter().enumerate().all(|(i, channel)| channel.iter().all(|r| r.0 as usize % 3 == i)));
    let mut wrong = CustomPartitioner::<(u64, u64), _, _>::new(f0, |key: &u64, _| *key as usize);
    let error = Received::of(&mut wrong, &records, 7).expect_err("key 7 is out of range").to_string();
    assert_eq!(error, "the partitioner returned partition 7; it must be less than 7");
}
