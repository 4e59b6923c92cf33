//! A solution set that may be larger than its memory: one index, or, once memory was short, one per part of the keys.
//!
//! ```text
//!   in memory          one index, looked up and updated in place
//!   beyond its budget  parts by the hash of the key; each in memory, or on disk until it is needed
//! ```
//!
//! Who needs records of a part that is on disk writes down what for, by part ([`Deferred`]), and comes back at the end
//! of the superstep: each part is then loaded once. The part that was loaded last makes room for the next one, so that
//! those that came first stay in memory from superstep to superstep.

use crate::hash_memory::Memory;
use crate::solution_index::{Keys, SolutionIndex, mark, marked};
use flinkrs_core::state::{Extent, StateWriter};
use flinkrs_core::types::{Data, Key, hash_key, table_hash};
use flinkrs_core::{Result, RuntimeContext};
use flinkrs_memory::{SpillReader, SpillRun, SpillSizes, SpillSpace, SpillWriter};
use std::sync::Arc;

/// Parts to begin with: with 16, a set that lacks little memory is mostly left in memory.
const PARTS: usize = 16;

/// A part takes at most so much of the memory that all of them had when it was first short: there are always a few in
/// memory.
const PART_SHARE: usize = 4;

/// A part of fewer records isn't divided, whatever its memory says.
const PART_RECORDS_MIN: usize = 64;

/// The lowest bit of a hash that says which part a key is in; the index of a part uses others.
const PART_BIT: u32 = 32;

/// Memory for the files that are being written, of all parts together, in bytes.
const WRITERS_BYTES: usize = 512 << 10;

/// Bytes that a record's position takes in an index, about.
const POSITION_BYTES: usize = 10;

/// The solution set of one slot.
pub(crate) struct Solution<K, T> {
    keys: Arc<Keys<K, T>>,
    /// One, or a power of two.
    parts: Vec<Part<K, T>>,
    /// Of several parts, those that are in memory, in the order in which they came there.
    loaded: Vec<usize>,
    /// What memory is taken from, once the set is being built.
    memory: Option<Memory>,
    space: Option<SpillSpace>,
    /// A part of more bytes is divided.
    part_bytes: usize,
}

struct Part<K, T> {
    index: Option<SolutionIndex<K, T>>,
    /// Memory reserved for the index.
    reserved: usize,
    /// The records as they were when the part was in memory last.
    run: Option<SpillRun<T>>,
    /// Whether the run isn't what the part is now.
    stale: bool,
    /// While it is on disk, which of its records have changed.
    changed: Option<Vec<u64>>,
}

impl<K, T> Part<K, T> {
    fn on_disk(run: SpillRun<T>, changed: Option<Vec<u64>>) -> Part<K, T> {
        Part { index: None, reserved: 0, run: Some(run), stale: false, changed }
    }
}

/// What became of a record that was to be put in.
pub(crate) enum Put<T> {
    /// Its key is new.
    Added,
    /// It has taken the place of another one.
    Replaced,
    /// Its part is on disk.
    Away(T),
}

impl<K: Key, T: Data> Solution<K, T> {
    pub(crate) fn new(keys: Keys<K, T>) -> Solution<K, T> {
        Solution::empty(Arc::new(keys))
    }

    /// The set is about to be built, from memory and in files of this context.
    pub(crate) fn open(&mut self, context: &RuntimeContext) {
        self.memory = Some(Memory::new(context.budget()));
        self.space = Some(SpillSpace::of(context));
    }

    /// Forgets all records.
    pub(crate) fn close(&mut self) {
        *self = Solution::empty(Arc::clone(&self.keys));
    }

    fn empty(keys: Arc<Keys<K, T>>) -> Solution<K, T> {
        let parts = vec![whole(&keys)];
        Solution { keys, parts, loaded: Vec::new(), memory: None, space: None, part_bytes: usize::MAX }
    }

