//! Partitioners: which channel of an edge each record takes, by hash or by the program's own function.

use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::function::{Channels, Partitioner};
use flinkrs_core::types::{Data, KeySelector, heap_bytes};
use flinkrs_core::{Batch, Error, Result};

/// Records in all open batches of an edge together, as far as the smallest batch allows: with a thousand channels
/// their batches hold tens of records, not a thousand.
const OPEN_RECORDS: usize = 65_536;

/// The smallest limit of an open batch, however many channels there are.
const OPEN_RECORDS_MIN: usize = 16;

/// Sends each record to the channel that its key's hash falls into.
pub struct HashPartitioner<T, S> {
    selector: S,
    scatter: Scatter<T>,
}

impl<T: Data, S: KeySelector<T>> HashPartitioner<T, S> {
    /// Partitions by the key that `selector` takes out.
    pub fn new(selector: S) -> Self {
        HashPartitioner { selector, scatter: Scatter::new() }
    }
}

/// The channel of a hash: its high bits, scaled to the number of channels.
#[inline(always)]
pub fn hash_channel(hash: u64, channels: usize) -> usize {
    ((u128::from(hash) * channels as u128) >> 64) as usize
}

impl<T: Data, S: KeySelector<T>> Partitioner for HashPartitioner<T, S> {
    fn partition(&mut self, batch: &mut Batch, channels: &mut dyn Channels) -> Result<()> {
        let count = channels.count();
        if count == 1 {
            return channels.send(0, batch);
        }
        let selector = &self.selector;
        self.scatter
            .scatter(batch.records::<T>(), channels, |record| Ok(hash_channel(selector.key_hash(record), count)))
    }

    fn flush(&mut self, channels: &mut dyn Channels) -> Result<()> {
        self.scatter.flush(channels)
    }
}

/// Sends each record to the channel that the program's function of its key and the number of channels names.
pub struct CustomPartitioner<T, S, P> {
    selector: S,
    function: P,
    scatter: Scatter<T>,
}

impl<T, S, P> CustomPartitioner<T, S, P>
where
    T: Data,
    S: KeySelector<T>,
    P: Fn(&S::Key, usize) -> usize + Send + 'static,
{
    /// Partitions by `function` of the key that `selector` takes out.
    pub fn new(selector: S, function: P) -> Self {
        CustomPartitioner { selector, function, scatter: Scatter::new() }
    }
}

impl<T, S, P> Partitioner for CustomPartitioner<T, S, P>
where
    T: Data,
    S: KeySelector<T>,
    P: Fn(&S::Key, usize) -> usize + Send + 'static,
{
    fn partition(&mut self, batch: &mut Batch, channels: &mut dyn Channels) -> Result<()> {
        let count = channels.count();
        let (selector, function) = (&self.selector, &self.function);
        self.scatter.scatter(batch.records::<T>(), channels, |record| {
            let channel = selector.with_key(record, |key| function(key, count));
            if channel < count { Ok(channel) } else { Err(out_of_range(channel, count)) }
        })
    }

    fn flush(&mut self, channels: &mut dyn Channels) -> Result<()> {
        self.scatter.flush(channels)
    }
}

#[cold]
fn out_of_range(channel: usize, count: usize) -> Error {
    Error::function(format!("the partitioner returned partition {channel}; it must be less than {count}"))
}

/// The open batches of the channels.
pub(crate) struct Scatter<T> {
    open: Vec<Open<T>>,
    /// The box that travels while a channel's own is being sent.
    #[expect(
        clippy::box_collection,
        reason = "a batch is a boxed vector; keeping the box saves an allocation per send"
    )]
    spare: Option<Box<Vec<T>>>,
    /// Records per open batch.
    limit: usize,
    targets: Vec<u32>,
    /// Room for the records of one channel.
    sifted: Vec<T>,
}

/// With so few channels, a pass over the records for each of them is faster than dealing them out: no counter waits for
/// the one before.
const SIFTED_CHANNELS: usize = 4;

/// Larger records are moved as fast as they are dealt.
const SIFTED_BYTES: usize = 32;

struct Open<T> {
    #[expect(clippy::box_collection, reason = "becomes a batch without another allocation")]
    records: Box<Vec<T>>,
    bytes: usize,
}

