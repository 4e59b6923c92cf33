//! Range partitioning: a sample of the keys, the bounds that divide it equally, and the channel between two bounds.

use crate::partition::Scatter;
use flinkrs_core::batch::batch_capacity;
use flinkrs_core::element::Superstep;
use flinkrs_core::function::{Channels, Partitioner};
use flinkrs_core::types::{Data, Key, KeySelector};
use flinkrs_core::{Batch, Operator, Output, Progress, Result, RuntimeContext};
use std::marker::PhantomData;
use std::sync::Arc;

/// The broadcast set in which [`RangePartitioner`] finds the sample.
pub const RANGE_BOUNDS: &str = "range-bounds";

/// Keys that each sampling subtask keeps: enough that a thousandth of all records is a few keys of its sample.
const SAMPLE_KEYS: usize = 8192;

/// Keys of the whole sample after it was thinned out; more would make the shares no more equal.
const BOUND_KEYS: usize = 16_384;

/// Sends smaller keys to lower channels, equal keys to one, and about equal numbers of records to all.
pub struct RangePartitioner<T, S: KeySelector<T>> {
    selector: S,
    sample: Arc<Vec<S::Key>>,
    /// Channel `i` takes the keys up to `bounds[i]` that no channel before takes.
    bounds: Vec<S::Key>,
    scatter: Scatter<T>,
}

impl<T: Data, S: KeySelector<T>> RangePartitioner<T, S> {
    /// Partitions by the key that `selector` takes out and the sample that [`RangeBounds`] made.
    pub fn new(selector: S) -> Self {
        RangePartitioner { selector, sample: Arc::default(), bounds: Vec::new(), scatter: Scatter::new() }
    }
}

impl<T: Data, S: KeySelector<T>> Partitioner for RangePartitioner<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.sample = context.broadcast_set(RANGE_BOUNDS)?;
        Ok(())
    }

    fn partition(&mut self, batch: &mut Batch, channels: &mut dyn Channels) -> Result<()> {
        let count = channels.count();
        if count == 1 {
            return channels.send(0, batch);
        }
        if !self.sample.is_empty() {
            self.bounds = quantiles(&self.sample, count);
            self.sample = Arc::default();
        }
        let RangePartitioner { selector, bounds, scatter, .. } = self;
        scatter.scatter(batch.records::<T>(), channels, |record| {
            Ok(selector.with_key(record, |key| bounds.partition_point(|bound| bound < key)))
        })
    }

    fn flush(&mut self, channels: &mut dyn Channels) -> Result<()> {
        self.scatter.flush(channels)
    }
}

/// The bounds between `count` equal shares of the sample.
fn quantiles<K: Key>(sample: &[K], count: usize) -> Vec<K> {
    let mut sorted: Vec<&K> = sample.iter().collect();
    sorted.sort_unstable();
    (1..count).map(|i| sorted[(i * sorted.len() / count).max(1) - 1].clone()).collect()
}

/// Passes records on and keeps a uniform sample of their keys, which goes to side output 0 at the end.
pub struct RangeSampler<T, S: KeySelector<T>> {
    selector: S,
    sample: Vec<S::Key>,
    random: Random,
    /// Records to pass before the next is sampled.
    skip: u64,
    /// Algorithm L's weight: the largest of the smallest random numbers, one per kept key.
    weight: f64,
    types: PhantomData<fn(T)>,
}

impl<T: Data, S: KeySelector<T>> RangeSampler<T, S> {
    /// Samples the keys that `selector` takes out.
    pub fn new(selector: S) -> Self {
        RangeSampler { selector, sample: Vec::new(), random: Random(0), skip: 0, weight: 1.0, types: PhantomData }
    }

    fn reset(&mut self) {
        self.sample = Vec::new();
        (self.skip, self.weight) = (0, 1.0);
    }

    /// Decides how many records pass before one replaces a key of the full sample (Li, 1994, algorithm L).
    fn draw_skip(&mut self) {
        self.weight *= (self.random.unit().ln() / SAMPLE_KEYS as f64).exp();
        let skip = self.random.unit().ln() / (1.0 - self.weight).ln();
        // A cast of a float too large, or not a number, stays within the range of the integer.
        self.skip = skip as u64;
    }

    fn sample(&mut self, records: &[T]) {
        let free = (SAMPLE_KEYS - self.sample.len()).min(records.len());
        self.sample.extend(records[..free].iter().map(|record| self.selector.key(record)));
        if free > 0 && self.sample.len() == SAMPLE_KEYS {
            self.draw_skip();
        }
        let mut rest = &records[free..];
        while (rest.len() as u64) > self.skip {
            let index = self.random.below(SAMPLE_KEYS);
            self.sample[index] = self.selector.key(&rest[self.skip as usize]);
            rest = &rest[self.skip as usize + 1..];
            self.draw_skip();
        }
        if self.sample.len() == SAMPLE_KEYS {
            self.skip -= rest.len() as u64;
        }
    }
}

impl<T: Data, S: KeySelector<T>> Operator for RangeSampler<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.random = Random(u64::from(context.subtask.index));
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        self.sample(batch.records::<T>());
        out.push(batch)
    }

    fn end_input(&mut self, _input: usize, out: &mut dyn Output) -> Result<()> {
        let sample = std::mem::take(&mut self.sample);
        self.reset();
        if sample.is_empty() { Ok(()) } else { out.side(0, &mut Batch::new(sample)) }
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.end_input(0, out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.reset();
        Ok(())
    }
}

/// Gathers the samples of all subtasks, and emits them sorted and thinned out at the end.
pub struct RangeBounds<K> {
    keys: Vec<K>,
    /// How many keys were emitted.
    emitted: usize,
}

impl<K: Key> RangeBounds<K> {
    /// Without keys yet.
    pub fn new() -> Self {
        RangeBounds { keys: Vec::new(), emitted: 0 }
    }
}

impl<K: Key> Default for RangeBounds<K> {
    fn default() -> Self {
        RangeBounds::new()
    }
}

impl<K: Key> Operator for RangeBounds<K> {
    fn open(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        self.keys.append(batch.records::<K>());
        Ok(())
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        if self.emitted == 0 {
            self.keys.sort_unstable();
        }
        // Key `i` of `count` that are kept stands for an equal share of all.
        let count = self.keys.len().min(BOUND_KEYS);
        let end = count.min(self.emitted + batch_capacity::<K>());
        let step = (self.emitted..end).map(|i| self.keys[i * self.keys.len() / count].clone());
        let mut batch = Batch::new(step.collect::<Vec<K>>());
        self.emitted = end;
        if !batch.is_empty() {
            out.push(&mut batch)?;
        }
        if self.emitted < count {
            return Ok(Progress::More);
        }
        (self.keys, self.emitted) = (Vec::new(), 0);
        Ok(Progress::Done)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        while self.advance(out)? == Progress::More {}
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.keys = Vec::new();
        Ok(())
    }
}

/// A sequence of numbers that is the same in every run: splitmix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests;
