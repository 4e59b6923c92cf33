//! Jobs much larger than their memory: a sort of 4 GB and a join of 2 GB with 4 GB, each in 256 MB.

use std::process::Command;

use super::check::{content, content_in_order};
use super::process::{Run, measure};
use super::setup::Setup;
use super::table::{self, megabytes};
use crate::join_input::JoinInput;

/// The memory that the jobs are given.
const MEMORY: &str = "256mb";

/// The most bytes that the process may take at its peak.
const LIMIT: u64 = 450_000_000;

/// Runs the tests; returns whether every answer was right and no process took too much memory.
pub(super) fn run(setup: &Setup) -> Result<bool, String> {
    let (mut rows, mut all_right) = (Vec::new(), true);
    for (name, test) in [("sort", sort as fn(&Setup) -> Result<Run, String>), ("join", join)] {
        eprintln!("{name}: making the input, running, checking");
        let mut row = vec![name.to_string()];
        match test(setup) {
            Ok(run) => {
                let fits = run.peak < LIMIT;
                all_right &= fits;
                row.extend([format!("{:.1}", run.wall), format!("{:.1}", run.cpu), megabytes(run.peak)]);
                row.push(if fits { "right" } else { "right, but too much memory" }.to_string());
            }
            Err(message) => {
                eprintln!("{name}: {message}");
                row.extend(["", "", "", "failed"].map(String::from));
                all_right = false;
            }
        }
        rows.push(row);
        // The next test needs the disk.
        setup.clear()?;
    }
    table::print(&["test", "s", "CPU s", "peak MB", "answer"], &rows);
    println!("memory {MEMORY}, limit of the peak {} MB", megabytes(LIMIT));
    Ok(all_right)
}

/// Gives a job little memory, and a folder for the rest.
fn limit<'c>(setup: &Setup, command: &'c mut Command) -> &'c mut Command {
    command.args(["--memory", MEMORY, "--temp-dir"]).arg(&setup.temp)
}

fn sort(setup: &Setup) -> Result<Run, String> {
    let (input, output) = (setup.output("input")?, setup.output("sorted")?);
    let records = setup.sized(400_000, 40_000_000).to_string();
    let mut generate = setup.example("terasort", &setup.threads);
    measure(generate.args(["generate", "--records", &records, "--output"]).arg(&input))?;
    let mut sort = setup.example("terasort", &setup.threads);
    limit(setup, &mut sort).args(["sort", "--input"]).arg(&input).arg("--output").arg(&output);
    let run = measure(&mut sort)?;
    let right = content(&input)? == content_in_order(&output)?;
    if right { Ok(run) } else { Err("the output has other records than the input".to_string()) }
}

fn join(setup: &Setup) -> Result<Run, String> {
    let input = JoinInput { records: setup.sized(200_000, 20_000_000) };
    let (first, second) = (setup.output("first")?, setup.output("second")?);
    input.write(&first, &second)?;
    let mut join = setup.program("engine_join");
    join.arg("--first").arg(&first).arg("--second").arg(&second).arg("-p").arg(&setup.threads);
    let run = measure(limit(setup, &mut join))?;
    let (pairs, checksum) = input.answer(2)?;
    let expected = (Some(pairs.to_string()), Some(checksum.to_string()));
    let found = (run.value("ROWS").map(String::from), run.value("CHECKSUM").map(String::from));
    if found == expected { Ok(run) } else { Err(format!("the answer is {found:?}, not {expected:?}")) }
}
