//! The engine's counterpart of `plain_components`: a delta iteration.

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::engine::{failed, in_memory};
use flinkrs_bench::loops::input::read_edges;
use flinkrs_bench::loops::options::{Graph, Output};

/// The connected components of a graph, its edges taken in both directions; each is named by its smallest vertex.
#[derive(Parser)]
#[command(name = "engine_components")]
struct Args {
    #[command(flatten)]
    graph: Graph,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    common: CommonOptions,
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let edges = Arc::new(read_edges(&args.graph.edges, args.graph.vertices).map_err(failed)?);
        let read = Instant::now();
        let env = args.common.environment()?;
        let neighbours = in_memory(&env, &edges)
            .flat_map(|[one, other], out| {
                out.collect((one, other));
                out.collect((other, one));
            })
            .name("BothWays");
        let labels = env
            .generate_sequence(0, u64::from(args.graph.vertices) - 1)
            .map(|vertex| (vertex as u32, vertex as u32))
            .name("OwnLabel");
        let step = labels.iterate_delta(&labels, f0, u32::MAX);
        let changes = step
            .workset()
            .join(&neighbours)
            .on(f0, f0)
            .map(|label, edge| (edge.1, label.1))
            .name("Offers")
            .group_by(f0)
            .min(f1)
            .join(step.solution_set())
            .on(f0, f0)
            .flat_map(|offer, label, out| {
                if offer.1 < label.1 {
                    out.collect(*offer);
                }
            })
            .with_forwarded_fields_first("f0")
            .name("Smaller");
        let mut labels = step.close_with(&changes, &changes).name("Components").collect()?;
        Times::until_now(start, read).print(&answer::components(labels.iter().copied()));
        labels.sort_unstable();
        let lines = labels.iter().map(|(vertex, component)| format!("{vertex},{component}"));
        answer::write(args.output.output.as_deref(), lines).map_err(failed)
    })
}
