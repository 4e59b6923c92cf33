//! Sums a sequence behind a chain of operators that do next to nothing: what an operator costs by itself.

use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::cli::Outcome;

/// Sums a sequence behind a chain of operators that add 1.
#[derive(Parser)]
struct Args {
    /// How many numbers
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,

    /// How many operators
    #[arg(long)]
    operators: u32,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let env = args.common.environment()?;
        let mut numbers = env.generate_sequence(1, args.records);
        for _ in 0..args.operators {
            numbers = numbers.map(|number| number + 1);
        }
        let sum = numbers.reduce(|sum, number| *sum = sum.wrapping_add(number)).collect()?;
        println!("{}", Outcome::since(start, sum.len()).with_checksum(sum.first().copied().unwrap_or_default()));
        Ok(())
    })
}