    /// The only index, if there are no parts.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&SolutionIndex<K, T>> {
        match &self.parts[..] {
            [part] => part.index.as_ref(),
            _ => None,
        }
    }

    /// How many parts there are.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The part of a key.
    pub(crate) fn part_of(&self, key: &K) -> usize {
        part_of(table_hash(hash_key(key)), self.parts.len())
    }

    /// The index of a part, if it is in memory.
    pub(crate) fn index(&self, part: usize) -> Option<&SolutionIndex<K, T>> {
        self.parts[part].index.as_ref()
    }

    /// Loads the part of a key and returns the record that the key has.
    pub(crate) fn fetch(&mut self, key: &K) -> Result<Option<T>> {
        let index = self.load(self.part_of(key))?;
        Ok(index.record(index.position(key)).cloned())
    }

    /// Puts a record in place of that with its key, or adds it, if its part is in memory.
    pub(crate) fn put(&mut self, key: &K, record: T) -> Result<Put<T>> {
        let number = if self.parts.len() == 1 { 0 } else { self.part_of(key) };
        let part = &mut self.parts[number];
        let Some(index) = &mut part.index else { return Ok(Put::Away(record)) };
        part.stale = true;
        let added = index.put(key, record)?;
        if (added || std::mem::needs_drop::<T>()) && index.bytes() > part.reserved {
            self.reserve(number)?;
        }
        Ok(if added { Put::Added } else { Put::Replaced })
    }

    /// Reserves memory for what the index of a part has grown by, at the cost of other parts or by dividing it.
    fn reserve(&mut self, number: usize) -> Result<()> {
        loop {
            let part = &mut self.parts[number];
            let (Some(index), Some(memory)) = (&part.index, &mut self.memory) else { return Ok(()) };
            let (bytes, divisible) = (index.bytes(), index.records().len() >= PART_RECORDS_MIN);
            if bytes > self.part_bytes && divisible {
                return self.divide();
            }
            if memory.try_grow(bytes - part.reserved) {
                part.reserved = bytes;
                return Ok(());
            }
            match self.loaded.iter().rposition(|loaded| *loaded != number) {
                Some(at) => self.unload(at)?,
                None if divisible => return self.divide(),
                None => {
                    memory.force(bytes - part.reserved);
                    part.reserved = bytes;
                    return Ok(());
                }
            }
        }
    }

    /// Moves a part to disk, the one that came `at`th.
    fn unload(&mut self, at: usize) -> Result<()> {
        let part = &mut self.parts[self.loaded.remove(at)];
        let Some(index) = part.index.take() else { return Ok(()) };
        let (records, changed) = index.into_records();
        part.changed = changed;
        if part.stale || part.run.is_none() {
            let mut writer = writer(self.space.as_ref(), 1)?;
            records.into_iter().try_for_each(|record| writer.push(record))?;
            (part.run, part.stale) = (Some(writer.finish()?), false);
        }
        self.memory.iter_mut().for_each(|memory| memory.shrink(part.reserved));
        part.reserved = 0;
        Ok(())
    }

    /// Brings a part into memory; those that came last make room.
    pub(crate) fn load(&mut self, number: usize) -> Result<&SolutionIndex<K, T>> {
        if self.parts[number].index.is_none() {
            let records = self.parts[number].run.as_ref().map_or(0, |run| run.records() as usize);
            let expected = records * (size_of::<T>() + POSITION_BYTES);
            while let Some(memory) = &mut self.memory
                && !memory.grow(expected, self.loaded.is_empty())
            {
                self.unload(self.loaded.len() - 1)?;
            }
            let part = &mut self.parts[number];
            let mut index = SolutionIndex::new(&self.keys, records);
            let mut reader = part.run.as_ref().map(|run| run.reader(BLOCK_BYTES));
            while let Some(block) = next_block(&mut reader)? {
                block.into_iter().try_for_each(|record| index.add(record))?;
            }
            index.set_changed(part.changed.take());
            part.reserved = index.bytes();
            self.memory.iter_mut().for_each(|memory| memory.exchange(expected, part.reserved));
            part.index = Some(index);
            self.loaded.push(number);
        }
        Ok(self.parts[number].index.as_ref().expect("it has just been loaded"))
    }

    /// Makes more parts of the one or several that there are; all of them are on disk then.
    #[cold]
    fn divide(&mut self) -> Result<()> {
        let before = self.parts.len();
        let count = if before == 1 { PARTS } else { 2 * before };
        if before == 1 {
            let free = self.memory.as_ref().map_or(0, Memory::available);
            self.part_bytes = (self.parts[0].reserved + free) / PART_SHARE;
        }
        let mut parts: Vec<Option<Part<K, T>>> = (0..count).map(|_| None).collect();
        for (number, part) in std::mem::take(&mut self.parts).into_iter().enumerate() {
            let reserved = part.reserved;
            let targets = (number..count).step_by(before);
            for (target, divided) in targets.zip(self.divided(part, number, before, count)?) {
                parts[target] = Some(divided);
            }
            self.memory.iter_mut().for_each(|memory| memory.shrink(reserved));
        }
        self.parts = parts.into_iter().flatten().collect();
        self.loaded.clear();
        Ok(())
    }

    /// The parts, of `count`, of one of `before` parts.
    fn divided(
        &self,
        part: Part<K, T>,
        number: usize,
        before: usize,
        count: usize,
    ) -> Result<impl Iterator<Item = Part<K, T>>> {
        let (mut records, changed) = match part.index {
            Some(index) => {
                let (records, changed) = index.into_records();
                (Some(records), changed)
            }
            None => (None, part.changed),
        };
        let mut reader = part.run.filter(|_| records.is_none()).map(|run| run.reader(BLOCK_BYTES));
        let mut targets = (number..count)
            .step_by(before)
            .map(|_| Ok((writer(self.space.as_ref(), count / before)?, 0u32, changed.as_ref().map(|_| Vec::new()))))
            .collect::<Result<Vec<_>>>()?;
        let mut marks = changed.as_deref().map(marked).into_iter().flatten().peekable();
        let mut position = 0;
        while let Some(block) = records.take().map_or_else(|| next_block(&mut reader), |all| Ok(Some(all)))? {
            for record in block {
                let target = part_of(self.keys.hash(&record), count) / before;
                let (writer, next, changes) = &mut targets[target];
                if marks.next_if_eq(&position).is_some() {
                    mark(changes, *next);
                }
                *next += 1;
                position += 1;
                writer.push(record)?;
            }
        }
        drop(marks);
        let parts: Vec<Part<K, T>> = targets
            .into_iter()
            .map(|(writer, _, changes)| Ok(Part::on_disk(writer.finish()?, changes)))
            .collect::<Result<_>>()?;
        Ok(parts.into_iter())
    }

    /// Remembers from now on what changes: all of it has been read from where it was written.
    pub(crate) fn begin_changes(&mut self) {
        let none = |records: usize| Some(vec![0; records.div_ceil(64)]);
        for part in &mut self.parts {
            match &mut part.index {
                Some(index) => index.set_changed(none(index.records().len())),
                None => part.changed = none(part.run.as_ref().map_or(0, |run| run.records() as usize)),
            }
        }
    }

    /// Writes all records, or those that have changed since the last time, and remembers from now on what changes.
    pub(crate) fn write(&mut self, extent: Extent, state: &mut dyn StateWriter) -> Result<()> {
        let known = |part: &Part<K, T>| match &part.index {
            Some(index) => index.knows_changes(),
            None => part.changed.is_some(),
        };
        let extent = if self.parts.iter().all(known) { extent } else { Extent::All };
        for number in 0..self.parts.len() {
            let unchanged = |words: &Vec<u64>| words.iter().all(|word| *word == 0);
            if extent == Extent::Changes && self.parts[number].changed.as_ref().is_some_and(unchanged) {
                continue;
            }
            self.load(number)?;
            if let Some(index) = &mut self.parts[number].index {
                index.write(extent, state)?;
            }
        }
        Ok(())
    }

    /// Up to `count` records of a part from position `from` on; of several parts, those before are gone for good.
    pub(crate) fn take(&mut self, number: usize, from: usize, count: usize) -> Result<Vec<T>> {
        while let Some(at) = self.loaded.iter().position(|loaded| *loaded < number) {
            let before = &mut self.parts[self.loaded.remove(at)];
            (before.index, before.run) = (None, None);
            self.memory.iter_mut().for_each(|memory| memory.shrink(before.reserved));
            before.reserved = 0;
        }
        let records = self.load(number)?.records();
        Ok(records[from.min(records.len())..(from + count).min(records.len())].to_vec())
    }
}

