//! A program that goes wrong in the way it is told to: what the fault tests run as a process of its own.

mod panics;

use clap::{Parser, ValueEnum};
use flinkrs::prelude::*;
use panics::Place;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Goes wrong.
#[derive(Parser)]
struct Args {
    /// What to do
    case: Case,

    /// File, folder or pattern to read
    #[arg(long, default_value = "input")]
    input: String,

    /// Where to write
    #[arg(long, default_value = "output")]
    output: PathBuf,

    /// How many records to make, or operators to chain
    #[arg(long, default_value_t = 1000)]
    records: u64,

    /// Replace the output
    #[arg(long)]
    overwrite: bool,

    /// Print the most memory that the process ever had, in kilobytes
    #[arg(long)]
    peak: bool,

    /// Where `panic` panics
    #[arg(long, default_value = "map")]
    place: Place,

    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Case {
    /// Copies text
    Text,
    /// Copies records of three columns
    Csv,
    /// Makes small records and writes them
    Numbers,
    /// Sorts all records
    Sort,
    /// Groups all records in groups of four
    Group,
    /// Joins all records with as many others
    Join,
    /// Groups, reduces and joins records that all have the same key
    OneKey,
    /// Sorts the lines of a file
    SortLines,
    /// Joins the lines of a file with themselves
    JoinLines,
    /// Sums more than fits
    SumOverflow,
    /// Panics
    Panic,
    /// A function that never returns
    Hang,
    /// A function that never returns, and another that panics
    HangAndPanic,
    /// An accumulator of two kinds in one operator
    OneAccumulator,
    /// An accumulator of two kinds in two tasks
    TwoAccumulators,
    /// A partitioner that names a partition that isn't there
    Partitioner,
    /// Two sinks, one place
    SameOutput,
    /// Two sinks, one place on two ways
    SameOutputTwoWays,
    /// Two sinks, one inside of the other's place
    InnerOutput,
    /// Executes without a sink
    NoSink,
    /// An operator with parallelism 0
    NoSubtask,
    /// Many maps behind each other
    Chain,
    /// A shuffle, a join and a sort in many subtasks
    Wide,
    /// A pulling function in each of many subtasks
    Pulling,
    /// Runs one job, then another
    Twice,
    /// Asks for a broadcast set that isn't there
    BroadcastSet,
    /// Ends without an execution
    Nothing,
    /// Fails before it executes anything
    Early,
    /// Finds the connected parts of a grid, of `records` times `records` vertices, that lacks some of its edges
    Components,
    /// Ends itself by a signal
    Aborts,
}

#[expect(clippy::print_stdout, reason = "a program prints its result")]
fn main() -> ExitCode {
    flinkrs::main(|args: Args| {
        run(&args)?;
        if args.peak {
            println!("{}", peak_kilobytes());
        }
        Ok(())
    })
}

fn run(args: &Args) -> Result<()> {
    let env = args.common.environment()?;
    let numbers = env.generate_sequence(1, args.records);
    let records = numbers.map(|n| (scrambled(n), filler(n))).name("Make");
    match args.case {
        Case::Text => write(args, &env.read_text(args.input.as_str())),
        Case::Csv => write_csv(args, &env.read_csv::<(u64, Text, f64)>(args.input.as_str())),
        Case::Numbers => write(args, &numbers),
        Case::Sort => write_csv(args, &records.partition_by_range(f0).sort_partition(Asc(f0))),
        Case::Group => write_csv(args, &grouped(&records)),
        Case::Join => write_csv(args, &joined(&records, &numbers)),
        Case::OneKey => write_csv(args, &one_key(&numbers)),
        Case::SortLines => write(args, &sorted_lines(&env.read_text(args.input.as_str()))),
        Case::JoinLines => write(args, &joined_lines(&env.read_text(args.input.as_str()))),
        Case::SumOverflow => {
            let rows = numbers.map(|n| (n % 3, 100u8)).name("Rows");
            write_csv(args, &rows.group_by(f0).sum(f1));
        }
        Case::Panic => write(args, &panics::build(args.place, &numbers)),
        Case::Hang => write(args, &numbers.map(sleep_forever).name("Sleeper")),
        Case::HangAndPanic => {
            // One sleeper alone: the other worker is left for the panic.
            let sleepers = env.generate_sequence(1, 1).map(sleep_forever).name("Sleeper");
            let panics = panics::build(Place::Map, &numbers);
            write(args, &sleepers.union(&panics));
        }
        Case::OneAccumulator => write(args, &counted(&numbers, "n", true, true)),
        Case::TwoAccumulators => {
            let first = counted(&numbers, "n", true, false).rebalance();
            write(args, &counted(&first, "n", false, true));
        }
        Case::Partitioner => {
            let key = |n: &u64| *n;
            write(args, &numbers.partition_custom(key, |_, partitions| partitions + 5).name("Misdirect"));
        }
        Case::SameOutput => two_sinks(args, &numbers, &args.output),
        Case::SameOutputTwoWays => two_sinks(args, &numbers, &args.output.join("../../link/output")),
        Case::InnerOutput => two_sinks(args, &numbers, &args.output.join("deep/inner")),
        Case::NoSink | Case::Nothing => {}
        Case::NoSubtask => write(args, &numbers.map(|n| n).name("Nowhere").parallelism(0)),
        Case::Chain => {
            let mut chain = env.generate_sequence(1, 1000);
            for _ in 0..args.records {
                chain = chain.map(|n| n + 1);
            }
            write(args, &chain);
        }
        Case::Wide => write_csv(args, &wide(&numbers)),
        Case::Pulling => {
            let counts = numbers.rebalance().map_partition(|all, out| out.collect(all.count() as u64));
            write(args, &counts.reduce(|sum, n| *sum += n));
        }
        Case::Twice => {
            numbers.map(|n| n).name("First").count()?;
            write(args, &numbers.map(|n| n).name("Second"));
        }
        Case::BroadcastSet => {
            let rich = numbers.map_rich(|context| {
                let set = context.broadcast_set::<u64>("rates")?;
                Ok(move |n| n + set.len() as u64)
            });
            write(args, &rich.with_broadcast_set(&numbers, "prices"));
        }
        Case::Components => write_csv(args, &components(&env, args.records)),
        Case::Early => return Err(Error::data("the program's own complaint")),
        Case::Aborts => std::process::abort(),
    }
    if matches!(args.case, Case::Nothing) { Ok(()) } else { env.execute("misbehave").map(|_| ()) }
}

fn write<T: Data + std::fmt::Display>(args: &Args, data: &DataSet<T>) {
    let _ = data.output(TextOutput::new(&args.output).mode(mode(args))).name("Write");
}

fn two_sinks(args: &Args, numbers: &DataSet<u64>, second: &Path) {
    write(args, numbers);
    let _ = numbers.output(TextOutput::new(second).mode(mode(args))).name("Write more");
}

fn write_csv<T: Data>(args: &Args, data: &DataSet<T>) {
    let _ = data.output(CsvOutput::new(&args.output).mode(mode(args))).name("Write");
}

fn mode(args: &Args) -> WriteMode {
    if args.overwrite { WriteMode::Overwrite } else { WriteMode::NoOverwrite }
}

/// A permutation of the numbers, so that nothing arrives sorted.
fn scrambled(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
}

/// About a hundred bytes that follow from `n`.
fn filler(n: u64) -> String {
    format!("{n:0>100}")
}

fn sorted_lines(lines: &DataSet<Text>) -> DataSet<String> {
    let key = |line: &String| start(line);
    lines.map(|line| line.to_string()).partition_by_range(key).sort_partition(Asc(key))
}

fn joined_lines(lines: &DataSet<Text>) -> DataSet<Text> {
    let key = |line: &Text| start(line);
    lines.join(&lines.map(|line| line)).on(key, key).map(|line, _| line.clone())
}

/// The key of a long line.
fn start(line: &str) -> String {
    line.chars().take(8).collect()
}

fn sleep_forever(_: u64) -> u64 {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Counts and bytes of groups of about four records; all records are held until their group is complete.
fn grouped(records: &DataSet<(u64, String)>) -> DataSet<(u64, u64, u64)> {
    let fours = records.map(|(n, text)| (n % 1_000_003, text)).name("Fours");
    fours.group_by(f0).reduce_group(|group, out| {
        let (mut key, mut count, mut bytes) = (0, 0, 0);
        for record in group.iter() {
            (key, count, bytes) = (record.0, count + 1, bytes + record.1.len() as u64);
        }
        out.collect((key, count, bytes));
    })
}

fn joined(records: &DataSet<(u64, String)>, numbers: &DataSet<u64>) -> DataSet<(u64, u64)> {
    let others = numbers.map(|n| (scrambled(n), filler(n + 1))).name("Others");
    records.join(&others).on(f0, f0).map(|left, right| (left.0, (left.1.len() + right.1.len()) as u64))
}

fn one_key(numbers: &DataSet<u64>) -> DataSet<(u64, u64)> {
    let rows = numbers.map(|n| (7u64, n)).name("Rows");
    let summed = rows.group_by(f0).sum(f1);
    let counted = rows.group_by(f0).reduce_group(|group, out| out.collect((7u64, group.iter().count() as u64)));
    let joined = rows.join(&summed).on(f0, f0).map(|row, sum| (row.0, sum.1 - row.1));
    let sorted = joined.union(&counted).partition_by_range(f0).sort_partition(Asc(f0));
    sorted.group_by(f0).max(f1)
}

fn wide(numbers: &DataSet<u64>) -> DataSet<(u64, u64)> {
    let rows = numbers.map(|n| (n % 5000, n)).name("Rows");
    let sums = rows.group_by(f0).sum(f1);
    let joined = rows.join(&sums).on(f0, f0).map(|row, sum| (row.1, sum.1));
    joined.partition_by_range(f0).sort_partition(Asc(f0))
}

/// The smallest vertex that each vertex is connected with; supersteps take their time.
fn components(env: &ExecutionEnvironment, side: u64) -> DataSet<(u64, u64)> {
    let edges = env.generate_sequence(0, side * side - 1).flat_map(move |n, out| {
        let (right, below) = ((n % side + 1 < side).then_some(n + 1), (n + side < side * side).then_some(n + side));
        for (other, salt) in [(right, 1), (below, 2)] {
            if let Some(other) = other.filter(|_| scrambled(2 * n + salt) % 100 < 60) {
                out.collect((n, other));
                out.collect((other, n));
            }
        }
    });
    let labels = env.generate_sequence(0, side * side - 1).map(|n| (n, n));
    let step = labels.iterate_delta(&labels, f0, u32::MAX);
    let begun = step.workset().map_rich(|_| {
        thread::sleep(Duration::from_millis(2));
        Ok(|label: (u64, u64)| label)
    });
    let offers = begun.join(&edges).on(f0, f0).map(|(_, label), (_, to)| (*to, *label)).group_by(f0).min(f1);
    let smaller = offers.join(step.solution_set()).on(f0, f0).flat_map(|offer, label, out| {
        if offer.1 < label.1 {
            out.collect(*offer);
        }
    });
    step.close_with(&smaller, &smaller).name("Components")
}

/// Counts into accumulator `name`, as a whole number, a histogram or both.
fn counted(numbers: &DataSet<u64>, name: &'static str, long: bool, histogram: bool) -> DataSet<u64> {
    numbers.map_rich(move |context| {
        let counters = [long.then(|| context.long_counter(name)), histogram.then(|| context.histogram(name))];
        Ok(move |n| {
            counters.iter().flatten().for_each(|counter| counter.add(1));
            n
        })
    })
}

/// `VmHWM` of this process, 0 where that is unknown.
fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
