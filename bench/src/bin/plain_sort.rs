//! Sorts 100-byte records by their 10-byte keys by hand: sampled ranges, one per thread, sorted as keys with positions.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, about, run};
use flinkrs_bench::files::{create, map_file};
use flinkrs_bench::parallel::parallel;
use flinkrs_bench::records::{KEY, RECORD};

/// Keys looked at per range to find the ranges.
const SAMPLES: usize = 4096;
/// Bits of a [`Slot`] that hold the record's position.
const POSITION_BITS: u32 = 48;

/// A record's key in the upper 80 bits and its position in the lower 48: slots order as the records do.
type Slot = u128;

fn main() -> ExitCode {
    run("plain_sort IN OUT_DIR [THREADS]", sort)
}

fn sort(args: Args) -> Result<Outcome, String> {
    args.at_most(3)?;
    let (input, directory, threads) = (args.required(0)?, Path::new(args.required(1)?), args.threads(2)?);
    prepare(directory)?;
    let start = Instant::now();
    let data = map_file(input)?;
    let (records, rest) = data.as_chunks::<RECORD>();
    if !rest.is_empty() {
        return Err(format!("{input}: {} bytes are not whole records of {RECORD} bytes", data.len()));
    }
    let bounds = range_bounds(records, threads);
    let ranges = transpose(parallel(starts(records.len(), threads), |(first, last)| {
        Ok(distribute(&records[first..last], first, &bounds))
    })?);
    let numbered: Vec<_> = ranges.into_iter().enumerate().collect();
    parallel(numbered, |(part, slots)| write_part(records, slots, part_path(directory, part)))?;
    Ok(Outcome::since(start, records.len()))
}

/// Makes the directory, and removes parts of an earlier run from it.
fn prepare(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(about(directory.display()))?;
    for entry in fs::read_dir(directory).map_err(about(directory.display()))? {
        let entry = entry.map_err(about(directory.display()))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("part-"));
        if number.is_some_and(|number| number.len() == 5 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            fs::remove_file(entry.path()).map_err(about(entry.path().display()))?;
        }
    }
    Ok(())
}

fn part_path(directory: &Path, part: usize) -> PathBuf {
    directory.join(format!("part-{part:05}"))
}

/// The slot of the record at `position`.
#[inline]
fn slot(record: &[u8; RECORD], position: usize) -> Slot {
    let mut key = [0; 16];
    key[..KEY].copy_from_slice(&record[..KEY]);
    u128::from_be_bytes(key) | position as u128
}

/// The least slots of all ranges but the first, from the keys of evenly spaced records.
fn range_bounds(records: &[[u8; RECORD]], ranges: usize) -> Vec<Slot> {
    let step = (records.len() / (SAMPLES * ranges)).max(1);
    let mut samples: Vec<Slot> =
        records.iter().enumerate().step_by(step).map(|(position, record)| slot(record, position)).collect();
    samples.sort_unstable();
    (1..ranges).map(|range| samples.get(samples.len() * range / ranges).copied().unwrap_or(Slot::MAX)).collect()
}

/// First and last positions of `pieces` pieces of `count` records.
fn starts(count: usize, pieces: usize) -> Vec<(usize, usize)> {
    (0..pieces).map(|piece| (count * piece / pieces, count * (piece + 1) / pieces)).collect()
}

/// The slots of records, the first of which is at position `first`, by range.
fn distribute(records: &[[u8; RECORD]], first: usize, bounds: &[Slot]) -> Vec<Vec<Slot>> {
    let expected = records.len() / (bounds.len() + 1);
    let mut ranges = vec![Vec::with_capacity(expected + expected / 8); bounds.len() + 1];
    for (offset, record) in records.iter().enumerate() {
        let slot = slot(record, first + offset);
        ranges[bounds.partition_point(|&bound| bound <= slot)].push(slot);
    }
    ranges
}

/// Turns "for each thread, its slots by range" into "for each range, its slots by thread".
fn transpose(threads: Vec<Vec<Vec<Slot>>>) -> Vec<Vec<Vec<Slot>>> {
    let mut ranges: Vec<Vec<Vec<Slot>>> = Vec::new();
    for thread in threads {
        ranges.resize_with(thread.len(), Vec::new);
        for (range, slots) in ranges.iter_mut().zip(thread) {
            range.push(slots);
        }
    }
    ranges
}

/// Sorts a range and writes its records to a file.
fn write_part(records: &[[u8; RECORD]], slots: Vec<Vec<Slot>>, path: PathBuf) -> Result<(), String> {
    let mut slots = slots.concat();
    slots.sort_unstable();
    let mut out = create(&path)?;
    for slot in slots {
        let position = (slot & ((1 << POSITION_BITS) - 1)) as usize;
        out.write_all(&records[position]).map_err(about(path.display()))?;
    }
    out.flush().map_err(about(path.display()))
}
