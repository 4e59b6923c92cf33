//! The engine's counterpart of `plain_kmeans`: a bulk iteration over the centroids.

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use flinkrs::prelude::*;
use flinkrs_bench::loops::answer::{self, Times};
use flinkrs_bench::loops::clusters::clusters;
use flinkrs_bench::loops::engine::{failed, in_memory};
use flinkrs_bench::loops::input::{Point, read_centers, read_points};
use flinkrs_bench::loops::options::{Output, Points, Rounds};

/// Centroids of points in the plane.
#[derive(Parser)]
#[command(name = "engine_kmeans")]
struct Args {
    #[command(flatten)]
    points: Points,

    #[command(flatten)]
    rounds: Rounds,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    common: CommonOptions,
}

type Centroid = (u32, f64, f64);

/// Of a centroid the sum and the number of its points.
type Sum = (u32, f64, f64, f64);

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let start = Instant::now();
        let points = Arc::new(read_points(&args.points.points).map_err(failed)?);
        let centers: Vec<Centroid> =
            (0..).zip(read_centers(&args.points.centers).map_err(failed)?).map(|(id, [x, y])| (id, x, y)).collect();
        let read = Instant::now();
        let env = args.common.environment()?;
        let step = env.from_collection(centers).iterate(args.rounds.rounds);
        let sums = in_memory(&env, &points)
            .map_batches_rich(|context| {
                let mut centroids = context.broadcast_set::<Centroid>("centroids")?.to_vec();
                centroids.sort_by_key(|centroid| centroid.0);
                let places: Vec<Point> = centroids.iter().map(|(_, x, y)| [*x, *y]).collect();
                Ok(move |points: &mut Vec<Point>, out: &mut Collector<'_, Sum>| {
                    for (centroid, cluster) in centroids.iter().zip(clusters(points, &places)) {
                        if cluster.points > 0.0 {
                            out.collect((centroid.0, cluster.x, cluster.y, cluster.points));
                        }
                    }
                })
            })
            .with_broadcast_set(&step, "centroids")
            .name("Assign");
        let means = sums
            .group_by(f0)
            .reduce(|sum, next| {
                sum.1 += next.1;
                sum.2 += next.2;
                sum.3 += next.3;
            })
            .map(|(id, x, y, count)| (id, x / count, y / count))
            .name("Mean");
        let moved = step.left_outer_join(&means).on(f0, f0).map(|old, new| *new.unwrap_or(old)).name("Move");
        let mut centers = step.close_with(&moved).name("KMeans").collect()?;
        Times::until_now(start, read).print(&answer::centers(centers.iter().copied()));
        centers.sort_unstable_by_key(|(id, ..)| *id);
        answer::write(args.output.output.as_deref(), centers.iter().map(|(id, x, y)| format!("{id},{x},{y}")))
            .map_err(failed)
    })
}
