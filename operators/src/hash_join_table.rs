//! The table of a hash join: built once, when all its records are known.

use crate::hash_chunks::{Chunks, NO_POSITION};
use crate::hash_join_grouped::{Grouped, group_records};
use crate::hash_join_index::{Heads, Layout};
use crate::hash_key::hash_of;
use crate::hash_memory::Memory;
use crate::prefetch::{LARGE_BYTES, prefetch};
use flinkrs_core::types::KeySelector;
use hashbrown::HashTable;

/// Records, and where those of a key begin: found by hash, or in an array if keys are integers close together.
///
/// Records of one key lie next to each other where many have the same key, and are chained otherwise.
pub(crate) struct JoinTable<B> {
    records: Chunks<B>,
    heap: usize,
    heads: Heads,
    /// The next record with the same key, by position; empty when no two records have the same key, or are grouped.
    next: Vec<u32>,
    /// A bit for the first record of each key and one behind the last record; empty when records aren't grouped.
    starts: Vec<u64>,
    /// A bit per position: whether the key whose head is there has met a partner.
    matched: Vec<u64>,
    index_bytes: usize,
}

/// Records that are hashed first and then looked up, so that the processor waits for several lookups at once.
pub(crate) const BLOCK: usize = 128;

impl<B: Clone> JoinTable<B> {
    /// A table without records or memory.
    pub(crate) fn empty() -> JoinTable<B> {
        JoinTable {
            records: Chunks::for_memory(0),
            heap: 0,
            heads: Heads::empty(),
            next: Vec::new(),
            starts: Vec::new(),
            matched: Vec::new(),
            index_bytes: 0,
        }
    }

    /// Builds the table, for which [`Layout::index_bytes`] are reserved already.
    pub(crate) fn build<S: KeySelector<B>>(
        records: Chunks<B>,
        heap: usize,
        layout: &Layout,
        selector: &S,
        memory: &mut Memory,
    ) -> JoinTable<B> {
        let index_bytes = layout.index_bytes(records.len(), records.position_end());
        let table = JoinTable { heap, index_bytes, ..JoinTable::empty() };
        if layout.is_grouped {
            table.grouped(records, layout, selector, memory)
        } else {
            table.chained(records, layout, selector)
        }
    }

    fn chained<S: KeySelector<B>>(self, records: Chunks<B>, layout: &Layout, selector: &S) -> JoinTable<B> {
        let mut heads = layout.heads();
        let mut next = Vec::new();
        let mut hashes = [0u64; BLOCK];
        for (start, chunk) in records.iter() {
            for (number, block) in chunk.chunks(BLOCK).enumerate() {
                if layout.direct.is_none() {
                    block.iter().zip(&mut hashes).for_each(|(record, hash)| *hash = hash_of(selector, record));
                }
                for (i, hash) in hashes[..block.len()].iter().enumerate() {
                    let position = start + (number * BLOCK + i) as u32;
                    if let Some(head) = heads.insert(position, *hash, &records, selector) {
                        chain(&mut next, head, position, records.position_end());
                    }
                }
            }
        }
        JoinTable { records, heads, next, ..self }
    }

    fn grouped<S: KeySelector<B>>(
        self,
        records: Chunks<B>,
        layout: &Layout,
        selector: &S,
        memory: &mut Memory,
    ) -> JoinTable<B> {
        let bytes_before = records.bytes() + self.index_bytes;
        let Grouped { records, starts, mut heads } = match group_records(records, layout, selector, memory) {
            Ok(grouped) => grouped,
            Err(records) => return self.chained_instead(records, layout, selector, memory),
        };
        if let Heads::Hashed(heads) = &mut heads {
            let end = records.len();
            let firsts = || ones(&starts).filter(|start| *start < end);
            *heads = HashTable::with_capacity(firsts().count());
            for start in firsts() {
                let hash = hash_of(selector, records.get(start as u32));
                heads.insert_unique(hash, start as u32, |other| hash_of(selector, records.get(*other)));
            }
        }
        // As much for the keys that have met a partner as for where keys start.
        let index_bytes = heads.bytes() + 2 * starts.len() * size_of::<u64>();
        memory.exchange(bytes_before, records.bytes() + index_bytes);
        JoinTable { records, heads, starts, index_bytes, ..self }
    }

    /// Chains records for which grouping was planned and reserved.
    fn chained_instead<S: KeySelector<B>>(
        self,
        records: Chunks<B>,
        layout: &Layout,
        selector: &S,
        memory: &mut Memory,
    ) -> JoinTable<B> {
        let layout = Layout { is_grouped: false, keys: records.len(), ..*layout };
        let index_bytes = layout.index_bytes(records.len(), records.position_end());
        memory.exchange(self.index_bytes, index_bytes);
        JoinTable { index_bytes, ..self }.chained(records, &layout, selector)
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

    /// Whether the records are so many that most of them lie in no near cache.
    pub(crate) fn is_large(&self) -> bool {
        self.records.bytes() > LARGE_BYTES
    }

    /// Begins to load the record at a position.
    #[inline(always)]
    pub(crate) fn prefetch(&self, position: u32) {
        prefetch(self.records.get(position));
        if let Some(word) = self.starts.get(position as usize / 64) {
            prefetch(word);
        }
    }

    /// The positions of keys by integer and the integer of the first, if there is such an array.
    #[inline(always)]
    pub(crate) fn direct(&self) -> Option<(u64, &[u32])> {
        match &self.heads {
            Heads::Hashed(_) => None,
            Heads::Direct { base, heads } => Some((*base, heads)),
        }
    }

    /// The hash table of positions; empty where there is an array instead.
    #[inline(always)]
    pub(crate) fn hashed(&self) -> Option<Hashed<'_, B>> {
        match &self.heads {
            Heads::Hashed(heads) => Some(Hashed { heads, records: &self.records }),
            Heads::Direct { .. } => None,
        }
    }

