//! Runs of records in a spill file: written once, each read by readers of its own.

use crate::file::{BlockReader, Content, SpillFile};
use crate::space::{SpillSizes, SpillSpace};
use flinkrs_core::Result;
use flinkrs_core::types::{Data, codec, heap_bytes};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

/// Writes records, encoded in blocks, as one or more runs of a file.
#[derive(Debug)]
pub struct SpillWriter<T> {
    file: SpillFile,
    sizes: SpillSizes,
    block: Vec<T>,
    block_used: usize,
    run: RunExtent,
}

/// Where a run lies, and what it takes to read it.
#[derive(Clone, Debug, Default)]
struct RunExtent {
    range: Range<u64>,
    records: u64,
    block_used_max: usize,
    block_encoded_max: usize,
}

impl<T: Data> SpillWriter<T> {
    /// A writer with blocks of 128 KiB and a write buffer of 256 KiB.
    pub fn create(space: &SpillSpace) -> Result<SpillWriter<T>> {
        SpillWriter::with_sizes(space, SpillSizes::default())
    }

    /// A writer with blocks and a write buffer of the given sizes.
    pub fn with_sizes(space: &SpillSpace, sizes: SpillSizes) -> Result<SpillWriter<T>> {
        let file = SpillFile::with_buffer(space, sizes.buffer_bytes)?;
        Ok(SpillWriter { file, sizes, block: Vec::new(), block_used: 0, run: RunExtent::default() })
    }

    /// Adds a record to the run.
    #[inline]
    pub fn push(&mut self, record: T) -> Result<()> {
        let used = size_of::<T>().max(1) + heap_bytes(&record, usize::MAX);
        if self.block_used + used > self.sizes.block_bytes && !self.block.is_empty() {
            self.write_block()?;
        }
        if self.block.capacity() == 0 {
            self.block.reserve_exact((self.sizes.block_bytes / size_of::<T>().max(1)).clamp(1, 1 << 14));
        }
        self.block.push(record);
        self.block_used += used;
        if self.block_used >= self.sizes.block_bytes || self.block.len() == self.block.capacity() {
            self.write_block()?;
        }
        Ok(())
    }

    /// Adds all of `records` to the run and leaves the vector empty.
    pub fn push_all(&mut self, records: &mut Vec<T>) -> Result<()> {
        records.drain(..).try_for_each(|record| self.push(record))
    }

    /// Bytes written so far, in all runs.
    pub fn written_bytes(&self) -> u64 {
        self.file.end()
    }

    /// Completes the run; the next record begins another in the same file.
    pub fn end_run(&mut self) -> Result<SpillRun<T>> {
        self.write_block()?;
        self.file.flush()?;
        let end = self.file.end();
        self.run.range.end = end;
        let next = RunExtent { range: end..end, ..RunExtent::default() };
        let extent = std::mem::replace(&mut self.run, next);
        Ok(SpillRun { content: Arc::clone(self.file.content()), extent, record: PhantomData })
    }

    /// Completes the run; the file stays as long as a run of it.
    pub fn finish(mut self) -> Result<SpillRun<T>> {
        self.end_run()
    }

    /// Gives buffers back until the next record; only between two runs.
    pub fn release_buffers(&mut self) {
        debug_assert!(self.block.is_empty(), "buffers are released between two runs");
        self.block = Vec::new();
        self.file.release_buffer();
    }

    #[cold]
    fn write_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let encoded = self.file.append_with(|out| codec::encode(&self.block, out))?;
        self.run.records += self.block.len() as u64;
        self.run.block_used_max = self.run.block_used_max.max(self.block_used);
        self.run.block_encoded_max = self.run.block_encoded_max.max(encoded);
        self.block.clear();
        self.block_used = 0;
        Ok(())
    }
}

/// A completed run of records on disk.
#[derive(Debug)]
pub struct SpillRun<T> {
    content: Arc<Content>,
    extent: RunExtent,
    record: PhantomData<fn() -> T>,
}

impl<T: Data> SpillRun<T> {
    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.extent.records
    }

    /// How many bytes they take on disk.
    pub fn bytes(&self) -> u64 {
        self.extent.range.end - self.extent.range.start
    }

    /// Memory that a reader takes at least, in bytes: the largest block and its encoded form twice.
    pub fn memory_to_read(&self) -> usize {
        self.extent.block_used_max + 2 * self.extent.block_encoded_max
    }

    /// Whether two runs lie in the same file.
    pub fn same_file(&self, other: &SpillRun<T>) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }

    /// Reads the run from its start, `buffer_bytes` at a time and at least a block.
    pub fn reader(&self, buffer_bytes: usize) -> SpillReader<T> {
        let blocks = BlockReader::new(Arc::clone(&self.content), self.extent.range.clone(), buffer_bytes);
        SpillReader { blocks, record: PhantomData }
    }
}

/// Reads the records of a run in order.
#[derive(Debug)]
pub struct SpillReader<T> {
    blocks: BlockReader,
    record: PhantomData<fn() -> T>,
}

impl<T: Data> SpillReader<T> {
    /// The records of the next block, or `None` at the end; a block has at least one record.
    pub fn next_block(&mut self) -> Result<Option<Vec<T>>> {
        match self.blocks.next_block()? {
            Some(block) => codec::decode(block).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records<T: Data>(run: &SpillRun<T>) -> Vec<T> {
        let mut reader = run.reader(1000);
        let mut all = Vec::new();
        while let Some(mut block) = reader.next_block().expect("the run is readable") {
            all.append(&mut block);
        }
        all
    }

    #[test]
    fn runs_of_one_file_are_read_on_their_own() {
        let space = SpillSpace::new(&std::env::temp_dir());
        let mut writer = SpillWriter::with_sizes(&space, SpillSizes::for_budget(1 << 10)).expect("writable");
        let strings = |from: u32, to: u32| (from..to).map(|i| format!("record {i}")).collect::<Vec<_>>();
        writer.push_all(&mut strings(0, 1000)).expect("there is space");
        let first = writer.end_run().expect("there is space");
        writer.release_buffers();
        let empty = writer.end_run().expect("there is space");
        writer.push_all(&mut strings(1000, 1003)).expect("there is space");
        let last = writer.finish().expect("there is space");
        assert_eq!((first.records(), empty.records(), last.records()), (1000, 0, 3));
        assert_eq!(records(&first), strings(0, 1000));
        assert_eq!(records(&empty), strings(0, 0));
        assert_eq!(records(&last), strings(1000, 1003));
        assert!(first.same_file(&last));
        assert_eq!(space.spilled_bytes(), first.bytes() + last.bytes());
        assert!(first.memory_to_read() < 2048, "{}", first.memory_to_read());
    }

    #[test]
    fn a_record_of_64_mb_is_a_block_of_its_own() {
        let space = SpillSpace::new(&std::env::temp_dir());
        let mut writer = SpillWriter::create(&space).expect("writable");
        let large = "x".repeat(64 << 20);
        for record in ["small", &large, "small again"] {
            writer.push(record.to_owned()).expect("there is space");
        }
        let run = writer.finish().expect("there is space");
        assert!(records(&run) == ["small", &large, "small again"]);
        assert!(run.memory_to_read() >= 64 << 20);
    }
}
