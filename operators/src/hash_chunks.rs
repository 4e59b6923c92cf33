//! Records in chunks of one size, addressed by position: nothing moves when there are more of them.

use flinkrs_core::batch::batch_capacity;

/// A list of records that grows by whole chunks; a chunk is at most a batch.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    /// A chunk holds `1 << shift` records.
    shift: u32,
    /// Emptied chunks that wait for reuse.
    spare: Vec<Vec<T>>,
    len: usize,
}

impl<T> Chunks<T> {
    /// Chunks of a batch each, or less when only few bytes are `available`.
    pub(crate) fn for_memory(available: usize) -> Chunks<T> {
        let fit = available / 32 / size_of::<T>().max(1);
        let records = fit.min(batch_capacity::<T>()).max(16.min(batch_capacity::<T>()));
        Chunks { chunks: Vec::new(), shift: records.ilog2(), spare: Vec::new(), len: 0 }
    }

    /// An empty list with chunks of the same size.
    pub(crate) fn like(&self) -> Chunks<T> {
        Chunks { chunks: Vec::new(), shift: self.shift, spare: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Records per chunk.
    pub(crate) fn chunk_records(&self) -> usize {
        1 << self.shift
    }

    /// Memory of one chunk, in bytes, without the heap of its records.
    pub(crate) fn chunk_bytes(&self) -> usize {
        size_of::<T>() << self.shift
    }

    /// Positions are below this number.
    pub(crate) fn position_end(&self) -> usize {
        self.chunks.len() << self.shift
    }

    /// Whether a record can be added without another chunk.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.chunks.last().is_some_and(|chunk| chunk.len() < self.chunk_records())
    }

    /// Adds a chunk; false when a spare one was used, so that no memory was taken.
    pub(crate) fn add_chunk(&mut self) {
        let chunk = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.chunk_records()));
        self.chunks.push(chunk);
    }

    /// Whether [`Chunks::add_chunk`] takes no memory.
    pub(crate) fn has_spare(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Keeps an emptied chunk for reuse; false when it has lost its capacity.
    pub(crate) fn keep(&mut self, mut chunk: Vec<T>) -> bool {
        chunk.clear();
        let whole = chunk.capacity() >= self.chunk_records();
        if whole {
            self.spare.push(chunk);
        }
        whole
    }

    /// Drops the spare chunks and says how many there were.
    pub(crate) fn drop_spare(&mut self) -> usize {
        std::mem::take(&mut self.spare).len()
    }

    /// Adds a record, for which there must be room, and returns its position.
    #[inline(always)]
    pub(crate) fn push(&mut self, record: T) -> u32 {
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        debug_assert!(chunk.len() < 1 << self.shift, "a chunk doesn't grow");
        let position = (number << self.shift) | chunk.len();
        chunk.push(record);
        self.len += 1;
        position as u32
    }

    /// The record at a position, if there is one.
    #[inline(always)]
    pub(crate) fn get(&self, position: u32) -> Option<&T> {
        let position = position as usize;
        self.chunks.get(position >> self.shift)?.get(position & (self.chunk_records() - 1))
    }

    /// The record at a position, if there is one, to be changed.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, position: u32) -> Option<&mut T> {
        let position = position as usize;
        let mask = self.chunk_records() - 1;
        self.chunks.get_mut(position >> self.shift)?.get_mut(position & mask)
    }

    /// All records with their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let shift = self.shift;
        self.chunks.iter().enumerate().flat_map(move |(number, chunk)| {
            chunk.iter().enumerate().map(move |(i, record)| (((number << shift) | i) as u32, record))
        })
    }

    /// Takes the last chunk out.
    pub(crate) fn pop_chunk(&mut self) -> Option<Vec<T>> {
        let chunk = self.chunks.pop()?;
        self.len -= chunk.len();
        Some(chunk)
    }

    /// Takes all chunks out.
    pub(crate) fn take_chunks(&mut self) -> Vec<Vec<T>> {
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Adds the chunks of `other`, whose chunks are of the same size; partly filled ones stay so.
    pub(crate) fn append(&mut self, other: &mut Chunks<T>) {
        debug_assert_eq!(self.shift, other.shift, "chunks of one operator are of one size");
        self.len += other.len;
        self.chunks.append(&mut other.take_chunks());
    }

    /// How many chunks there are, without spare ones.
    pub(crate) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
