//! The comparison: both programs of every job in turn, and a table of what they took.

use super::jobs::Job;
use super::process::Run;
use super::setup::Setup;
use super::table::{self, median, megabytes, short, sorted};

const TITLES: [&str; 11] = [
    "job",
    "plain s",
    "engine s",
    "engine/plain",
    "min–max",
    "plain CPU s",
    "engine CPU s",
    "engine rows/s",
    "engine MB/s",
    "plain peak MB",
    "engine peak MB",
];

/// Runs the jobs that `wanted` names; returns whether all answers were right.
pub(super) fn run(setup: &Setup, wanted: &[&'static str]) -> Result<bool, String> {
    let row = |name| Job::new(setup, name).and_then(|mut job| compare(&mut job, setup.runs));
    table::of_jobs(&TITLES, wanted.iter().map(|name| (*name, *name)), row)
}

/// Runs both programs in turn, after one run each that isn't measured; returns a row of the table.
fn compare(job: &mut Job, runs: u32) -> Result<Vec<String>, String> {
    eprintln!("{}: warming up", job.name);
    job.run()?;
    let mut pairs = Vec::new();
    for number in 1..=runs {
        let (plain, engine) = job.run()?;
        eprintln!("{}: run {number} of {runs}: plain {:.3} s, engine {:.3} s", job.name, plain.wall, engine.wall);
        pairs.push((plain, engine));
    }
    Ok(row(job, &pairs))
}

fn row(job: &Job, pairs: &[(Run, Run)]) -> Vec<String> {
    let of_plain = |value: fn(&Run) -> f64| median(pairs.iter().map(|(plain, _)| value(plain)));
    let of_engine = |value: fn(&Run) -> f64| median(pairs.iter().map(|(_, engine)| value(engine)));
    let ratios = sorted(pairs.iter().map(|(plain, engine)| engine.wall / plain.wall));
    let range = ratios.first().zip(ratios.last());
    let engine = of_engine(|run| run.wall);
    let peak = |run: fn(&(Run, Run)) -> &Run| pairs.iter().map(|pair| run(pair).peak).max().unwrap_or(0);
    vec![
        job.name.to_string(),
        format!("{:.3}", of_plain(|run| run.wall)),
        format!("{engine:.3}"),
        format!("{:.2}", median(ratios.iter().copied())),
        range.map_or_else(String::new, |(least, most)| format!("{least:.2}–{most:.2}")),
        format!("{:.3}", of_plain(|run| run.cpu)),
        format!("{:.3}", of_engine(|run| run.cpu)),
        short(job.rows as f64 / engine),
        job.bytes.map_or_else(|| "-".to_string(), |bytes| format!("{:.0}", bytes as f64 / 1e6 / engine)),
        megabytes(peak(|pair| &pair.0)),
        megabytes(peak(|pair| &pair.1)),
    ]
}
