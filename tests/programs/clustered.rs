//! A program with the jobs that the tests of the cluster run: some right, some wrong in a way that a process notices.

use clap::{Parser, ValueEnum};
use flinkrs::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Runs a job.
#[derive(Parser)]
struct Args {
    /// What to do
    case: Case,

    /// How many records to make
    #[arg(long, default_value_t = 20_000)]
    records: u64,

    /// Milliseconds that every thousandth record takes
    #[arg(long, default_value_t = 0)]
    slow: u64,

    /// A text of numbers, one in a line, to take instead of making records
    #[arg(long)]
    input: Option<PathBuf>,

    /// Where to write, instead of printing
    #[arg(long)]
    output: Option<PathBuf>,

    /// Of no meaning
    #[arg(long)]
    padding: Vec<String>,

    #[command(flatten)]
    common: CommonOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Sums by key
    Sums,
    /// Sorts by a range partitioning
    Sort,
    /// Connected components of a row of vertices: a delta iteration
    Components,
    /// Ranks of a ring of vertices: a bulk iteration
    Ranks,
    /// A loop whose criterion panics in the second superstep, which subtask 0 ends late
    CriterionAfterFirst,
    /// The same when the other one is late
    CriterionAfterSecond,
    /// Joins records with what they were grouped to: queues alone would wait for each other in a circle
    Diamond,
    /// Ten stages with an exchange before each; every record takes the pause in each of them
    Stages,
    /// Sums of numbers that are made in a slot sharing group of their own
    Groups,
    /// Two executions, the second of which depends on the first
    Twice,
    /// A plan and a closure that depend on what only the client knows
    Once,
    /// The same without telling the workers
    Unshared,
    /// A value that only a worker asks for
    Curious,
    /// A plan that is another one in a worker
    Differs,
    /// Says something on standard output in each subtask
    Says,
    /// Counts the bytes of a file that lies in the worker's folder
    Shipped,
    /// Executes nothing
    Nothing,
    /// Panics in a map
    Panic,
    /// Aborts the process in a map
    Abort,
    /// Ends the process in a map
    Exit,
    /// Never returns from a map
    Hang,
}

#[expect(clippy::print_stdout, reason = "the tests read what it prints")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> ExitCode {
    flinkrs::main(run)
}

fn run(args: Args) -> Result<()> {
    let env = args.common.environment()?;
    match args.case {
        Case::Sums => finish(&env, &args, sums(&env, &args, |_| {})),
        Case::Sort => {
            let sorted = numbers(&env, &args, |_| {}).partition_by_range(f0).sort_partition((Asc(f0), Asc(f1)));
            finish(&env, &args, sorted)
        }
        Case::Components => finish(&env, &args, components(&env, &args)),
        Case::Ranks => finish(&env, &args, ranks(&env, &args)),
        Case::CriterionAfterFirst => finish(&env, &args, criterion(&env, 0)),
        Case::CriterionAfterSecond => finish(&env, &args, criterion(&env, 1)),
        Case::Diamond => {
            let numbers = numbers(&env, &args, |_| {});
            let sums = numbers.group_by(f0).sum(f1);
            let joined = numbers.join(&sums).on(f0, f0).map(|number, sum| (number.0, number.1 ^ sum.1));
            finish(&env, &args, joined.group_by(f0).sum(f1))
        }
        Case::Stages => finish(&env, &args, stages(&env, &args)),
        Case::Twice => {
            let first = sums(&env, &args, |_| {}).count()?;
            let more = Args { records: args.records + first, ..args };
            finish(&env, &more, sums(&env, &more, |_| {}))
        }
        Case::Once | Case::Unshared => once(&env, &args),
        Case::Curious => {
            if is_worker() {
                env.once(|| 7u32)?;
            }
            finish(&env, &args, sums(&env, &args, |_| {}))
        }
        Case::Differs => {
            let numbers = numbers(&env, &args, |_| {});
            let is_worker = is_worker();
            let numbers =
                if is_worker { numbers.filter(|_| true).name("Sieve") } else { numbers.map(|n| n).name("Copy") };
            finish(&env, &args, numbers.group_by(f0).sum(f1))
        }
        Case::Groups => {
            let numbers = env.generate_sequence(0, args.records - 1);
            let keyed = numbers.map(|n| (n % 10, n)).slot_sharing_group("makers");
            let sums = keyed.group_by(f0).sum(f1).slot_sharing_group("default");
            finish(&env, &args, sums)
        }
        Case::Says => at_seven(&env, &args, || say("a function says seven")),
        Case::Shipped => {
            let bytes = |_| std::fs::read("shipped.txt").expect("it was shipped").len() as u64;
            finish(&env, &args, env.generate_sequence(0, 3).map(move |n| (n, bytes(n))))
        }
        Case::Nothing => Ok(()),
        Case::Panic => at_seven(&env, &args, || panic!("seven is too much")),
        Case::Abort => at_seven(&env, &args, || std::process::abort()),
        Case::Exit => at_seven(&env, &args, || std::process::exit(3)),
        Case::Hang => at_seven(&env, &args, || {
            loop {
                thread::sleep(Duration::from_millis(10));
            }
        }),
    }
}

