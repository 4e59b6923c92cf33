//! Records of integer keys that lie close together: an array with a place per key instead of a hash table.
//!
//! Where a record's key can be taken away from it, only the rest is kept: the place says which key it is.

use crate::prefetch::{LARGE_BYTES, prefetch};

/// Keys that have a word which says which words of their bitmap aren't 0.
pub(crate) const SEGMENT: usize = 1 << SEGMENT_BITS;

const SEGMENT_BITS: u32 = 12;

/// Words of a segment's bitmap: as many as a word has bits.
const WORDS: usize = SEGMENT / 64;

/// What records have beside their keys, by key within a range of keys, in one array.
///
/// Bitmaps of three levels say which places are filled, so that only those are looked at.
#[derive(Debug)]
pub(crate) struct DenseTable<R> {
    /// The lowest key that has a place, a multiple of [`SEGMENT`].
    base: u64,
    /// A place per key, of which only those count that the bitmap says.
    places: Vec<R>,
    /// A bit per place that is filled.
    filled: Vec<u64>,
    /// A bit per word of `filled` that isn't 0: one word per segment.
    words: Vec<u64>,
    /// A bit per word of `words` that isn't 0.
    touched: Vec<u64>,
    len: usize,
}

/// Memory of a segment, in bytes, with its bitmaps.
const fn segment_bytes<R>() -> usize {
    SEGMENT * size_of::<R>() + (WORDS + 2) * size_of::<u64>()
}

impl<R: Clone> DenseTable<R> {
    /// A table without places whose range begins as that of one key.
    pub(crate) fn at(key: u64) -> DenseTable<R> {
        let base = key & !(SEGMENT as u64 - 1);
        DenseTable { base, places: Vec::new(), filled: Vec::new(), words: Vec::new(), touched: Vec::new(), len: 0 }
    }

    /// Memory of a table with so many segments, in bytes.
    pub(crate) fn range_bytes(segments: usize) -> usize {
        segments.saturating_mul(segment_bytes::<R>())
    }

    /// Memory of the table, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        DenseTable::<R>::range_bytes(self.words.len())
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of a key, if that lies in the range.
    #[inline(always)]
    pub(crate) fn place(&self, key: u64) -> Option<usize> {
        let place = key.wrapping_sub(self.base);
        (place < self.places.len() as u64).then_some(place as usize)
    }

    /// How many segments the range would have with these keys in it, and with a quarter more on each side on which it
    /// has to grow; saturates.
    pub(crate) fn segments_with(&self, lowest: u64, highest: u64) -> usize {
        let (first, last) = self.bounds_with(lowest, highest);
        usize::try_from(last - first + 1).unwrap_or(usize::MAX)
    }

    /// The first and the last segment, counted from key 0, of that range.
    fn bounds_with(&self, lowest: u64, highest: u64) -> (u64, u64) {
        let (lowest, highest) = (lowest >> SEGMENT_BITS, highest >> SEGMENT_BITS);
        let segments = self.words.len() as u64;
        if segments == 0 {
            return (lowest, highest);
        }
        let (mut first, mut last) = (self.base >> SEGMENT_BITS, (self.base >> SEGMENT_BITS) + segments - 1);
        if lowest < first {
            first = lowest.saturating_sub(segments / 4);
        }
        if highest > last {
            last = (highest + segments / 4).min(u64::MAX >> SEGMENT_BITS);
        }
        (first, last)
    }