/// Bytes read at a time.
const BLOCK_BYTES: usize = 64 << 10;

fn whole<K: Key, T: Data>(keys: &Arc<Keys<K, T>>) -> Part<K, T> {
    Part { index: Some(SolutionIndex::new(keys, 0)), reserved: 0, run: None, stale: true, changed: None }
}

/// The part of a hash, of so many.
fn part_of(hash: u64, parts: usize) -> usize {
    (hash >> PART_BIT) as usize & (parts - 1)
}

/// A file, one of so many that are being written.
fn writer<R: Data>(space: Option<&SpillSpace>, of: usize) -> Result<SpillWriter<R>> {
    let space = space.expect("only a set that is being built or used is spilled");
    SpillWriter::with_sizes(space, SpillSizes::for_budget(WRITERS_BYTES / of * 4))
}

fn next_block<R: Data>(reader: &mut Option<SpillReader<R>>) -> Result<Option<Vec<R>>> {
    match reader {
        Some(reader) => reader.next_block(),
        None => Ok(None),
    }
}

/// Records that wait for the part of their key to be loaded, in files by part.
pub(crate) struct Deferred<R> {
    space: SpillSpace,
    writers: Vec<Option<SpillWriter<R>>>,
}

impl<R: Data> Deferred<R> {
    pub(crate) fn new(context: &RuntimeContext) -> Deferred<R> {
        Deferred { space: SpillSpace::of(context), writers: Vec::new() }
    }

    /// Adds a record for a part, of so many.
    pub(crate) fn push(&mut self, part: usize, parts: usize, record: R) -> Result<()> {
        if self.writers.len() < parts {
            self.writers.resize_with(parts, || None);
        }
        if let Some(writer) = &mut self.writers[part] {
            return writer.push(record);
        }
        self.writers[part].insert(writer(Some(&self.space), parts)?).push(record)
    }

    /// Takes all records out, by part.
    pub(crate) fn take(&mut self) -> Result<Vec<(usize, SpillReader<R>)>> {
        let writers = std::mem::take(&mut self.writers).into_iter().enumerate();
        let finish = |(part, writer): (usize, Option<SpillWriter<R>>)| {
            writer.map(|writer| Ok((part, writer.finish()?.reader(BLOCK_BYTES))))
        };
        writers.filter_map(finish).collect()
    }
}

#[cfg(test)]
mod tests;
