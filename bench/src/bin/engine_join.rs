//! A hash join of two files, counted: the engine's side of the memory tests.

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::cli::Outcome;
use flinkrs_bench::join_input::{KEY, PAYLOAD, checksum};

/// Joins two files of records of 8 bytes of key and 92 bytes of payload, and counts the pairs.
#[derive(Parser)]
struct Args {
    /// The input that tables are built of
    #[arg(long)]
    first: PathBuf,

    /// The input that looks for its partners
    #[arg(long)]
    second: PathBuf,

    #[command(flatten)]
    common: CommonOptions,
}

/// Bytes of a record.
const RECORD: usize = KEY + PAYLOAD;

type Keyed = (u64, Record<PAYLOAD>);

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let env = args.common.environment()?;
        let read = |path: PathBuf| env.create_input(FixedInput::<RECORD>::new(path)).map(keyed);
        let (first, second) = (read(args.first).name("First"), read(args.second).name("Second"));
        let summary = first
            .join(&second)
            .hint(JoinHint::RepartitionHashFirst)
            .on(f0, f0)
            .map(|first, second| (1u64, checksum(&first.1.0, &second.1.0)))
            .reduce(|sum, next| *sum = (sum.0 + next.0, sum.1.wrapping_add(next.1)))
            .collect()?;
        let (pairs, checksum) = summary.first().copied().unwrap_or_default();
        println!("{}", Outcome::since(start, pairs as usize).with_checksum(checksum));
        Ok(())
    })
}

fn keyed(record: Record<RECORD>) -> Keyed {
    let mut payload = [0; PAYLOAD];
    payload.copy_from_slice(&record.0[KEY..]);
    (u64::from_be_bytes(record.key::<KEY>()), Record(payload))
}
