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

/// A page is its own key.
fn whole(page: &u32) -> u32 {
    *page
}

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let edges = Arc::new(read_edges(&args.graph.edges, args.graph.vertices).map_err(failed)?);
        let read = Instant::now();
        let env = args.common.environment()?;
        let count = f64::from(args.graph.vertices);
        let links = in_memory(&env, &edges).map(|[from, to]| (from, to)).name("Links");
        let degrees = links.map(|(from, _)| (from, 1u32)).group_by(f0).sum(f1).name("Degrees");
        let pages = env.generate_sequence(0, u64::from(args.graph.vertices) - 1).map(|page| page as u32).name("Pages");
        let step = pages.map(move |page| (page, 1.0 / count)).iterate(args.rounds.rounds);
        let shares = step
            .join(&degrees)
            .on(f0, f0)
            .map(|page, degree| (page.0, page.1 / f64::from(degree.1)))
            .with_forwarded_fields_first("f0")
            .name("Share")
            .join(&links)
            .on(f0, f0)
            .map(|share, link| (link.1, share.1))
            .with_forwarded_fields_second("1->0")
            .name("Shares")
            .group_by(f0)
            .sum(f1);
        let next = pages
            .left_outer_join(&shares)
            .on(whole, f0)
            .map(move |page, sum| (*page, 0.15 / count + 0.85 * sum.map_or(0.0, |sum| sum.1)))
            .with_forwarded_fields_second("f0")
            .name("Rank");
        let mut ranks = step.close_with(&next).name("PageRank").collect()?;
        Times::until_now(start, read).print(&answer::ranks(ranks.iter().copied()));
        ranks.sort_unstable_by_key(|(page, _)| *page);
        answer::write(args.output.output.as_deref(), ranks.iter().map(|(page, rank)| format!("{page},{rank}")))
            .map_err(failed)
    })
}
