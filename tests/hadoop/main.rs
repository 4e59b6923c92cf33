//! The Hadoop client against real daemons: one cluster, and one scenario after another.
//!
//! `cargo test -p flinkrs-tests --test hadoop` runs all; names as arguments run those that contain one of them. Needs
//! Maven and Java, which are installed if that is possible; see `docs/hadoop.md`.

#![expect(clippy::print_stdout, reason = "it is its own test harness")]

mod applications;
mod faults;
mod files;
mod jobs;
mod outages;
mod support;

use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

type Scenario = (&'static str, fn(&mut Cluster));

const SCENARIOS: &[Scenario] = &[
    ("files_are_files", files::files_are_files),
    ("programs_are_staged", files::programs_are_staged),
    ("failures_are_said", files::failures_are_said),
    ("a_job_reads_and_writes", jobs::a_job_reads_and_writes),
    ("replaced_outputs_can_be_had_back", jobs::replaced_outputs_can_be_had_back),
    ("limits_of_the_cluster_are_said", jobs::limits_of_the_cluster_are_said),
    ("what_dead_jobs_left_is_removed", jobs::what_dead_jobs_left_is_removed),
    ("reads_outlive_data_nodes", outages::reads_outlive_data_nodes),
    ("writes_outlive_data_nodes", outages::writes_outlive_data_nodes),
    ("a_name_node_is_waited_for", outages::a_name_node_is_waited_for),
    ("the_cluster_is_described", applications::the_cluster_is_described),
    ("an_application_runs_on_both_nodes", applications::an_application_runs_on_both_nodes),
    ("connections_are_protected_as_asked", applications::connections_are_protected_as_asked),
    ("an_application_is_killed", applications::an_application_is_killed),
    ("tokens_are_those_of_hadoop", applications::tokens_are_those_of_hadoop),
    ("impossible_requests_are_typed_errors", faults::impossible_requests_are_typed_errors),
    ("wrong_tokens_are_refused", faults::wrong_tokens_are_refused),
    ("a_container_over_its_memory_is_killed", faults::a_container_over_its_memory_is_killed),
    ("a_manager_that_is_away_is_passed_over", faults::a_manager_that_is_away_is_passed_over),
    ("a_manager_that_hangs_costs_the_timeout", faults::a_manager_that_hangs_costs_the_timeout),
    ("a_container_of_a_lost_node_is_replaced", faults::a_container_of_a_lost_node_is_replaced),
    ("the_containers_of_a_dead_master_are_kept", faults::the_containers_of_a_dead_master_are_kept),
    ("the_manager_restarts_under_an_application", faults::the_manager_restarts_under_an_application),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == jobs::CHILD
    {
        return jobs::child(rest);
    }
    let names: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let started = Instant::now();
    let mut cluster = match Cluster::start(&Daemon::ALL, &[]) {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("the cluster is up after {:.1} s: {}", started.elapsed().as_secs_f64(), cluster.folder().display());
    let mut failed = Vec::new();
    for (name, scenario) in SCENARIOS.iter().filter(|(name, _)| is_chosen(name)) {
        let started = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| scenario(&mut cluster))).is_ok();
        let seconds = started.elapsed().as_secs_f64();
        println!("scenario {name} ... {} ({seconds:.1} s)", if passed { "ok" } else { "FAILED" });
        if !passed {
            failed.push(*name);
        }
    }
    let left = cluster.stop();
    if !left.is_empty() {
        println!("processes of containers were left: {left:?}");
        failed.push("nothing is left");
    }
    println!("{}", if failed.is_empty() { "all passed".to_owned() } else { format!("FAILED: {}", failed.join(", ")) });
    ExitCode::from(u8::from(!failed.is_empty()))
}
