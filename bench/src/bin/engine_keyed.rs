//! The engine's counterpart of `plain_keyed`: counts generated (key, 1) pairs by key.

use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::cli::Outcome;
use flinkrs_bench::rng::{SEED, SplitMix64};

/// Counts generated pairs by key.
#[derive(Parser)]
struct Args {
    /// How many different keys
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,

    /// How many pairs
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pairs: u64,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let env = args.common.environment()?;
        let keys = args.keys;
        let summary = env
            .generate_sequence(1, args.pairs)
            .map(move |number| (SplitMix64::at(SEED, number - 1).next_u64() % keys, 1u64))
            .name("Pairs")
            .group_by(f0)
            .sum(f1)
            .map(|(key, count)| (1u64, key.wrapping_mul(31) ^ count))
            .reduce(|sum, next| *sum = (sum.0 + next.0, sum.1.wrapping_add(next.1)))
            .collect()?;
        let (rows, checksum) = summary.first().copied().unwrap_or_default();
        println!("{}", Outcome::since(start, rows as usize).with_checksum(checksum));
        Ok(())
    })
}