    /// Shows the records with the key of the one at `head` to `show`.
    #[inline(always)]
    pub(crate) fn for_each(&self, head: u32, mut show: impl FnMut(&B)) {
        if !self.starts.is_empty() {
            let end = next_one(&self.starts, head as usize + 1);
            return self.records.for_each_in(head as usize..end, show);
        }
        let mut position = head;
        while position != NO_POSITION {
            show(self.records.get(position));
            position = self.next.get(position as usize).copied().unwrap_or(NO_POSITION);
        }
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

    /// Whether no two records have the same key, so that every position is the head of a key.
    pub(crate) fn has_unique_keys(&self) -> bool {
        self.next.is_empty() && self.starts.is_empty()
    }

    /// Positions are below this number.
    pub(crate) fn position_end(&self) -> usize {
        self.records.position_end()
    }

    /// Shows those records of a position's chunk, from there on, that aren't marked; returns where the next chunk
    /// begins.
    pub(crate) fn for_each_unmarked(&self, position: usize, mut show: impl FnMut(&B)) -> usize {
        let (records, next) = self.records.rest_of_chunk(position);
        let end = position + records.len();
        for word in position / 64..end.div_ceil(64) {
            let mut unmarked = !self.matched[word];
            if word == position / 64 {
                unmarked &= u64::MAX << (position % 64);
            }
            while unmarked != 0 {
                let found = word * 64 + unmarked.trailing_zeros() as usize;
                if found >= end {
                    break;
                }
                show(&records[found - position]);
                unmarked &= unmarked - 1;
            }
        }
        next
    }

    /// The head in bucket `bucket`, if there is one; buckets are below [`JoinTable::bucket_end`].
    pub(crate) fn head(&self, bucket: usize) -> Option<u32> {
        match &self.heads {
            Heads::Hashed(heads) => heads.get_bucket(bucket).copied(),
            Heads::Direct { heads, .. } => heads.get(bucket).copied().filter(|head| *head != NO_POSITION),
        }
    }

    /// How many buckets there are.
    pub(crate) fn bucket_end(&self) -> usize {
        match &self.heads {
            Heads::Hashed(heads) if heads.is_empty() => 0,
            Heads::Hashed(heads) => heads.num_buckets(),
            Heads::Direct { heads, .. } => heads.len(),
        }
    }

    /// Takes the records out, chunk by chunk, and the table apart; their memory is given back with each chunk.
    pub(crate) fn take_chunk(&mut self, memory: &mut Memory) -> Option<Vec<B>> {
        self.heads = Heads::empty();
        self.next = Vec::new();
        self.starts = Vec::new();
        self.matched = Vec::new();
        memory.shrink(std::mem::take(&mut self.index_bytes) + std::mem::take(&mut self.heap));
        let chunk = self.records.pop_chunk()?;
        memory.shrink(self.records.chunk_bytes());
        Some(chunk)
    }
}

/// Looks keys up by hash.
pub(crate) struct Hashed<'a, B> {
    heads: &'a HashTable<u32>,
    records: &'a Chunks<B>,
}

impl<B> Hashed<'_, B> {
    /// The first record with the key of this hash for which `same_key` holds, or [`NO_POSITION`].
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, same_key: impl Fn(&B) -> bool) -> u32 {
        self.heads.find(hash, |head| same_key(self.records.get(*head))).copied().unwrap_or(NO_POSITION)
    }

    /// A position that [`Hashed::find`] would look at for this hash, or [`NO_POSITION`] if there is none.
    #[inline(always)]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        self.heads.find(hash, |_| true).copied().unwrap_or(NO_POSITION)
    }

    /// The record at a position.
    #[inline(always)]
    pub(crate) fn record(&self, position: u32) -> &B {
        self.records.get(position)
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

/// The first bit that is set from `from` on; there is one.
#[inline(always)]
fn next_one(words: &[u64], from: usize) -> usize {
    let mut word = from / 64;
    let mut bits = words[word] & (u64::MAX << (from % 64));
    while bits == 0 {
        word += 1;
        bits = words[word];
    }
    word * 64 + bits.trailing_zeros() as usize
}

/// The bits that are set.
fn ones(words: &[u64]) -> impl Iterator<Item = usize> {
    words
        .iter()
        .enumerate()
        .flat_map(|(number, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| number * 64 + bit))
}

#[cfg(test)]
mod tests;
