//! The `flinkrs` command: plans in every format, and what it says of programs that show none.

#[allow(dead_code, reason = "other tests use more of it")]
mod faults_process;

use faults_process::{Outcome, Place, entries, run};
use serde_json::Value;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_misbehave");

/// `flinkrs info ARGUMENTS`, in a folder of its own that must be empty afterwards.
fn info(arguments: &[&str]) -> Outcome {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flinkrs-command"));
    let outcome = run(command.arg("info").args(arguments).current_dir(place.path()));
    assert_eq!(entries(place.path()), ["sink", "temp"], "a plan that is only shown writes nothing");
    outcome
}

fn shown(arguments: &[&str]) -> String {
    let outcome = info(arguments);
    outcome.assert_done();
    outcome.stdout
}

#[test]
fn shows_a_plan_as_text() {
    let text = shown(&[PROGRAM, "sum-overflow"]);
    for word in ["plan 'misbehave'", "Sequence", "Sum(f1)", "PARTITION_HASH on [f0]", "cost"] {
        assert!(text.contains(word), "{word} in: {text}");
    }
}

#[test]
fn shows_a_plan_as_json() {
    let plan: Value = serde_json::from_str(&shown(&["--json", PROGRAM, "join"])).expect("it is JSON");
    let nodes = plan["nodes"].as_array().expect("a list of nodes");
    assert!(nodes.len() >= 5, "{plan:#}");
    let ids: Vec<&Value> = nodes.iter().map(|node| &node["id"]).collect();
    for node in nodes {
        assert!(node["id"].is_number() && node["pact"].is_string() && node["contents"].is_string(), "{node:#}");
        for input in node["predecessors"].as_array().into_iter().flatten() {
            assert!(ids.contains(&&input["id"]), "{input} of {node:#}");
        }
    }
}

#[test]
fn shows_a_plan_as_graph() {
    let graph = shown(&["--dot", PROGRAM, "sort"]);
    assert!(graph.starts_with("digraph plan {") && graph.ends_with("}\n"), "{graph}");
    assert!(graph.contains(" -> "), "{graph}");
    assert_eq!(graph.matches('{').count(), graph.matches('}').count(), "{graph}");
}

#[test]
fn shows_what_was_rejected() {
    let text = shown(&["--alternatives", PROGRAM, "join"]);
    for word in ["chosen:", "rejected:", "cost"] {
        assert!(text.contains(word), "{word} in: {text}");
    }
}

#[test]
fn shows_the_plan_of_a_later_execution() {
    assert!(shown(&[PROGRAM, "twice"]).contains("First"));
    let text = shown(&["--execution", "2", PROGRAM, "twice"]);
    assert!(text.contains("Second") && !text.contains("First"), "{text}");
}

#[test]
fn says_that_there_is_no_such_execution() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flinkrs-command"));
    command.args(["info", "--execution", "3", PROGRAM, "twice", "--output"]).arg(place.output());
    let message = "the program ended before its execution 3, so there is no plan to show (option --execution)";
    run(&mut command).assert_failed(2, message);
    let none = info(&[PROGRAM, "nothing"]);
    none.assert_failed(2, "the program ended before its execution 1, so there is no plan to show (option --execution)");
    let zero = info(&["--execution", "0", PROGRAM, "twice"]);
    assert_eq!(zero.code, 2, "{zero:?}");
    assert!(zero.stderr.starts_with("error: invalid value '0' for '--execution <N>'"), "{zero:?}");
}

#[test]
fn refuses_what_is_no_program() {
    let outcome = info(&["true"]);
    let message = "true is no program of flinkrs: it is an executable without the note that the library leaves; build \
                   it with the crate flinkrs";
    outcome.assert_failed(2, message);
    assert_eq!(outcome.stdout, "");
    let place = Place::new();
    let file = place.file("data", b"not a program");
    let file = file.to_str().expect("UTF-8");
    info(&[file]).assert_failed(2, &format!("{file} is no program of flinkrs: it is no executable for Linux (ELF)"));
}

#[test]
fn passes_arguments_on() {
    let text = shown(&[PROGRAM, "numbers", "--parallelism", "17"]);
    assert!(text.contains("parallelism 17"), "{text}");
}

#[test]
fn says_what_cannot_be_started() {
    let place = Place::new();
    let file = place.file("copy", &std::fs::read(PROGRAM).expect("reads"));
    let file = file.to_str().expect("UTF-8");
    info(&[file]).assert_failed(3, &format!("cannot start program {file}: Permission denied (os error 13)"));
    let missing = "cannot read /no/such/program: No such file or directory (os error 2)";
    info(&["/no/such/program"]).assert_failed(3, missing);
    let unknown = "cannot find program no-such-program: entity not found";
    info(&["no-such-program"]).assert_failed(3, unknown);
}

#[test]
fn leaves_a_programs_own_error_as_it_is() {
    info(&[PROGRAM, "early"]).assert_failed(3, "the program's own complaint");
    let missing = "cannot find nowhere: No such file or directory (os error 2)";
    info(&[PROGRAM, "text", "--input", "nowhere"]).assert_failed(3, missing);
    let aborted = format!("program {PROGRAM} ended by signal: 6 (SIGABRT)*");
    info(&[PROGRAM, "aborts"]).assert_failed(1, &aborted);
}

#[test]
fn wrong_options_get_the_usage() {
    for (arguments, problem) in [
        (vec!["info"], "required arguments were not provided"),
        (vec!["info", "--json", "--dot", PROGRAM], "cannot be used with"),
        (vec!["frobnicate"], "unrecognized subcommand 'frobnicate'"),
    ] {
        let outcome = run(Command::new(env!("CARGO_BIN_EXE_flinkrs-command")).args(&arguments));
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains(problem), "{outcome:?}");
        assert!(outcome.stderr.contains("Usage: "), "{outcome:?}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [vec!["--help"], vec!["--version"], vec!["info", "--help"]] {
        let outcome = run(Command::new(env!("CARGO_BIN_EXE_flinkrs-command")).args(&arguments));
        outcome.assert_done();
        assert!(outcome.stdout.contains("flinkrs") || outcome.stdout.contains("Usage"), "{outcome:?}");
    }
}
