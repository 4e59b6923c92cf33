//! Records of integer keys that lie close together: an array with a place per key instead of a hash table.
//!
//! Where a record's key can be taken away from it, only the rest is kept: the place says which key it is.

use crate::prefetch::{LARGE_BYTES, prefetch};

/// Keys whose places are allocated together.
pub(crate) const SEGMENT: usize = 1 << SEGMENT_BITS;

const SEGMENT_BITS: u32 = 12;

/// Words of a segment's bitmap: as many as a word has bits.
const WORDS: usize = SEGMENT / 64;

/// What records have beside their keys, by key within a range of keys, in segments that are allocated when they are
/// needed.
///
/// Bitmaps of three levels say which places are filled, so that only those are looked at.
#[derive(Debug)]
pub(crate) struct DenseTable<R> {
    /// The lowest key that has a place, a multiple of [`SEGMENT`].
    base: u64,
    /// A place per key, of which only those count that the bitmap says.
    segments: Vec<Option<Box<[R; SEGMENT]>>>,
    /// A bit per place that is filled.
    filled: Vec<u64>,
    /// A bit per word of `filled` that isn't 0: one word per segment.
    words: Vec<u64>,
    /// A bit per word of `words` that isn't 0.
    touched: Vec<u64>,
    len: usize,
}

/// Memory of a segment besides its places, in bytes.
const DIRECTORY_BYTES: usize = size_of::<Box<u8>>() + (WORDS + 2) * size_of::<u64>();

impl<R: Clone> DenseTable<R> {
    /// A table without places whose range begins as that of one key.
    pub(crate) fn at(key: u64) -> DenseTable<R> {
        let base = key & !(SEGMENT as u64 - 1);
        DenseTable { base, segments: Vec::new(), filled: Vec::new(), words: Vec::new(), touched: Vec::new(), len: 0 }
    }

    /// Memory of one segment's places, in bytes.
    pub(crate) const fn segment_bytes() -> usize {
        SEGMENT * size_of::<R>()
    }

    /// Memory of a table with so many segments, all allocated.
    pub(crate) fn range_bytes(segments: usize) -> usize {
        segments.saturating_mul(DenseTable::<R>::segment_bytes() + DIRECTORY_BYTES)
    }

