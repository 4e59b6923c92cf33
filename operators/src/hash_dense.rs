//! Records of integer keys that lie close together: an array with a place per key instead of a hash table.

use crate::prefetch::{LARGE_BYTES, prefetch};

/// Keys whose places are allocated together.
pub(crate) const SEGMENT: usize = 1 << SEGMENT_BITS;

const SEGMENT_BITS: u32 = 12;

/// Words of a segment's bitmap: as many as a word has bits.
const WORDS: usize = SEGMENT / 64;

/// Records by key within a range of keys, in segments that are allocated when they are needed.
///
/// Bitmaps of three levels say which places are filled, so that only those are looked at.
#[derive(Debug)]
pub(crate) struct DenseTable<T> {
    /// The lowest key that has a place, a multiple of [`SEGMENT`].
    base: u64,
    /// A place per key; empty, or full of records of which only those count that the bitmap says.
    segments: Vec<Vec<T>>,
    /// A bit per place that is filled.
    filled: Vec<u64>,
    /// A bit per word of `filled` that isn't 0: one word per segment.
    words: Vec<u64>,
    /// A bit per word of `words` that isn't 0.
    touched: Vec<u64>,
    len: usize,
}

/// Memory of a segment besides its places, in bytes.
const DIRECTORY_BYTES: usize = size_of::<Vec<u8>>() + (WORDS + 2) * size_of::<u64>();

impl<T: Clone> DenseTable<T> {
    /// A table without places whose range begins as that of one key.
    pub(crate) fn at(key: u64) -> DenseTable<T> {
        let base = key & !(SEGMENT as u64 - 1);
        DenseTable { base, segments: Vec::new(), filled: Vec::new(), words: Vec::new(), touched: Vec::new(), len: 0 }
    }

    /// Memory of one segment's places, in bytes.
    pub(crate) const fn segment_bytes() -> usize {
        SEGMENT * size_of::<T>()
    }

    /// Memory of a table with so many segments, all allocated.
    pub(crate) fn range_bytes(segments: usize) -> usize {
        segments.saturating_mul(DenseTable::<T>::segment_bytes() + DIRECTORY_BYTES)
    }

    /// Memory of the table now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let allocated = self.segments.iter().filter(|places| !places.is_empty()).count();
        self.directory_bytes() + allocated * DenseTable::<T>::segment_bytes()
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
        self.segments.splice(0..0, (0..before).map(|_| Vec::new()));
        self.segments.resize_with(total, Vec::new);
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
        self.segments.get(segment).is_some_and(|places| !places.is_empty())
    }

    /// Allocates the places of the segment of a key in the range; `record` fills them meanwhile.
    pub(crate) fn add_segment(&mut self, key: u64, record: &T) {
        let segment = (key.wrapping_sub(self.base) >> SEGMENT_BITS) as usize;
        self.segments[segment] = vec![record.clone(); SEGMENT];
    }

    /// Whether the places are so many that most of them lie in no near cache.
    pub(crate) fn is_large(&self) -> bool {
        self.segments.len() * DenseTable::<T>::segment_bytes() > LARGE_BYTES
    }

    /// Begins to load the place of a key.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: u64) {
        let place = key.wrapping_sub(self.base);
        let segment = self.segments.get((place >> SEGMENT_BITS) as usize);
        if let Some(record) = segment.and_then(|places| places.get(place as usize & (SEGMENT - 1))) {
            prefetch(record);
        }
    }

    /// The record of a key.
    #[inline(always)]
    pub(crate) fn find_mut(&mut self, key: u64) -> Option<&mut T> {
        let place = key.wrapping_sub(self.base);
        let word = self.filled.get(usize::try_from(place >> 6).ok()?)?;
        if word >> (place & 63) & 1 == 0 {
            return None;
        }
        Some(&mut self.segments[(place >> SEGMENT_BITS) as usize][place as usize & (SEGMENT - 1)])
    }

    /// Adds the record of a key that has none; gives it back if there is no place for it.
    #[inline(always)]
    pub(crate) fn put(&mut self, key: u64, record: T) -> Option<T> {
        let place = key.wrapping_sub(self.base);
        let segment = (place >> SEGMENT_BITS) as usize;
        let Some(places) = self.segments.get_mut(segment).filter(|places| !places.is_empty()) else {
            return Some(record);
        };
        places[place as usize & (SEGMENT - 1)] = record;
        let word = (place >> 6) as usize;
        debug_assert!(self.filled[word] >> (place & 63) & 1 == 0, "a key has one record");
        self.filled[word] |= 1 << (place & 63);
        self.words[segment] |= 1 << (word % WORDS);
        self.touched[segment / 64] |= 1 << (segment % 64);
        self.len += 1;
        None
    }

    /// Takes all records out in the order of their keys, keeps the places, and says how many words it looked at.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(T)) -> usize {
        let mut looked_at = self.touched.len();
        while let Some(segment) = self.first_touched() {
            let mut words = self.words[segment];
            self.clear_touched(segment);
            while words != 0 {
                let number = words.trailing_zeros() as usize;
                words &= words - 1;
                let mut filled = std::mem::take(&mut self.filled[segment * WORDS + number]);
                while filled != 0 {
                    take(self.segments[segment][number * 64 + filled.trailing_zeros() as usize].clone());
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

    /// Takes the records of the lowest segment that has some out, in the order of their keys, and its places away.
    pub(crate) fn take_segment(&mut self) -> Option<Vec<T>> {
        let segment = self.first_touched()?;
        self.clear_touched(segment);
        let mut records = std::mem::take(&mut self.segments[segment]);
        let filled = &mut self.filled[segment * WORDS..][..WORDS];
        let mut place = 0;
        records.retain(|_| {
            let keep = filled[place / 64] >> (place % 64) & 1 == 1;
            place += 1;
            keep
        });
        filled.fill(0);
        self.len -= records.len();
        Some(records)
    }

    /// Takes the places of segments without records away, and says how many such segments there were.
    pub(crate) fn release_untouched(&mut self) -> usize {
        let mut released = 0;
        for (places, word) in self.segments.iter_mut().zip(&self.words) {
            if *word == 0 && !places.is_empty() {
                *places = Vec::new();
                released += 1;
            }
        }
        released
    }
}
