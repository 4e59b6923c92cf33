//! Signals: the job ends soon, by itself, and leaves nothing.

use crate::faults_process::{Outcome, Place, Running, entries, start};
use std::fs;
use std::time::{Duration, Instant};

/// Much longer than the second that a cancellation may take, since the machine may be busy; much shorter than the job,
/// and than the ten seconds after which user code is left behind.
const SOON: Duration = Duration::from_secs(8);

/// A sort that takes minutes if nobody stops it.
const LONG: [&str; 4] = ["--records", "400000000", "--memory", "32mb"];

fn ends_soon(running: Running, signal: &str) -> Outcome {
    let sent = Instant::now();
    running.signal(signal);
    let outcome = running.finish();
    assert!(sent.elapsed() < SOON, "it took {:?}", sent.elapsed());
    outcome
}

#[test]
fn a_spilling_job_ends_at_a_signal_and_leaves_nothing() {
    for (case, signal, code, number) in
        [("sort", "TERM", 143, 15), ("sort", "INT", 130, 2), ("group", "TERM", 143, 15), ("join", "INT", 130, 2)]
    {
        let place = Place::new();
        let mut running = start(&mut place.misbehave(case, &LONG));
        running.wait_for_open_file(&place.temp());
        let outcome = ends_soon(running, signal);
        assert_eq!(outcome.stderr, format!("cancelled by signal {number}\n"), "{case}");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{case}");
        place.assert_clean();
    }
}

#[test]
fn a_job_that_writes_already_ends_at_a_signal_and_leaves_nothing() {
    let place = Place::new();
    let mut running = start(&mut place.misbehave("sort", &["--records", "6000000", "--memory", "32mb"]));
    let sink = place.sink();
    running.wait_for("its output grows", || {
        let hidden = entries(&sink).into_iter().map(|name| sink.join(name));
        let files = hidden.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
    });
    let outcome = ends_soon(running, "TERM");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (143, "cancelled by signal 15\n"));
    place.assert_clean();
}

#[test]
fn a_job_of_many_subtasks_ends_at_a_signal() {
    let place = Place::new();
    let mut arguments = LONG.to_vec();
    arguments.extend(["--parallelism", "200"]);
    let mut running = start(&mut place.misbehave("sort", &arguments));
    running.wait_for_open_file(&place.temp());
    let outcome = ends_soon(running, "TERM");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (143, "cancelled by signal 15\n"));
    place.assert_clean();
}

/// Nothing can be done at SIGKILL, so nothing may have to be: spill files have no name. The hidden output stays, and
/// goes with the next job that writes there.
#[test]
fn a_killed_process_leaves_no_spilled_data() {
    let place = Place::new();
    let mut running = start(&mut place.misbehave("sort", &LONG));
    running.wait_for_open_file(&place.temp());
    running.signal("KILL");
    assert_eq!(running.finish().code, 137);
    assert_eq!(entries(&place.temp()), [""; 0]);
    assert!(!place.output().exists());
    start(&mut place.misbehave("numbers", &[])).finish().assert_done();
    place.assert_written();
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let place = Place::new();
    let mut running = start(&mut place.misbehave("hang", &[]));
    running.wait_for("it runs", || !entries(&place.sink()).is_empty());
    running.signal("TERM");
    // Two of a kind that come before the process looks would be one.
    let outcome = ends_soon(running, "INT");
    assert!([130, 143].contains(&outcome.code) && outcome.stderr.is_empty(), "{outcome:?}");
}

#[test]
fn a_function_that_never_returns_is_left_behind_and_named() {
    let place = Place::new();
    let mut running = start(&mut place.misbehave("hang", &[]));
    running.wait_for("it runs", || !entries(&place.sink()).is_empty());
    running.wait_for_thread("worker-0");
    running.signal("TERM");
    let message = "user code in '*Sleeper*' didn't return within 10 s after the job was stopped";
    running.finish().assert_failed(143, message);
    place.assert_clean();
}

#[test]
fn a_function_that_never_returns_does_not_hide_why_the_job_failed() {
    let message = "user code in '*Sleeper*' didn't return within 10 s after the job was stopped: operator 'Unlucky' \
                   (subtask */2): user code panicked at *: 13 is an unlucky number";
    Place::new().fails("hang-and-panic", &[], 1, message);
}
