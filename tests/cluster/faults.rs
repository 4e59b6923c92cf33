//! Programs that go wrong, and users who err: one message, one exit code, and nobody else is disturbed.

use crate::harness::{Cluster, PROGRAM, assert_same, embedded, finish, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

pub(crate) const COMMAND: &str = env!("CARGO_BIN_EXE_flinkrs-command");

pub(crate) fn flinkrs(arguments: &[&str]) -> Output {
    let mut command = Command::new(COMMAND);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("starts"))
}

pub(crate) fn assert_failed(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in: {said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
}

#[test]
fn a_panic_is_named_by_its_operator() {
    let cluster = Cluster::start(2);
    let output = cluster.run(&[], &["panic"]);
    assert_failed(&output, 1, &["operator 'Map'", "seven is too much"]);
}

#[test]
fn a_criterion_that_panics_fails_its_job_whoever_ends_the_superstep() {
    let cluster = Cluster::start(2);
    for late in ["criterion-after-first", "criterion-after-second"] {
        assert_failed(&cluster.run(&["-p", "2"], &[late]), 1, &["'BulkIteration'", "more supersteps than it likes"]);
    }
    cluster.wait_until_idle();
}

#[test]
fn a_process_that_dies_disturbs_no_other_job() {
    let cluster =
        Cluster::with(2, &["restart-strategy.fixed-delay.attempts=1", "restart-strategy.fixed-delay.delay=100ms"]);
    // Two slots: the neighbour takes one of them, and shares its TaskExecutor with nobody else's worker.
    let neighbour = cluster.begin(&["-p", "1"], &["sums", "--slow", "100"]);
    for (case, how) in [("abort", "was ended by signal 6"), ("exit", "exited with code 3")] {
        let output = cluster.run(&["-p", "1"], &[case]);
        assert_failed(&output, 4, &["worker", how]);
    }
    let neighbour = finish(neighbour);
    assert!(neighbour.status.success(), "{}", text(&neighbour.stderr));
    assert_same(&text(&neighbour.stdout), &text(&embedded(&["sums"])), "the neighbour");
}

/// Whoever notices first, the neighbours that lose a connection or the JobManager: how the process has ended is said.
#[test]
fn how_a_process_has_ended_is_said_although_others_notice_first() {
    let cluster = Cluster::with(2, &["restart-strategy.type=none"]);
    for (case, how) in [("abort", "was ended by signal 6"), ("exit", "exited with code 3")] {
        for _ in 0..5 {
            assert_failed(&cluster.run(&["-p", "2"], &[case]), 4, &["worker", "on TaskExecutor", how]);
        }
    }
}

#[test]
fn a_job_brings_options_of_its_own() {
    let cluster = Cluster::with(1, &["restart-strategy.fixed-delay.delay=0", "slot.request.timeout=1h"]);
    let options = ["-p", "1", "-D", "restart-strategy.fixed-delay.attempts=2", "-D", "heartbeat.timeout=10s"];
    let output = cluster.run(&options, &["abort"]);
    let words =
        ["attempt 2", "restart-strategy.fixed-delay.attempts is 2", "warning: heartbeat.timeout has no effect here"];
    assert_failed(&output, 4, &words);
    let options = ["-p", "100", "-D", "slot.request.timeout=200ms"];
    assert_failed(&cluster.run(&options, &["sums"]), 4, &["waited for 0.2 s (slot.request.timeout)"]);
}

#[test]
fn a_plan_that_differs_in_a_worker_is_named_by_operator() {
    let cluster = Cluster::start(2);
    let output = cluster.run(&[], &["differs"]);
    assert_failed(&output, 2, &["differs between the client and a worker", "'Copy' there", "'Sieve' here"]);
}

/// What a process knows and others don't is shipped, if it is told; and it shows if it isn't.
#[test]
fn a_value_is_made_once_for_all_processes() {
    let cluster = Cluster::start(2);
    for (case, same) in [("once", "true\n"), ("unshared", "false\n")] {
        let output = cluster.run(&[], &[case]);
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), (same, ""), "{case}");
        assert_eq!(text(&embedded(&[case])), "true\n");
    }
    let output = cluster.run(&[], &["curious"]);
    assert_failed(&output, 2, &["asks for value", "before execution 1"]);
}

