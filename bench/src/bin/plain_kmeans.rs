//! Clusters points by hand: all points against all centroids, in blocks of points whose distances are found together.

use std::array;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::input::{Point, read_centers, read_points};
use flinkrs_bench::loops::options::{Output, Points, Rounds, Threads, run};
use flinkrs_bench::parallel::parallel;

/// Points whose distances are found together: two of the widest vectors.
const LANES: usize = 16;
/// What the ids of centroids are added to as floats: where a float's lowest bits are a number.
const FIRST_ID: f64 = (1u64 << f64::MANTISSA_DIGITS >> 1) as f64;

/// K-means: each round moves every centroid to the mean of the points that it is nearest to.
///
/// Of equally near centroids, the one with the lowest id counts; one without points stays where it is.
#[derive(Parser)]
#[command(name = "plain_kmeans")]
struct Args {
    #[command(flatten)]
    points: Points,

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
        let points = read_points(&args.points.points)?;
        let mut centers = read_centers(&args.points.centers)?;
        let read = Instant::now();
        for _ in 0..args.rounds.rounds {
            round(&points, &mut centers, args.threads.count())?;
        }
        let times = Times::until_now(start, read);
        let centers = || centers.iter().zip(0..).map(|(&[x, y], id)| (id, x, y));
        times.print(&answer::centers(centers()));
        answer::write(args.output.output.as_deref(), centers().map(|(id, x, y)| format!("{id},{x},{y}")))
    })
}

/// The points of a cluster: the sums of their coordinates, and their number.
#[derive(Clone, Copy, Default)]
struct Cluster {
    x: f64,
    y: f64,
    points: f64,
}

impl Cluster {
    #[inline]
    fn add(&mut self, other: Cluster) {
        self.x += other.x;
        self.y += other.y;
        self.points += other.points;
    }
}

/// Moves the centroids once.
fn round(points: &[Point], centers: &mut [Point], threads: usize) -> Result<(), String> {
    let shares = points.chunks(points.len().div_ceil(threads).max(1)).collect();
    let parts = parallel(shares, |points| Ok(clusters(points, centers)))?;
    for (id, center) in centers.iter_mut().enumerate() {
        let mut cluster = Cluster::default();
        parts.iter().for_each(|part| cluster.add(part[id]));
        if cluster.points > 0.0 {
            *center = [cluster.x / cluster.points, cluster.y / cluster.points];
        }
    }
    Ok(())
}

/// The clusters of some points, by the widest vectors that this processor has.
fn clusters(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { clusters_in_512_bits(points, centers) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { clusters_in_256_bits(points, centers) };
        }
    }
    clusters_in_any(points, centers)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn clusters_in_512_bits(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    clusters_in_any(points, centers)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn clusters_in_256_bits(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    clusters_in_any(points, centers)
}

/// The clusters of some points; always inlined, to be compiled for what the caller is compiled for.
#[inline(always)]
fn clusters_in_any(points: &[Point], centers: &[Point]) -> Vec<Cluster> {
    // Clusters of their own for every lane: one point needn't wait for the sums of the one before.
    let mut lanes = vec![[Cluster::default(); LANES]; centers.len()];
    let (blocks, rest) = points.as_chunks::<LANES>();
    for block in blocks {
        let ids = nearest(block, centers);
        for lane in 0..LANES {
            let [x, y] = block[lane];
            lanes[ids[lane].to_bits() as u32 as usize][lane].add(Cluster { x, y, points: 1.0 });
        }
    }
    for &[x, y] in rest {
        let [id, ..] = nearest(&[[x, y]; LANES], centers);
        lanes[id.to_bits() as u32 as usize][0].add(Cluster { x, y, points: 1.0 });
    }
    let sum = |lanes: [Cluster; LANES]| {
        let mut all = Cluster::default();
        lanes.into_iter().for_each(|lane| all.add(lane));
        all
    };
    lanes.into_iter().map(sum).collect()
}

/// The ids of the nearest centroids, each added to [`FIRST_ID`]: as wide as distances, they stay in vector registers.
#[inline(always)]
fn nearest(points: &[Point; LANES], centers: &[Point]) -> [f64; LANES] {
    let (xs, ys) = (points.map(|[x, _]| x), points.map(|[_, y]| y));
    let (mut least, mut nearest) = ([f64::INFINITY; LANES], [FIRST_ID; LANES]);
    let mut id = FIRST_ID;
    for &[x, y] in centers {
        let distances: [f64; LANES] = array::from_fn(|lane| {
            let (dx, dy) = (xs[lane] - x, ys[lane] - y);
            dx * dx + dy * dy
        });
        nearest = array::from_fn(|lane| if distances[lane] < least[lane] { id } else { nearest[lane] });
        least = array::from_fn(|lane| if distances[lane] < least[lane] { distances[lane] } else { least[lane] });
        id += 1.0;
    }
    nearest
}