impl<T: Data> Scatter<T> {
    pub(crate) fn new() -> Scatter<T> {
        Scatter { open: Vec::new(), spare: None, limit: 0, targets: Vec::new(), sifted: Vec::new() }
    }

    fn ready(&mut self, count: usize) {
        if self.open.len() != count {
            debug_assert!(self.open.is_empty(), "an edge keeps its number of channels");
            self.open.resize_with(count, || Open { records: Box::default(), bytes: 0 });
            self.limit = (OPEN_RECORDS / count).clamp(OPEN_RECORDS_MIN, batch_capacity::<T>().max(OPEN_RECORDS_MIN));
            self.limit = self.limit.min(batch_capacity::<T>());
        }
    }

    /// Puts each record into the open batch of the channel that `channel_of` names, and sends full batches.
    ///
    /// All channels are computed first: a failing function leaves no record half-way.
    pub(crate) fn scatter(
        &mut self,
        records: &mut Vec<T>,
        channels: &mut dyn Channels,
        channel_of: impl Fn(&T) -> Result<usize>,
    ) -> Result<()> {
        self.ready(channels.count());
        let mut targets = std::mem::take(&mut self.targets);
        targets.clear();
        for record in records.iter() {
            targets.push(channel_of(record)? as u32);
        }
        let result =
            match channels.count() <= SIFTED_CHANNELS && size_of::<T>() <= SIFTED_BYTES && !std::mem::needs_drop::<T>()
            {
                true => self.sift(records, &targets, channels),
                false => self.deal(records, &targets, channels),
            };
        self.targets = targets;
        result
    }

    /// Puts each record into the open batch of its channel.
    fn deal(&mut self, records: &mut Vec<T>, targets: &[u32], channels: &mut dyn Channels) -> Result<()> {
        for (record, channel) in records.drain(..).zip(targets) {
            let channel = *channel as usize;
            let open = &mut self.open[channel];
            if std::mem::needs_drop::<T>() {
                open.bytes += size_of::<T>() + heap_bytes(&record, BATCH_BYTES);
            }
            open.records.push(record);
            if open.records.len() >= self.limit || open.bytes >= BATCH_BYTES {
                self.send(channel, channels)?;
            }
        }
        Ok(())
    }

    /// Does the same, channel by channel, with records that are copied as cheaply as moved.
    fn sift(&mut self, records: &mut Vec<T>, targets: &[u32], channels: &mut dyn Channels) -> Result<()> {
        let Some(first) = records.first() else { return Ok(()) };
        let mut sifted = std::mem::take(&mut self.sifted);
        if sifted.len() < records.len() {
            sifted.resize(records.len(), first.clone());
        }
        for channel in 0..self.open.len() {
            let mut count = 0;
            for (record, target) in records.iter().zip(targets) {
                sifted[count] = record.clone();
                count += usize::from(*target as usize == channel);
            }
            let mut rest = &sifted[..count];
            while !rest.is_empty() {
                let open = &mut self.open[channel].records;
                let (fit, more) = rest.split_at(rest.len().min(self.limit - open.len()));
                open.extend_from_slice(fit);
                rest = more;
                if open.len() >= self.limit {
                    self.send(channel, channels)?;
                }
            }
        }
        self.sifted = sifted;
        records.clear();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn send(&mut self, channel: usize, channels: &mut dyn Channels) -> Result<()> {
        let open = &mut self.open[channel];
        open.bytes = 0;
        let full = std::mem::replace(&mut open.records, self.spare.take().unwrap_or_default());
        let mut batch = Batch::from_boxed(full);
        channels.send(channel, &mut batch)?;
        let mut empty = batch.into_boxed::<T>();
        empty.clear();
        // The channel goes on with what the send left; the box that stood in for it is the next one's stand-in.
        let open = &mut self.open[channel];
        self.spare = Some(std::mem::replace(&mut open.records, empty));
        if open.records.capacity() == 0 {
            open.records.reserve_exact(self.limit);
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self, channels: &mut dyn Channels) -> Result<()> {
        for channel in 0..self.open.len() {
            if !self.open[channel].records.is_empty() {
                self.send(channel, channels)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
