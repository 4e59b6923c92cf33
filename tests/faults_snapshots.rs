//! Loops whose process is killed, and that go on in another one.

use crate::faults_process::{Outcome, Place, entries, run, start};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// After so many kills a run is left alone, so that the test ends on a busy machine, too.
const KILLS: u64 = 8;

fn components(place: &Place, resume: bool) -> Command {
    let snapshots = place.path().join("snapshots");
    let mut arguments = vec!["--records", "60", "--overwrite", "--every", "5", "--loop-snapshot"];
    arguments.push(snapshots.to_str().expect("UTF-8"));
    arguments.extend(resume.then_some("--resume"));
    place.misbehave("components", &arguments)
}

fn answer(place: &Place) -> Vec<String> {
    let mut lines = place.lines();
    lines.sort();
    lines
}

/// Numbers that follow from a seed and look random.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    *state >> 33
}

/// Kills the program at moments that follow from `seed`, the first of them when there is a snapshot, and starts it
/// again until it finishes.
fn kill_and_resume(seed: u64, undisturbed: Duration) -> (Place, Outcome) {
    let (place, mut state) = (Place::new(), seed);
    let manifest = place.path().join("snapshots/flinkrs-job-1/loop-1/manifest");
    let mut running = start(&mut components(&place, false));
    running.wait_for("there is a snapshot", || manifest.exists());
    for _ in 0..KILLS {
        let moment = undisturbed.as_micros() as u64;
        thread::sleep(Duration::from_micros(random(&mut state) % moment));
        running.signal("KILL");
        let outcome = running.finish();
        if outcome.code == 0 {
            return (place, outcome);
        }
        assert_eq!(outcome.code, 137, "seed {seed}: {outcome:?}");
        assert!(manifest.exists() || place.output().exists(), "seed {seed}: there is nothing to go on from");
        running = start(&mut components(&place, true));
    }
    let outcome = running.finish();
    (place, outcome)
}

#[test]
fn a_killed_loop_goes_on_and_has_the_same_answer() {
    let place = Place::new();
    let begun = Instant::now();
    run(&mut components(&place, false)).assert_done();
    let (expected, undisturbed) = (answer(&place), begun.elapsed());
    assert_eq!(expected.len(), 3600);
    for seed in 1..=5 {
        let (place, outcome) = kill_and_resume(seed, undisturbed);
        assert_eq!(outcome.code, 0, "seed {seed}: {outcome:?}");
        assert!(answer(&place) == expected, "seed {seed}");
        assert_eq!(entries(&place.path().join("snapshots")), [""; 0], "a job that has succeeded needs nothing");
    }
}

#[test]
fn without_a_snapshot_a_program_says_that_it_begins_anew() {
    let place = Place::new();
    let outcome = run(&mut components(&place, true));
    let folder = place.path().join("snapshots/flinkrs-job-1");
    let said = format!("loop 'Components' has no snapshot in {} and begins anew\n", folder.display());
    assert_eq!((outcome.code, outcome.stderr), (0, said));
}

#[test]
fn options_of_snapshots_need_their_folder() {
    let place = Place::new();
    for option in [&["--resume"][..], &["--every", "3"]] {
        let outcome = run(&mut place.misbehave("components", option));
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.contains("--loop-snapshot <DIR>"), "{outcome:?}");
    }
}
