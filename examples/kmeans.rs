//! Clusters points in the plane around k centroids, by Lloyd's algorithm: a bulk iteration.
//!
//! ```text
//! cargo run --release --example kmeans -- --points points.csv --centroids centroids.csv --iterations 20 --output O
//! ```
//!
//! Each superstep assigns every point to its nearest centroid, of equally near ones to that with the lower id, and
//! moves each centroid to the mean of its points; one without points keeps its place. The points are the same in
//! every superstep: they are read once and shown again. The centroids are few: each subtask sees them all, as a
//! broadcast set. Points come in batches, and each batch adds to one sum per centroid, so that the inner loop runs
//! over plain arrays.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Clusters points around centroids.
#[derive(Parser)]
struct Args {
    /// Lines of `x,y`, separated by comma, tab or space [default: built-in points]
    #[arg(long, requires = "centroids")]
    points: Option<PathBuf>,

    /// Lines of `id,x,y`: where the centroids are at first [default: built-in ones]
    #[arg(long, requires = "points")]
    centroids: Option<PathBuf>,

    /// How often the centroids are moved
    #[arg(long, default_value_t = 10)]
    iterations: u32,

    /// Where to write lines of `id,x,y` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Point = (f64, f64);
type Centroid = (u64, f64, f64);

/// Of a centroid the sum and the number of its points.
type Sum = (u64, f64, f64, u64);

const POINTS: [Point; 9] =
    [(1.0, 1.0), (1.5, 2.0), (2.0, 1.0), (8.0, 8.0), (8.5, 9.0), (9.0, 8.0), (1.0, 9.0), (2.0, 9.5), (1.5, 8.5)];
const CENTROIDS: [Centroid; 3] = [(1, 1.0, 1.0), (2, 8.0, 8.0), (3, 1.0, 9.0)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let (points, centroids): (DataSet<Point>, DataSet<Centroid>) = match (&args.points, &args.centroids) {
            (Some(points), Some(centroids)) => (
                env.create_input(CsvInput::new(points.as_path()).any_separator()).name("points"),
                env.create_input(CsvInput::new(centroids.as_path()).any_separator()).name("centroids"),
            ),
            _ => (env.from_collection(POINTS), env.from_collection(CENTROIDS)),
        };
        let result = kmeans(&points, &centroids, args.iterations);
        match &args.output {
            Some(path) => {
                result.write_csv(path);
                env.execute("KMeans")?;
            }
            None => result.map(|(id, x, y)| format!("{id},{x},{y}")).print()?,
        }
        Ok(())
    })
}

fn kmeans(points: &DataSet<Point>, centroids: &DataSet<Centroid>, iterations: u32) -> DataSet<Centroid> {
    let step = centroids.iterate(iterations);
    let sums: DataSet<Sum> = points
        .map_batches_rich(|context| {
            let mut centroids = context.broadcast_set::<Centroid>("centroids")?.to_vec();
            if centroids.is_empty() {
                return Err(Error::data("there are no centroids to begin with"));
            }
            centroids.sort_by_key(|centroid| centroid.0);
            Ok(move |points: &mut Vec<Point>, out: &mut Collector<'_, Sum>| {
                sum_of_each(&centroids, points).into_iter().filter(|sum| sum.3 > 0).for_each(|sum| out.collect(sum));
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
        .map(|(id, x, y, count)| (id, x / count as f64, y / count as f64))
        .name("Mean");
    let moved = step.left_outer_join(&means).on(f0, f0).map(|old, new| *new.unwrap_or(old)).name("Move");
    step.close_with(&moved).name("KMeans")
}

/// Points that are compared with one centroid after the other, few enough to stay in registers.
const BLOCK: usize = 64;

/// The sums of a batch's points, by nearest centroid.
fn sum_of_each(centroids: &[Centroid], points: &[Point]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = centroids.iter().map(|centroid| (centroid.0, 0.0, 0.0, 0)).collect();
    for block in points.chunks(BLOCK) {
        let (mut xs, mut ys) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (i, (x, y)) in block.iter().enumerate() {
            (xs[i], ys[i]) = (*x, *y);
        }
        // Numbers of centroids are as wide as distances, so that both are chosen by the same comparison of vectors.
        let (mut nearest, mut least) = ([0.0; BLOCK], [f64::INFINITY; BLOCK]);
        for (number, (_, x, y)) in centroids.iter().enumerate() {
            let number = number as f64;
            for i in 0..BLOCK {
                let distance = (xs[i] - x) * (xs[i] - x) + (ys[i] - y) * (ys[i] - y);
                nearest[i] = if distance < least[i] { number } else { nearest[i] };
                least[i] = if distance < least[i] { distance } else { least[i] };
            }
        }
        for (i, (x, y)) in block.iter().enumerate() {
            let sum = &mut sums[nearest[i] as usize];
            sum.1 += x;
            sum.2 += y;
            sum.3 += 1;
        }
    }
    sums
}
