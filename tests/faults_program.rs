//! Programs that ask for what can't be: plans, options and functions that are wrong.

use crate::faults_process::{Place, run};
use std::process::Command;

#[test]
fn parallelism_has_bounds() {
    for parallelism in ["0", "40000"] {
        let message = format!("parallelism is {parallelism}; it has to be between 1 and 32768 (option --parallelism)");
        Place::new().fails("numbers", &["--parallelism", parallelism], 2, &message);
    }
    Place::new().fails("no-subtask", &[], 2, "operator 'Nowhere' has parallelism 0; it has to be at least 1");
}

#[test]
fn memory_has_a_least_amount() {
    let message = "memory is 1.0 MB; it has to be at least 32.0 MB (option --memory)";
    Place::new().fails("numbers", &["--memory", "1mb"], 2, message);
}

#[test]
fn a_temp_folder_that_cannot_be_used_is_named_before_the_job_runs() {
    let place = Place::new();
    place.file("file", b"no folder");
    for (folder, reason) in
        [("nowhere", "No such file or directory (os error 2)"), ("file", "Not a directory (os error 20)")]
    {
        let folder = place.path().join(folder);
        let advice = "name a folder that exists and can be written with --temp-dir";
        let message = format!("cannot spill to {}: {reason}; {advice}", folder.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_misbehave"));
        // Numbers are never spilled.
        command.arg("numbers").arg("--temp-dir").arg(&folder).arg("--output").arg(place.output());
        run(&mut command).assert_failed(3, &message);
        place.assert_clean();
    }
}

#[test]
fn a_plan_needs_a_sink() {
    let message = "the program has no sink to run: write, collect, count or print a data set before executing";
    Place::new().fails("no-sink", &[], 2, message);
}

#[test]
fn a_wrong_option_gets_the_usage() {
    let wrong = [
        (vec!["numbers", "--frob"], "unexpected argument '--frob'", "Usage: misbehave"),
        (vec!["nothing-like-it"], "invalid value 'nothing-like-it'", "--help"),
        (vec![], "required arguments were not provided", "Usage: misbehave"),
        (vec!["numbers", "--memory", "lots"], "'lots' is not a size; write a number and kb, mb, gb or tb", "--help"),
        (vec!["numbers", "--parallelism", "-1"], "unexpected argument '-1'", "Usage: misbehave"),
        (vec!["numbers", "--parallelism", "two"], "invalid value 'two' for '--parallelism", "--help"),
    ];
    for (arguments, problem, help) in wrong {
        let outcome = run(Command::new(env!("CARGO_BIN_EXE_misbehave")).args(&arguments));
        outcome.assert_plain();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: "), "{outcome:?}");
        assert!(outcome.stderr.contains(problem) && outcome.stderr.contains(help), "{outcome:?}");
    }
}

#[test]
fn help_is_no_error() {
    let outcome = run(Command::new(env!("CARGO_BIN_EXE_misbehave")).arg("--help"));
    outcome.assert_done();
    for option in ["Usage: misbehave", "--parallelism", "--memory", "--temp-dir", "--progress", "--report"] {
        assert!(outcome.stdout.contains(option), "{option} in: {}", outcome.stdout);
    }
}

#[test]
fn a_sum_that_overflows_fails() {
    let message = "operator '*Sum(f1)*' (subtask */2): overflow in the sum of field 1: the total doesn't fit u8; map \
                   the field to a wider type first";
    Place::new().fails("sum-overflow", &[], 1, message);
}

#[test]
fn an_accumulator_has_one_kind() {
    let message = "accumulator 'n' is of two kinds in one job";
    Place::new().fails("two-accumulators", &[], 1, message);
    Place::new().fails("one-accumulator", &[], 1, &format!("operator 'Map' (subtask */2): {message}"));
}

#[test]
fn a_partitioner_stays_within_its_partitions() {
    let message =
        "operator 'Partition (Misdirect)' (subtask */2): the partitioner returned partition 7; it must be less than 2";
    Place::new().fails("partitioner", &[], 1, message);
}

#[test]
fn a_broadcast_set_that_is_not_there_is_named_beside_those_that_are() {
    let message = "operator 'Map' (subtask */2): there is no broadcast set 'rates'; there are: prices";
    Place::new().fails("broadcast-set", &[], 1, message);
}

#[test]
fn a_programs_own_error_is_printed_as_it_is() {
    Place::new().fails("early", &[], 3, "the program's own complaint");
}

#[test]
fn a_job_that_fails_leaves_the_output_of_the_one_before() {
    let place = Place::new();
    run(&mut place.misbehave("numbers", &[])).assert_done();
    let outcome = run(&mut place.misbehave("panic", &[]));
    assert_eq!(outcome.code, 3, "the output exists: {outcome:?}");
    place.assert_written();
    assert_eq!(place.lines().len(), 1000);
}
