//! Where the table of a hash join finds the records of a key, and how it decides that before it is built.

use crate::hash_chunks::{Chunks, NO_POSITION};
use crate::hash_key::{hash_of, number_of};
use flinkrs_core::types::KeySelector;
use hashbrown::HashTable;

/// The position of a record for each key.
#[derive(Debug)]
pub(crate) enum Heads {
    /// Found by hash.
    Hashed(HashTable<u32>),
    /// A position, or none, for each integer from `base` on.
    Direct { base: u64, heads: Vec<u32> },
}

impl Heads {
    pub(crate) fn empty() -> Heads {
        Heads::Hashed(HashTable::new())
    }

    /// Memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Heads::Hashed(heads) => heads.allocation_size(),
            Heads::Direct { heads, .. } => heads.capacity() * size_of::<u32>(),
        }
    }

    /// Notes the position of a record as the head of its key, unless the key has one: then that is returned.
    #[inline(always)]
    pub(crate) fn insert<B, S>(&mut self, position: u32, hash: u64, records: &Chunks<B>, selector: &S) -> Option<u32>
    where
        S: KeySelector<B>,
    {
        let record = records.get(position);
        match self {
            Heads::Hashed(heads) => {
                let found = heads.find(hash, |other| selector.same_key(records.get(*other), record)).copied();
                if found.is_none() {
                    heads.insert_unique(hash, position, |other| hash_of(selector, records.get(*other)));
                }
                found
            }
            Heads::Direct { base, heads } => {
                let head = &mut heads[place_of(selector, record, *base)];
                if *head == NO_POSITION {
                    *head = position;
                    return None;
                }
                Some(*head)
            }
        }
    }
}

/// The place of a record's key, which is an integer, in an array that begins at `base`.
#[inline(always)]
pub(crate) fn place_of<B, S: KeySelector<B>>(selector: &S, record: &B, base: u64) -> usize {
    number_of(selector, record).map_or(0, |key| (key - base) as usize)
}

/// The integers among which the keys lie; there are none if it is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRange {
    lowest: u64,
    highest: u64,
}

impl KeyRange {
    pub(crate) fn empty() -> KeyRange {
        KeyRange { lowest: u64::MAX, highest: 0 }
    }

    /// Widens the range to a key.
    #[inline(always)]
    pub(crate) fn add(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            self.lowest = self.lowest.min(key);
            self.highest = self.highest.max(key);
        }
    }
}

/// How a table is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The first integer of an array of heads and how many there are, instead of a hash table.
    pub(crate) direct: Option<(u64, usize)>,
    /// Whether records of one key are put next to each other, instead of being chained.
    pub(crate) is_grouped: bool,
    /// Different keys to reserve memory for.
    pub(crate) keys: usize,
}

/// Records of one key, as the average record sees them, from which on they are put next to each other: with fewer,
/// moving records costs more than it spares.
const GROUPED_MIN: usize = 4;

/// The same for a table that is looked up again in each superstep of a loop.
const GROUPED_MIN_KEPT: usize = 2;

/// An array of heads has at most so many places per key, or else so many per record.
const PLACES_PER_KEY: usize = 8;
const PLACES_PER_RECORD: usize = 2;

impl Layout {
    /// What could be done with so many records that have, as the average record sees it, `group` of the same key
    /// each; the best first. `is_kept`: for all supersteps of a loop.
    pub(crate) fn candidates(
        records: usize,
        group: usize,
        range: KeyRange,
        is_kept: bool,
    ) -> impl Iterator<Item = Layout> {
        let keys = (records / group.max(1)).max(1);
        let places = range.highest.checked_sub(range.lowest).and_then(|last| usize::try_from(last).ok());
        let most = (keys * PLACES_PER_KEY).max(records * PLACES_PER_RECORD);
        let direct = places.filter(|last| *last < most).map(|last| (range.lowest, last + 1));
        let is_grouped = group >= if is_kept { GROUPED_MIN_KEPT } else { GROUPED_MIN };
        // The number of keys is an estimate; in chains there is room for a head per record.
        let of = move |direct: Option<(u64, usize)>, is_grouped: bool| {
            let keys = if is_grouped { (2 * keys).min(records) } else { records };
            Layout { direct, is_grouped, keys }
        };
        let best = direct.map(|direct| of(Some(direct), is_grouped));
        let chained = direct.filter(|_| is_grouped).map(|direct| of(Some(direct), false));
        let grouped = is_grouped.then(|| of(None, true));
        best.into_iter().chain(grouped).chain(chained).chain([of(None, false)])
    }

