//! The table of a hash join: built once, when all its records are known.

use crate::hash_chunks::{Chunks, NO_POSITION};
use crate::hash_memory::Memory;
use hashbrown::HashTable;

/// Records in chunks, a table with one position per key, and chains through the records of equal keys.
pub(crate) struct JoinTable<B> {
    records: Chunks<B>,
    heap: usize,
    heads: HashTable<u32>,
    /// The next record with the same key, by position; empty when no two records have the same key.
    next: Vec<u32>,
    /// A bit per position: whether the key whose head is there has met a partner.
    matched: Vec<u64>,
    index_bytes: usize,
}

/// Records that are hashed first and then looked up, so that the processor waits for several lookups at once.
pub(crate) const BLOCK: usize = 128;

impl<B> JoinTable<B> {
    /// A table without records or memory.
    pub(crate) fn empty() -> JoinTable<B> {
        JoinTable {
            records: Chunks::for_memory(0),
            heap: 0,
            heads: HashTable::new(),
            next: Vec::new(),
            matched: Vec::new(),
            index_bytes: 0,
        }
    }

    /// Memory of a table over so many records with so many positions, in bytes, without the records.
    pub(crate) fn index_bytes(records: usize, positions: usize) -> usize {
        let buckets = (records * 8).div_ceil(7).next_power_of_two().max(4);
        buckets * (size_of::<u32>() + 1) + 32 + positions * size_of::<u32>() + positions / 8
    }

    /// Builds the table; the memory of the result is reserved already.
    pub(crate) fn build(
        records: Chunks<B>,
        heap: usize,
        hash_of: impl Fn(&B) -> u64,
        same_key: impl Fn(&B, &B) -> bool,
    ) -> JoinTable<B> {
        let mut heads = HashTable::with_capacity(records.len());
        let mut next = Vec::new();
        let mut hashes = [0u64; BLOCK];
        for (start, chunk) in records.iter() {
            for (number, block) in chunk.chunks(BLOCK).enumerate() {
                block.iter().zip(&mut hashes).for_each(|(record, hash)| *hash = hash_of(record));
                for (i, (record, hash)) in block.iter().zip(hashes).enumerate() {
                    let position = start + (number * BLOCK + i) as u32;
                    if let Some(head) = heads.find(hash, |other| same_key(records.get(*other), record)) {
                        chain(&mut next, *head, position, records.position_end());
                    } else {
                        heads.insert_unique(hash, position, |other| hash_of(records.get(*other)));
                    }
                }
            }
        }
        let index_bytes = JoinTable::<B>::index_bytes(records.len(), records.position_end());
        JoinTable { records, heap, heads, next, matched: Vec::new(), index_bytes }
    }

    /// Drops the table and gives its memory back.
    pub(crate) fn release(self, memory: &mut Memory) {
        memory.shrink(self.index_bytes + self.records.bytes() + self.heap);
    }

    /// Begins to note which keys meet a partner.
    pub(crate) fn track_matches(&mut self) {
        self.matched.clear();
        self.matched.resize(self.records.position_end().div_ceil(64), 0);
    }

    /// The first record with the key of this hash for which `same_key` holds, or [`NO_POSITION`].
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, same_key: impl Fn(&B) -> bool) -> u32 {
        self.heads.find(hash, |head| same_key(self.records.get(*head))).copied().unwrap_or(NO_POSITION)
    }

    /// A position that [`JoinTable::find`] would look at for this hash, or [`NO_POSITION`] if there is none.
    #[inline(always)]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        self.heads.find(hash, |_| true).copied().unwrap_or(NO_POSITION)
    }

    /// The record at a position.
    #[inline(always)]
    pub(crate) fn record(&self, position: u32) -> &B {
        self.records.get(position)
    }

    /// The records with the key of the one at `head`.
    #[inline(always)]
    pub(crate) fn chain(&self, head: u32) -> Chain<'_, B> {
        Chain { table: self, position: head }
    }

    /// Notes that a key has met a partner, and says whether that is the first time.
    #[inline(always)]
    pub(crate) fn mark(&mut self, head: u32) -> bool {
        let (word, bit) = (head as usize / 64, 1 << (head % 64));
        let first = self.matched[word] & bit == 0;
        self.matched[word] |= bit;
        first
    }

    /// Whether a key has met a partner.
    pub(crate) fn is_marked(&self, head: u32) -> bool {
        self.matched[head as usize / 64] >> (head % 64) & 1 == 1
    }

    /// The head in bucket `bucket`, if there is one; buckets are below [`JoinTable::bucket_end`].
    pub(crate) fn head(&self, bucket: usize) -> Option<u32> {
        self.heads.get_bucket(bucket).copied()
    }

    /// How many buckets there are.
    pub(crate) fn bucket_end(&self) -> usize {
        if self.heads.is_empty() { 0 } else { self.heads.num_buckets() }
    }

    /// Takes the records out, chunk by chunk, and the table apart; their memory is given back with each chunk.
    pub(crate) fn take_chunk(&mut self, memory: &mut Memory) -> Option<Vec<B>> {
        self.heads = HashTable::new();
        self.next = Vec::new();
        self.matched = Vec::new();
        memory.shrink(std::mem::take(&mut self.index_bytes) + std::mem::take(&mut self.heap));
        let chunk = self.records.pop_chunk()?;
        memory.shrink(self.records.chunk_bytes());
        Some(chunk)
    }
}

/// Puts a record into the chain of its key, behind the head.
fn chain(next: &mut Vec<u32>, head: u32, position: u32, positions: usize) {
    if next.is_empty() {
        next.resize(positions, NO_POSITION);
    }
    next[position as usize] = next[head as usize];
    next[head as usize] = position;
}

/// The records of one key.
pub(crate) struct Chain<'a, B> {
    table: &'a JoinTable<B>,
    position: u32,
}

impl<'a, B> Iterator for Chain<'a, B> {
    type Item = &'a B;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a B> {
        if self.position == NO_POSITION {
            return None;
        }
        let record = self.table.records.get(self.position);
        self.position = self.table.next.get(self.position as usize).copied().unwrap_or(NO_POSITION);
        Some(record)
    }
}
