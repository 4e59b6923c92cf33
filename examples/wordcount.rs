//! Counts words: the first program to read.
//!
//! ```text
//! cargo run --release --example wordcount                                   # counts a built-in text
//! cargo run --release --example wordcount -- --input FILE --output DIR      # counts files
//! ```
//!
//! A word is a run of letters, digits and underscores, in lower case. The optimizer puts a combiner in front of the
//! shuffle by itself: `flinkrs info target/release/examples/wordcount` shows it.

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_examples::data::HAMLET;
use std::path::PathBuf;

/// Counts the words of a text.
#[derive(Parser)]
struct Args {
    /// File, folder or pattern to read [default: a built-in text]
    #[arg(long)]
    input: Option<String>,

    /// Where to write lines of `word,count` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let lines = match &args.input {
            Some(path) => env.read_text(path),
            None => env.from_collection(HAMLET.map(Text::from)),
        };
        let counts = lines
            .flat_map(|line, out| words(&line).for_each(|word| out.collect((word, 1u64))))
            .name("Tokenize")
            .group_by(f0)
            .sum(f1);
        match &args.output {
            Some(path) => {
                counts.write_csv(path);
                env.execute("WordCount")?;
            }
            None => counts.map(|(word, count)| format!("{word},{count}")).print()?,
        }
        Ok(())
    })
}
