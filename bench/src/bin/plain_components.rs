//! Finds connected components by hand: an index of the graph, and smallest ids that spread from a frontier.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError, RwLock};
use std::time::Instant;

use clap::Parser;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::csr::Csr;
use flinkrs_bench::loops::input::read_edges;
use flinkrs_bench::loops::options::{Graph, Output, Threads, run};

/// Vertices of the frontier that a thread takes at once.
const BLOCK: usize = 1 << 10;
/// A frontier of at most so many vertices is not worth waking the other threads for.
const ALONE: usize = 1 << 9;

/// A label takes 31 bits.
const MAX_VERTICES: u32 = 1 << 31;
/// The bit below a label that tells that its vertex is in the frontier, or in the next one, and not yet done.
const WAITING: u32 = 1;

/// The connected components of a graph, its edges taken in both directions; each is named by its smallest vertex.
#[derive(Parser)]
#[command(name = "plain_components")]
struct Args {
    #[command(flatten)]
    graph: Graph,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    threads: Threads,
}

fn main() -> ExitCode {
    run(|args: Args| {
        let (vertices, threads) = (args.graph.vertices, args.threads.count());
        if vertices > MAX_VERTICES {
            return Err(format!("{vertices} vertices are more than the limit of {MAX_VERTICES}"));
        }
        let start = Instant::now();
        let edges = read_edges(&args.graph.edges, vertices)?;
        let read = Instant::now();
        let graph = Csr::new(vertices, &edges, threads, |[source, end]| [[source, end], [end, source]])?;
        let labels = Spread::new(&graph).run(threads);
        let times = Times::until_now(start, read);
        let labels = || labels.iter().enumerate().map(|(vertex, &label)| (vertex as u32, label));
        times.print(&answer::components(labels()));
        answer::write(
            args.output.output.as_deref(),
            labels().map(|(vertex, component)| format!("{vertex},{component}")),
        )
    })
}

/// Labels on their way through a graph: every vertex gets the smallest of its neighbours', until nothing changes.
struct Spread<'g> {
    graph: &'g Csr,
    /// The labels, shifted by one, and [`WAITING`]: a single operation lowers the label and tells who was first.
    labels: Vec<AtomicU32>,
    /// Vertices with a label that their neighbours have not been told.
    frontier: RwLock<Vec<u32>>,
    /// How much of the frontier has been taken.
    taken: AtomicUsize,
    next: Mutex<Vec<u32>>,
}

impl<'g> Spread<'g> {
    fn new(graph: &'g Csr) -> Spread<'g> {
        let vertices = graph.vertices();
        Spread {
            graph,
            labels: (0..vertices as u32).map(|vertex| AtomicU32::new(vertex << 1 | WAITING)).collect(),
            frontier: RwLock::new((0..vertices as u32).collect()),
            taken: AtomicUsize::new(0),
            next: Mutex::default(),
        }
    }

    /// Runs to the end; returns the labels.
    fn run(self, threads: usize) -> Vec<u32> {
        let barrier = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(&barrier));
            }
        });
        self.labels.into_iter().map(|label| label.into_inner() >> 1).collect()
    }

    /// What each thread does: its part of every frontier, until there is none.
    fn work(&self, barrier: &Barrier) {
        let mut found = Vec::new();
        loop {
            let frontier = self.frontier.read().unwrap_or_else(PoisonError::into_inner);
            if frontier.is_empty() {
                return;
            }
            loop {
                let first = self.taken.fetch_add(BLOCK, Ordering::Relaxed);
                let Some(rest) = frontier.get(first..) else { break };
                rest.iter().take(BLOCK).for_each(|&vertex| self.tell(vertex, &mut found));
            }
            drop(frontier);
            self.next.lock().unwrap_or_else(PoisonError::into_inner).append(&mut found);
            if barrier.wait().is_leader() {
                self.advance();
            }
            barrier.wait();
        }
    }

    /// Makes the next frontier the current one, while all other threads wait; does small ones at once.
    fn advance(&self) {
        let mut frontier = self.frontier.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            frontier.clear();
            std::mem::swap(&mut *frontier, &mut *next);
            if frontier.is_empty() || frontier.len() > ALONE {
                break;
            }
            frontier.iter().for_each(|&vertex| self.tell(vertex, &mut next));
        }
        self.taken.store(0, Ordering::Relaxed);
    }

    /// Gives a vertex' label to its neighbours; adds those with a larger one to `found`.
    #[inline]
    fn tell(&self, vertex: u32, found: &mut Vec<u32>) {
        let vertex = vertex as usize;
        // Whoever lowers the label from here on finds the vertex not waiting, and adds it again.
        let label = self.labels[vertex].fetch_and(!WAITING, Ordering::Relaxed) | WAITING;
        for &neighbour in self.graph.of(vertex) {
            let theirs = &self.labels[neighbour as usize];
            if theirs.load(Ordering::Relaxed) > label {
                let before = theirs.fetch_min(label, Ordering::Relaxed);
                if before > label && before & WAITING == 0 {
                    found.push(neighbour);
                }
            }
        }
    }
}