    /// Widens the range as [`DenseTable::segments_with`] says; `rest` fills the places meanwhile.
    pub(crate) fn extend(&mut self, lowest: u64, highest: u64, rest: &R) {
        let (first, last) = self.bounds_with(lowest, highest);
        let before = if self.words.is_empty() { 0 } else { ((self.base >> SEGMENT_BITS) - first) as usize };
        let total = (last - first + 1) as usize;
        let mut places = Vec::with_capacity(total * SEGMENT);
        places.resize(before * SEGMENT, rest.clone());
        places.append(&mut self.places);
        places.resize(total * SEGMENT, rest.clone());
        self.places = places;
        self.filled.splice(0..0, (0..before * WORDS).map(|_| 0));
        self.filled.resize(total * WORDS, 0);
        self.words.splice(0..0, (0..before).map(|_| 0));
        self.words.resize(total, 0);
        self.base = first << SEGMENT_BITS;
        self.touched = vec![0; total.div_ceil(64)];
        for (segment, _) in self.words.iter().enumerate().filter(|(_, word)| **word != 0) {
            self.touched[segment / 64] |= 1 << (segment % 64);
        }
    }

    /// Whether the places are so many that most of them lie in no near cache.
    pub(crate) fn is_large(&self) -> bool {
        size_of_val(&*self.places) > LARGE_BYTES
    }

    /// Begins to load a place.
    #[inline(always)]
    pub(crate) fn prefetch(&self, place: usize) {
        prefetch(&self.places[place]);
    }

    /// What the record at a place has beside its key, if there is a record.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut R> {
        let is_filled = self.filled[place / 64] >> (place % 64) & 1 == 1;
        is_filled.then(|| &mut self.places[place])
    }

    /// Puts a record at a place that has none.
    #[inline(always)]
    pub(crate) fn put(&mut self, place: usize, rest: R) {
        self.places[place] = rest;
        let (word, segment) = (place / 64, place / SEGMENT);
        debug_assert!(self.filled[word] >> (place % 64) & 1 == 0, "a key has one record");
        self.filled[word] |= 1 << (place % 64);
        self.words[segment] |= 1 << (word % WORDS);
        self.touched[segment / 64] |= 1 << (segment % 64);
        self.len += 1;
    }

    /// Takes all records out in the order of their keys, keeps the places, and says how many words it looked at; `take`
    /// gets keys and what records have beside them.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(u64, R)) -> usize {
        let mut looked_at = self.touched.len();
        while let Some(segment) = self.first_touched() {
            let first = self.key_at(segment);
            let mut words = self.words[segment];
            self.clear_touched(segment);
            while words != 0 {
                let number = words.trailing_zeros() as usize;
                words &= words - 1;
                let mut filled = std::mem::take(&mut self.filled[segment * WORDS + number]);
                let places = &self.places[segment * SEGMENT..][..SEGMENT];
                while filled != 0 {
                    let place = number * 64 + filled.trailing_zeros() as usize;
                    take(first + place as u64, places[place].clone());
                    filled &= filled - 1;
                }
                looked_at += 1;
            }
        }
        self.len = 0;
        looked_at
    }

    fn first_touched(&self) -> Option<usize> {
        let number = self.touched.iter().position(|word| *word != 0)?;
        Some(number * 64 + self.touched[number].trailing_zeros() as usize)
    }

    fn clear_touched(&mut self, segment: usize) {
        self.words[segment] = 0;
        self.touched[segment / 64] &= !(1 << (segment % 64));
    }

    /// The lowest key of a segment.
    fn key_at(&self, segment: usize) -> u64 {
        self.base + ((segment as u64) << SEGMENT_BITS)
    }

    /// Takes the records of the lowest segment that has some out, in the order of their keys; `whole` makes them of
    /// their keys and what else they have.
    pub(crate) fn take_segment<T>(&mut self, whole: impl Fn(u64, R) -> Option<T>) -> Option<Vec<T>> {
        let segment = self.first_touched()?;
        self.clear_touched(segment);
        let first = self.key_at(segment);
        let places = &self.places[segment * SEGMENT..][..SEGMENT];
        let filled = &mut self.filled[segment * WORDS..][..WORDS];
        let is_filled = |place: &usize| filled[place / 64] >> (place % 64) & 1 == 1;
        let found = (0..SEGMENT).filter(is_filled);
        let records: Vec<T> = found.filter_map(|place| whole(first + place as u64, places[place].clone())).collect();
        filled.fill(0);
        self.len -= records.len();
        Some(records)
    }
}
