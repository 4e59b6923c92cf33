//! Finds all pairs of vertices of which one can be reached from the other: the naive transitive closure, a bulk
//! iteration with a termination data set.
//!
//! ```text
//! cargo run --release --example transitive_closure -- --edges edges.tsv --output paths
//! ```
//!
//! Each superstep makes all known paths longer by one edge and keeps those that are new, until none is.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Finds all pairs of vertices of which one can be reached from the other.
#[derive(Parser)]
struct Args {
    /// Lines of `from,to`, separated by comma, tab or space [default: built-in edges]
    #[arg(long)]
    edges: Option<PathBuf>,

    /// Supersteps at most
    #[arg(long, default_value_t = 1_000)]
    iterations: u32,

    /// Where to write lines of `from,to` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

/// Two vertices, the second of which can be reached from the first.
type Path = (u64, u64);

const SAMPLE: [Path; 6] = [(1, 2), (2, 3), (3, 4), (5, 6), (6, 5), (7, 1)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let edges: DataSet<Path> = match &args.edges {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("edges"),
            None => env.from_collection(SAMPLE),
        };
        let edges = edges.distinct();

        let step = edges.iterate(args.iterations);
        let longer = step.join(&edges).on(f1, f0).map(|path, edge| (path.0, edge.1)).name("Longer");
        let next = step.union(&longer).distinct();
        let new = next.anti_join(&step).on((f0, f1), (f0, f1)).records().name("New");
        let paths = step.close_with_termination(&next, &new).name("TransitiveClosure");

        match &args.output {
            Some(path) => {
                paths.write_csv(path);
                env.execute("TransitiveClosure")?;
            }
            None => paths.map(|(from, to)| format!("{from},{to}")).print()?,
        }
        Ok(())
    })
}
