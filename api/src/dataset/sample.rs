//! Samples: a part of the records, or so many of them.

use crate::dataset::DataSet;
use flinkrs_core::Collector;
use flinkrs_core::types::{Data, f0, hash_key, own_heap};
use flinkrs_operators::Records;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

impl<T: Data> DataSet<T> {
    /// Each record with probability `fraction`, the same choice for the same seed, data and parallelism.
    pub fn sample(&self, fraction: f64, seed: u64) -> DataSet<T> {
        let bound = (fraction.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        self.filter_rich(move |context| {
            let (subtask, mut number) = (context.subtask.index, 0u64);
            Ok(move |_: &T| {
                number += 1;
                hash_key(&(seed, subtask, number)) < bound
            })
        })
        .name("Sample")
    }

    /// `n` records, each choice of so many as likely as any other: all records if there are fewer, or with replacement
    /// `n` draws, so that a record may come out more than once.
    ///
    /// Every subtask holds up to `2 * n` records in memory. The same seed makes the same choice if each subtask has the
    /// same records in the same order.
    pub fn sample_with_size(&self, with_replacement: bool, n: usize, seed: u64) -> DataSet<T> {
        if with_replacement { self.draws(n, seed) } else { self.chosen(n, seed) }
    }

    /// Gives every record a random weight and takes those with the largest, of each subtask first.
    fn chosen(&self, n: usize, seed: u64) -> DataSet<T> {
        let here = self
            .map_partition_rich(move |context| {
                let subtask = context.subtask.index;
                Ok(move |records: &mut Records<'_, T>, out: &mut Collector<'_, (u64, T)>| {
                    let mut largest = Largest::new(n);
                    for (number, record) in (0u64..).zip(records) {
                        largest.offer(hash_key(&(seed, subtask, number)), record);
                    }
                    largest.take().into_iter().for_each(|candidate| out.collect(candidate));
                })
            })
            .name("SampleHere");
        let parallelism = self.env.explicit_parallelism(self.id);
        self.env.change(here.id, |operator| operator.parallelism = parallelism);
        let merged = here.map_partition(move |candidates, out| {
            let mut largest = Largest::new(n);
            candidates.for_each(|(weight, record)| largest.offer(weight, record));
            largest.take().into_iter().for_each(|(_, record)| out.collect(record));
        });
        merged.name("SampleWithSize").parallelism(1)
    }

    /// Draws a record for each of `n` places in every subtask, and for each place one of those, the more likely the
    /// more records its subtask has.
    fn draws(&self, n: usize, seed: u64) -> DataSet<T> {
        let here = self
            .map_partition_rich(move |context| {
                let subtask = context.subtask.index;
                Ok(move |records: &mut Records<'_, T>, out: &mut Collector<'_, (u64, f64, T)>| {
                    let random = |place: u64, number: u64| unit(hash_key(&(seed, subtask, place, number)));
                    let (drawn, count) = draw(n, records, random);
                    for (place, record) in (0u64..).zip(drawn) {
                        // The largest of these is that of a subtask with a chance in proportion to its records.
                        out.collect((place, random(place, 0).ln() / count as f64, record));
                    }
                })
            })
            .name("SampleHere");
        let parallelism = self.env.explicit_parallelism(self.id);
        self.env.change(here.id, |operator| operator.parallelism = parallelism);
        let best = here.group_by(f0).reduce(|best, next| {
            if next.1 > best.1 {
                *best = next;
            }
        });
        best.name("SampleWithSize").map(|(_, _, record)| record).name("Sampled")
    }
}

/// The records with the largest weights, a limited number of them.
struct Largest<T> {
    count: usize,
    /// Up to twice as many as are wanted, so that throwing out costs little.
    held: Vec<(u64, T)>,
    /// What weighs less has no chance.
    least: u64,
}

impl<T: Data> Largest<T> {
    fn new(count: usize) -> Largest<T> {
        Largest { count, held: Vec::new(), least: 0 }
    }

    fn offer(&mut self, weight: u64, mut record: T) {
        if weight < self.least || self.count == 0 {
            return;
        }
        own_heap(&mut record);
        self.held.push((weight, record));
        if self.held.len() >= self.count.saturating_mul(2) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.held.len() > self.count {
            let (_, last, _) = self.held.select_nth_unstable_by_key(self.count - 1, |(weight, _)| Reverse(*weight));
            self.least = last.0;
            self.held.truncate(self.count);
        }
    }

    fn take(mut self) -> Vec<(u64, T)> {
        self.shrink();
        self.held
    }
}

/// Draws one of `records` for each of `n` places, and counts the records; none if there is no record.
///
/// A place takes record number `k` with probability `1 / k`. What it takes next follows from one random number,
/// `random` of place and record, so that the others need not be looked at.
fn draw<T: Data>(n: usize, records: impl Iterator<Item = T>, random: impl Fn(u64, u64) -> f64) -> (Vec<T>, u64) {
    let mut drawn = Vec::new();
    let mut next: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
    let mut count = 0;
    for mut record in records {
        count += 1;
        let after = |place: u64| Reverse(((count as f64 / random(place, count)) as u64 + 1, place));
        if count == 1 {
            own_heap(&mut record);
            drawn = vec![record; n];
            next = (0..n as u64).map(after).collect();
            continue;
        }
        while let Some(mut first) = next.peek_mut().filter(|first| first.0.0 == count) {
            let place = first.0.1;
            *first = after(place);
            drawn[place as usize] = record.clone();
            own_heap(&mut drawn[place as usize]);
        }
    }
    (drawn, count)
}

/// A number between 0 and 1, neither included.
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}