#[test]
fn a_collect_has_the_limit_of_the_configuration() {
    let cluster = Cluster::start(1);
    let limited = ["-Dexecution.collect-limit=100kb"];
    let output = cluster.run(&limited, &["sort", "--records", "100000"]);
    assert_failed(&output, 4, &["collect"]);
    let output = cluster.run(&limited, &["sort", "--records", "100000", "--collect-limit", "1gb"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn slots_that_never_come_are_a_clear_error() {
    let cluster = Cluster::with(1, &["slot.request.timeout=1 s"]);
    let output = cluster.run(&["-p", "3"], &["sums"]);
    assert_failed(&output, 4, &["needs 3 slots", "1 TaskExecutor"]);
}

#[test]
fn nobody_answers_at_a_wrong_address() {
    let output = flinkrs(&["run", "-m", "127.0.0.1:1", PROGRAM, "sums"]);
    assert_failed(&output, 4, &["no JobManager answers at 127.0.0.1:1", "flinkrs cluster start"]);
    let output = flinkrs(&["list", "-m", "nowhere"]);
    assert_failed(&output, 2, &["'nowhere' is no address"]);
}

#[test]
fn a_cluster_that_others_can_reach_wants_a_secret() {
    let output = flinkrs(&["jobmanager", "-Djobmanager.bind-host=0.0.0.0", "-Djobmanager.rpc.port=0"]);
    assert_failed(&output, 2, &["jobmanager.bind-host is 0.0.0.0", "security.cluster-secret-file"]);
    let output = flinkrs(&["taskexecutor", "-Dtaskmanager.bind-host=0.0.0.0"]);
    assert_failed(&output, 2, &["taskmanager.bind-host is 0.0.0.0", "security.cluster-secret-file"]);
}

#[test]
fn a_secret_is_demanded_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, secret: &str| {
        let path = folder.path().join(name);
        fs::write(&path, secret).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("sets");
        format!("security.cluster-secret-file={}", path.display())
    };
    let right = write("right", "correct-horse-battery\n");
    let wrong = format!("-D{}", write("wrong", "wrong-horse-battery!\n"));
    let cluster = Cluster::unchecked(2, &[&right]);
    let known = format!("-D{right}");
    let output = cluster.run(&[&known], &["sums"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_failed(&cluster.run(&[], &["sums"]), 2, &["demands a secret"]);
    assert_failed(&cluster.run(&[&wrong], &["sums"]), 2, &["secret is another one"]);
    for entry in fs::read_dir(cluster.path()).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let content = text(&fs::read(&path).expect("reads"));
            assert!(!content.contains("correct-horse"), "{}", path.display());
        }
    }
    for process in fs::read_dir("/proc").expect("there is /proc").flatten() {
        for file in ["cmdline", "environ"] {
            let content = text(&fs::read(process.path().join(file)).unwrap_or_default());
            assert!(!content.contains("correct-horse"), "{}/{file}", process.path().display());
        }
    }
}

#[test]
fn wrong_options_name_what_is_meant() {
    let output = flinkrs(&["jobmanager", "-Djobmanager.rpc.prot=1"]);
    assert_failed(&output, 2, &["there is no option 'jobmanager.rpc.prot'", "'jobmanager.rpc.port'"]);
    let cluster = Cluster::start(1);
    let port = cluster.address.rsplit(':').next().expect("a port").to_owned();
    let output = flinkrs(&["jobmanager", &format!("-Djobmanager.rpc.port={port}")]);
    assert_failed(&output, 4, &["cannot listen on", "another JobManager may run there"]);
}
