//! The index of a hash table: eight bytes per slot, half of it hash and half the position of a record.

/// Finds positions by hash: buckets of four slots, of which the first with room takes an entry.
///
/// A slot holds the high half of the hash and the position plus one, or 0; records are looked at only where the
/// halves agree. The low half of the hash isn't used and is free for partitioning. All slots of a bucket are
/// compared at once: a search that stopped at the first right one would cost a mispredicted branch.
#[derive(Debug)]
pub(crate) struct TagIndex {
    buckets: Vec<Bucket>,
    /// What leaves of a hash the number of its first bucket.
    shift: u32,
    used: usize,
}

/// Half a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Bucket([u64; SLOTS]);

const SLOTS: usize = 4;

const HIGH: u64 = 0xffff_ffff_0000_0000;

/// The largest position that fits into a slot.
pub(crate) const POSITION_MAX: usize = u32::MAX as usize - 1;

/// At most this many of eight slots are taken: with five, one entry in twenty is not in its first bucket.
const LOAD_EIGHTHS: usize = 5;

const BITS_MIN: u32 = 4;

impl TagIndex {
    /// An index for `entries` positions without growing.
    pub(crate) fn with_capacity(entries: usize) -> TagIndex {
        TagIndex::with_bits(TagIndex::bits_for(entries))
    }

    fn with_bits(bits: u32) -> TagIndex {
        TagIndex { buckets: vec![Bucket::default(); 1 << bits], shift: 64 - bits, used: 0 }
    }

    fn bits_for(entries: usize) -> u32 {
        let slots = (entries * 8).div_ceil(LOAD_EIGHTHS);
        slots.div_ceil(SLOTS).next_power_of_two().trailing_zeros().clamp(BITS_MIN, 32)
    }

    /// Memory of an index for `entries` positions, in bytes.
    pub(crate) fn bytes_for(entries: usize) -> usize {
        size_of::<Bucket>() << TagIndex::bits_for(entries)
    }

    /// Memory of this index, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// How many positions it takes before it has to grow.
    pub(crate) fn capacity(&self) -> usize {
        self.buckets.len() * SLOTS / 8 * LOAD_EIGHTHS
    }

    /// The position plus one of an entry that is probably the right one, or 0 when its first bucket has none.
    #[inline(always)]
    pub(crate) fn candidate(&self, hash: u64) -> u32 {
        let Bucket(slots) = self.buckets[self.first_bucket(hash)];
        let mut found = 0;
        for entry in slots {
            // No branch: two entries whose halves agree make a wrong position, which the key's comparison finds out.
            found |= entry as u32 & u32::from((entry ^ hash) & HIGH == 0).wrapping_neg();
        }
        found
    }

    /// The position for which `is_it` holds.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut bucket = self.first_bucket(hash);
        loop {
            for entry in self.buckets[bucket].0 {
                if entry == 0 {
                    return None;
                }
                if (entry ^ hash) & HIGH == 0 && is_it(entry as u32 - 1) {
                    return Some(entry as u32 - 1);
                }
            }
            bucket = self.next_bucket(bucket);
        }
    }

    /// Adds an entry that isn't there yet; there must be room for it.
    #[inline(always)]
    pub(crate) fn insert(&mut self, hash: u64, position: u32) {
        debug_assert!(self.used < self.capacity(), "an entry goes where there is room");
        self.used += 1;
        let mut bucket = self.first_bucket(hash);
        loop {
            if let Some(slot) = self.buckets[bucket].0.iter_mut().find(|slot| **slot == 0) {
                *slot = (hash & HIGH) | u64::from(position + 1);
                return;
            }
            bucket = self.next_bucket(bucket);
        }
    }

    /// Doubles the slots.
    pub(crate) fn grow(&mut self) {
        let mut larger = TagIndex::with_bits(64 - self.shift + 1);
        for entry in self.entries() {
            larger.insert(entry, entry as u32 - 1);
        }
        *self = larger;
    }

    /// Removes all entries and keeps the slots.
    pub(crate) fn clear(&mut self) {
        if self.used > 0 {
            self.buckets.fill(Bucket::default());
            self.used = 0;
        }
    }

    /// The positions, in no particular order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries().map(|entry| entry as u32 - 1)
    }

    fn entries(&self) -> impl Iterator<Item = u64> + '_ {
        self.buckets.iter().flat_map(|bucket| bucket.0).filter(|entry| *entry != 0)
    }

    #[inline(always)]
    fn first_bucket(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    #[inline(always)]
    fn next_bucket(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }
}
