//! Processes are killed at random moments: the results stay the same, and nothing is left.

use crate::harness::{Cluster, assert_same, embedded, finish, text, wait_until};
use std::fs;
use std::path::Path;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    TaskExecutor,
    JobManager,
    /// Its job goes on.
    Client,
    /// Its job is cancelled.
    ClientThatCancels,
}

const VICTIMS: [Victim; 5] =
    [Victim::Worker, Victim::TaskExecutor, Victim::JobManager, Victim::Client, Victim::ClientThatCancels];

/// One job, one kill.
#[derive(Clone, Copy, Debug)]
struct Round<'a> {
    case: &'a [&'a str],
    victim: Victim,
    after: Duration,
    /// Whether exchanges are kept whole.
    blocking: bool,
    /// Whether records are written to files instead of collected; those of a client that is killed always are.
    writes: bool,
}

/// The name of the folder that is written.
const OUTPUT: &str = "output";

impl Round<'_> {
    /// Runs the job, kills, compares the result, and looks for what is left.
    fn run(&self, expected: &str) {
        let mut cluster = Cluster::with(2, &OPTIONS);
        let output = cluster.path().join(OUTPUT);
        let of_client = matches!(self.victim, Victim::Client | Victim::ClientThatCancels);
        let writes = self.writes || of_client;
        let path = output.display().to_string();
        let mut arguments = self.case.to_vec();
        if writes {
            arguments.extend(["--output", &path]);
        }
        let mut options = Vec::new();
        if self.blocking {
            options.push("-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING");
        }
        if self.victim == Victim::ClientThatCancels {
            options.push("--shutdownOnAttachedExit");
        }
        let found = if of_client {
            self.kill_the_client(&cluster, &options, &arguments)
        } else {
            let said = self.kill_a_process(&mut cluster, &options, &arguments);
            (!writes).then_some(said)
        };
        let found = found.or_else(|| output.is_dir().then(|| written(&output, self.case[0] == "sort")));
        match found {
            Some(found) => assert_same(&found, expected, &format!("{self:?}: {}", cluster.logs())),
            None => assert_eq!(self.victim, Victim::ClientThatCancels, "no output: {}", cluster.logs()),
        }
        cluster.wait_until_idle();
        cluster.assert_stopped_without_a_trace(&[OUTPUT]);
    }

    /// What the job printed in spite of the kill.
    fn kill_a_process(&self, cluster: &mut Cluster, options: &[&str], arguments: &[&str]) -> String {
        let job = cluster.begin(options, arguments);
        // What it prints is read meanwhile: a pipe that nobody reads would keep it from its end.
        let job = thread::spawn(move || finish(job));
        match self.victim {
            Victim::Worker => {
                cluster.kill_a_worker(0, || job.is_finished());
                thread::sleep(self.after);
                cluster.kill_a_worker(1, || job.is_finished());
            }
            Victim::TaskExecutor => {
                thread::sleep(self.after);
                cluster.kill_executor(0);
                cluster.add_executor();
            }
            Victim::JobManager => {
                // A client that hasn't submitted yet says that the connection is lost, and ends.
                let listed = |cluster: &Cluster| text(&cluster.flinkrs("list", &["-a"]).stdout);
                wait_until("the job is known", || listed(cluster).contains(" : ") || job.is_finished());
                thread::sleep(self.after);
                cluster.restart_jobmanager();
            }
            Victim::Client | Victim::ClientThatCancels => unreachable!("that is killed elsewhere"),
        }
        let output = job.join().expect("no panic");
        assert!(output.status.success(), "{self:?}: {}{}", text(&output.stderr), cluster.logs());
        text(&output.stdout)
    }

    /// Kills a client some time after its job is known, and waits for the end of the job.
    fn kill_the_client(&self, cluster: &Cluster, options: &[&str], arguments: &[&str]) -> Option<String> {
        let mut client = cluster.begin(options, arguments);
        let listed = || text(&cluster.flinkrs("list", &["-a"]).stdout);
        wait_until("the job is known", || listed().contains("clustered"));
        thread::sleep(self.after);
        let had_ended = client.try_wait().expect("a child").is_some();
        client.kill().expect("it can be killed");
        client.wait().expect("it has ended");
        let ends = ["(FINISHED)", "(CANCELED)", "(FAILED)"];
        wait_until("the job has ended", || ends.iter().any(|end| listed().contains(end)));
        let cancels = self.victim == Victim::ClientThatCancels && !had_ended;
        assert!(listed().contains("(FINISHED)") || cancels, "{self:?}: {}{}", listed(), cluster.logs());
        None
    }
}

