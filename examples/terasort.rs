//! TeraSort: sorts binary records of 100 bytes by their first 10, over all output files.
//!
//! ```text
//! cargo run --release --example terasort -- generate --records 10000000 --output in
//! cargo run --release --example terasort -- sort --input in --output out
//! cargo run --release --example terasort -- validate --input out --against in
//! ```
//!
//! Without arguments it does all three with a few records. Shows fixed-size records, range partitioning by sampled
//! bounds, a sort that spills when it has to (`--memory 256mb`), and `map_partition`.

#![expect(clippy::print_stdout, reason = "a program prints what it found")]

use clap::{Parser, Subcommand};
use flinkrs::prelude::*;
use flinkrs::types::hash_key;
use std::path::{Path, PathBuf};

/// Sorts records of 100 bytes by their first 10.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    step: Option<Step>,

    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Subcommand)]
enum Step {
    /// Write random records
    Generate {
        /// How many
        #[arg(long)]
        records: u64,
        #[arg(long)]
        output: PathBuf,
    },
    /// Sort records
    Sort {
        #[arg(long)]
        input: PathBuf,
        #[arg(long)]
        output: PathBuf,
    },
    /// Check that records are in order, over all files
    Validate {
        #[arg(long)]
        input: PathBuf,
        /// Check that these are the same records
        #[arg(long)]
        against: Option<PathBuf>,
    },
}

type Tera = Record<100>;

fn key(record: &Tera) -> [u8; 10] {
    record.key::<10>()
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        match &args.step {
            Some(Step::Generate { records, output }) => generate(&env, *records, output),
            Some(Step::Sort { input, output }) => sort(&env, input, output),
            Some(Step::Validate { input, against }) => validate(&env, input, against.as_deref()),
            None => demonstrate(&env),
        }
    })
}

fn generate(env: &ExecutionEnvironment, records: u64, output: &Path) -> Result<()> {
    let numbers = if records == 0 { env.from_collection([]) } else { env.generate_sequence(1, records) };
    let _ = numbers.map(random_record).name("Random").output(FixedOutput::new(output));
    env.execute("TeraGen")?;
    Ok(())
}

/// A random key, the record's number, and filler.
fn random_record(number: u64) -> Tera {
    let mut record = [b'.'; 100];
    record[..8].copy_from_slice(&hash_key(&number).to_be_bytes());
    record[8..10].copy_from_slice(&hash_key(&(number, number)).to_be_bytes()[..2]);
    record[10..18].copy_from_slice(&number.to_be_bytes());
    Record(record)
}

fn sort(env: &ExecutionEnvironment, input: &Path, output: &Path) -> Result<()> {
    let records = env.create_input(FixedInput::<100>::new(input)).name("Records");
    let _ = records.partition_by_range(key).sort_partition(Asc(key)).output(FixedOutput::new(output));
    env.execute("TeraSort")?;
    Ok(())
}

/// How many records there are, and a checksum that doesn't depend on their order.
type Summary = (u64, u64);

fn validate(env: &ExecutionEnvironment, input: &Path, against: Option<&Path>) -> Result<()> {
    // One subtask reads all files in their order.
    let sorted = env.create_input(FixedInput::<100>::new(FileInput::all(in_order(input)?))).parallelism(1);
    let summary = sorted
        .map_partition(|records: &mut Records<'_, Tera>, out: &mut Collector<'_, Summary>| {
            let (mut count, mut sum, mut last) = (0, 0u64, [0; 10]);
            for record in records {
                assert!(last <= key(&record), "record {count} is smaller than the one before it");
                last = key(&record);
                count += 1;
                sum = sum.wrapping_add(hash_key(&record));
            }
            out.collect((count, sum));
        })
        .parallelism(1)
        .name("CheckOrder")
        .collect()?;
    println!("{} records in order, checksum {:016x}", summary[0].0, summary[0].1);

    if let Some(path) = against {
        let original = env
            .create_input(FixedInput::<100>::new(path))
            .map(|record| (1u64, hash_key(&record)))
            .reduce(|sum, next| *sum = (sum.0 + next.0, sum.1.wrapping_add(next.1)))
            .collect()?;
        if original.first().copied().unwrap_or_default() != summary[0] {
            return Err(Error::data(format!("{} has other records than {}", input.display(), path.display())));
        }
        println!("the same records as {}", path.display());
    }
    Ok(())
}

/// The files of an output in the order of their numbers.
fn in_order(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::io("list folder", path, error))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
    Ok(files)
}

fn demonstrate(env: &ExecutionEnvironment) -> Result<()> {
    let sorted =
        env.generate_sequence(1, 1000).map(random_record).partition_by_range(key).sort_partition(Asc(key)).collect()?;
    assert!(sorted.is_sorted_by_key(key), "the partitions follow each other in order");
    println!("sorted {} records; the smallest key is {}", sorted.len(), key(&sorted[0]).escape_ascii());
    Ok(())
}
