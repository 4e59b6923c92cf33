//! Finds the shortest paths from one vertex to all others: a delta iteration.
//!
//! ```text
//! cargo run --release --example sssp -- --source 1 --edges edges.csv --output distances
//! ```
//!
//! The workset holds the vertices that were reached on a shorter path in the last superstep; each offers its neighbours
//! a distance, and a neighbour takes the least if that is less than its own or if it has none.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Finds the shortest paths from one vertex to all others.
#[derive(Parser)]
struct Args {
    /// Where the paths begin
    #[arg(long, default_value_t = 1)]
    source: u64,

    /// Lines of `from,to,length`, separated by comma, tab or space; lengths aren't negative [default: built-in edges]
    #[arg(long)]
    edges: Option<PathBuf>,

    /// Supersteps at most
    #[arg(long, default_value_t = 1_000_000)]
    iterations: u32,

    /// Where to write lines of `vertex,distance`, of those that are reached [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Edge = (u64, u64, f64);

/// A vertex and its distance from the source.
type Distance = (u64, f64);

const SAMPLE: [Edge; 7] =
    [(1, 2, 12.0), (1, 3, 13.0), (2, 3, 23.0), (3, 4, 34.0), (3, 5, 35.0), (4, 5, 45.0), (5, 1, 51.0)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let edges: DataSet<Edge> = match &args.edges {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("edges"),
            None => env.from_collection(SAMPLE),
        };
        let edges = edges.filter_rich(|_| {
            Ok(|edge: &Edge| {
                assert!(edge.2 >= 0.0, "the edge from {} to {} has the length {}", edge.0, edge.1, edge.2);
                true
            })
        });
        let start = env.from_collection([(args.source, 0.0)]);
        let step = start.iterate_delta(&start, f0, args.iterations);
        let offers = step
            .workset()
            .join(&edges)
            .on(f0, f0)
            .map(|at, edge| (edge.1, at.1 + edge.2))
            .name("Offers")
            .group_by(f0)
            .reduce(|least, next| least.1 = least.1.min(next.1));
        let shorter = offers
            .left_outer_join(step.solution_set())
            .on(f0, f0)
            .flat_map(|offer: &Distance, known: Option<&Distance>, out: &mut Collector<'_, Distance>| {
                if known.is_none_or(|known| offer.1 < known.1) {
                    out.collect(*offer);
                }
            })
            .with_forwarded_fields_first("f0")
            .name("Shorter");
        let distances = step.close_with(&shorter, &shorter).name("ShortestPaths");
        match &args.output {
            Some(path) => {
                distances.write_csv(path);
                env.execute("ShortestPaths")?;
            }
            None => distances.map(|(vertex, distance)| format!("{vertex},{distance}")).print()?,
        }
        Ok(())
    })
}
