//! Merges sorted runs through a tree of losers, and merges many runs into as few as memory can read at once.

use super::memory::MemoryRun;
use crate::order::RecordOrder;
use flinkrs_core::Result;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::{Data, KeyPrefix};
use flinkrs_memory::{SpillReader, SpillRun, SpillSizes, SpillSpace, SpillWriter};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::vec;

/// Runs merged at once, at most: more would make every read of a run too short.
const FAN_IN_MAX: usize = 512;

/// Bytes read ahead of a run, at most.
const READ_AHEAD_MAX: usize = 1 << 20;

/// Several sorted runs as one.
pub(super) struct Merge<T, O> {
    order: O,
    sources: Vec<Source<T>>,
    /// `losers[0]` is the source with the smallest head; the others lost against the winner of their subtree.
    losers: Vec<u32>,
}

struct Source<T> {
    rest: Rest<T>,
    block: vec::IntoIter<T>,
    /// Of the head; meaningless once the source is empty.
    prefix: u64,
}

enum Rest<T> {
    Disk(SpillReader<T>),
    Memory(Box<MemoryRun<T>>),
}

impl<T: Data, O: RecordOrder<T>> Merge<T, O> {
    /// Merges runs on disk, with `read_ahead` bytes for each, and perhaps one in memory.
    pub(super) fn new(
        order: O,
        runs: impl IntoIterator<Item = SpillRun<T>>,
        memory: Option<MemoryRun<T>>,
        read_ahead: usize,
    ) -> Result<Merge<T, O>> {
        let disk = runs.into_iter().map(|run| Rest::Disk(run.reader(read_ahead)));
        let rests = disk.chain(memory.map(|run| Rest::Memory(Box::new(run))));
        let sources: Vec<Source<T>> =
            rests.map(|rest| Source { rest, block: Vec::new().into_iter(), prefix: 0 }).collect();
        let mut merge = Merge { order, losers: vec![0; sources.len()], sources };
        for source in 0..merge.sources.len() {
            merge.load(source)?;
        }
        if !merge.sources.is_empty() {
            merge.losers[0] = merge.play(1);
        }
        Ok(merge)
    }

    /// The winner among the leaves below `node`; the losers on the way stay in the tree.
    fn play(&mut self, node: usize) -> u32 {
        let count = self.sources.len();
        if node >= count {
            return (node - count) as u32;
        }
        let (left, right) = (self.play(2 * node), self.play(2 * node + 1));
        let (winner, loser) = if self.beats(left, right) { (left, right) } else { (right, left) };
        self.losers[node] = loser;
        winner
    }

    /// Whether the head of `a` comes before that of `b`; an empty source loses.
    #[inline]
    fn beats(&self, a: u32, b: u32) -> bool {
        let (a, b) = (&self.sources[a as usize], &self.sources[b as usize]);
        let Some(first) = a.block.as_slice().first() else { return false };
        let Some(second) = b.block.as_slice().first() else { return true };
        match a.prefix.cmp(&b.prefix) {
            Ordering::Equal => {
                self.order.prefix(first).1 == KeyPrefix::Full || self.order.compare(first, second).is_le()
            }
            order => order.is_lt(),
        }
    }

    /// Makes sure that `source` has a head unless it is empty.
    #[inline]
    fn load(&mut self, source: usize) -> Result<()> {
        let source = &mut self.sources[source];
        if source.block.as_slice().is_empty() {
            let block = match &mut source.rest {
                Rest::Disk(reader) => reader.next_block()?,
                Rest::Memory(run) => run.next_block(),
            };
            source.block = block.unwrap_or_default().into_iter();
        }
        if let Some(head) = source.block.as_slice().first() {
            source.prefix = self.order.prefix(head).0;
        }
        Ok(())
    }

    /// The smallest record.
    #[inline]
    pub(super) fn peek(&self) -> Option<&T> {
        let winner = *self.losers.first()?;
        self.sources[winner as usize].block.as_slice().first()
    }

    /// Takes the smallest record.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<T>> {
        let Some(&first) = self.losers.first() else { return Ok(None) };
        let Some(record) = self.sources[first as usize].block.next() else { return Ok(None) };
        self.load(first as usize)?;
        let mut winner = first;
        let mut node = (first as usize + self.sources.len()) / 2;
        while node > 0 {
            if self.beats(self.losers[node], winner) {
                std::mem::swap(&mut self.losers[node], &mut winner);
            }
            node /= 2;
        }
        self.losers[0] = winner;
        Ok(Some(record))
    }
}

/// Memory that reading all of `runs` at once takes at least, in bytes.
pub(super) fn memory_to_read<'a, T: Data>(runs: impl IntoIterator<Item = &'a SpillRun<T>>) -> usize {
    runs.into_iter().map(SpillRun::memory_to_read).sum()
}

/// What each of `runs` sources may read ahead when `available` bytes are free beyond what they need.
pub(super) fn read_ahead(available: usize, runs: usize) -> usize {
    (available / 2 / runs.max(1)).min(READ_AHEAD_MAX)
}

/// Merges runs with each other until the budget can read all that are left at once; two can always be read.
pub(super) fn reduce<T: Data, O: RecordOrder<T>>(
    runs: &mut VecDeque<SpillRun<T>>,
    order: &O,
    budget: &MemoryBudget,
    space: &SpillSpace,
    sizes: SpillSizes,
) -> Result<()> {
    let available = budget.available();
    // The runs of a pass go into one file, so that the previous pass's file is free when its last run is merged.
    let mut pass: Option<SpillWriter<T>> = None;
    let mut left_in_pass = 0;
    loop {
        let fan_in = fan_in(runs, available);
        if fan_in >= runs.len() {
            return Ok(());
        }
        if left_in_pass < 2 {
            runs.rotate_left(left_in_pass);
            left_in_pass = runs.len();
            pass = None;
        }
        let group = fan_in.min(runs.len() - fan_in + 1).max(2).min(left_in_pass);
        left_in_pass -= group;
        let merged: Vec<SpillRun<T>> = runs.drain(..group).collect();
        let spare = available.saturating_sub(memory_to_read(&merged));
        let mut merge = Merge::new(order.clone(), merged, None, read_ahead(spare, group))?;
        let writer = match &mut pass {
            Some(writer) => writer,
            None => pass.insert(SpillWriter::with_sizes(space, sizes)?),
        };
        while let Some(record) = merge.next()? {
            writer.push(record)?;
        }
        runs.push_back(writer.end_run()?);
    }
}

/// How many runs, from the front, can be read at once in `available` bytes; at least two.
fn fan_in<T: Data>(runs: &VecDeque<SpillRun<T>>, available: usize) -> usize {
    let mut sum = 0;
    let fitting = runs.iter().take_while(|run| {
        sum += run.memory_to_read();
        sum <= available
    });
    fitting.count().clamp(2, FAN_IN_MAX)
}
