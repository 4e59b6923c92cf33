//! What supersteps cost: connected components of a grid as a delta and as a bulk iteration, superstep by superstep, and
//! a loop that has nothing to do.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use flinkrs::LocalEnvironment;
use flinkrs::prelude::*;
use flinkrs_api::{Executor, JobExecutionResult};
use flinkrs_bench::in_process::{PARALLELISM, optimizer_options, runtime_options};
use flinkrs_core::function::FunctionSource;
use flinkrs_optimizer::optimize;
use flinkrs_plan::Plan;
use flinkrs_runtime::{Job, LoopReport, Sinks, SuperstepReport};

/// Rows of the table.
const ROWS: usize = 20;

/// Supersteps of the loop that has nothing to do.
const EMPTY_SUPERSTEPS: u32 = 20_000;

/// Prints changes and time per superstep.
#[derive(Parser)]
#[command(name = "engine_supersteps")]
struct Args {
    /// The grid has so many rows of so many vertices
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(2..=2000))]
    side: u64,
}

type Edge = (u64, u64);
type Label = (u64, u64);

fn main() -> ExitCode {
    let side = Args::parse().side;
    match compare(side).and_then(|right| empty().map(|()| right)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("engine_supersteps: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs both forms and prints their supersteps side by side; whether the answers are equal.
fn compare(side: u64) -> Result<bool> {
    // Not used, but what it sets for the process, such as the allocator's options, counts for all that follows.
    drop(LocalEnvironment::new().parallelism(PARALLELISM).create()?);
    let (delta, first) = run(|env| delta(&labels(env, side), &edges(env, side)))?;
    let (bulk, second) = run(|env| bulk(&labels(env, side), &edges(env, side)))?;
    let vertices = side * side;
    println!("connected components of a grid of {side} x {side} vertices, numbered in no order\n");
    println!("| supersteps | updates | delta µs | delta ns per update | bulk µs | bulk/delta |");
    println!("|---|--:|--:|--:|--:|--:|");
    let rows = delta.supersteps.len().div_ceil(ROWS);
    for (few, of_bulk) in delta.supersteps.chunks(rows).zip(bulk.supersteps.chunks(rows)) {
        row(&format!("{}–{}", few[0].superstep, few[few.len() - 1].superstep), few, of_bulk);
    }
    row("all", &delta.supersteps, &bulk.supersteps);
    println!("\nsupersteps × vertices: {}", delta.supersteps.len() as u64 * vertices);
    if first == second && first == (vertices, 0) {
        return Ok(true);
    }
    println!("the answers are wrong: {first:?} and {second:?}");
    Ok(false)
}

fn row(name: &str, delta: &[SuperstepReport], bulk: &[SuperstepReport]) {
    let micros = |few: &[SuperstepReport]| few.iter().map(|one| one.duration.as_secs_f64()).sum::<f64>() * 1e6;
    let updates: u64 = delta.iter().map(|one| one.updates).sum();
    let (of_delta, of_bulk) = (micros(delta), micros(bulk));
    let each = of_delta * 1e3 / updates.max(1) as f64;
    println!("| {name} | {updates} | {of_delta:.0} | {each:.0} | {of_bulk:.0} | {:.1} |", of_bulk / of_delta);
}

/// Prints what a superstep takes in which one record goes from one subtask to another.
fn empty() -> Result<()> {
    let (report, _) = run(|env| {
        let step = env.from_collection([(0u64, 0u64)]).iterate(EMPTY_SUPERSTEPS);
        let next = step.map(|(key, count)| (key + 1, count)).partition_by_hash(f0);
        step.close_with(&next).map(|(_, count)| (1, count))
    })?;
    let mut times: Vec<Duration> = report.supersteps.iter().map(|superstep| superstep.duration).collect();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e6;
    println!(
        "\nan empty superstep, of {}: mean {:.1} µs, median {:.1}, 99th percentile {:.1}",
        report.count(),
        report.duration.as_secs_f64() * 1e6 / f64::from(report.count()),
        at(50),
        at(99)
    );
    Ok(())
}

/// Edges to the right and down, both ways; numbers are mixed, so that labels have long ways to go in all directions.
fn edges(env: &ExecutionEnvironment, side: u64) -> DataSet<Edge> {
    let vertices = side * side;
    let number = move |row: u64, column: u64| mixed(row * side + column, vertices);
    env.generate_sequence(0, vertices - 1).flat_map(move |vertex, out| {
        let (row, column) = (vertex / side, vertex % side);
        let mut both = |other: u64| {
            out.collect((number(row, column), other));
            out.collect((other, number(row, column)));
        };
        if row + 1 < side {
            both(number(row + 1, column));
        }
        if column + 1 < side {
            both(number(row, column + 1));
        }
    })
}

/// Another number for each one below `count`: the first ones stay together, as they would in a real numbering.
fn mixed(number: u64, count: u64) -> u64 {
    // A step that shares no factor with the count visits every number once.
    let step = (count / 3..).find(|step| common(*step, count) == 1).unwrap_or(1);
    number * step % count
}

fn common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common(b, a % b) }
}

fn labels(env: &ExecutionEnvironment, side: u64) -> DataSet<Label> {
    env.generate_sequence(0, side * side - 1).map(|vertex| (vertex, vertex)).name("OwnLabel")
}

fn offers(labels: &DataSet<Label>, edges: &DataSet<Edge>) -> DataSet<Label> {
    labels.join(edges).on(f0, f0).map(|label, edge| (edge.1, label.1)).name("Offers").group_by(f0).min(f1)
}

fn delta(labels: &DataSet<Label>, edges: &DataSet<Edge>) -> DataSet<Label> {
    let step = labels.iterate_delta(labels, f0, u32::MAX);
    let found = offers(step.workset(), edges).join(step.solution_set()).on(f0, f0);
    let smaller = found.flat_map(|offer, label, out| {
        if offer.1 < label.1 {
            out.collect(*offer);
        }
    });
    let smaller = smaller.with_forwarded_fields_first("f0");
    step.close_with(&smaller, &smaller)
}

fn bulk(labels: &DataSet<Label>, edges: &DataSet<Edge>) -> DataSet<Label> {
    let step = labels.iterate(u32::MAX);
    let next = step
        .left_outer_join(&offers(&step, edges))
        .on(f0, f0)
        .map(|label, offer| (label.0, offer.map_or(label.1, |offer| label.1.min(offer.1)), label.1))
        .with_forwarded_fields_first("f0");
    let changed = next.filter(|(_, label, before)| label != before);
    let next = next.map(|(vertex, label, _)| (vertex, label)).with_forwarded_fields("f0");
    step.close_with_termination(&next, &changed)
}

/// Runs a program; what its loop did, how many records came out, and the sum of their values.
fn run(build: impl Fn(&ExecutionEnvironment) -> DataSet<Label>) -> Result<(LoopReport, (u64, u64))> {
    let executor = Arc::new(Reporting::default());
    let env = ExecutionEnvironment::new(PARALLELISM, Arc::clone(&executor) as Arc<dyn Executor>);
    let sum = build(&env).map(|(_, value)| (1, value)).reduce(|sum, next| *sum = (sum.0 + next.0, sum.1 + next.1));
    let answer = sum.collect()?.first().copied().unwrap_or_default();
    let report = executor.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((report, answer))
}

/// Runs plans and keeps the report of the last loop.
#[derive(Default)]
struct Reporting(Mutex<LoopReport>);

impl Executor for Reporting {
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        let graph = optimize(&plan, &optimizer_options())?.job_graph()?;
        let runtime = runtime_options();
        let sinks = Sinks::new(&graph, &*program, &runtime.job);
        sinks.begin()?;
        let mut result = Job::start(&graph, &*program, &runtime)?.finish()?;
        sinks.commit()?;
        if let Some(report) = result.loops.pop() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report;
        }
        Ok(JobExecutionResult { job_name: result.name, net_runtime: result.runtime, ..JobExecutionResult::default() })
    }
}
