//! Puts the records of each key next to each other: into buckets that fit into the cache first, then bucket by bucket.

use crate::hash_chunks::Chunks;
use crate::hash_join_index::{Heads, Layout, place_of};
use crate::hash_key::hash_of;
use crate::hash_memory::Memory;
use flinkrs_core::batch::BATCH_RECORDS;
use flinkrs_core::types::KeySelector;
use hashbrown::HashTable;

/// Records by key.
pub(crate) struct Grouped<B> {
    /// All chunks but the last are full.
    pub(crate) records: Chunks<B>,
    /// A bit for the first record of each key, and one behind the last record.
    pub(crate) starts: Vec<u64>,
    pub(crate) heads: Heads,
}

/// Bytes of records in a bucket, about.
const BUCKET_BYTES: usize = 256 << 10;

/// More buckets than this are more than the processor writes to at once.
const BUCKETS_MAX: usize = 1024;

/// Positions by which records that are in buckets may have more than they had before.
pub(crate) const SPARE_POSITIONS: usize = BUCKETS_MAX * BATCH_RECORDS;

/// Bits of the hash in which the keys of a bucket differ most; other bits name the bucket.
const BUCKET_SHIFT: u32 = 16;

/// How many buckets there are, and the lowest of the bits of a key's place or hash that name them.
fn buckets_of<B>(layout: &Layout, records: usize) -> (usize, u32) {
    let buckets = (records * size_of::<B>() / BUCKET_BYTES).next_power_of_two().min(BUCKETS_MAX);
    let place_bits = |places: usize| places.next_power_of_two().ilog2();
    (buckets, layout.direct.map_or(BUCKET_SHIFT, |(_, places)| place_bits(places).saturating_sub(buckets.ilog2())))
}

/// Groups the records, in the memory that they are in, but for a chunk per bucket and a copy of one bucket.
///
/// Gives them back, in another order, if one bucket has so many that the budget refuses the copy.
pub(crate) fn group_records<B: Clone, S: KeySelector<B>>(
    chunks: Chunks<B>,
    layout: &Layout,
    selector: &S,
    memory: &mut Memory,
) -> Result<Grouped<B>, Chunks<B>> {
    let (count, bytes, like) = (chunks.len(), chunks.bytes(), chunks.like());
    let (number, shift) = buckets_of::<B>(layout, count);
    let open_bytes = number * like.chunk_bytes();
    memory.force(open_bytes);
    let mut pool = Vec::new();
    let buckets = match layout.direct {
        Some((base, _)) => deal(chunks, number, &mut pool, |record| place_of(selector, record, base) >> shift),
        None => deal(chunks, number, &mut pool, |record| (hash_of(selector, record) >> shift) as usize & (number - 1)),
    };
    let largest = buckets.iter().map(Chunks::len).max().unwrap_or(0);
    let copy_bytes = largest * (size_of::<B>() + 2 * size_of::<u32>());
    if !memory.grow(copy_bytes, largest * size_of::<B>() <= 2 * BUCKET_BYTES) {
        memory.shrink(open_bytes);
        let mut all = like;
        buckets.into_iter().for_each(|mut bucket| all.append(&mut bucket));
        memory.exchange(bytes, all.bytes());
        return Err(all);
    }
    let mut grouped = Grouped { records: like, starts: vec![0; count / 64 + 1], heads: layout.heads() };
    let mut scratch = Scratch::default();
    let mut copy = Vec::new();
    for (number, mut bucket) in buckets.into_iter().enumerate().filter(|(_, bucket)| bucket.len() > 0) {
        if let Some((base, _)) = layout.direct
            && !std::mem::needs_drop::<B>()
        {
            let first_place = number << shift;
            grouped.add_by_place(bucket, &mut scratch.counts, selector, (base, first_place), &mut pool);
            continue;
        }
        if copy.capacity() == 0 {
            copy.reserve_exact(largest);
        }
        while let Some(mut chunk) = bucket.pop_chunk() {
            copy.append(&mut chunk);
            pool.push(chunk);
        }
        match layout.direct {
            Some((base, _)) => scratch.number_by_place(&copy, selector, base + ((number as u64) << shift)),
            None => scratch.number_by_hash(&copy, selector),
        }
        grouped.add(&mut copy, &mut scratch, number << shift, &mut pool);
    }
    grouped.starts[count / 64] |= 1 << (count % 64);
    memory.shrink(open_bytes + copy_bytes);
    Ok(grouped)
}

/// Moves the records into their buckets; chunks that become empty are used again.
fn deal<B>(
    mut chunks: Chunks<B>,
    buckets: usize,
    pool: &mut Vec<Vec<B>>,
    bucket_of: impl Fn(&B) -> usize,
) -> Vec<Chunks<B>> {
    if buckets == 1 {
        return vec![chunks];
    }
    let mut full: Vec<Chunks<B>> = (0..buckets).map(|_| chunks.like()).collect();
    // The last chunk of each bucket lies apart, so that what is needed per record stays in the cache.
    let mut open: Vec<Vec<B>> = (0..buckets).map(|_| Vec::new()).collect();
    while let Some(mut chunk) = chunks.pop_chunk() {
        for record in chunk.drain(..) {
            let number = bucket_of(&record);
            let bucket = &mut open[number];
            if bucket.len() == bucket.capacity() {
                let empty = pool.pop().unwrap_or_else(|| chunks.new_chunk());
                full[number].push_chunk(std::mem::replace(bucket, empty));
            }
            bucket.push(record);
        }
        pool.push(chunk);
    }
    full.iter_mut().zip(open).for_each(|(full, open)| full.push_chunk(open));
    full
}