/// What was written, as the program would have printed it.
fn written(folder: &Path, is_sorted: bool) -> String {
    let names = fs::read_dir(folder).expect("lists").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<u32> = names.map(|name| name.to_string_lossy().parse().expect("a number")).collect();
    names.sort();
    let contents = names.iter().map(|name| fs::read_to_string(folder.join(name.to_string())).expect("a file"));
    let mut records: Vec<(u64, u64)> = Vec::new();
    for content in contents {
        records.extend(content.lines().map(|line| {
            let (a, b) = line.split_once(',').expect("two fields");
            (a.parse().expect("a number"), b.parse().expect("a number"))
        }));
    }
    if !is_sorted {
        records.sort();
    }
    records.iter().map(|(a, b)| format!("{a} {b}\n")).collect()
}

fn round(case: &[&str], victim: Victim, after: u64) {
    let round = Round { case, victim, after: Duration::from_millis(after), blocking: false, writes: false };
    round.run(&text(&embedded(case)));
}

#[test]
fn a_killed_worker_changes_no_result() {
    CASES.iter().for_each(|case| round(case, Victim::Worker, 50));
}

#[test]
fn a_killed_taskexecutor_changes_no_result() {
    round(CASES[0], Victim::TaskExecutor, 400);
    round(CASES[2], Victim::TaskExecutor, 300);
}

/// What a killed TaskExecutor has kept comes back with the next one: it would be waited for for an hour.
#[test]
fn finished_partitions_outlive_a_killed_taskexecutor() {
    let waits = "execution.batch.job-recovery.previous-worker.recovery.timeout=1 h";
    let mut cluster = Cluster::with(2, &[OPTIONS[0], OPTIONS[1], waits]);
    let arguments = ["stages", "--records", "80", "--slow", "10"];
    let blocking = "-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING";
    let job = cluster.begin(&[blocking, "-p", "4"], &arguments);
    let job = thread::spawn(move || finish(job));
    let mut finished = Vec::new();
    wait_until("three stages have finished", || {
        finished = cluster.vertices();
        finished.retain(|(_, state)| state == "FINISHED");
        finished.len() >= 3 || job.is_finished()
    });
    cluster.kill_executor(0);
    cluster.add_executor();
    let output = job.join().expect("no panic");
    assert!(output.status.success(), "{}{}", text(&output.stderr), cluster.logs());
    assert_same(&text(&output.stdout), &text(&embedded(&arguments)), "the job");
    let repeated = finished.iter().filter(|(path, _)| cluster.repeated(path) > 0);
    assert_eq!(repeated.count(), 0, "what had finished ran again: {}", cluster.logs());
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn a_killed_jobmanager_changes_no_result() {
    round(CASES[0], Victim::JobManager, 100);
}

/// A client that waits is killed: its job is cancelled if it was told so, and goes on otherwise.
#[test]
fn a_killed_client_is_noticed() {
    round(CASES[0], Victim::Client, 200);
    let cluster = Cluster::start(2);
    let listed = || text(&cluster.flinkrs("list", &["-a"]).stdout);
    let mut client = cluster.begin(&["--shutdownOnAttachedExit"], &["hang"]);
    wait_until("the job runs", || listed().contains("(RUNNING)"));
    client.kill().expect("it runs");
    client.wait().expect("it has ended");
    wait_until("the job is cancelled", || listed().contains("(CANCELED)"));
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
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
        let round = Round {
            case: CASES[at],
            victim: VICTIMS[next(VICTIMS.len() as u64) as usize],
            after: Duration::from_millis(next(1500)),
            blocking: next(2) == 0,
            writes: next(2) == 0,
        };
        println!("round {number} of {rounds}: {round:?}");
        round.run(&expected[at]);
    }
}
