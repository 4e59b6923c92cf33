//! Records in chunks of one size, addressed by position: nothing moves when there are more of them.

use flinkrs_core::batch::batch_capacity;
use std::ops::Range;

/// A list of records that grows by whole chunks.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    /// A chunk holds at most `1 << shift` records.
    shift: u32,
    len: usize,
}

/// A chunk takes at most this part of the memory: with 16 partitions, open chunks take an eighth of it.
const CHUNK_SHARE: usize = 128;

/// Records of the smallest chunk.
const CHUNK_RECORDS_MIN: usize = 16;

/// No record has this position.
pub(crate) const NO_POSITION: u32 = u32::MAX;

impl<T> Chunks<T> {
    /// Chunks of a batch each, or of less when few bytes are `available`.
    pub(crate) fn for_memory(available: usize) -> Chunks<T> {
        let fit = available / CHUNK_SHARE / size_of::<T>().max(1);
        let records = fit.max(CHUNK_RECORDS_MIN).min(batch_capacity::<T>());
        Chunks { chunks: Vec::new(), shift: records.ilog2(), len: 0 }
    }

    /// An empty list with chunks of the same size.
    pub(crate) fn like(&self) -> Chunks<T> {
        Chunks { chunks: Vec::new(), shift: self.shift, len: 0 }
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Memory of one chunk, in bytes, without the heap of its records.
    pub(crate) fn chunk_bytes(&self) -> usize {
        size_of::<T>() << self.shift
    }

    /// Memory of all chunks, in bytes, without the heap of their records.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.len() * self.chunk_bytes()
    }

    /// Positions are below this number.
    pub(crate) fn position_end(&self) -> usize {
        self.chunks.len() << self.shift
    }

    /// Whether a record can be added without another chunk.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.chunks.last().is_some_and(|chunk| chunk.len() < 1 << self.shift)
    }

    /// Adds an empty chunk.
    pub(crate) fn add_chunk(&mut self) {
        self.add_chunk_of(None);
    }

    /// Adds an empty chunk, in memory of one that has become empty if there is some.
    pub(crate) fn add_chunk_of(&mut self, emptied: Option<Vec<T>>) {
        debug_assert!(emptied.as_ref().is_none_or(|chunk| chunk.is_empty() && chunk.capacity() >> self.shift > 0));
        self.chunks.push(emptied.unwrap_or_else(|| self.new_chunk()));
    }

    /// An empty chunk that isn't part of the list.
    pub(crate) fn new_chunk(&self) -> Vec<T> {
        Vec::with_capacity(1 << self.shift)
    }

    /// Adds a chunk, unless it is empty.
    pub(crate) fn push_chunk(&mut self, chunk: Vec<T>) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.chunks.push(chunk);
        }
    }

    /// Whether these records are as many as a chunk has, in as much memory.
    #[inline]
    pub(crate) fn fits(&self, records: &Vec<T>) -> bool {
        records.len() == 1 << self.shift && records.capacity() == records.len() && size_of::<T>() > 0
    }

    /// Adds a full chunk, before the last one: that may have room.
    pub(crate) fn insert_chunk(&mut self, chunk: Vec<T>) {
        debug_assert!(self.fits(&chunk), "a chunk that isn't the last one is full");
        self.len += chunk.len();
        self.chunks.insert(self.chunks.len().saturating_sub(1), chunk);
    }

    /// Adds a record, for which there must be room.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: T) {
        let chunk = self.chunks.last_mut().expect("a chunk is added first");
        debug_assert!(chunk.len() < 1 << self.shift, "a chunk doesn't grow");
        chunk.push(record);
        self.len += 1;
    }

    /// Adds so many copies of a record, in chunks that have become empty as far as there are some.
    pub(crate) fn fill(&mut self, count: usize, record: &T, pool: &mut Vec<Vec<T>>)
    where
        T: Clone,
    {
        let mut left = count;
        while left > 0 {
            if !self.has_room() {
                self.add_chunk_of(pool.pop());
            }
            let chunk = self.chunks.last_mut().expect("a chunk was added");
            let more = left.min((1 << self.shift) - chunk.len());
            chunk.resize(chunk.len() + more, record.clone());
            left -= more;
        }
        self.len += count;
    }

    /// The record at a position, to be replaced.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, position: usize) -> &mut T {
        &mut self.chunks[position >> self.shift][position & ((1 << self.shift) - 1)]
    }

    /// The record at a position.
    #[inline(always)]
    pub(crate) fn get(&self, position: u32) -> &T {
        let position = position as usize;
        &self.chunks[position >> self.shift][position & ((1 << self.shift) - 1)]
    }

    /// Shows the records of a range of positions to `show`; all chunks but the last must be full.
    #[inline(always)]
    pub(crate) fn for_each_in(&self, positions: Range<usize>, mut show: impl FnMut(&T)) {
        let mut start = positions.start;
        while start < positions.end {
            let first = start >> self.shift << self.shift;
            let end = positions.end.min(first + (1 << self.shift));
            self.chunks[start >> self.shift][start - first..end - first].iter().for_each(&mut show);
            start = end;
        }
    }

    /// The records of the chunk of a position, from there on, and the position where the next chunk begins.
    pub(crate) fn rest_of_chunk(&self, position: usize) -> (&[T], usize) {
        let number = position >> self.shift;
        let records = self.chunks[number].get(position - (number << self.shift)..).unwrap_or(&[]);
        (records, (number + 1) << self.shift)
    }

    /// The chunks, each with the position of its first record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[T])> {
        let shift = self.shift;
        self.chunks.iter().enumerate().map(move |(number, chunk)| ((number << shift) as u32, chunk.as_slice()))
    }

    /// Takes the last chunk out.
    pub(crate) fn pop_chunk(&mut self) -> Option<Vec<T>> {
        let chunk = self.chunks.pop()?;
        self.len -= chunk.len();
        Some(chunk)
    }

    /// Moves the chunks of `other`, which are of the same size, to the end; partly filled ones stay so.
    pub(crate) fn append(&mut self, other: &mut Chunks<T>) {
        debug_assert_eq!(self.shift, other.shift, "chunks of one operator are of one size");
        self.len += std::mem::take(&mut other.len);
        self.chunks.append(&mut other.chunks);
    }
}
