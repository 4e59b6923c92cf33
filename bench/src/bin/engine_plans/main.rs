//! Each choice of the optimizer against the other plan, forced: see "Choices" in `docs/benchmarks.md`.
//!
//! | module | what it does |
//! |---|---|
//! | `programs` | the programs: for each choice and direction at least one |
//! | `loops` | programs with loops, and programs whose keys lie close together |
//! | `executor` | runs a program as chosen or with pinned choices, and says what was chosen |

mod executor;
mod loops;
mod programs;

use std::process::ExitCode;

use clap::Parser;
use executor::{Run, run};
use flinkrs::LocalEnvironment;
use flinkrs::prelude::Result;
use flinkrs_bench::in_process::PARALLELISM;
use loops::LOOPS;
use programs::{PROGRAMS, Program};

/// Runs programs as the optimizer chose and with the other plan forced.
#[derive(Parser)]
#[command(name = "engine_plans")]
struct Options {
    /// Small inputs, to see that everything works; their times mean nothing
    #[arg(long)]
    small: bool,

    /// Measured runs of each plan, after one that isn't measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,

    /// Only programs of choices that begin so
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,

    /// Print both plans, too
    #[arg(long)]
    explain: bool,
}

/// The columns; the first two and the last to the left.
const TITLES: [&str; 12] = [
    "choice",
    "program",
    "chosen s",
    "forced s",
    "times as long",
    "min",
    "max",
    "chosen CPU s",
    "forced CPU s",
    "times the CPU",
    "by the model",
    "faster",
];

/// How many times as long the other plan has to take: less is noise.
const FASTER: f64 = 1.05;

/// What the runs of a program came to.
struct Outcome {
    chosen: Vec<Run>,
    forced: Vec<Run>,
}

fn main() -> ExitCode {
    match compare_all(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("engine_plans: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all programs and prints the table; whether all plans were the expected ones and all answers agreed.
fn compare_all(options: &Options) -> Result<bool> {
    // Not used, but what it sets for the process, such as the allocator's options, counts for all that follows.
    drop(LocalEnvironment::new().parallelism(PARALLELISM).create()?);
    println!("| {} |", TITLES.join(" | "));
    println!("|---|---|{}---|", "--:|".repeat(TITLES.len() - 3));
    let (mut right, mut slower) = (true, 0);
    for program in PROGRAMS.iter().chain(LOOPS).filter(|program| program.choice.starts_with(&options.only)) {
        match compare(program, options)? {
            Ok(outcome) => slower += u32::from(!print(program, &outcome)),
            Err(wrong) => {
                println!("| {} | {} | {} |", program.choice, program.name, wrong.replace('\n', " "));
                right = false;
            }
        }
    }
    if slower > 0 {
        println!("\n{slower} chosen plans are not faster than the forced ones");
    }
    Ok(right)
}

/// Runs one program both ways in turn. The inner error says which plan or answer is not the expected one.
fn compare(program: &Program, options: &Options) -> Result<std::result::Result<Outcome, String>> {
    let mut outcome = Outcome { chosen: Vec::new(), forced: Vec::new() };
    let divisor = if options.small { 50 } else { 1 };
    for number in 0..=options.runs {
        let chosen = run(program, divisor, false)?;
        let forced = run(program, divisor, true)?;
        if number == 0 && options.explain {
            println!("{}\n{}", chosen.plan, forced.plan);
        }
        let expected = [(&chosen, program.chosen, "chosen"), (&forced, program.forced, "forced")];
        for (run, strategies, which) in expected {
            for (operator, strategy) in strategies {
                let found = run.strategy(operator);
                if !found.is_some_and(|found| found.ends_with(strategy)) {
                    return Ok(Err(format!("the {which} strategy of {operator} is {found:?}, not {strategy:?}")));
                }
            }
        }
        if chosen.answer != forced.answer || chosen.answer.0 == 0 {
            return Ok(Err(format!("the answers differ: {:?}, forced {:?}", chosen.answer, forced.answer)));
        }
        // The first run warms up.
        if number > 0 {
            outcome.chosen.push(chosen);
            outcome.forced.push(forced);
        }
    }
    Ok(Ok(outcome))
}

/// Prints a row; whether the chosen plan was the faster one.
fn print(program: &Program, Outcome { chosen, forced }: &Outcome) -> bool {
    let of = |runs: &[Run], figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let pairs = || chosen.iter().zip(forced);
    let ratios: Vec<f64> = pairs().map(|(chosen, forced)| forced.seconds / chosen.seconds).collect();
    let (least, most) = (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    let ratio = median(ratios);
    let cpu = [of(chosen, |run| run.cpu), of(forced, |run| run.cpu)];
    let model = of(forced, |run| run.cost) / of(chosen, |run| run.cost);
    println!(
        "| {} | {} | {:.3} | {:.3} | {ratio:.2} | {least:.2} | {most:.2} | {:.2} | {:.2} | {:.2} | {model:.2} | {} |",
        program.choice,
        program.name,
        of(chosen, |run| run.seconds),
        of(forced, |run| run.seconds),
        cpu[0],
        cpu[1],
        cpu[1] / cpu[0],
        match ratio {
            ratio if ratio >= FASTER => "yes",
            ratio if ratio > 1.0 / FASTER => "no difference",
            _ => "NO",
        },
    );
    ratio >= FASTER
}

/// The median; of an even number of values the larger of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
