//! Ranks the vertices of a graph by hand: an index of incoming edges, and every vertex sums what these bring.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::csr::{Csr, degrees};
use flinkrs_bench::loops::input::{Edge, read_edges};
use flinkrs_bench::loops::options::{Graph, Output, Rounds, Threads, run};

/// Ranges of vertices per thread, for the threads to end at the same time.
const RANGES: usize = 32;
/// The share of a rank that its vertex passes on.
const DAMPING: f64 = 0.85;
/// Sums that are added up side by side.
const LANES: usize = 4;

/// PageRank from 1/n: `0.15/n + 0.85 * (sum of rank/outdegree over incoming edges)`; ranks without a way out are lost.
#[derive(Parser)]
#[command(name = "plain_pagerank")]
struct Args {
    #[command(flatten)]
    graph: Graph,

    #[command(flatten)]
    rounds: Rounds,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    threads: Threads,
}

fn main() -> ExitCode {
    run(|args: Args| {
        let start = Instant::now();
        let edges = read_edges(&args.graph.edges, args.graph.vertices)?;
        let read = Instant::now();
        let ranks = pagerank(args.graph.vertices, &edges, args.rounds.rounds, args.threads.count())?;
        let times = Times::until_now(start, read);
        let ranks = || ranks.iter().enumerate().map(|(vertex, &rank)| (vertex as u32, rank));
        times.print(&answer::ranks(ranks()));
        answer::write(args.output.output.as_deref(), ranks().map(|(vertex, rank)| format!("{vertex},{rank}")))
    })
}

fn pagerank(vertices: u32, edges: &[Edge], rounds: u32, threads: usize) -> Result<Vec<f64>, String> {
    let incoming = Csr::new(vertices, edges, threads, |[source, end]| [[end, source]])?;
    // What is passed on along each edge, as a share of the rank. A vertex without a way out is never asked.
    let degrees = degrees(vertices, edges, threads)?;
    let shares: Vec<f64> = degrees.into_iter().map(|degree| 1.0 / f64::from(degree.max(1))).collect();
    let ranges = incoming.ranges(RANGES * threads);
    let first = 1.0 / f64::from(vertices);
    if rounds == 0 {
        return Ok(vec![first; vertices as usize]);
    }
    let mut brought: Vec<f64> = shares.iter().map(|share| first * share).collect();
    let mut next = vec![0.0; vertices as usize];
    for _ in 1..rounds {
        round(&incoming, &ranges, threads, &brought, &mut next, |vertex, rank| rank * shares[vertex]);
        std::mem::swap(&mut brought, &mut next);
    }
    round(&incoming, &ranges, threads, &brought, &mut next, |_, rank| rank);
    Ok(next)
}

/// Sets `next` to what `of` makes of every vertex and its new rank.
fn round(
    incoming: &Csr,
    ranges: &[Range<usize>],
    threads: usize,
    brought: &[f64],
    mut next: &mut [f64],
    of: impl Fn(usize, f64) -> f64 + Sync,
) {
    let base = (1.0 - DAMPING) / brought.len() as f64;
    let work: Vec<_> =
        ranges.iter().map(|range| next.split_off_mut(..range.len()).map(|values| (range.clone(), values))).collect();
    let work = Mutex::new(work.into_iter().flatten());
    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((range, values)) = take() {
                    for (vertex, value) in range.zip(values) {
                        *value = of(vertex, base + DAMPING * sum(incoming.of(vertex), brought));
                    }
                }
            });
        }
    });
}

/// The sum of what the edges from these vertices bring.
#[inline]
fn sum(sources: &[u32], brought: &[f64]) -> f64 {
    let (blocks, rest) = sources.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, &source) in sums.iter_mut().zip(block) {
            *sum += brought[source as usize];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&source| brought[source as usize]).sum::<f64>()
}