    /// Memory of the table now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let allocated = self.segments.iter().flatten().count();
        self.directory_bytes() + allocated * DenseTable::<R>::segment_bytes()
    }

    /// Memory of what isn't places, in bytes.
    pub(crate) fn directory_bytes(&self) -> usize {
        self.segments.len() * DIRECTORY_BYTES
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether a key lies in the range.
    #[inline(always)]
    pub(crate) fn covers(&self, key: u64) -> bool {
        (key.wrapping_sub(self.base) >> SEGMENT_BITS) < self.segments.len() as u64
    }

    /// How many segments the range would have with these keys in it; saturates.
    pub(crate) fn segments_with(&self, lowest: u64, highest: u64) -> usize {
        let (first, last) = self.bounds_with(lowest, highest);
        usize::try_from(last - first + 1).unwrap_or(usize::MAX)
    }

    /// The first and the last segment, counted from key 0, of a range with these keys in it.
    fn bounds_with(&self, lowest: u64, highest: u64) -> (u64, u64) {
        let (mut first, mut last) = (lowest >> SEGMENT_BITS, highest >> SEGMENT_BITS);
        if !self.segments.is_empty() {
            first = first.min(self.base >> SEGMENT_BITS);
            last = last.max((self.base >> SEGMENT_BITS) + self.segments.len() as u64 - 1);
        }
        (first, last)
    }

    /// Widens the range to these keys, and by a quarter if it had been begun, without allocating places.
    pub(crate) fn extend(&mut self, lowest: u64, highest: u64) {
        let (mut first, mut last) = self.bounds_with(lowest, highest);
        let more = self.segments.len() as u64 / 4;
        let begun = !self.segments.is_empty();
        if begun && first < self.base >> SEGMENT_BITS {
            first = first.saturating_sub(more);
        }
        if begun && last >= (self.base >> SEGMENT_BITS) + self.segments.len() as u64 {
            last = (last + more).min(u64::MAX >> SEGMENT_BITS);
        }
        let before = if begun { ((self.base >> SEGMENT_BITS) - first) as usize } else { 0 };
        let total = (last - first + 1) as usize;
        self.segments.splice(0..0, (0..before).map(|_| None));
        self.segments.resize_with(total, || None);
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

    /// Whether the place of a key in the range is allocated.
    pub(crate) fn has_place(&self, key: u64) -> bool {
        let segment = (key.wrapping_sub(self.base) >> SEGMENT_BITS) as usize;
        self.segments.get(segment).is_some_and(Option::is_some)
    }

    /// Allocates the places of the segment of a key in the range; `rest` fills them meanwhile.
    pub(crate) fn add_segment(&mut self, key: u64, rest: R) {
        let segment = (key.wrapping_sub(self.base) >> SEGMENT_BITS) as usize;
        self.segments[segment] = vec![rest; SEGMENT].into_boxed_slice().try_into().ok();
    }

    /// Whether the places are so many that most of them lie in no near cache.
    pub(crate) fn is_large(&self) -> bool {
        self.segments.len() * DenseTable::<R>::segment_bytes() > LARGE_BYTES
    }

    /// Begins to load the place of a key.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: u64) {
        let place = key.wrapping_sub(self.base);
        if let Some(Some(places)) = self.segments.get((place >> SEGMENT_BITS) as usize) {
            prefetch(&places[place as usize % SEGMENT]);
        }
    }

    /// What the record of a key has beside it.
    #[inline(always)]
    pub(crate) fn find_mut(&mut self, key: u64) -> Option<&mut R> {
        let place = key.wrapping_sub(self.base);
        let word = self.filled.get(usize::try_from(place >> 6).ok()?)?;
        if word >> (place & 63) & 1 == 0 {
            return None;
        }
        let places = self.segments[(place >> SEGMENT_BITS) as usize].as_mut()?;
        Some(&mut places[place as usize % SEGMENT])
    }

    /// Adds a record, whose key has none and has a place.
    #[inline(always)]
    pub(crate) fn put(&mut self, key: u64, rest: R) {
        let place = key.wrapping_sub(self.base);
        let segment = (place >> SEGMENT_BITS) as usize;
        let places = self.segments[segment].as_mut().expect("a segment is allocated before records come");
        places[place as usize % SEGMENT] = rest;
        let word = (place >> 6) as usize;
        debug_assert!(self.filled[word] >> (place & 63) & 1 == 0, "a key has one record");
        self.filled[word] |= 1 << (place & 63);
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
                let Some(places) = &self.segments[segment] else { continue };
                while filled != 0 {
                    let place = number * 64 + filled.trailing_zeros() as usize;
                    take(first + place as u64, places[place % SEGMENT].clone());
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

    /// Takes the records of the lowest segment that has some out, in the order of their keys, and its places away;
    /// `whole` makes them of their keys and what else they have.
    pub(crate) fn take_segment<T>(&mut self, whole: impl Fn(u64, R) -> Option<T>) -> Option<Vec<T>> {
        let segment = self.first_touched()?;
        self.clear_touched(segment);
        let places = self.segments[segment].take()?;
        let first = self.key_at(segment);
        let filled = &mut self.filled[segment * WORDS..][..WORDS];
        let is_filled = |place: &usize| filled[place / 64] >> (place % 64) & 1 == 1;
        let found = (0..SEGMENT).filter(is_filled);
        let records: Vec<T> = found.filter_map(|place| whole(first + place as u64, places[place].clone())).collect();
        filled.fill(0);
        self.len -= records.len();
        Some(records)
    }

    /// Takes the places of segments without records away, and says how many such segments there were.
    pub(crate) fn release_untouched(&mut self) -> usize {
        let mut released = 0;
        for (places, word) in self.segments.iter_mut().zip(&self.words) {
            if *word == 0 {
                released += usize::from(places.take().is_some());
            }
        }
        released
    }
}
