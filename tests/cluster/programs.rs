//! Files that are no programs for this cluster: refused before anything runs, wherever they turn up.

use crate::faults::assert_failed;
use crate::harness::{Cluster, PROGRAM, text};
use crate::raw::Raw;
use flinkrs_protocol::{FailureKind, JobId};
use flinkrs_rpc::VERSION;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A GLIBC that no machine has.
const FUTURE: &[u8] = b"GLIBC_2.99\0";

/// The program of these tests with other bytes.
fn changed(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = fs::read(PROGRAM).expect("reads");
    change(&mut bytes);
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("is there")
}

/// For a machine that this isn't.
fn foreign(bytes: &mut [u8]) {
    let other: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    bytes[18..20].copy_from_slice(&other.to_le_bytes());
}

/// As if built with the next version.
fn newer(bytes: &mut [u8]) {
    let at = find(bytes, b"flinkrs\0") + 12;
    assert_eq!(&bytes[at..at + VERSION.len()], VERSION.as_bytes(), "the note is the first of that name");
    bytes[at] = b'9';
}

/// As if built where GLIBC is newer.
fn of_the_future(bytes: &mut [u8]) {
    let at = find(bytes, b"\0GLIBC_2.3") + 1;
    bytes[at..at + FUTURE.len()].copy_from_slice(FUTURE);
}

fn file(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets");
    path
}

#[test]
fn what_cannot_run_is_refused_before_anything_does() {
    let cluster = Cluster::start(1);
    let folder = tempfile::tempdir().expect("a folder");
    let proof = folder.path().join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", proof.display());
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        ("script", script.into_bytes(), &["is no program of flinkrs", "no executable for Linux (ELF)"]),
        ("echo", fs::read("/bin/echo").expect("reads"), &["is no program of flinkrs", "without the note"]),
        ("foreign", changed(foreign), &["is an executable for", "this machine is"]),
        ("newer", changed(newer), &["was built with flinkrs 9", &format!("this is flinkrs {VERSION}")]),
        ("future", changed(of_the_future), &["needs GLIBC 2.99, and this machine has GLIBC 2.", "musl"]),
    ];
    for (name, content, words) in cases {
        let path = file(&folder, name, &content);
        assert_failed(&cluster.run_file(&path, &["sums"]), 2, &[words, &[name]].concat());
        let local = Command::new(crate::faults::COMMAND)
            .args(["run", "-t", "local"])
            .arg(&path)
            .stderr(Stdio::piped())
            .output()
            .expect("runs");
        assert_failed(&local, 2, words);
    }
    assert!(!proof.exists(), "the script has run");
    assert_eq!(text(&cluster.flinkrs("list", &["-a"]).stdout), "No jobs.\n");
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn the_jobmanager_refuses_what_a_client_lets_through() {
    let cluster = Cluster::start(1);
    let raw = Raw::connect(&cluster.address);
    for (content, words) in [
        (b"#!/bin/sh\n".to_vec(), "no executable for Linux (ELF)"),
        (fs::read("/bin/echo").expect("reads"), "without the note"),
        (changed(foreign), "is an executable for"),
        (changed(newer), "was built with flinkrs 9"),
    ] {
        let refused = raw.upload(&content).expect_err("is refused");
        assert!(refused.message().contains(words), "{words}: {refused}");
    }
    let stored = fs::read_dir(cluster.path().join("store/artifacts")).expect("lists").map(|of| of.expect("is one"));
    let files: Vec<_> = stored.filter(|of| of.path().is_file()).map(|of| of.file_name()).collect();
    assert!(files.is_empty(), "what is refused is not kept: {files:?}");
    let artifact = raw.upload(&changed(of_the_future)).expect("some TaskExecutor may have it");
    let refused = raw.open(&artifact).expect_err("none has");
    for words in ["'raw' needs GLIBC 2.99, and TaskExecutor", "has GLIBC 2.", "musl"] {
        assert!(refused.message().contains(words), "{words}: {refused}");
    }
}

#[test]
fn a_taskexecutor_refuses_what_its_machine_cannot_run() {
    let mut cluster = Cluster::start(0);
    let raw = Raw::connect(&cluster.address);
    let artifact = raw.upload(&changed(of_the_future)).expect("is stored");
    let application = raw.open(&artifact).expect("there is no TaskExecutor that could object");
    let job = JobId(1);
    raw.submit(application, job).expect("waits for slots");
    cluster.add_executor();
    let failure = raw.failure(job);
    assert_eq!(failure.kind, FailureKind::Usage, "{failure}");
    for words in ["on TaskExecutor", "could not be started", "needs GLIBC 2.99, and this machine has GLIBC 2.", "musl"]
    {
        assert!(failure.message.contains(words), "{words}: {failure}");
    }
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn two_clients_with_the_same_job_id() {
    let cluster = Cluster::start(0);
    let (one, other) = (Raw::connect(&cluster.address), Raw::connect(&cluster.address));
    let artifact = one.upload(&fs::read(PROGRAM).expect("reads")).expect("is stored");
    let (first, second) = (one.open(&artifact).expect("opens"), other.open(&artifact).expect("opens"));
    let job = JobId(7);
    one.submit(first, job).expect("is the first");
    let refused = other.submit(second, job).expect_err("is the second");
    assert_eq!(refused.message(), format!("there is a job {job} already; its id has to be new"));
    let listed = text(&cluster.flinkrs("list", &["-a"]).stdout);
    assert_eq!(listed.lines().filter(|line| line.starts_with(&job.to_string())).count(), 1, "{listed}");
}

/// Workers that are told to end before they have started: none is waited for.
#[test]
fn jobs_that_are_cancelled_at_once_leave_nothing() {
    let cluster = Cluster::start(2);
    let raw = Raw::connect(&cluster.address);
    let artifact = raw.upload(&fs::read(PROGRAM).expect("reads")).expect("is stored");
    for number in 0..20 {
        let application = raw.open(&artifact).expect("opens");
        raw.submit(application, JobId(number)).expect("is accepted");
        raw.cancel(application, JobId(number));
    }
    cluster.assert_stopped_without_a_trace(&[]);
}
