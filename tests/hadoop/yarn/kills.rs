//! Processes and daemons are killed while a job runs: it gives the same result, or says what it missed.

use crate::support::wait_until;
use crate::yarn::harness::*;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

const CASES: [&[&str]; 3] =
    [&["sums", "--slow", "100"], &["sort", "--slow", "100"], &["components", "--records", "2000", "--slow", "20"]];

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    TaskExecutor,
    ApplicationMaster,
    NodeManager,
    ResourceManager,
    DataNode,
    NameNode,
}

const VICTIMS: [Victim; 7] = [
    Victim::Worker,
    Victim::TaskExecutor,
    Victim::ApplicationMaster,
    Victim::NodeManager,
    Victim::ResourceManager,
    Victim::DataNode,
    Victim::NameNode,
];

/// An application of one job, and one kill.
#[derive(Clone, Copy, Debug)]
struct Round<'a> {
    case: &'a [&'a str],
    victim: Victim,
    /// Counted from when its first worker runs.
    after: Duration,
}

impl Round<'_> {
    fn run(self, cluster: &mut Cluster) {
        let expected = run(Command::new(PROGRAM).args(self.case)).ok().out;
        let options = ["run", "-t", "yarn-per-job", "-Dyarn.application-attempts=2", "-p", "2", PROGRAM];
        let mut job = Running::start(&mut flinkrs(cluster, &[&options[..], self.case].concat()));
        wait_until("a worker runs", || has_worker(cluster) || job.has_ended());
        sleep(self.after);
        self.kill(cluster);
        let said = job.end();
        assert_eq!(said.code, Some(0), "{self:?}: {}", said.err);
        assert!(said.out == expected, "{self:?}: another result");
        nothing_is_left(cluster);
    }

    fn kill(self, cluster: &mut Cluster) {
        match self.victim {
            Victim::Worker => kill_one(cluster, Process::is_worker),
            Victim::TaskExecutor => kill_one(cluster, |process, _| process.is_executor()),
            Victim::ApplicationMaster => kill_one(cluster, |process, _| process.is_master()),
            Victim::NodeManager => {
                // Not the ApplicationMaster's: what then is left is the ResourceManager's to decide.
                let node = node_without_master(cluster);
                cluster.kill_node(node).unwrap();
                cluster.start_daemon(node).unwrap();
            }
            Victim::ResourceManager => restart(cluster, Daemon::ResourceManager, Duration::ZERO),
            Victim::DataNode => restart(cluster, Daemon::DataNode, Duration::ZERO),
            Victim::NameNode => restart(cluster, Daemon::NameNode, Duration::from_secs(5)),
        }
    }
}

fn has_worker(cluster: &Cluster) -> bool {
    let all = processes(cluster);
    all.iter().any(|process| process.is_worker(&all))
}

/// Kills the first process that is one; unless the job has ended.
fn kill_one(cluster: &Cluster, is: impl Fn(&Process, &[Process]) -> bool) {
    let all = processes(cluster);
    if let Some(victim) = all.iter().find(|process| is(process, &all)) {
        // It may have ended just now.
        let _ = cluster.kill_process(victim.id);
    }
}

fn node_without_master(cluster: &Cluster) -> Daemon {
    let of_first = cluster.folder().join("data").join(Daemon::NodeManager1.name());
    let master = processes(cluster).into_iter().find(Process::is_master);
    let on_first = master.is_some_and(|master| master.place.starts_with(&of_first));
    if on_first { Daemon::NodeManager2 } else { Daemon::NodeManager1 }
}

fn restart(cluster: &mut Cluster, daemon: Daemon, pause: Duration) {
    cluster.kill(daemon).unwrap();
    sleep(pause);
    cluster.start_daemon(daemon).unwrap();
    if daemon == Daemon::ResourceManager {
        [Daemon::NodeManager1, Daemon::NodeManager2].iter().for_each(|node| cluster.wait_for(*node).unwrap());
    }
}

fn round(cluster: &mut Cluster, case: &[&str], victim: Victim, after: u64) {
    make_home(cluster);
    Round { case, victim, after: Duration::from_millis(after) }.run(cluster);
}

pub(crate) fn a_killed_worker_changes_no_result(cluster: &mut Cluster) {
    round(cluster, CASES[0], Victim::Worker, 100);
}

pub(crate) fn a_killed_container_changes_no_result(cluster: &mut Cluster) {
    round(cluster, CASES[2], Victim::TaskExecutor, 200);
}

pub(crate) fn a_replaced_master_changes_no_result(cluster: &mut Cluster) {
    round(cluster, CASES[0], Victim::ApplicationMaster, 300);
}

pub(crate) fn a_restarted_resourcemanager_changes_no_result(cluster: &mut Cluster) {
    round(cluster, CASES[0], Victim::ResourceManager, 0);
}

pub(crate) fn a_lost_node_changes_no_result(cluster: &mut Cluster) {
    round(cluster, CASES[0], Victim::NodeManager, 300);
}

/// The only ApplicationMaster that there may be is killed: the client says so, and nothing stays.
pub(crate) fn a_killed_master_is_said(cluster: &mut Cluster) {
    make_home(cluster);
    for target in ["yarn-per-job", "yarn-application"] {
        let mut job = Running::start(&mut flinkrs(cluster, &["run", "-t", target, PROGRAM, "hang"]));
        wait_until("a worker runs", || has_worker(cluster) || job.has_ended());
        let since = Instant::now();
        kill_one(cluster, |process, _| process.is_master());
        let said = job.end().failed(4, &["application_", "has failed", "exited with"]);
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
        let report = report(cluster, said.application());
        assert_eq!(report.yarn_application_state(), YarnApplicationStateProto::Failed);
        nothing_is_left(cluster);
    }
    // A session's client that attends it says so, too.
    let mut attended = Running::start(&mut flinkrs(cluster, &["yarn-session"]));
    let running = || processes(cluster).iter().any(Process::is_master);
    wait_until("the session", || (running() && !applications(cluster).is_empty()) || attended.has_ended());
    kill_one(cluster, |process, _| process.is_master());
    attended.end().failed(4, &["application_", "has failed"]);
    nothing_is_left(cluster);
}

/// Random cases, victims and moments; as many rounds as `FLINKRS_KILLS` says.
pub(crate) fn kills_at_random_moments(cluster: &mut Cluster) {
    make_home(cluster);
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let seed = number("FLINKRS_SEED").unwrap_or(clock);
    println!("FLINKRS_SEED={seed}");
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    for _ in 0..number("FLINKRS_KILLS").unwrap_or(0) {
        let (case, victim, after) = (CASES[next(CASES.len())], VICTIMS[next(VICTIMS.len())], next(2500) as u64);
        println!("kill {victim:?} after {after} ms of {case:?}");
        round(cluster, case, victim, after);
    }
}
