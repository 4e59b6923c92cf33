//! Partitions on disk: where hash operators put what their memory doesn't hold, by ever lower bits of the hash.

use crate::hash_memory::Memory;
use flinkrs_core::Result;
use flinkrs_core::types::Data;
use flinkrs_memory::{SpillRun, SpillSizes, SpillSpace, SpillWriter};

const PARTITION_BITS: u32 = 4;

/// Partitions of one level. With 16, a join that lacks little memory spills little, and the write buffers stay small.
pub(crate) const PARTITIONS: usize = 1 << PARTITION_BITS;

/// Levels have bits of their own in the middle of the hash: tables use the low half and the highest seven bits.
pub(crate) const LEVELS: u32 = 6;

const LOWEST_BIT: u32 = 32;

/// The partition at `level` of a key with this hash.
#[inline(always)]
pub(crate) fn partition_of(hash: u64, level: u32) -> usize {
    (hash >> (LOWEST_BIT + level * PARTITION_BITS)) as usize & (PARTITIONS - 1)
}

/// Where an operator spills, and how large its buffers are.
#[derive(Clone, Debug)]
pub(crate) struct SpillPlan {
    pub(crate) space: SpillSpace,
    sizes: SpillSizes,
}

impl SpillPlan {
    /// Buffers for one writer per partition, which together take a part of the memory.
    pub(crate) fn new(space: SpillSpace, memory: &Memory) -> SpillPlan {
        // `for_budget` makes a writer take five of 32 parts of what it is given.
        let sizes = SpillSizes::for_budget(memory.available() / BUFFER_SHARE / PARTITIONS / 5 * 32);
        SpillPlan { space, sizes }
    }

    /// Reserves the buffers.
    pub(crate) fn reserve(&self, memory: &mut Memory) {
        // Buffers have a smallest size; where those are too much, they go beyond the budget and the records don't.
        memory.force((self.sizes.memory() * PARTITIONS).min(memory.available() / 4));
    }

    /// Bytes to read at a time.
    pub(crate) fn read_bytes(&self) -> usize {
        self.sizes.buffer_bytes
    }

    pub(crate) fn writer<T: Data>(&self) -> Result<SpillWriter<T>> {
        SpillWriter::with_sizes(&self.space, self.sizes)
    }
}

/// The part of the memory that buffers take.
const BUFFER_SHARE: usize = 8;

/// The files of one level, each begun with its first record.
#[derive(Debug)]
pub(crate) struct Partitions<T> {
    writers: Vec<Option<SpillWriter<T>>>,
}

impl<T: Data> Partitions<T> {
    pub(crate) fn new() -> Partitions<T> {
        Partitions { writers: (0..PARTITIONS).map(|_| None).collect() }
    }

    /// Adds a record to a partition.
    #[inline]
    pub(crate) fn push(&mut self, partition: usize, record: T, plan: &SpillPlan) -> Result<()> {
        if let Some(writer) = &mut self.writers[partition] {
            return writer.push(record);
        }
        self.writers[partition].insert(plan.writer()?).push(record)
    }

    /// Completes the files; a partition without records has none.
    pub(crate) fn finish(&mut self) -> Result<Vec<Option<SpillRun<T>>>> {
        self.writers.iter_mut().map(|writer| writer.take().map(SpillWriter::finish).transpose()).collect()
    }
}
