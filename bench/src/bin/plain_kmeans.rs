//! Clusters points by hand: all points against all centroids, in blocks of points whose distances are found together.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::clusters::{Cluster, clusters};
use flinkrs_bench::loops::input::{Point, read_centers, read_points};
use flinkrs_bench::loops::options::{Output, Points, Rounds, Threads, run};
use flinkrs_bench::parallel::parallel;

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
