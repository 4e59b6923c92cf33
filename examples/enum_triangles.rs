//! Lists the triangles of a graph, as in Schank's and Wagner's edge iterator.
//!
//! ```text
//! cargo run --release --example enum_triangles -- --edges edges.tsv --output triangles
//! ```
//!
//! Edges are turned so that they go from the smaller vertex to the larger one. All pairs of edges that leave one
//! vertex are triads; a triad with an edge between its ends is a triangle. Shows groups that are iterated more than
//! once, an order within groups, and a join on two fields.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Lists the triangles of a graph.
#[derive(Parser)]
struct Args {
    /// Lines with two vertices, separated by comma, tab or space [default: a built-in graph]
    #[arg(long)]
    edges: Option<PathBuf>,

    /// Where to write lines of three vertices, smallest first [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Edge = (u64, u64);

/// A vertex and two of its larger neighbours.
type Triad = (u64, u64, u64);

const SAMPLE: [Edge; 9] = [(1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (2, 5), (3, 4), (3, 7), (5, 3)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let edges: DataSet<Edge> = match &args.edges {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("edges"),
            None => env.from_collection(SAMPLE),
        };
        let edges =
            edges.filter(|edge| edge.0 != edge.1).map(|(a, b)| (a.min(b), a.max(b))).name("SmallerFirst").distinct();

        let triads: DataSet<Triad> = edges
            .group_by(f0)
            .reduce_group(|group: &mut Group<Edge>, out| {
                for (i, one) in group.iter().enumerate() {
                    for other in group.iter().skip(i + 1) {
                        out.collect((one.0, one.1.min(other.1), one.1.max(other.1)));
                    }
                }
            })
            .name("Triads");
        let triangles = triads.join(&edges).on((f1, f2), (f0, f1)).project_first().name("Triangles");

        match &args.output {
            Some(path) => {
                triangles.write_csv(path);
                env.execute("EnumTriangles")?;
            }
            None => triangles.map(|(a, b, c)| format!("{a},{b},{c}")).print()?,
        }
        Ok(())
    })
}
