//! Programs on a secured YARN.

use super::{RENEWAL_SECONDS, keytab_options, realm};
use crate::files::write;
use crate::support::{conf, hdfs, wait_until};
use crate::yarn::harness::*;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::{ApplicationIdProto, FinalApplicationStatusProto};
use flinkrs_hadoop::token::{Credentials, Token};
use flinkrs_tests::hadoop::Cluster;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where jobs find their input, and how many numbers that has.
const INPUT: &str = "hdfs:///user/ann/numbers";
const NUMBERS: u64 = 40_000;

pub(super) fn make_input(cluster: &Cluster) {
    let text: String = (0..NUMBERS).map(|n| format!("{n}\n")).collect();
    write(&hdfs(cluster), Path::new(INPUT), text.as_bytes());
}

/// What such a job writes: the sum of the numbers with each key.
pub(super) fn expected() -> Vec<String> {
    let mut sums = std::collections::BTreeMap::new();
    (0..NUMBERS).for_each(|n| *sums.entry(n * 7919 % 1009).or_insert(0) += n);
    let mut lines: Vec<String> = sums.iter().map(|(key, sum)| format!("{key},{sum}")).collect();
    lines.sort();
    lines
}

/// The arguments of a job that sums numbers from HDFS to HDFS.
pub(super) fn sums(output: &str) -> Vec<&str> {
    vec![PROGRAM, "sums", "--input", INPUT, "--output", output]
}

