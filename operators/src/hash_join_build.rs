//! The side of a hash join that is built: in memory as far as the budget goes, by partition and on disk beyond it.

use crate::hash_chunks::{Chunks, NO_POSITION};
use crate::hash_join_grouped::SPARE_POSITIONS;
use crate::hash_join_index::{KeyRange, Layout, sampled_group};
use crate::hash_join_table::JoinTable;
use crate::hash_key::{hash_of, number_of};
use crate::hash_memory::Memory;
use crate::hash_spill::{PARTITIONS, Partitions, SpillPlan, partition_of};
use flinkrs_core::Result;
use flinkrs_core::types::{Data, KeySelector, heap_bytes, own_heap};
use flinkrs_memory::SpillRun;

/// Records that wait for their table.
pub(crate) struct BuildSide<B> {
    /// One part, or, once memory was short, one per partition.
    parts: Vec<Part<B>>,
    /// A bit for each partition that is on disk.
    spilled: u32,
    files: Partitions<B>,
    level: u32,
    /// All records, also those on disk.
    records: u64,
    /// Of their keys.
    range: KeyRange,
}

struct Part<B> {
    records: Chunks<B>,
    heap: usize,
}

impl<B> Part<B> {
    fn like(records: &Chunks<B>) -> Part<B> {
        Part { records: records.like(), heap: 0 }
    }
}

impl<B: Data> BuildSide<B> {
    /// An empty side whose records are partitioned by the bits of `level`.
    pub(crate) fn new(memory: &Memory, level: u32) -> BuildSide<B> {
        let part = Part { records: Chunks::for_memory(memory.available()), heap: 0 };
        BuildSide {
            parts: vec![part],
            spilled: 0,
            files: Partitions::new(),
            level,
            records: 0,
            range: KeyRange::empty(),
        }
    }

    /// How many records were added.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Adds all records and leaves the vector empty; a full batch becomes a chunk as it is.
    pub(crate) fn add_all<S: KeySelector<B>>(
        &mut self,
        records: &mut Vec<B>,
        memory: &mut Memory,
        plan: &SpillPlan,
        selector: &S,
    ) -> Result<()> {
        if let [part] = &mut *self.parts
            && part.records.fits(records)
        {
            let heap = records.iter_mut().map(own_heap).sum::<usize>();
            if memory.try_grow(part.records.chunk_bytes() + heap) {
                records.iter().for_each(|record| self.range.add(number_of(selector, record)));
                self.records += records.len() as u64;
                part.heap += heap;
                part.records.insert_chunk(std::mem::take(records));
                return Ok(());
            }
        }
        records.drain(..).try_for_each(|record| self.add(record, memory, plan, selector))
    }

    /// Adds a record; what it takes beyond the budget goes to disk.
    #[inline]
    pub(crate) fn add<S: KeySelector<B>>(
        &mut self,
        mut record: B,
        memory: &mut Memory,
        plan: &SpillPlan,
        selector: &S,
    ) -> Result<()> {
        self.records += 1;
        self.range.add(number_of(selector, &record));
        let heap = own_heap(&mut record);
        loop {
            let number = if self.parts.len() == 1 { 0 } else { partition_of(hash_of(selector, &record), self.level) };
            if self.spilled >> number & 1 == 1 {
                return self.files.push(number, record, plan);
            }
            let part = &mut self.parts[number];
            let force = part.records.len() == 0;
            if part.records.has_room() && (heap == 0 || memory.grow(heap, force)) {
                part.heap += heap;
                part.records.push(record);
                return Ok(());
            }
            if !part.records.has_room() && memory.grow(part.records.chunk_bytes(), self.is_empty()) {
                self.parts[number].records.add_chunk();
            } else {
                self.spill_largest(memory, plan, selector)?;
            }
        }
    }

    /// Adds a record unless the budget refuses, then gives it back; one record is always taken.
    pub(crate) fn try_add<S: KeySelector<B>>(&mut self, mut record: B, memory: &mut Memory, selector: &S) -> Option<B> {
        self.range.add(number_of(selector, &record));
        let heap = own_heap(&mut record);
        let force = self.is_empty();
        let part = &mut self.parts[0];
        if !part.records.has_room() {
            if part.records.position_end() >= NO_POSITION as usize / 2
                || !memory.grow(part.records.chunk_bytes(), force)
            {
                return Some(record);
            }
            part.records.add_chunk();
        }
        if heap > 0 && !memory.grow(heap, force) {
            return Some(record);
        }
        part.heap += heap;
        part.records.push(record);
        self.records += 1;
        None
    }

    fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.records.len() == 0)
    }

    /// Moves the largest partition that is in memory to disk; there must be one.
    #[cold]
    fn spill_largest<S>(&mut self, memory: &mut Memory, plan: &SpillPlan, selector: &S) -> Result<()>
    where
        S: KeySelector<B>,
    {
        if self.parts.len() == 1 {
            self.split(memory, selector);
        }
        let largest = (0..PARTITIONS).max_by_key(|number| self.parts[*number].records.bytes());
        let number = largest.expect("there are partitions");
        let part = &mut self.parts[number];
        debug_assert!(part.records.len() > 0, "a partition that is spilled has records");
        self.spilled |= 1 << number;
        memory.shrink(std::mem::take(&mut part.heap));
        while let Some(chunk) = part.records.pop_chunk() {
            memory.shrink(part.records.chunk_bytes());
            chunk.into_iter().try_for_each(|record| self.files.push(number, record, plan))?;
        }
        Ok(())
    }

    /// Deals the records out to partitions.
    fn split<S: KeySelector<B>>(&mut self, memory: &mut Memory, selector: &S) {
        let mut whole = self.parts.pop().expect("there is one part");
        self.parts = (0..PARTITIONS).map(|_| Part::like(&whole.records)).collect();
        memory.shrink(whole.heap);
        while let Some(chunk) = whole.records.pop_chunk() {
            memory.shrink(whole.records.chunk_bytes());
            for record in chunk {
                let part = &mut self.parts[partition_of(hash_of(selector, &record), self.level)];
                let heap = heap_bytes(&record, usize::MAX);
                if !part.records.has_room() {
                    // Within the memory of the chunks that were taken apart, but for the last of each partition.
                    memory.force(part.records.chunk_bytes());
                    part.records.add_chunk();
                }
                memory.force(heap);
                part.heap += heap;
                part.records.push(record);
            }
        }
    }

    /// Ends the building: a table of what is in memory, and the files of the rest.
    ///
    /// The table is reserved first; partitions go to disk as long as it doesn't fit.
    pub(crate) fn seal<S: KeySelector<B>>(
        mut self,
        memory: &mut Memory,
        plan: &SpillPlan,
        selector: &S,
        fate: Fate,
    ) -> Result<Sealed<B>> {
        let layout = loop {
            if let Some(layout) = self.reserve(memory, selector, fate) {
                break layout;
            }
            self.spill_largest(memory, plan, selector)?;
        };
        let mut parts = self.parts.into_iter();
        let mut all = parts.next().expect("there is at least one part");
        for mut part in parts {
            all.records.append(&mut part.records);
            all.heap += part.heap;
        }
        let table = JoinTable::build(all.records, all.heap, &layout, selector, memory);
        Ok(Sealed { table, spilled: self.spilled, files: self.files.finish()? })
    }

    /// Reserves a table of what is in memory, the best that the budget allows.
    fn reserve<S: KeySelector<B>>(&self, memory: &mut Memory, selector: &S, fate: Fate) -> Option<Layout> {
        let records = self.parts.iter().map(|part| part.records.len()).sum();
        let positions: usize = self.parts.iter().map(|part| part.records.position_end()).sum();
        if positions >= NO_POSITION as usize - SPARE_POSITIONS {
            return None;
        }
        let group = sampled_group(records, |number| self.hash_at(number, selector));
        Layout::candidates(records, group, self.range, fate == Fate::Kept).find(|layout| {
            let force = layout.is_plain() && (fate == Fate::Whole || records == 0);
            memory.grow(layout.index_bytes(records, positions), force)
        })
    }

    /// The hash of a record's key; records are counted through all parts that are in memory.
    fn hash_at<S: KeySelector<B>>(&self, mut number: usize, selector: &S) -> u64 {
        for part in &self.parts {
            if number < part.records.len() {
                return hash_of(selector, part.records.get(number as u32));
            }
            number -= part.records.len();
        }
        0
    }
}

/// What becomes of a build side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is probed once; partitions may go to disk.
    Once,
    /// The same, in each superstep of a loop.
    Kept,
    /// It is probed once, and has to be in memory, whatever that takes.
    Whole,
}

/// A build side that is complete.
pub(crate) struct Sealed<B> {
    pub(crate) table: JoinTable<B>,
    /// A bit for each partition that is on disk.
    pub(crate) spilled: u32,
    /// By partition.
    pub(crate) files: Vec<Option<SpillRun<B>>>,
}
