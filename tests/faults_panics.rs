//! Panics in user functions: the message names operator, subtask, place and the panic's own words.

use crate::faults_process::{Place, run};

const WORDS: &str = "user code panicked at tests/programs/panics.rs:*: 13 is an unlucky number";

/// What a panic in `place` says.
fn says(place: &str, message: &str) {
    Place::new().fails("panic", &["--place", place], 1, message);
}

#[test]
fn in_every_kind_of_function() {
    let places = ["map", "flat-map", "filter", "map-batches", "map-partition", "reduce-group", "cross", "co-group"];
    for place in places.into_iter().chain(["join", "chained", "open"]) {
        says(place, &format!("operator 'Unlucky' (subtask */2): {WORDS}"));
    }
}

#[test]
fn in_a_combiner() {
    for place in ["reduce", "combine"] {
        says(place, &format!("operator 'Combine (Unlucky)' (subtask */2): {WORDS}"));
    }
}

/// These run in the task that sends the records, but belong to the operator that gets them.
#[test]
fn in_a_key_selector_or_partitioner() {
    for place in ["key", "group-key", "join-key", "partitioner"] {
        says(place, &format!("operator 'Partition (Unlucky)' (subtask */2): {WORDS}"));
    }
}

#[test]
fn with_a_value_that_is_no_text() {
    says("value", "operator 'Unlucky' (subtask */2): user code panicked at *: a value that isn't text");
}

#[test]
fn with_a_message_of_several_lines() {
    says("lines", "operator 'Unlucky' (subtask */2): user code panicked at *: first line\nsecond line");
}

#[test]
fn with_one_subtask_and_with_many() {
    for parallelism in ["1", "64"] {
        let message = format!("operator 'Unlucky' (subtask */{parallelism}): {WORDS}");
        Place::new().fails("panic", &["--parallelism", parallelism], 1, &message);
    }
}

#[test]
fn after_data_was_spilled() {
    let place = Place::new();
    let arguments = ["--place", "reduce-group", "--records", "3000000", "--memory", "32mb"];
    place.fails("panic", &arguments, 1, &format!("operator 'Unlucky' (subtask */2): {WORDS}"));
}

#[test]
fn in_a_program_that_shows_progress() {
    let place = Place::new();
    let outcome = run(&mut place.misbehave("panic", &["--progress"]));
    outcome.assert_failed(1, &format!("operator 'Unlucky' (subtask */2): {WORDS}"));
    place.assert_clean();
}
