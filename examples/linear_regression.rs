//! Fits a line to points by batch gradient descent: a bulk iteration over one small record.
//!
//! ```text
//! cargo run --release --example linear_regression -- --points points.csv --iterations 100 --output line
//! ```
//!
//! The line `y = a + b · x` begins with `a = b = 0`. Each superstep takes the mean of the gradients of all points and
//! goes a step against it. The points are the same in every superstep; the line is a broadcast set.

use clap::Parser;
use flinkrs::prelude::*;
use std::path::PathBuf;

/// Fits a line to points.
#[derive(Parser)]
struct Args {
    /// Lines of `x,y`, separated by comma, tab or space [default: built-in points]
    #[arg(long)]
    points: Option<PathBuf>,

    /// How many steps to go
    #[arg(long, default_value_t = 200)]
    iterations: u32,

    /// How far a step goes
    #[arg(long, default_value_t = 0.1)]
    rate: f64,

    /// Where to write a line of `a,b` [default: standard output]
    #[arg(long)]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonOptions,
}

type Point = (f64, f64);

/// `a` and `b` of `y = a + b · x`.
type Line = (f64, f64);

const SAMPLE: [Point; 6] = [(-1.0, -1.1), (-0.5, 0.1), (0.0, 0.9), (0.5, 2.1), (1.0, 3.0), (1.5, 3.9)];

fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        let env = args.common.environment()?;
        let points: DataSet<Point> = match &args.points {
            Some(path) => env.create_input(CsvInput::new(path.as_path()).any_separator()).name("points"),
            None => env.from_collection(SAMPLE),
        };
        let step = env.from_collection([(0.0, 0.0)]).parallelism(1).iterate(args.iterations);
        let gradient = points
            .map_rich(|context| {
                let line = context.broadcast_set::<Line>("line")?[0];
                Ok(move |(x, y): Point| {
                    let error = line.0 + line.1 * x - y;
                    (error, error * x, 1u64)
                })
            })
            .with_broadcast_set(&step, "line")
            .name("Gradient")
            .reduce(|sum, next| {
                sum.0 += next.0;
                sum.1 += next.1;
                sum.2 += next.2;
            });
        let rate = args.rate;
        let next = step
            .cross_with_tiny(&gradient)
            .map(move |line, (a, b, count)| (line.0 - rate * a / *count as f64, line.1 - rate * b / *count as f64))
            .name("Descend");
        let line = step.close_with(&next).parallelism(1).name("LinearRegression");
        match &args.output {
            Some(path) => {
                line.write_csv(path);
                env.execute("LinearRegression")?;
            }
            None => line.map(|(a, b)| format!("{a},{b}")).print()?,
        }
        Ok(())
    })
}
