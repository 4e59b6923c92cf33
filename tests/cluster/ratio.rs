//! What lost processes cost: a job with blocking exchanges on eight TaskExecutors, undisturbed and disturbed.
//!
//! `FLINKRS_KILL_RATIO=600 cargo test -p flinkrs-tests --test cluster ratio -- --nocapture` runs a job of about 600 s
//! three times: undisturbed, with a worker killed twice a minute, and with a TaskExecutor killed, and replaced, twice a
//! minute. It prints the times, their ratios and how many tasks ran again, and checks the results. Its tasks sleep
//! rather than compute, so that a small machine does for eight.
//!
//! A kill costs at least what the task that ran there had done, on one slot of eight; with tasks as long as the pause
//! from one kill to the next there would be little progress, so each stage has several tasks for each slot: 64 in all,
//! or as many as `FLINKRS_KILL_SUBTASKS` says.

use crate::harness::{Cluster, assert_same, embedded, finish, text};
use std::thread;
use std::time::{Duration, Instant};

/// TaskExecutors, with one slot each.
const EXECUTORS: usize = 8;

/// Records, and stages that each of them sleeps in.
const RECORDS: u64 = 800;
const STAGES: u64 = 10;

/// Time from one kill to the next.
const EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Killed {
    Nobody,
    Workers,
    TaskExecutors,
}

/// What a run of the job has cost.
struct Cost {
    took: Duration,
    kills: u32,
    /// Tasks that ran again.
    again: u64,
}

/// Runs the job.
fn run(killed: Killed, arguments: &[&str], expected: &str) -> Cost {
    let options = ["restart-strategy.fixed-delay.attempts=1000", "restart-strategy.fixed-delay.delay=100ms"];
    let mut cluster = Cluster::with(EXECUTORS, &options);
    let begun = Instant::now();
    let blocking = "-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING";
    let subtasks = number("FLINKRS_KILL_SUBTASKS").unwrap_or(64).to_string();
    let job = cluster.begin(&[blocking, "-p", &subtasks], arguments);
    let job = thread::spawn(move || (finish_late(job), Instant::now()));
    // The first kill comes in the middle of a pause, so that none comes right at the beginning.
    let (mut kills, mut next) = (0, begun + EVERY / 2);
    while !job.is_finished() {
        thread::sleep(Duration::from_millis(50));
        if Instant::now() < next || job.is_finished() {
            continue;
        }
        next += EVERY;
        kills += 1;
        match killed {
            Killed::Nobody => kills = 0,
            Killed::Workers => cluster.kill_a_worker(kills as usize * 3, || job.is_finished()),
            Killed::TaskExecutors => {
                cluster.kill_executor(kills as usize % EXECUTORS);
                cluster.add_executor();
            }
        }
    }
    let (output, ended) = job.join().expect("no panic");
    assert!(output.status.success(), "{killed:?}: {}{}", text(&output.stderr), cluster.logs());
    assert_same(&text(&output.stdout), expected, &format!("{killed:?}"));
    let again = cluster.vertices().iter().map(|(path, _)| cluster.repeated(path)).sum();
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
    Cost { took: ended - begun, kills, again }
}

/// Waits for a process that may run for longer than steps of tests do.
fn finish_late(mut child: std::process::Child) -> std::process::Output {
    let reader = child.stdout.take().map(|mut from| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut from, &mut bytes).map(|_| bytes).unwrap_or_default()
        })
    });
    while child.try_wait().expect("a child").is_none() {
        thread::sleep(Duration::from_millis(20));
    }
    let stdout = reader.map(|reader| reader.join().expect("no panic")).unwrap_or_default();
    std::process::Output { stdout, ..finish(child) }
}

/// A number that the environment sets.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn killed_processes_cost_what_they_cost() {
    // Without a length it is only checked that the job and the kills work.
    let seconds = number("FLINKRS_KILL_RATIO").unwrap_or(2);
    let pause = (seconds * 1000 * EXECUTORS as u64 / (RECORDS * STAGES)).max(1).to_string();
    let records = RECORDS.to_string();
    let arguments = ["stages", "--records", &records, "--slow", &pause];
    let expected = text(&embedded(&["stages", "--records", &records]));
    let undisturbed = run(Killed::Nobody, &arguments, &expected);
    assert_eq!(undisturbed.again, 0);
    println!("undisturbed: {:.1} s", undisturbed.took.as_secs_f64());
    for killed in [Killed::Workers, Killed::TaskExecutors] {
        let Cost { took, kills, again } = run(killed, &arguments, &expected);
        let ratio = took.as_secs_f64() / undisturbed.took.as_secs_f64();
        println!(
            "{killed:?} killed, {kills} times: {:.1} s, {ratio:.2} of the undisturbed time; {again} tasks ran again",
            took.as_secs_f64()
        );
    }
}
