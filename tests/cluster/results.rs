//! The same programs give the same results on a cluster as in one process, and leave nothing behind.

use crate::harness::{Cluster, assert_same, embedded, finish, text, wait_until};
use std::fs;

const CASES: [&[&str]; 6] = [
    &["sums"],
    &["sort"],
    &["components", "--records", "2000"],
    &["ranks", "--records", "500"],
    &["twice", "--records", "5000"],
    &["diamond", "--records", "400000"],
];

#[test]
fn results_are_those_of_one_process() {
    let cluster = Cluster::start(2);
    let blocking = ["-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING"];
    for case in CASES {
        let expected = text(&embedded(case));
        for options in [&[][..], &blocking] {
            let output = cluster.run(options, case);
            assert!(output.status.success(), "{case:?}: {}", text(&output.stderr));
            assert_same(&text(&output.stdout), &expected, &format!("{case:?} with {options:?}"));
            assert_eq!(text(&output.stderr), "", "{case:?} with {options:?}");
        }
    }
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn output_is_written_whole_by_workers() {
    let cluster = Cluster::start(2);
    let output = cluster.path().join("sums");
    let said = cluster.run(&[], &["sums", "--output", &output.display().to_string()]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let files: Vec<String> = (1..=2).map(|i| fs::read_to_string(output.join(i.to_string())).expect("a file")).collect();
    let mut lines: Vec<String> =
        files.iter().flat_map(|file| file.lines()).map(|line| line.replace(',', " ")).collect();
    let expected = text(&embedded(&["sums"]));
    let mut expected: Vec<String> = expected.lines().map(str::to_owned).collect();
    lines.sort();
    expected.sort();
    assert_same(&lines.join("\n"), &expected.join("\n"), "files");
    let again = cluster.run(&[], &["sums", "--output", &output.display().to_string()]);
    assert_eq!(again.status.code(), Some(3), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains("exists"), "{}", text(&again.stderr));
}

#[test]
fn a_job_can_be_detached_listed_and_cancelled() {
    let cluster = Cluster::start(2);
    let output = cluster.path().join("out").display().to_string();
    let said = cluster.run(&["-d"], &["hang", "--output", &output]);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let said = text(&said.stdout);
    let job = said.trim().rsplit(' ').next().expect("an id").to_owned();
    assert_eq!(said, format!("Job has been submitted with JobID {job}\n"));
    let listed = |which: &[&str]| text(&cluster.flinkrs("list", which).stdout);
    wait_until("the job runs", || listed(&["-r"]) == format!("{job} : clustered (RUNNING)\n"));
    let cancelled = cluster.flinkrs("cancel", &[&job]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    wait_until("the job is cancelled", || listed(&["-a"]) == format!("{job} : clustered (CANCELED)\n"));
    assert_eq!(listed(&[]), "No jobs.\n");
    let unknown = cluster.flinkrs("cancel", &["0123456789abcdef0123456789abcdef"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(text(&unknown.stderr), "error: there is no job 0123456789abcdef0123456789abcdef\n");
    assert!(!cluster.path().join("out").exists());
    let detached = cluster.run(&["-d"], &["sums"]);
    assert_eq!(detached.status.code(), Some(2));
    assert!(text(&detached.stderr).contains("can't collect, count or print"), "{detached:?}");
}

/// Workers are told to end before they have started.
#[test]
fn jobs_that_are_cancelled_at_once_leave_nothing() {
    let cluster = Cluster::start(2);
    let output = cluster.path().join("out").display().to_string();
    for _ in 0..8 {
        let said = cluster.run(&["-d"], &["hang", "--output", &output]);
        let job = text(&said.stdout).trim().rsplit(' ').next().expect("an id").to_owned();
        let cancelled = cluster.flinkrs("cancel", &[&job]);
        assert!(cancelled.status.success(), "{cancelled:?}");
    }
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
}

#[test]
fn what_functions_say_is_in_the_logs() {
    let cluster = Cluster::start(1);
    let output = cluster.run(&[], &["says"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("seven"), "it was said in a worker");
    let listed = text(&cluster.flinkrs("list", &["-a"]).stdout);
    let job = listed.split(' ').next().expect("an id").to_owned();
    let logs = text(&cluster.flinkrs("logs", &[&job]).stdout);
    assert!(logs.contains("a function says seven"), "{logs}");
}

#[test]
fn two_jobs_take_turns_in_one_slot() {
    let cluster = Cluster::start(1);
    let first = cluster.begin(&[], &["sums", "--slow", "20"]);
    let second = cluster.begin(&[], &["sums", "--slow", "20"]);
    let expected = text(&embedded(&["sums"]));
    for output in [finish(first), finish(second)] {
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_same(&text(&output.stdout), &expected, "one after the other");
    }
}

/// What a lost JobManager's start of the job has written is in nobody's way, and costs no restart.
#[test]
fn a_job_that_writes_outlives_its_jobmanager_without_a_restart() {
    let mut cluster = Cluster::with(2, &["restart-strategy.type=none"]);
    let output = cluster.path().join("sums");
    let running = cluster.begin(&[], &["sums", "--slow", "20", "--output", &output.display().to_string()]);
    let begun = || fs::read_dir(cluster.path()).expect("a folder").flatten().any(|entry| has_attempt(&entry.path()));
    wait_until("a subtask writes", begun);
    cluster.restart_jobmanager();
    let said = finish(running);
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert!(!text(&said.stderr).contains("restart 1"), "{}", text(&said.stderr));
    let lines: usize =
        (1..=2).map(|i| fs::read_to_string(output.join(i.to_string())).expect("a file").lines().count()).sum();
    assert_eq!(lines, text(&embedded(&["sums"])).lines().count());
}

/// A JobManager starts although the options of a job it has don't go together with the new ones of the cluster.
#[test]
fn a_job_comes_back_to_a_cluster_with_other_options() {
    let mut cluster = Cluster::start(1);
    let options = ["-D", "restart-strategy.exponential-delay.initial-backoff=30s"];
    let running = cluster.begin(&options, &["sums", "--slow", "20"]);
    wait_until("it runs", || text(&cluster.flinkrs("list", &["-r"]).stdout).contains("(RUNNING)"));
    cluster.set("restart-strategy.exponential-delay.max-backoff=2s");
    cluster.restart_jobmanager();
    let output = finish(running);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same(&text(&output.stdout), &text(&embedded(&["sums"])), "with the cluster's options");
    assert!(cluster.logs().contains("goes on without options of its own: "), "{}", cluster.logs());
}

/// Whether a folder is the hidden one of an output in which a subtask has made its first file.
fn has_attempt(folder: &std::path::Path) -> bool {
    let is_hidden = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".sums.flinkrs-"));
    is_hidden && ["1-0", "2-0"].iter().any(|name| folder.join(name).exists())
}
