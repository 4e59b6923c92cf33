//! A list of records that stays in memory while its budget allows, goes on on disk, and is read many times.

use crate::run::{SpillReader, SpillRun, SpillWriter};
use crate::space::{SpillSizes, SpillSpace};
use flinkrs_core::Result;
use flinkrs_core::batch::batch_capacity;
use flinkrs_core::resource::MemoryBudget;
use flinkrs_core::types::{Data, heap_bytes, own_heap};
use std::borrow::Cow;
use std::collections::VecDeque;

/// An append-only list of records: a first part in memory, and past the budget a second on disk.
///
/// Write with [`push`](SpillBuffer::push), then [`seal`](SpillBuffer::seal), then read as often as needed. The first
/// record is always in memory.
#[derive(Debug)]
pub struct SpillBuffer<T> {
    space: SpillSpace,
    budget: MemoryBudget,
    sizes: SpillSizes,
    /// Records in memory; every chunk has room for `chunk_records` and all but the last are full. An empty buffer may
    /// have one empty chunk.
    chunks: VecDeque<Vec<T>>,
    chunk_records: usize,
    /// An emptied chunk, kept for the next use.
    spare: Option<Vec<T>>,
    /// What `budget` gave for the heap of the records in memory.
    heap_reserved: usize,
    /// How many chunks, the spare one included, `budget` gave memory for.
    chunks_reserved: usize,
    disk: Disk<T>,
    records: u64,
}

#[derive(Debug)]
enum Disk<T> {
    Unused,
    Writing(Box<SpillWriter<T>>),
    Sealed { run: SpillRun<T>, reader: Option<SpillReader<T>> },
}

impl<T: Data> SpillBuffer<T> {
    /// An empty buffer with all of `budget`.
    pub fn new(space: &SpillSpace, mut budget: MemoryBudget) -> SpillBuffer<T> {
        let available = budget.available();
        let sizes = SpillSizes::for_budget(available);
        // Without the reserve the buffer works just as well and exceeds a hopelessly small budget by it.
        let _ = budget.try_grow(sizes.memory());
        let chunk_records = (available / 16 / size_of::<T>().max(1)).clamp(1, batch_capacity::<T>());
        SpillBuffer {
            space: space.clone(),
            budget,
            sizes,
            chunks: VecDeque::new(),
            chunk_records,
            spare: None,
            heap_reserved: 0,
            chunks_reserved: 0,
            disk: Disk::Unused,
            records: 0,
        }
    }

    /// Appends a record.
    #[inline]
    pub fn push(&mut self, mut record: T) -> Result<()> {
        self.records += 1;
        if let Disk::Unused = self.disk {
            if self.reserve(&mut record) || self.records == 1 {
                self.keep(record);
                return Ok(());
            }
            self.disk = Disk::Writing(Box::new(SpillWriter::with_sizes(&self.space, self.sizes)?));
        }
        match &mut self.disk {
            Disk::Writing(writer) => writer.push(record),
            Disk::Unused | Disk::Sealed { .. } => unreachable!("nothing is added to a sealed buffer"),
        }
    }

    /// Appends all of `records` and leaves the vector empty.
    pub fn push_all(&mut self, records: &mut Vec<T>) -> Result<()> {
        records.drain(..).try_for_each(|record| self.push(record))
    }

