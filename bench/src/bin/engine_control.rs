//! What a JobMaster needs for jobs of thousands of subtasks: see "Control" in `docs/benchmarks.md`.

#[path = "../../../control/tests/scale/harness.rs"]
mod harness;

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_core::strategy::ExchangeMode;
use flinkrs_protocol::{JobState, TaskState};
use harness::{Cluster, all_to_all};

/// What is measured: a name, and what returns the seconds it took.
type Case = (&'static str, fn() -> Result<f64, String>);

const CASES: [Case; 5] = [
    ("deploy 1 000 x 1 000, pipelined", || deploy(1_000, ExchangeMode::Pipelined)),
    ("deploy 10 000 x 10 000, pipelined", || deploy(10_000, ExchangeMode::Pipelined)),
    ("deploy 10 000 x 10 000, blocking", || deploy(10_000, ExchangeMode::Blocking)),
    ("lose 1 of 5 000 while 10 000 producers run", || lose(false)),
    ("lose 1 of 5 000 while 10 000 consumers read", || lose(true)),
];

fn main() -> ExitCode {
    println!("{:<46} {:>10} {:>9}", "case", "ms", "peak MB");
    for (name, case) in CASES {
        // From here on the peak is that of this case.
        let _ = fs::write("/proc/self/clear_refs", "5");
        match case() {
            Ok(seconds) => println!("{name:<46} {:>10.1} {:>9.1}", seconds * 1000.0, peak_mb()),
            Err(message) => {
                eprintln!("engine_control: {name}: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// From submission until every task is in a deployment whose bytes are there; then the job runs to its end.
fn deploy(parallelism: u32, mode: ExchangeMode) -> Result<f64, String> {
    let mut cluster = Cluster::new(parallelism, 1);
    let graph = all_to_all(parallelism, mode);
    let start = Instant::now();
    cluster.submit(graph);
    let mut took = start.elapsed();
    let first = cluster.running.len();
    if mode == ExchangeMode::Blocking {
        let start = Instant::now();
        cluster.report(0, TaskState::Finished);
        took += start.elapsed();
    } else {
        cluster.report(0, TaskState::Finished);
    }
    let all = 2 * parallelism as usize;
    let second = cluster.running.len();
    cluster.report(1, TaskState::Finished);
    let expected = if mode == ExchangeMode::Blocking { (all / 2, all / 2) } else { (all, all / 2) };
    if (first, second) != expected || cluster.ended != Some(JobState::Finished) {
        return Err(format!("{first} and {second} tasks ran, and the job is {:?}", cluster.ended));
    }
    Ok(took.as_secs_f64())
}

/// What the JobMaster takes to decide on a lost TaskExecutor with two slots.
fn lose(reading: bool) -> Result<f64, String> {
    let mut cluster = Cluster::new(5_000, 2);
    cluster.submit(all_to_all(10_000, ExchangeMode::Blocking));
    if reading {
        cluster.report(0, TaskState::Finished);
    }
    let before = cluster.running.len();
    let event = cluster.lose("te7");
    let start = Instant::now();
    let commands = cluster.decide(event);
    let took = start.elapsed();
    cluster.perform(commands);
    let stopped = cluster.cancelled;
    cluster.pass(2_000);
    let running = cluster.running.len();
    // Whoever reads from it has to begin anew, and waits for two producers; these have no slots while all others run.
    let expected = if reading { (before - 2, 2) } else { (0, before - 2) };
    if (stopped, running) != expected {
        return Err(format!("{stopped} tasks were told to stop, then {running} ran; expected {expected:?}"));
    }
    Ok(took.as_secs_f64())
}

/// The peak of this process's memory.
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1000.0
}