/// The sorted lines of an output on HDFS, which is removed.
pub(super) fn take_output(cluster: &Cluster, output: &str) -> Vec<String> {
    let (files, output) = (hdfs(cluster), Path::new(output));
    let status = files.status(output).unwrap();
    let parts = if status.is_dir { files.list(output).unwrap() } else { vec![status] };
    let mut lines = Vec::new();
    for part in parts {
        assert_eq!(files.details(&part.path).unwrap().owner, "ann");
        let mut text = String::new();
        files.open(&part.path, 0).unwrap().read_to_string(&mut text).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    files.remove(output).unwrap();
    lines
}

/// In one process, per job and as application: from HDFS to HDFS, by tickets and by keys.
pub(crate) fn jobs_read_and_write(cluster: &mut Cluster) {
    make_input(cluster);
    let output = "hdfs:///user/ann/sums";
    let keytab = keytab_options(&realm().unwrap().keytab("ann"), "ann");
    let keytab = keytab.each_ref().map(String::as_str);
    for (target, parallelism) in [("local", "2"), ("yarn-per-job", "2"), ("yarn-application", "1")] {
        let by_tickets: &[&str] = &[];
        for options in [by_tickets, &keytab] {
            let arguments = [&["run", "-t", target, "-p", parallelism], options, &sums(output)].concat();
            let mut command = flinkrs(cluster, &arguments);
            if !options.is_empty() {
                command.env("KRB5CCNAME", "FILE:/no/tickets");
            }
            let said = run(&mut command).ok();
            assert_eq!(take_output(cluster, output), expected(), "{arguments:?}: {said:?}");
            if target != "local" {
                let report = report(cluster, said.application());
                assert_eq!((report.user(), report.final_application_status()), ("ann", SUCCEEDED), "{said:?}");
            }
        }
    }
    // Another HDFS, as far as an application can see: tokens are for addresses, whatever a path calls the host.
    let by_name = conf(cluster).get("fs.defaultFS").unwrap().unwrap().replace("127.0.0.1", "localhost");
    let (input, named) = (format!("{by_name}/user/ann/numbers"), format!("{by_name}/user/ann/sums"));
    let run = |file_systems: &str| {
        let option = format!("-Dsecurity.kerberos.access.hadoopFileSystems={file_systems}");
        let job = [PROGRAM, "sums", "--input", &input, "--output", &named];
        said(cluster, &[&["run", "-t", "yarn-per-job", "-p", "1", &option], &job[..]].concat())
    };
    run(&by_name).ok();
    assert_eq!(take_output(cluster, output), expected());
    run("s3://bucket").failed(2, &["security.kerberos.access.hadoopFileSystems names 's3://bucket'"]);
    nothing_is_left(cluster);
}

const SUCCEEDED: FinalApplicationStatusProto = FinalApplicationStatusProto::AppSucceeded;

/// A session runs jobs for longer than a token is good for without being renewed; nothing of the token is to be seen.
pub(crate) fn sessions_outlive_renewals(cluster: &mut Cluster) {
    make_input(cluster);
    let id = session(cluster, &["-s", "2"]);
    let (first, second) = ("hdfs:///user/ann/first", "hdfs:///user/ann/second");
    let since = Instant::now();
    // Each thousandth number takes that many milliseconds.
    let slow = ((2 * RENEWAL_SECONDS + 3) * 1000 / (NUMBERS / 1000)).to_string();
    let arguments = [&["run", "-p", "1"][..], &sums(first), &["--slow", &slow]].concat();
    let job = Running::start(&mut flinkrs(cluster, &arguments));
    wait_until("the workers", || {
        let all = processes(cluster);
        all.iter().filter(|process| process.is_worker(&all)).count() == 1
    });
    nothing_shows(cluster, &job);
    said(cluster, &[&["run", "-p", "1"][..], &sums(second)].concat()).ok();
    assert_eq!(take_output(cluster, second), expected());
    job.end().ok();
    assert!(since.elapsed().as_secs() > 2 * RENEWAL_SECONDS, "{:?}", since.elapsed());
    assert_eq!(take_output(cluster, first), expected());
    assert!(renewals(cluster, id) >= 2, "{}", renewals(cluster, id));
    said(cluster, &[&["run", "-p", "1"][..], &sums(second)].concat()).ok();
    assert_eq!(take_output(cluster, second), expected());
    stop(cluster, id);
    let is_cancelled = |line: &str| line.contains("Cancelling token for ann");
    wait_until("the end of the token", || log(cluster, "resourcemanager").lines().any(is_cancelled));
}

/// How often YARN has renewed the tokens of an application.
fn renewals(cluster: &Cluster, id: ApplicationIdProto) -> usize {
    let id = id.to_string();
    let is_renewal = |line: &&str| line.contains("Renewed delegation-token") && line.contains(&id);
    log(cluster, "resourcemanager").lines().filter(is_renewal).count()
}

fn log(cluster: &Cluster, daemon: &str) -> String {
    fs::read_to_string(cluster.folder().join("logs").join(daemon).with_extension("log")).unwrap()
}

/// Tokens' passwords are in no argument, environment or log; and containers have no other way to log in.
fn nothing_shows(cluster: &Cluster, job: &Running) {
    let all = processes(cluster);
    let tokens: Vec<Token> = all.iter().flat_map(|process| tokens_of(&process.place)).collect();
    let of_hdfs = tokens.iter().filter(|token| token.kind == "HDFS_DELEGATION_TOKEN").count();
    assert!(of_hdfs >= 2, "{tokens:?}");
    let shows = |content: &[u8]| tokens.iter().any(|token| holds(content, &token.password));
    for id in all.iter().map(|process| process.id).chain([job.child.id()]) {
        for of_process in ["environ", "cmdline"] {
            let content = fs::read(format!("/proc/{id}/{of_process}")).unwrap();
            assert!(!shows(&content), "it is in the {of_process} of process {id}");
            assert!(id == job.child.id() || !holds(&content, b"KRB5"), "process {id} knows a ticket cache");
        }
    }
    for path in logs(cluster) {
        assert!(!shows(&fs::read(&path).unwrap_or_default()), "it is in {}", path.display());
    }
}

pub(super) fn tokens_of(container: &Path) -> Vec<Token> {
    let found = Credentials::load(&container.join("container_tokens"));
    found.map(|found| found.tokens.into_values().collect()).unwrap_or_default()
}

/// Whether a password is there, as it is or as texts show bytes.
fn holds(content: &[u8], secret: &[u8]) -> bool {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let spaced: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let listed: Vec<String> = secret.iter().map(u8::to_string).collect();
    let shown = [secret.to_vec(), hex.into_bytes(), spaced.join(" ").into_bytes(), listed.join(", ").into_bytes()];
    shown.iter().any(|form| !form.is_empty() && content.windows(form.len()).any(|part| part == form))
}

/// The logs of daemons and containers.
fn logs(cluster: &Cluster) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![cluster.folder().join("logs"), cluster.folder().join("data")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) if entry.path().components().any(|part| part.as_os_str() == "logs") => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}

/// An ApplicationMaster that is started again has the token of the one before, and so have its containers.
pub(crate) fn masters_are_replaced(cluster: &mut Cluster) {
    make_input(cluster);
    let output = "hdfs:///user/ann/replaced";
    let options = ["run", "-t", "yarn-per-job", "-p", "2", "-Dyarn.application-attempts=2"];
    let arguments = [&options[..], &sums(output), &["--slow", "200"]].concat();
    let job = Running::start(&mut flinkrs(cluster, &arguments));
    wait_until("the workers", || {
        let all = processes(cluster);
        all.iter().any(|process| process.is_worker(&all))
    });
    let master = processes(cluster).into_iter().find(Process::is_master).unwrap();
    cluster.kill_process(master.id).unwrap();
    let said = job.end().ok();
    assert_eq!(take_output(cluster, output), expected(), "{said:?}");
    assert_eq!(report(cluster, said.application()).current_application_attempt_id.unwrap().attempt_id(), 2);
    nothing_is_left(cluster);
}