    /// Whether the budget has memory for one more record; takes it.
    #[inline]
    fn reserve(&mut self, record: &mut T) -> bool {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= self.chunk_records) && !self.reserve_chunk() {
            return false;
        }
        let heap = own_heap(record);
        if heap > 0 {
            if !self.budget.try_grow(heap) {
                return false;
            }
            self.heap_reserved += heap;
        }
        true
    }

    fn chunk_bytes(&self) -> usize {
        self.chunk_records * size_of::<T>()
    }

    #[cold]
    fn reserve_chunk(&mut self) -> bool {
        if self.chunks.len() < self.chunks_reserved {
            return true;
        }
        let granted = self.budget.try_grow(self.chunk_bytes());
        self.chunks_reserved += usize::from(granted);
        granted
    }

    #[inline]
    fn keep(&mut self, record: T) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < self.chunk_records => chunk.push(record),
            _ => {
                let mut chunk = self.spare.take().unwrap_or_else(|| Vec::with_capacity(self.chunk_records));
                chunk.push(record);
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Ends the writing; reading begins.
    pub fn seal(&mut self) -> Result<()> {
        if let Disk::Writing(_) = self.disk
            && let Disk::Writing(writer) = std::mem::replace(&mut self.disk, Disk::Unused)
        {
            self.disk = Disk::Sealed { run: writer.finish()?, reader: None };
        }
        Ok(())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        usize::try_from(self.records).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The first record.
    pub fn first(&self) -> Option<&T> {
        self.chunks.front().and_then(|chunk| chunk.first())
    }

    /// Whether all records are in memory.
    pub fn in_memory(&self) -> bool {
        matches!(self.disk, Disk::Unused)
    }

    /// Bytes on disk.
    pub fn spilled_bytes(&self) -> u64 {
        match &self.disk {
            Disk::Unused => 0,
            Disk::Writing(writer) => writer.written_bytes(),
            Disk::Sealed { run, .. } => run.bytes(),
        }
    }

    /// Removes all records, also from disk, and keeps memory for a few.
    pub fn clear(&mut self) {
        if self.heap_reserved > 0 {
            self.budget.shrink(std::mem::take(&mut self.heap_reserved));
        }
        self.records = 0;
        if self.chunks.len() == 1 && self.in_memory() {
            self.chunks[0].clear();
        } else {
            self.clear_chunks();
        }
    }

    #[cold]
    fn clear_chunks(&mut self) {
        if let Some(mut chunk) = self.chunks.pop_front().or_else(|| self.spare.take()) {
            chunk.clear();
            self.spare = Some(chunk);
        }
        self.chunks.clear();
        self.disk = Disk::Unused;
        if self.chunks_reserved > 1 {
            self.budget.shrink((self.chunks_reserved - 1) * self.chunk_bytes());
            self.chunks_reserved = 1;
        }
    }

    /// Takes the next records out, or `None` at the end. Once it was called, the other ways to read don't apply.
    pub fn pop_batch(&mut self) -> Result<Option<Vec<T>>> {
        if self.records > 0
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.records -= chunk.len() as u64;
            self.release(&chunk);
            return Ok(Some(chunk));
        }
        let Disk::Sealed { run, reader } = &mut self.disk else {
            debug_assert!(matches!(self.disk, Disk::Unused), "a buffer is sealed before it is read");
            return Ok(None);
        };
        let reader = reader.get_or_insert_with(|| run.reader(self.sizes.buffer_bytes));
        let block = reader.next_block()?;
        match &block {
            Some(block) => self.records -= block.len() as u64,
            None => self.disk = Disk::Unused,
        }
        Ok(block)
    }

    /// Gives back what a chunk that was taken out was charged with.
    fn release(&mut self, chunk: &[T]) {
        let heap = chunk.iter().map(|record| heap_bytes(record, usize::MAX)).sum::<usize>().min(self.heap_reserved);
        self.heap_reserved -= heap;
        let inline = if self.chunks_reserved > 0 { self.chunk_bytes() } else { 0 };
        self.chunks_reserved = self.chunks_reserved.saturating_sub(1);
        self.budget.shrink(heap + inline);
    }

    /// Shows all records to `f`, in order and in batches.
    pub fn for_each_batch(&self, mut f: impl FnMut(&[T]) -> Result<()>) -> Result<()> {
        let mut position = SpillPosition::default();
        while position.advance(self)? {
            f(position.batch(self))?;
        }
        Ok(())
    }

    /// Reads from the start.
    pub fn reader(&self) -> SpillCursor<'_, T> {
        SpillCursor { buffer: self, position: SpillPosition::default() }
    }
}

/// A place in a [`SpillBuffer`] that can be kept beside it.
#[derive(Debug)]
pub struct SpillPosition<T> {
    /// The chunk after the current one.
    next_chunk: usize,
    reader: Option<SpillReader<T>>,
    /// The current batch, once the chunks are behind.
    block: Vec<T>,
}

impl<T> Default for SpillPosition<T> {
    fn default() -> Self {
        SpillPosition { next_chunk: 0, reader: None, block: Vec::new() }
    }
}

