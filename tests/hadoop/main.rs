//! The Hadoop client against real daemons: one cluster, and one scenario after another; then the same with Kerberos.
//!
//! `cargo test -p flinkrs-tests --test hadoop` runs all; names as arguments run those that contain one of them. Needs
//! Maven and Java, which are installed if that is possible; see `docs/hadoop.md`.

#![expect(clippy::print_stdout, reason = "it is its own test harness")]

mod applications;
mod faults;
mod files;
mod jobs;
mod outages;
mod secured;
mod support;
mod yarn;

use flinkrs_tests::hadoop::{Cluster, Daemon, Property};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;
use yarn::{access, kills, memory, mistakes, results, sessions};

/// Queues beside the default one: one that nothing fits into, and one that takes nothing.
const QUEUES: &[Property] = &[
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.queues", "default,small,stopped"),
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.default.capacity", "98"),
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.small.capacity", "1"),
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.small.maximum-capacity", "1"),
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.stopped.capacity", "1"),
    ("capacity-scheduler.xml", "yarn.scheduler.capacity.root.stopped.state", "STOPPED"),
];

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
    ("a_silent_writer_is_kept", outages::a_silent_writer_is_kept),
    ("a_name_node_is_waited_for", outages::a_name_node_is_waited_for),
    ("the_cluster_is_described", applications::the_cluster_is_described),
    ("the_cluster_is_shown", sessions::the_cluster_is_shown),
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
    ("examples_run_in_a_session", results::examples_run_in_a_session),
    ("examples_run_per_job", results::examples_run_per_job),
    ("examples_run_as_applications", results::examples_run_as_applications),
    ("detached_output_is_there_at_the_end", results::detached_output_is_there_at_the_end),
    ("idle_containers_are_given_back", sessions::idle_containers_are_given_back),
    ("no_container_is_asked_for_twice", sessions::no_container_is_asked_for_twice),
    ("shipped_files_are_there", sessions::shipped_files_are_there),
    ("a_session_is_found_and_ended", sessions::a_session_is_found_and_ended),
    ("what_killed_sessions_left_is_removed", sessions::what_killed_sessions_left_is_removed),
    ("the_page_is_for_looking", access::the_page_is_for_looking),
    ("the_secret_is_kept", access::the_secret_is_kept),
    ("sessions_of_others_are_closed", mistakes::sessions_of_others_are_closed),
    ("impossible_containers_are_refused", mistakes::impossible_containers_are_refused),
    ("queues_are_checked", mistakes::queues_are_checked),
    ("waiting_clients_can_be_ended", mistakes::waiting_clients_can_be_ended),
    ("missing_daemons_are_named", mistakes::missing_daemons_are_named),
    ("staging_that_fails_is_said", mistakes::staging_that_fails_is_said),
    ("a_killed_application_is_said", mistakes::a_killed_application_is_said),
    ("programs_that_fail_are_said", mistakes::programs_that_fail_are_said),
    ("a_sort_keeps_to_its_container", memory::a_sort_keeps_to_its_container),
    ("a_killed_worker_changes_no_result", kills::a_killed_worker_changes_no_result),
    ("a_killed_container_changes_no_result", kills::a_killed_container_changes_no_result),
    ("a_killed_master_is_said", kills::a_killed_master_is_said),
    ("a_replaced_master_changes_no_result", kills::a_replaced_master_changes_no_result),
    // Containers have other names after a restart of the ResourceManager.
    ("the_manager_restarts_under_an_application", faults::the_manager_restarts_under_an_application),
    ("a_restarted_resourcemanager_changes_no_result", kills::a_restarted_resourcemanager_changes_no_result),
    ("a_lost_node_changes_no_result", kills::a_lost_node_changes_no_result),
    ("kills_at_random_moments", kills::kills_at_random_moments),
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
    let chosen = |all: &[Scenario]| all.iter().copied().filter(|(name, _)| is_chosen(name)).collect::<Vec<_>>();
    let of_realm = chosen(secured::SCENARIOS);
    if let Some(realm) = secured::realm() {
        return run(&of_realm, || secured::cluster(&realm));
    }
    let plain = chosen(SCENARIOS);
    let mut code = ExitCode::SUCCESS;
    if !plain.is_empty() {
        code = run(&plain, || Cluster::start(&Daemon::ALL, QUEUES));
    }
    if !of_realm.is_empty() && !secured::run_in_realm(&names) {
        code = ExitCode::FAILURE;
    }
    code
}

/// Starts a cluster and runs scenarios on it.
fn run(scenarios: &[Scenario], start: impl FnOnce() -> Result<Cluster, String>) -> ExitCode {
    let started = Instant::now();
    let mut cluster = match start() {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("the cluster is up after {:.1} s: {}", started.elapsed().as_secs_f64(), cluster.folder().display());
    let mut failed = Vec::new();
    for (name, scenario) in scenarios {
        let started = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| scenario(&mut cluster))).is_ok();
        let seconds = started.elapsed().as_secs_f64();
        println!("scenario {name} ... {} ({seconds:.1} s)", if passed { "ok" } else { "FAILED" });
        if !passed {
            // What it has left would keep others from passing.
            yarn::harness::kill_all(&cluster);
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
