//! Processes and daemons are killed while a job runs: it gives the same result, or says what it missed.

use crate::support::{folder, hdfs_as, wait_until};
use crate::yarn::examples::written_on_hdfs;
use crate::yarn::harness::*;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_hdfs::Upload;
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

/// A job.
#[derive(Clone, Copy, Debug)]
struct Case {
    words: &'static [&'static str],
    /// Whether it reads its numbers from HDFS and writes to it, instead of making and printing them.
    is_on_hdfs: bool,
}

const CASES: [Case; 4] = [
    Case { words: &["sums", "--slow", "100"], is_on_hdfs: false },
    Case { words: &["sort", "--slow", "100"], is_on_hdfs: false },
    Case { words: &["components", "--records", "2000", "--slow", "20"], is_on_hdfs: false },
    Case { words: &["sums", "--slow", "100"], is_on_hdfs: true },
];

/// Where the input and the output of jobs on HDFS are, and nothing else.
const FOLDER: &str = "/user/ann/kills";
const INPUT: &str = "/user/ann/kills/numbers";
const OUTPUT: &str = "/user/ann/kills/sums";

impl Case {
    /// What the job gives in one process. Its input is on HDFS then.
    fn expected(self, cluster: &Cluster) -> Vec<String> {
        let mut command = Command::new(PROGRAM);
        command.args(self.words);
        if !self.is_on_hdfs {
            return lines(&run(&mut command).ok().out);
        }
        let folder = folder(cluster, "kills");
        let (input, output) = (folder.join("numbers"), folder.join("sums"));
        std::fs::write(&input, (0..20_000).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
        run(command.arg("--input").arg(&input).arg("--output").arg(&output)).ok();
        hdfs_as(cluster, "ann").upload(&input, Path::new(INPUT), &Upload::default()).unwrap();
        text_lines(&output)
    }

    fn arguments(self) -> Vec<String> {
        let mut all: Vec<String> = self.words.iter().map(|word| (*word).to_owned()).collect();
        if self.is_on_hdfs {
            all.extend([
                "--input".to_owned(),
                format!("hdfs://{INPUT}"),
                "--output".to_owned(),
                format!("hdfs://{OUTPUT}"),
            ]);
        }
        all
    }

    /// What the job has given, and that it has left nothing else.
    fn given(self, cluster: &Cluster, said: &Said) -> Vec<String> {
        if !self.is_on_hdfs {
            return lines(&said.out);
        }
        let files = hdfs_as(cluster, "ann");
        let found = written_on_hdfs(cluster, Path::new(OUTPUT));
        let names: Vec<PathBuf> = files.list(Path::new(FOLDER)).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(names, [INPUT, OUTPUT].map(PathBuf::from));
        files.remove(Path::new(FOLDER)).unwrap();
        found
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    TaskExecutor,
    ApplicationMaster,
    NodeManager,
    Daemon(Daemon),
}

const VICTIMS: [Victim; 8] = [
    Victim::Worker,
    Victim::TaskExecutor,
    Victim::ApplicationMaster,
    Victim::NodeManager,
    Victim::Daemon(Daemon::ResourceManager),
    Victim::Daemon(Daemon::DataNode),
    Victim::Daemon(Daemon::DataNode2),
    Victim::Daemon(Daemon::NameNode),
];

/// An application of one job, and one kill.
#[derive(Clone, Copy, Debug)]
struct Round {
    case: Case,
    victim: Victim,
    /// Counted from the start of the client; and then there has to be a victim.
    after: Duration,
}

impl Round {
    fn run(self, cluster: &mut Cluster) {
        let expected = self.case.expected(cluster);
        let options = ["run", "-t", "yarn-per-job", "-Dyarn.application-attempts=2", "-p", "2", PROGRAM];
        let mut job = Running::start(flinkrs(cluster, &options).args(self.case.arguments()));
        sleep(self.after);
        self.kill(cluster, &mut job);
        let said = job.end();
        if let Victim::Daemon(daemon @ (Daemon::DataNode | Daemon::DataNode2)) = self.victim {
            cluster.start_daemon(daemon).unwrap();
        }
        assert_eq!(said.code, Some(0), "{self:?}: {}", said.err);
        assert!(self.case.given(cluster, &said) == expected, "{self:?}: another result");
        assert_eq!(applications(cluster), []);
        wait_until("the end of the client's processes", || clients(cluster).is_empty());
        nothing_is_left(cluster);
    }

    fn kill(self, cluster: &mut Cluster, job: &mut Running) {
        match self.victim {
            Victim::Worker => kill_one(cluster, job, Process::is_worker),
            Victim::TaskExecutor => kill_one(cluster, job, |process, _| process.is_executor()),
            Victim::ApplicationMaster => kill_one(cluster, job, |process, _| process.is_master()),
            Victim::NodeManager => {
                // Not the ApplicationMaster's: what then is left is the ResourceManager's to decide.
                wait_until("the ApplicationMaster", || has_master(cluster) || job.has_ended());
                let node = node_without_master(cluster);
                cluster.kill_node(node).unwrap();
                cluster.start_daemon(node).unwrap();
            }
            // One of two, which stays away.
            Victim::Daemon(daemon @ (Daemon::DataNode | Daemon::DataNode2)) => cluster.kill(daemon).unwrap(),
            Victim::Daemon(Daemon::NameNode) => restart(cluster, Daemon::NameNode, Duration::from_secs(20)),
            Victim::Daemon(daemon) => restart(cluster, daemon, Duration::ZERO),
        }
    }
}

fn has_master(cluster: &Cluster) -> bool {
    processes(cluster).iter().any(Process::is_master)
}

fn has_worker(cluster: &Cluster) -> bool {
    let all = processes(cluster);
    all.iter().any(|process| process.is_worker(&all))
}

/// Kills the first process that is one, as soon as there is one; unless the job has ended.
fn kill_one(cluster: &Cluster, job: &mut Running, is: impl Fn(&Process, &[Process]) -> bool) {
    wait_until("a process to kill", || {
        let all = processes(cluster);
        let victim = all.iter().find(|process| is(process, &all));
        // It may have ended just now.
        victim.is_some_and(|victim| cluster.kill_process(victim.id).is_ok()) || job.has_ended()
    });
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

fn round(cluster: &mut Cluster, case: Case, victim: Victim, after: u64) {
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
    round(cluster, CASES[0], Victim::Daemon(Daemon::ResourceManager), 2000);
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
        kill_one(cluster, &mut job, |process, _| process.is_master());
        let said = job.end().failed(4, &["application_", "has failed", "exited with"]);
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
        let report = report(cluster, said.application());
        assert_eq!(report.yarn_application_state(), YarnApplicationStateProto::Failed);
        nothing_is_left(cluster);
    }
    // A session's client that attends it says so, too.
    let mut attended = Running::start(&mut flinkrs(cluster, &["yarn-session"]));
    wait_until("the session", || !applications(cluster).is_empty() || attended.has_ended());
    kill_one(cluster, &mut attended, |process, _| process.is_master());
    attended.end().failed(4, &["application_", "has failed"]);
    nothing_is_left(cluster);
}

/// Random cases, victims and moments; as many rounds as `FLINKRS_KILLS` says, on a cluster with two DataNodes.
pub(crate) fn kills_at_random_moments(_: &mut Cluster) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Some(rounds) = number("FLINKRS_KILLS") else { return };
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
    let daemons = [&Daemon::ALL[..], &[Daemon::DataNode2]].concat();
    let mut cluster = Cluster::start(&daemons, &[("hdfs-site.xml", "dfs.replication", "2")]).unwrap();
    for _ in 0..rounds {
        let (case, victim, after) = (CASES[next(CASES.len())], VICTIMS[next(VICTIMS.len())], next(6000) as u64);
        println!("kill {victim:?} after {after} ms of {case:?}");
        round(&mut cluster, case, victim, after);
    }
    assert_eq!(cluster.stop(), Vec::<u32>::new());
}
