//! Figures of the engine alone: parallelism, the start of a job, the cost of a chained operator, chosen plans against
//! others, and what two processes exchange.

use std::fs;

use super::jobs::wordcount;
use super::process::measure;
use super::setup::Setup;
use super::table::{self, median, sorted};
use crate::cli::about;

/// Runs of the job with next to nothing to do.
const STARTS: usize = 20;

/// Word count in 1, 2, 4 and 8 subtasks, in turn.
pub(super) fn parallelism(setup: &Setup) -> Result<bool, String> {
    let parallelisms = ["1", "2", "4", "8"];
    let mut jobs = parallelisms
        .iter()
        .map(|parallelism| Ok((wordcount(setup, parallelism)?, Vec::new())))
        .collect::<Result<Vec<_>, String>>()?;
    for number in 0..=setup.runs {
        eprintln!("wordcount: run {number} of {}", setup.runs);
        for (job, runs) in &mut jobs {
            let (_, engine) = job.run().map_err(about("wordcount"))?;
            // The first run warms up.
            if number > 0 {
                runs.push(engine);
            }
        }
    }
    let seconds: Vec<f64> = jobs.iter().map(|(_, runs)| median(runs.iter().map(|run| run.wall))).collect();
    let rows = jobs.iter().zip(parallelisms).zip(&seconds).map(|(((_, runs), parallelism), &wall)| {
        let cpu = median(runs.iter().map(|run| run.cpu));
        let cells = [format!("{wall:.3}"), format!("{cpu:.3}"), format!("{:.2}", seconds[0] / wall)];
        [vec![parallelism.to_string()], cells.to_vec()].concat()
    });
    table::print(&["subtasks", "s", "CPU s", "times as fast as 1"], &rows.collect::<Vec<_>>());
    Ok(true)
}

/// The time of a word count of one line.
pub(super) fn start(setup: &Setup) -> Result<bool, String> {
    let input = setup.output("line.txt")?;
    fs::write(&input, "to be or not to be\n").map_err(about(input.display()))?;
    let mut milliseconds = Vec::new();
    // The first run warms up.
    for number in 0..=STARTS {
        let output = setup.output("counts")?;
        let mut job = setup.example("wordcount", &setup.threads);
        let run = measure(job.arg("--input").arg(&input).arg("--output").arg(&output))?;
        if number > 0 {
            milliseconds.push(run.wall * 1e3);
        }
    }
    let most = sorted(milliseconds.iter().copied()).pop().unwrap_or(f64::NAN);
    println!("a job of one line: median {:.1} ms, max {most:.1} ms of {STARTS}", median(milliseconds));
    Ok(true)
}

/// The cost of an operator that adds 1, per record, behind a sequence and in one subtask.
pub(super) fn chain(setup: &Setup) -> Result<bool, String> {
    let records = setup.sized(2_000_000, 200_000_000);
    let chains = [0u64, 4, 8];
    let mut walls = vec![Vec::new(); chains.len()];
    for number in 0..=setup.runs {
        eprintln!("chain: run {number} of {}", setup.runs);
        for (operators, walls) in chains.iter().zip(&mut walls) {
            let mut job = setup.program("engine_chain");
            job.args(["-p", "1", "--records", &records.to_string(), "--operators", &operators.to_string()]);
            let run = measure(&mut job)?;
            let expected = (records * (records + 1) / 2 + operators * records).to_string();
            if run.value("CHECKSUM") != Some(expected.as_str()) {
                return Err(format!("chain: the sum is {:?}, not {expected}", run.value("CHECKSUM")));
            }
            // The first run warms up.
            if number > 0 {
                walls.push(run.wall);
            }
        }
    }
    let seconds: Vec<f64> = walls.into_iter().map(median).collect();
    let rows = chains.iter().zip(&seconds).map(|(&operators, &wall)| {
        let each = (wall - seconds[0]) * 1e9 / records as f64 / operators as f64;
        let each = if operators == 0 { "-".to_string() } else { format!("{each:.2}") };
        vec![operators.to_string(), format!("{wall:.3}"), each]
    });
    table::print(&["operators", "s", "ns per record and operator"], &rows.collect::<Vec<_>>());
    Ok(true)
}

/// What supersteps cost: the program measures and prints by itself.
pub(super) fn supersteps(setup: &Setup) -> Result<bool, String> {
    let mut program = setup.program("engine_supersteps");
    program.args(setup.small.then_some(["--side", "40"]).into_iter().flatten());
    Ok(program.status().map_err(about("engine_supersteps"))?.success())
}

/// Each choice of the optimizer against the other plan: the program compares and prints by itself.
pub(super) fn plans(setup: &Setup) -> Result<bool, String> {
    let mut program = setup.program("engine_plans");
    program.args(["--runs", &setup.runs.to_string()]).args(setup.small.then_some("--small"));
    Ok(program.status().map_err(about("engine_plans"))?.success())
}

/// Records of 64 bytes between two processes over loopback, and round trips of one record, which the program checks.
pub(super) fn exchange(setup: &Setup) -> Result<bool, String> {
    let records = setup.sized(300_000, 30_000_000).to_string();
    let kinds: [&[&str]; 5] = [
        &["--channels", "1"],
        &["--channels", "4"],
        &["--channels", "1", "--compress"],
        &["--channels", "1", "--tls"],
        &["--channels", "4", "--tls"],
    ];
    let mut runs = vec![Vec::new(); kinds.len()];
    for number in 0..=setup.runs {
        eprintln!("exchange: run {number} of {}", setup.runs);
        for (kind, runs) in kinds.iter().zip(&mut runs) {
            let run = measure(setup.program("engine_exchange").args(["--records", &records]).args(*kind))?;
            let value = |name| run.value(name).and_then(|value| value.parse::<f64>().ok());
            let values = [value("GB_PER_S"), value("TRIP_US"), value("TRIP_P99_US")];
            // The first run warms up.
            if number > 0 {
                runs.push(values.map(|value| value.unwrap_or(f64::NAN)));
            }
        }
    }
    let rows = kinds.iter().zip(&runs).map(|(kind, runs)| {
        let median = |at: usize| median(runs.iter().map(|run| run[at]));
        let [rate, trip, high] = [median(0), median(1), median(2)];
        vec![kind.join(" "), format!("{rate:.2}"), format!("{trip:.1}"), format!("{high:.1}")]
    });
    let rows: Vec<_> = rows.collect();
    table::print(&["exchange", "GB/s", "round trip, us", "99th of 100, us"], &rows);
    Ok(true)
}

/// Decisions for jobs of thousands of subtasks.
pub(super) fn control(setup: &Setup) -> Result<bool, String> {
    Ok(setup.program("engine_control").status().map_err(about("engine_control"))?.success())
}
