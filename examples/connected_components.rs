//! Finds the connected components of an undirected graph: a delta iteration, or with `--bulk` a bulk iteration.
//!
//! ```text
//! cargo run --release --example connected_components -- --edges edges.tsv --output components
//! ```
//!
//! Every vertex begins with its own number as its label. In each superstep the vertices whose label has changed offer
//! it to their neighbours, and a vertex takes the smallest that it is offered if that is smaller than its own. As a
//! delta iteration the labels are the solution set and the changed ones the workset: a superstep costs what its changes
//! cost. As a bulk iteration every superstep looks at all vertices.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Finds the connected components of a graph.
#[derive(Parser)]
struct Args {
    /// Lines with a vertex each [default: all that occur in an edge]
    #[arg(long, requires = "edges")]
    vertices: Option<PathBuf>,

    /// Lines with the two ends of an edge, separated by comma, tab or space [default: a built-in graph]
    #[arg(long)]
    edges: Option<PathBuf>,

    /// Supersteps at most
    #[arg(long, default_value_t = 1_000_000)]
    iterations: u32,

    /// Compute all labels anew in each superstep
    #[arg(long)]
    bulk: bool,

    /// Where to write lines of `vertex,smallest vertex reached` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Edge = (u64, u64);

/// A vertex and the smallest one that it is known to be connected with.
type Label = (u64, u64);

const SAMPLE: [Edge; 9] = [(1, 2), (2, 3), (2, 4), (3, 5), (6, 7), (8, 9), (8, 10), (5, 11), (11, 12)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let edges: DataSet<Edge> = match &args.edges {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("edges"),
            None => env.from_collection(SAMPLE),
        };
        let neighbours = edges
            .flat_map(|(one, other), out| {
                out.collect((one, other));
                out.collect((other, one));
            })
            .name("BothWays");
        let vertices: DataSet<u64> = match &args.vertices {
            Some(path) => env
                .create_input(CsvInput::<(u64,)>::new(path.as_path()).any_separator())
                .name("vertices")
                .map(|(vertex,)| vertex)
                .distinct(),
            None => neighbours.map(|edge| edge.0).distinct().name("Vertices"),
        };
        let labels = vertices.map(|vertex| (vertex, vertex)).with_forwarded_fields("*->0").name("OwnLabel");
        let components = if args.bulk {
            bulk(&labels, &neighbours, args.iterations)
        } else {
            delta(&labels, &neighbours, args.iterations)
        };
        match &args.output {
            Some(path) => {
                components.write_csv(path);
                env.execute("ConnectedComponents")?;
            }
            None => components.map(|(vertex, label)| format!("{vertex},{label}")).print()?,
        }
        Ok(())
    })
}

/// The smallest label that each vertex is offered by its neighbours.
fn offers(labels: &DataSet<Label>, neighbours: &DataSet<Edge>) -> DataSet<Label> {
    labels.join(neighbours).on(f0, f0).map(|label, edge| (edge.1, label.1)).name("Offers").group_by(f0).min(f1)
}

fn delta(labels: &DataSet<Label>, neighbours: &DataSet<Edge>, iterations: u32) -> DataSet<Label> {
    let step = labels.iterate_delta(labels, f0, iterations);
    let changes = offers(step.workset(), neighbours)
        .join(step.solution_set())
        .on(f0, f0)
        .flat_map(|offer, label, out| {
            if offer.1 < label.1 {
                out.collect(*offer);
            }
        })
        .with_forwarded_fields_first("f0")
        .name("Smaller");
    step.close_with(&changes, &changes).name("ConnectedComponents")
}

fn bulk(labels: &DataSet<Label>, neighbours: &DataSet<Edge>, iterations: u32) -> DataSet<Label> {
    let step = labels.iterate(iterations);
    let next = step
        .left_outer_join(&offers(&step, neighbours))
        .on(f0, f0)
        .map(|label, offer| (label.0, offer.map_or(label.1, |offer| label.1.min(offer.1)), label.1))
        .with_forwarded_fields_first("f0")
        .name("Smallest");
    let changed = next.filter(|(_, label, before)| label != before).name("Changed");
    let next = next.map(|(vertex, label, _)| (vertex, label)).with_forwarded_fields("f0");
    step.close_with_termination(&next, &changed).name("ConnectedComponents")
}
