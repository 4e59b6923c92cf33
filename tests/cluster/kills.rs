//! Processes are killed at random moments: the results stay the same, and nothing is left.

use crate::harness::{Cluster, assert_same, embedded, finish, kill_process, text};
use std::thread;
use std::time::Duration;

const CASES: [&[&str]; 4] = [
    &["sums", "--slow", "30"],
    &["sort", "--slow", "30"],
    &["components", "--records", "2000", "--slow", "5"],
    &["ranks", "--records", "500"],
];

const OPTIONS: [&str; 2] = ["restart-strategy.fixed-delay.attempts=100", "restart-strategy.fixed-delay.delay=100ms"];

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Worker,
    TaskExecutor,
    JobManager,
}

fn round(case: &[&str], victim: Victim, after: Duration, expected: &str) {
    let mut cluster = Cluster::with(2, &OPTIONS);
    let job = cluster.begin(&[], case);
    // What it prints is read meanwhile: a pipe that nobody reads would keep it from its end.
    let job = thread::spawn(move || finish(job));
    match victim {
        Victim::Worker => {
            cluster.kill_a_worker(0, || job.is_finished());
            thread::sleep(after);
            cluster.kill_a_worker(1, || job.is_finished());
        }
        Victim::TaskExecutor => {
            thread::sleep(after);
            kill_process(cluster.executors[0].id());
            cluster.add_executor();
        }
        Victim::JobManager => {
            thread::sleep(after + Duration::from_millis(300));
            cluster.restart_jobmanager();
        }
    }
    let output = job.join().expect("no panic");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{case:?}, {victim:?} killed after {after:?}: {said}");
    assert_same(&text(&output.stdout), expected, &format!("{case:?}, {victim:?} killed after {after:?}: {said}"));
}

#[test]
fn a_killed_worker_changes_no_result() {
    for case in CASES {
        round(case, Victim::Worker, Duration::from_millis(50), &text(&embedded(case)));
    }
}

#[test]
fn a_killed_taskexecutor_changes_no_result() {
    round(CASES[0], Victim::TaskExecutor, Duration::from_millis(400), &text(&embedded(CASES[0])));
    round(CASES[2], Victim::TaskExecutor, Duration::from_millis(300), &text(&embedded(CASES[2])));
}

#[test]
fn a_killed_jobmanager_changes_no_result() {
    round(CASES[0], Victim::JobManager, Duration::from_millis(100), &text(&embedded(CASES[0])));
}

/// A client that waits is killed: its job is cancelled if it was told so, and goes on otherwise.
#[test]
fn a_killed_client_is_noticed() {
    let cluster = Cluster::start(2);
    let listed = || text(&cluster.flinkrs("list", &["-a"]).stdout);
    let mut client = cluster.begin(&["--shutdownOnAttachedExit"], &["hang"]);
    crate::harness::wait_until("the job runs", || listed().contains("(RUNNING)"));
    client.kill().expect("it runs");
    client.wait().expect("it has ended");
    crate::harness::wait_until("the job is cancelled", || listed().contains("(CANCELED)"));
    let output = cluster.path().join("sums");
    let mut client = cluster.begin(&[], &["sums", "--slow", "50", "--output", &output.display().to_string()]);
    crate::harness::wait_until("the job runs", || listed().contains("(RUNNING)"));
    client.kill().expect("it runs");
    client.wait().expect("it has ended");
    crate::harness::wait_until("the job has ended", || listed().contains("(FINISHED)"));
    assert!(output.is_dir());
}

/// Random cases, victims and moments; as many rounds as `FLINKRS_KILLS` says.
#[test]
fn kills_at_random_moments() {
    let rounds: u64 = std::env::var("FLINKRS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let mut random = seed | 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let expected: Vec<String> = CASES.iter().map(|case| text(&embedded(case))).collect();
    for number in 1..=rounds {
        let at = next(CASES.len() as u64) as usize;
        let victim = [Victim::Worker, Victim::TaskExecutor, Victim::JobManager][next(3) as usize];
        let after = Duration::from_millis(next(1500));
        println!("round {number} of {rounds}: {:?}, {victim:?} after {after:?}", CASES[at]);
        round(CASES[at], victim, after, &expected[at]);
    }
}