/// What is needed for one bucket at a time.
#[derive(Default)]
struct Scratch {
    /// The number of each record's key; then where the record goes.
    numbers: Vec<u32>,
    /// By number of the key: how many records; then where the next one goes.
    counts: Vec<u32>,
    /// The first record of each key, by number.
    firsts: Vec<u32>,
    table: HashTable<u32>,
}

impl Scratch {
    /// Numbers keys by their place behind `base`.
    fn number_by_place<B, S: KeySelector<B>>(&mut self, bucket: &[B], selector: &S, base: u64) {
        self.numbers.clear();
        self.counts.clear();
        for record in bucket {
            let number = place_of(selector, record, base);
            if number >= self.counts.len() {
                self.counts.resize(number + 1, 0);
            }
            self.counts[number] += 1;
            self.numbers.push(number as u32);
        }
    }

    /// Numbers keys in the order of their first record.
    fn number_by_hash<B, S: KeySelector<B>>(&mut self, bucket: &[B], selector: &S) {
        let Scratch { numbers, counts, firsts, table } = self;
        numbers.clear();
        counts.clear();
        firsts.clear();
        table.clear();
        for (position, record) in bucket.iter().enumerate() {
            let hash = hash_of(selector, record);
            let same = |number: &u32| selector.same_key(&bucket[firsts[*number as usize] as usize], record);
            let number = match table.find(hash, same) {
                Some(number) => *number,
                None => {
                    let number = firsts.len() as u32;
                    firsts.push(position as u32);
                    counts.push(0);
                    let hash_at = |number: &u32| hash_of(selector, &bucket[firsts[*number as usize] as usize]);
                    table.insert_unique(hash, number, hash_at);
                    number
                }
            };
            counts[number as usize] += 1;
            numbers.push(number);
        }
    }
}

impl<B: Clone> Grouped<B> {
    /// Adds a bucket of records that are copied as cheaply as moved: each goes straight to its place. The first of its
    /// keys is the integer `base` and `first_place` more.
    fn add_by_place<S: KeySelector<B>>(
        &mut self,
        mut bucket: Chunks<B>,
        counts: &mut Vec<u32>,
        selector: &S,
        (base, first_place): (u64, usize),
        pool: &mut Vec<Vec<B>>,
    ) {
        let start = self.records.len();
        let base = base + first_place as u64;
        counts.clear();
        for (_, chunk) in bucket.iter() {
            for record in chunk {
                let number = place_of(selector, record, base);
                if number >= counts.len() {
                    counts.resize(number + 1, 0);
                }
                counts[number] += 1;
            }
        }
        self.begin_keys(counts, first_place);
        if let Some(any) = bucket.iter().find_map(|(_, chunk)| chunk.first()) {
            self.records.fill(bucket.len(), any, pool);
        }
        for (_, chunk) in bucket.iter() {
            for record in chunk {
                let target = &mut counts[place_of(selector, record, base)];
                *self.records.get_mut(start + *target as usize) = record.clone();
                *target += 1;
            }
        }
        while let Some(mut chunk) = bucket.pop_chunk() {
            chunk.clear();
            pool.push(chunk);
        }
    }

    /// Notes where the keys of the next records begin, and turns how many records each has into the place of its first
    /// among them.
    fn begin_keys(&mut self, counts: &mut [u32], first_place: usize) {
        let start = self.records.len();
        let mut next = 0;
        for (number, count) in counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            let position = start + next as usize;
            self.starts[position / 64] |= 1 << (position % 64);
            if let Heads::Direct { heads, .. } = &mut self.heads {
                heads[first_place + number] = position as u32;
            }
            next += std::mem::replace(count, next);
        }
    }

    /// Adds a bucket, of which the first place in an array of heads is `first_place`.
    fn add(&mut self, bucket: &mut Vec<B>, scratch: &mut Scratch, first_place: usize, pool: &mut Vec<Vec<B>>) {
        let start = self.records.len();
        self.begin_keys(&mut scratch.counts, first_place);
        if std::mem::needs_drop::<B>() {
            for number in &mut scratch.numbers {
                let target = &mut scratch.counts[*number as usize];
                *number = std::mem::replace(target, *target + 1);
            }
            permute(bucket, &mut scratch.numbers);
            for record in bucket.drain(..) {
                if !self.records.has_room() {
                    self.records.add_chunk_of(pool.pop());
                }
                self.records.push(record);
            }
        } else {
            // Copies cost nothing but the writing, and each goes straight to its place.
            self.records.fill(bucket.len(), &bucket[0], pool);
            for (record, number) in bucket.drain(..).zip(&scratch.numbers) {
                let target = &mut scratch.counts[*number as usize];
                *self.records.get_mut(start + *target as usize) = record;
                *target += 1;
            }
        }
    }
}

/// Moves each record to its target.
fn permute<B>(records: &mut [B], targets: &mut [u32]) {
    for i in 0..records.len() {
        while targets[i] as usize != i {
            let target = targets[i] as usize;
            records.swap(i, target);
            targets.swap(i, target);
        }
    }
}