impl<T: Data> SpillPosition<T> {
    /// Goes to the next batch; false at the end.
    pub fn advance(&mut self, buffer: &SpillBuffer<T>) -> Result<bool> {
        if self.next_chunk < buffer.chunks.len() && buffer.records > 0 {
            self.next_chunk += 1;
            return Ok(true);
        }
        let Disk::Sealed { run, .. } = &buffer.disk else {
            debug_assert!(matches!(buffer.disk, Disk::Unused), "a buffer is sealed before it is read");
            self.next_chunk = usize::MAX;
            return Ok(false);
        };
        self.next_chunk = usize::MAX;
        self.block = Vec::new();
        let reader = self.reader.get_or_insert_with(|| run.reader(buffer.sizes.buffer_bytes));
        match reader.next_block()? {
            Some(block) => {
                self.block = block;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The batch that the last [`SpillPosition::advance`] went to; empty before the first and after the last.
    #[inline]
    pub fn batch<'a>(&'a self, buffer: &'a SpillBuffer<T>) -> &'a [T] {
        match self.next_chunk.checked_sub(1).and_then(|chunk| buffer.chunks.get(chunk)) {
            Some(chunk) => chunk,
            None => &self.block,
        }
    }
}

/// Reads the batches of a [`SpillBuffer`] in order: borrowed from memory, owned from disk.
#[derive(Debug)]
pub struct SpillCursor<'a, T> {
    buffer: &'a SpillBuffer<T>,
    position: SpillPosition<T>,
}

impl<'a, T: Data> SpillCursor<'a, T> {
    /// The next batch, or `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<Cow<'a, [T]>>> {
        if !self.position.advance(self.buffer)? {
            return Ok(None);
        }
        let chunk = self.position.next_chunk.checked_sub(1).and_then(|chunk| self.buffer.chunks.get(chunk));
        Ok(Some(match chunk {
            Some(chunk) => Cow::Borrowed(chunk),
            None => Cow::Owned(std::mem::take(&mut self.position.block)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buffer<T: Data>(budget: usize) -> SpillBuffer<T> {
        SpillBuffer::new(&SpillSpace::new(&std::env::temp_dir()), MemoryBudget::standalone(budget))
    }

    fn read<T: Data>(buffer: &SpillBuffer<T>) -> Vec<T> {
        let mut all = Vec::new();
        let mut cursor = buffer.reader();
        while let Some(batch) = cursor.next_batch().expect("the buffer is readable") {
            assert!(!batch.is_empty());
            all.extend(batch.into_owned());
        }
        all
    }

    proptest! {
        #[test]
        fn gives_back_what_was_pushed_in_order(
            records in prop::collection::vec(("[a-z]{0,40}", any::<u64>()), 0..2000),
            budget in prop_oneof![Just(1usize), 1usize << 10..1 << 16, Just(1 << 24)],
        ) {
            let mut buffer = buffer(budget);
            for round in 0..2 {
                buffer.push_all(&mut records.clone()).expect("there is space");
                buffer.seal().expect("there is space");
                prop_assert_eq!(buffer.len(), records.len(), "round {}", round);
                prop_assert_eq!(buffer.first(), records.first());
                prop_assert_eq!(&read(&buffer), &records);
                prop_assert_eq!(&read(&buffer), &records);
                let mut popped = Vec::new();
                while let Some(batch) = buffer.pop_batch().expect("readable") {
                    popped.extend(batch);
                }
                prop_assert_eq!(&popped, &records);
                prop_assert!(buffer.is_empty());
                buffer.clear();
            }
        }
    }

    #[test]
    fn stays_within_its_budget_and_gives_it_back() {
        let mut buffer = buffer::<u64>(1 << 20);
        (0..1 << 20).try_for_each(|i| buffer.push(i)).expect("there is space");
        assert!(!buffer.in_memory());
        assert!(buffer.budget.used() <= 1 << 20);
        assert!(buffer.chunks.len() * buffer.chunk_bytes() > 1 << 19, "half of the budget at least holds records");
        buffer.seal().expect("there is space");
        buffer.clear();
        assert!(buffer.budget.used() <= buffer.sizes.memory() + buffer.chunk_bytes());
        assert!(buffer.in_memory());
    }

    #[test]
    fn records_of_no_size_are_only_counted() {
        let mut buffer = buffer::<()>(1 << 10);
        (0..5000).try_for_each(|_| buffer.push(())).expect("they take no space");
        buffer.seal().expect("they take no space");
        assert_eq!(read(&buffer).len(), 5000);
    }
}