    /// Whether this is what every table can be.
    pub(crate) fn is_plain(&self) -> bool {
        self.direct.is_none() && !self.is_grouped
    }

    /// Memory of a table over so many records with so many positions, in bytes, without the records.
    pub(crate) fn index_bytes(&self, records: usize, positions: usize) -> usize {
        let heads = match self.direct {
            Some((_, places)) => places * size_of::<u32>(),
            None => heads_bytes(self.keys),
        };
        let matched = positions / 8;
        heads + matched + if self.is_grouped { records / 8 + 16 } else { positions * size_of::<u32>() }
    }

    /// Heads without positions.
    pub(crate) fn heads(&self) -> Heads {
        match self.direct {
            Some((base, places)) => Heads::Direct { base, heads: vec![NO_POSITION; places] },
            None if self.is_grouped => Heads::empty(),
            None => Heads::Hashed(HashTable::with_capacity(self.keys)),
        }
    }
}

/// Memory of a hash table of so many positions, in bytes.
pub(crate) fn heads_bytes(keys: usize) -> usize {
    (keys * 8).div_ceil(7).next_power_of_two().max(4) * (size_of::<u32>() + 1) + 32
}

/// A sample has one of so many records, but not fewer than the smallest and not more than the largest sample.
const SAMPLED: usize = 64;
const SAMPLE_MIN: usize = 256;
const SAMPLE_MAX: usize = 1 << 16;

/// How many of `records` have the same key, as the average record sees it, estimated from how often two records of a
/// sample do.
pub(crate) fn sampled_group(records: usize, mut hash_at: impl FnMut(usize) -> u64) -> usize {
    if records < SAMPLE_MIN {
        return 1;
    }
    let count = (records / SAMPLED).clamp(SAMPLE_MIN, SAMPLE_MAX);
    let mut state = records as u64;
    let mut sample: Vec<(u64, usize)> = (0..count)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let number = ((u128::from(state) * records as u128) >> 64) as usize;
            (hash_at(number), number)
        })
        .collect();
    sample.sort_unstable();
    sample.dedup();
    let pairs: usize = sample.chunk_by(|a, b| a.0 == b.0).map(|same| same.len() * (same.len() - 1)).sum();
    let group = 1 + (pairs as u128 * records as u128 / (sample.len() as u128).pow(2)) as usize;
    group.min(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::hash_key;

    #[test]
    fn estimates_how_many_records_have_the_same_key() {
        for records in [1_000usize, 50_000, 3_000_000] {
            assert_eq!(sampled_group(records, |i| hash_key(&i)), 1, "all different");
            for group in [10, 30, 200] {
                for (order, key) in [("mixed", records / group), ("sorted", group)] {
                    let key_of = |i: usize| if order == "mixed" { i % key } else { i / key };
                    let found = sampled_group(records, |i| hash_key(&key_of(i)));
                    assert!(found >= group / 3 && found <= group * 3, "{found}, not {group} of {records}, {order}");
                }
            }
            assert!(sampled_group(records, |_| 7) > records / 2, "one key");
        }
        assert_eq!(sampled_group(0, |_| 0), 1);
    }

    #[test]
    fn a_kept_table_is_grouped_for_fewer_records_of_a_key() {
        let best = |group, is_kept| Layout::candidates(100, group, KeyRange::empty(), is_kept).next();
        let is_grouped = |group, is_kept| best(group, is_kept).expect("there is one").is_grouped;
        assert_eq!([1, 2, 3, 4].map(|group| is_grouped(group, false)), [false, false, false, true]);
        assert_eq!([1, 2, 3, 4].map(|group| is_grouped(group, true)), [false, true, true, true]);
    }

    #[test]
    fn an_array_needs_keys_close_together() {
        let layouts = |lowest, highest, records, group| {
            let range = KeyRange { lowest, highest };
            Layout::candidates(records, group, range, false)
                .map(|layout| (layout.direct, layout.is_grouped))
                .collect::<Vec<_>>()
        };
        assert_eq!(layouts(u64::MAX - 7, u64::MAX, 1, 1), [(Some((u64::MAX - 7, 8)), false), (None, false)]);
        assert_eq!(layouts(0, 8, 1, 1), [(None, false)]);
        assert_eq!(layouts(u64::MAX, 0, 0, 1), [(None, false)], "no integers");
        assert_eq!(layouts(0, u64::MAX, 1000, 1), [(None, false)]);
        let all = [(Some((5, 95)), true), (None, true), (Some((5, 95)), false), (None, false)];
        assert_eq!(layouts(5, 99, 1000, 10), all);
    }
}