/// Does something in the function that meets the number seven.
fn at_seven(env: &ExecutionEnvironment, args: &Args, act: impl Fn() + Send + Sync + 'static) -> Result<()> {
    let act = move |n| {
        if n == 7 {
            act();
        }
    };
    finish(env, args, sums(env, args, act))
}

/// Says whether a function has met the value that the client has made, before and after an execution.
fn once(env: &ExecutionEnvironment, args: &Args) -> Result<()> {
    let own = std::process::id();
    let known = if args.case == Case::Once { env.once(|| own)? } else { own };
    let first = sums(env, args, |_| {}).count()?;
    let again = if args.case == Case::Once { env.once(|| own + 1)? } else { own + 1 };
    let found =
        env.from_collection([first]).map(move |count| (u64::from(known), count + u64::from(again))).collect()?;
    say(&format!("{}", found == [(u64::from(own), first + u64::from(own) + 1)]));
    Ok(())
}

fn is_worker() -> bool {
    std::env::var("FLINKRS_ROLE").is_ok_and(|role| role == "worker")
}

fn numbers(env: &ExecutionEnvironment, args: &Args, act: impl Fn(u64) + Send + Sync + 'static) -> DataSet<(u64, u64)> {
    let pause = Duration::from_millis(args.slow);
    let numbers = match &args.input {
        Some(input) => env.read_text(input).map(|line| line.parse().expect("a number")),
        None => env.generate_sequence(0, args.records.saturating_sub(1)),
    };
    numbers.map(move |n| {
        if n % 1000 == 0 && !pause.is_zero() {
            thread::sleep(pause);
        }
        act(n);
        (n.wrapping_mul(7919) % 1009, n)
    })
}

fn sums(env: &ExecutionEnvironment, args: &Args, act: impl Fn(u64) + Send + Sync + 'static) -> DataSet<(u64, u64)> {
    numbers(env, args, act).group_by(f0).sum(f1)
}

/// Records wander through ten stages, all of them to another subtask before each.
fn stages(env: &ExecutionEnvironment, args: &Args) -> DataSet<(u64, u64)> {
    let (pause, records) = (Duration::from_millis(args.slow), args.records);
    let first = env.generate_sequence(0, records - 1).map(|n| (n, n));
    (1..=10u64).fold(first, |all, stage| {
        all.partition_by_hash(f0).map(move |(key, sum)| {
            thread::sleep(pause);
            // Stages differ, so that a record is counted once in each.
            ((key + stage) % records, sum * 3 % 1_000_003 + stage)
        })
    })
}

/// Each vertex of a row takes the smallest number of its row; rows are of 100.
fn components(env: &ExecutionEnvironment, args: &Args) -> DataSet<(u64, u64)> {
    let pause = Duration::from_millis(args.slow);
    let vertices = env.generate_sequence(0, args.records - 1).map(|v| (v, v));
    let edges = env.generate_sequence(0, args.records - 2).flat_map(|v, out| {
        if v % 100 != 99 {
            out.collect((v, v + 1));
            out.collect((v + 1, v));
        }
    });
    let step = vertices.iterate_delta(&vertices, f0, 1000);
    let candidates = step
        .workset()
        .join(&edges)
        .on(f0, f0)
        .map(move |(v, component), (_, to)| {
            if *v == 0 && !pause.is_zero() {
                thread::sleep(pause);
            }
            (*to, *component)
        })
        .group_by(f0)
        .min(f1);
    let changes = candidates.join(step.solution_set()).on(f0, f0).flat_map(|new, old, out| {
        if new.1 < old.1 {
            out.collect(*new);
        }
    });
    step.close_with(&changes, &changes)
}

/// A value wanders around a ring, a vertex in each superstep.
fn ranks(env: &ExecutionEnvironment, args: &Args) -> DataSet<(u64, u64)> {
    let count = args.records;
    let vertices = env.generate_sequence(0, count - 1).map(|v| (v, u64::from(v == 0)));
    let step = vertices.iterate(60);
    let next = step.map(move |(v, value)| ((v + 1) % count, value * 2 % 1_000_003)).group_by(f0).sum(f1);
    step.close_with(&next)
}

/// The subtask that ends a superstep last is where the criterion is asked, or tells whoever asks it.
fn criterion(env: &ExecutionEnvironment, late: u32) -> DataSet<(u64, u64)> {
    let step = env.generate_sequence(0, 999).map(|n| (n, n)).iterate(5);
    let step = step.converge_when(|superstep, _| {
        assert!(superstep < 2, "more supersteps than it likes");
        false
    });
    let next = step.map_rich(move |context| {
        if context.subtask.index == late {
            thread::sleep(Duration::from_millis(100));
        }
        Ok(|record| record)
    });
    step.close_with(&next)
}

fn finish(env: &ExecutionEnvironment, args: &Args, records: DataSet<(u64, u64)>) -> Result<()> {
    if let Some(output) = &args.output {
        records.write_csv(output);
        return env.execute("clustered").map(|_| ());
    }
    let mut records = records.collect()?;
    if args.case != Case::Sort {
        records.sort();
    }
    records.iter().for_each(|(a, b)| say(&format!("{a} {b}")));
    Ok(())
}
