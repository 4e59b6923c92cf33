//! What a sorter gives back: the records in order, record by record or in batches.

use super::memory::MemoryRun;
use super::merge::Merge;
use crate::order::RecordOrder;
use flinkrs_core::Result;
use flinkrs_core::batch::BATCH_BYTES;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::{Data, heap_bytes};
use flinkrs_memory::{SpillReader, SpillRun, SpillSizes, SpillSpace, SpillWriter};
use std::vec;

/// Sorted records, pulled; holds the sorter's memory until it is dropped.
pub struct SortedStream<T, O> {
    source: Source<T, O>,
    budget: MemoryBudget,
}

enum Source<T, O> {
    Memory(MemoryRun<T>),
    Merge(Merge<T, O>),
    Kept(KeptRun<T>),
}

/// A sorted run on disk that is read again and again.
struct KeptRun<T> {
    run: SpillRun<T>,
    reader: SpillReader<T>,
    block: vec::IntoIter<T>,
}

impl<T: Data, O: RecordOrder<T>> SortedStream<T, O> {
    pub(super) fn in_memory(run: MemoryRun<T>, budget: MemoryBudget) -> SortedStream<T, O> {
        SortedStream { source: Source::Memory(run), budget }
    }

    pub(super) fn merging(merge: Merge<T, O>, budget: MemoryBudget) -> SortedStream<T, O> {
        SortedStream { source: Source::Merge(merge), budget }
    }

    /// The next record, which stays.
    #[inline]
    pub fn peek(&self) -> Option<&T> {
        match &self.source {
            Source::Memory(run) => run.peek(),
            Source::Merge(merge) => merge.peek(),
            Source::Kept(kept) => kept.block.as_slice().first(),
        }
    }

    /// Takes the next record.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<T>> {
        match &mut self.source {
            Source::Memory(run) => Ok(run.next()),
            Source::Merge(merge) => merge.next(),
            Source::Kept(kept) => kept.next(),
        }
    }

    /// Keeps the records, none of which was taken yet, so that [`SortedStream::rewind`] can start over; those in
    /// memory stay there, others become one run on disk.
    pub fn keep(&mut self, space: &SpillSpace) -> Result<()> {
        match &mut self.source {
            Source::Memory(run) => run.keep(),
            Source::Merge(merge) => {
                let mut writer = SpillWriter::with_sizes(space, SpillSizes::for_budget(self.budget.used()))?;
                while let Some(record) = merge.next()? {
                    writer.push(record)?;
                }
                self.source = Source::Kept(KeptRun::new(writer.finish()?)?);
            }
            Source::Kept(_) => {}
        }
        Ok(())
    }

    /// Back to the first of the records that [`SortedStream::keep`] kept.
    pub fn rewind(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Memory(run) => run.rewind(),
            Source::Merge(_) => unreachable!("only what is kept can be read again"),
            Source::Kept(kept) => kept.rewind()?,
        }
        Ok(())
    }

    /// Drops the records and gives their memory back, for the next sorter.
    pub fn into_budget(self) -> MemoryBudget {
        let SortedStream { source, mut budget } = self;
        drop(source);
        budget.shrink(budget.used());
        budget
    }

    /// Appends up to `max_records` records, or fewer if they are large, to `into`; false at the end.
    pub fn next_batch(&mut self, into: &mut Vec<T>, max_records: usize) -> Result<bool> {
        let before = into.len();
        match &mut self.source {
            Source::Memory(run) if !std::mem::needs_drop::<T>() => run.take(max_records, into),
            _ => {
                let mut bytes = 0;
                while into.len() - before < max_records && bytes < BATCH_BYTES {
                    let Some(record) = self.next_record()? else { break };
                    bytes += size_of::<T>() + heap_bytes(&record, BATCH_BYTES);
                    into.push(record);
                }
            }
        }
        Ok(into.len() > before)
    }
}

/// Bytes read of a kept run at a time.
const READ_BYTES: usize = 64 << 10;

impl<T: Data> KeptRun<T> {
    fn new(run: SpillRun<T>) -> Result<KeptRun<T>> {
        let reader = run.reader(READ_BYTES);
        let mut kept = KeptRun { run, reader, block: Vec::new().into_iter() };
        kept.load()?;
        Ok(kept)
    }

    fn rewind(&mut self) -> Result<()> {
        self.reader = self.run.reader(READ_BYTES);
        self.load()
    }

    fn load(&mut self) -> Result<()> {
        self.block = self.reader.next_block()?.unwrap_or_default().into_iter();
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<Option<T>> {
        let record = self.block.next();
        if self.block.as_slice().is_empty() && record.is_some() {
            self.load()?;
        }
        Ok(record)
    }
}
