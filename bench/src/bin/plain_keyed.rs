//! Counts generated (key, 1) pairs by key by hand: tables per thread, and the threads' tables put together at the end.

use std::hash::BuildHasher;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, run};
use flinkrs_bench::parallel::parallel;
use flinkrs_bench::rng::{SEED, SplitMix64};
use flinkrs_bench::{Hasher, hasher};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A table of at most about so many keys stays in a core's cache.
const KEYS_IN_CACHE: u64 = 1 << 15;
/// Pairs of a thread that are spread over its tables before they are counted.
const BATCH: u64 = 1 << 18;

fn main() -> ExitCode {
    run("plain_keyed KEYS [N] [THREADS]", keyed)
}

fn keyed(args: Args) -> Result<Outcome, String> {
    args.at_most(3)?;
    args.required(0)?;
    let (keys, pairs, threads) = (args.number_or(0, 1u64)?, args.number_or(1, 40_000_000u64)?, args.threads(2)?);
    let start = Instant::now();
    let bound = |thread: usize| (u128::from(pairs) * thread as u128 / threads as u128) as u64;
    let ranges: Vec<_> = (0..threads).map(|thread| (bound(thread), bound(thread + 1))).collect();
    let parts = keys.div_ceil(KEYS_IN_CACHE).next_power_of_two().min(1 << 12) as usize;
    let counted = parallel(ranges, |(first, last)| {
        Ok(if parts == 1 { vec![count(first, last, keys)] } else { count_spread(first, last, keys, parts) })
    })?;
    let merged = parallel(deal(counted, threads), |parts| Ok(parts.into_iter().map(merge).collect::<Vec<_>>()))?;
    let (mut rows, mut checksum) = (0, 0u64);
    for (part_rows, part_checksum) in merged.into_iter().flatten() {
        rows += part_rows;
        checksum = checksum.wrapping_add(part_checksum);
    }
    Ok(Outcome::since(start, rows).with_checksum(checksum))
}

/// The sums of values by key.
struct Sums {
    table: HashTable<(u64, u64)>,
    hasher: Hasher,
}

impl Sums {
    /// A table with room for about `keys` keys, within reason.
    fn with_room_for(keys: u64) -> Sums {
        Sums { table: HashTable::with_capacity(keys.min(1 << 20) as usize), hasher: hasher() }
    }

    #[inline]
    fn add(&mut self, key: u64, value: u64) {
        let Sums { table, hasher } = self;
        match table.entry(hasher.hash_one(key), |entry| entry.0 == key, |entry| hasher.hash_one(entry.0)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 += value,
            Entry::Vacant(entry) => {
                entry.insert((key, value));
            }
        }
    }
}

/// Sums the pairs `first..last` of the stream in one table.
fn count(first: u64, last: u64, keys: u64) -> Sums {
    let mut sums = Sums::with_room_for(keys.min(last - first));
    let mut random = SplitMix64::at(SEED, first);
    for _ in first..last {
        sums.add(random.next_u64() % keys, 1);
    }
    sums
}

/// Sums the pairs `first..last` of the stream in `parts` tables by the key's hash.
///
/// A batch of pairs is spread first and then counted part by part, so that the table in use stays in the cache.
fn count_spread(first: u64, last: u64, keys: u64, parts: usize) -> Vec<Sums> {
    let hasher = hasher();
    let room = keys.min(last - first) / parts as u64;
    let mut sums: Vec<Sums> = (0..parts).map(|_| Sums::with_room_for(room + room / 8)).collect();
    let mut spread: Vec<Vec<(u64, u64)>> = vec![Vec::with_capacity(2 * BATCH as usize / parts); parts];
    let mut random = SplitMix64::at(SEED, first);
    for start in (first..last).step_by(BATCH as usize) {
        for _ in start..last.min(start + BATCH) {
            let key = random.next_u64() % keys;
            // The table uses the hash's lowest and highest bits.
            let part = (hasher.hash_one(key) >> 40) as usize & (parts - 1);
            spread[part].push((key, 1));
        }
        for (pairs, sums) in spread.iter_mut().zip(&mut sums) {
            for (key, value) in pairs.drain(..) {
                sums.add(key, value);
            }
        }
    }
    sums
}

/// Turns "for each thread, its tables by part" into `hands` hands of parts, a part being the threads' tables of it.
fn deal(counted: Vec<Vec<Sums>>, hands: usize) -> Vec<Vec<Vec<Sums>>> {
    let mut parts: Vec<Vec<Sums>> = Vec::new();
    for tables in counted {
        parts.resize_with(tables.len(), Vec::new);
        for (part, table) in parts.iter_mut().zip(tables) {
            part.push(table);
        }
    }
    let mut dealt: Vec<Vec<Vec<Sums>>> = (0..hands).map(|_| Vec::new()).collect();
    for (number, part) in parts.into_iter().enumerate() {
        dealt[number % hands].push(part);
    }
    dealt
}

/// Puts the tables of one part together; returns the number of its keys and the checksum of its sums.
fn merge(tables: Vec<Sums>) -> (usize, u64) {
    let mut tables = tables.into_iter();
    let mut all = tables.next().unwrap_or_else(|| Sums::with_room_for(0));
    for (key, value) in tables.flat_map(|sums| sums.table) {
        all.add(key, value);
    }
    let checksum = all.table.iter().fold(0u64, |sum, &(key, value)| sum.wrapping_add(key.wrapping_mul(31) ^ value));
    (all.table.len(), checksum)
}
