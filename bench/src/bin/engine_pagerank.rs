//! The engine's counterpart of `plain_pagerank`: a bulk iteration.

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::engine::{failed, in_memory};
use flinkrs_bench::loops::input::read_edges;
use flinkrs_bench::loops::options::{Graph, Output, Rounds};

/// The ranks of the vertices of a graph.
#[derive(Parser)]
#[command(name = "engine_pagerank")]
struct Args {
    #[command(flatten)]
    graph: Graph,

    #[command(flatten)]
    rounds: Rounds,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    common: CommonOptions,
}

/// A page, its rank, and what it hands on along each link.
type Ranked = (u32, f64, f64);

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let edges = Arc::new(read_edges(&args.graph.edges, args.graph.vertices).map_err(failed)?);
        let read = Instant::now();
        let env = args.common.environment()?;
        let count = f64::from(args.graph.vertices);
        let links = in_memory(&env, &edges).map(|[from, to]| (from, to)).name("Links");
        let degrees = links.map(|(from, _)| (from, 1u32)).group_by(f0).sum(f1).name("Degrees");
        // The share of its rank that a page hands on along each link; one without links has nobody to ask for it.
        let shares = env
            .generate_sequence(0, u64::from(args.graph.vertices) - 1)
            .map(|page| (page as u32,))
            .name("Pages")
            .left_outer_join(&degrees)
            .on(f0, f0)
            .map(|page, degree| (page.0, 1.0 / degree.map_or(1.0, |degree| f64::from(degree.1))))
            .with_forwarded_fields_first("f0")
            .name("Shares");
        let first = shares.map(move |(page, share)| -> Ranked { (page, 1.0 / count, share / count) });
        let step = first.with_forwarded_fields("f0").name("First").iterate(args.rounds.rounds);
        let sums = step
            .join(&links)
            .on(f0, f0)
            .map(|page, link| (link.1, page.2))
            .with_forwarded_fields_second("1->0")
            .name("Brought")
            .group_by(f0)
            .sum(f1);
        let next = shares
            .left_outer_join(&sums)
            .on(f0, f0)
            .map(move |(page, share), sum| -> Ranked {
                let rank = 0.15 / count + 0.85 * sum.map_or(0.0, |sum| sum.1);
                (*page, rank, rank * share)
            })
            .with_forwarded_fields_first("f0")
            .name("Rank");
        let ranks = step.close_with(&next).name("PageRank").map(|(page, rank, _)| (page, rank));
        let mut ranks = ranks.name("Ranks").collect()?;
        Times::until_now(start, read).print(&answer::ranks(ranks.iter().copied()));
        ranks.sort_unstable_by_key(|(page, _)| *page);
        answer::write(args.output.output.as_deref(), ranks.iter().map(|(page, rank)| format!("{page},{rank}")))
            .map_err(failed)
    })
}
