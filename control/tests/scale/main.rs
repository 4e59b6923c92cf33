//! Jobs of thousands of subtasks: the right decisions, in memory that doesn't grow with pairs of subtasks.
//!
//! `bench --control` measures the same, and more of it.

mod harness;

use flinkrs_core::strategy::ExchangeMode;
use flinkrs_protocol::{JobState, TaskState};
use harness::{Cluster, all_to_all};

const MANY: u32 = 2_000;

#[test]
fn a_pipelined_shuffle_is_deployed_at_once_and_its_producers_are_encoded_once() {
    let mut cluster = Cluster::new(MANY, 1);
    cluster.submit(all_to_all(MANY, ExchangeMode::Pipelined));
    assert_eq!(cluster.running.len(), 2 * MANY as usize);
    assert_eq!(cluster.deployments, MANY as usize, "one deployment for each worker");
    assert_eq!(cluster.bytes_sent, MANY as usize * cluster.bytes_encoded, "all share the same bytes");
    for vertex in [0, 1] {
        cluster.report(vertex, TaskState::Running);
        cluster.report(vertex, TaskState::Finished);
    }
    assert_eq!(cluster.ended, Some(JobState::Finished));
}

#[test]
fn a_blocking_shuffle_is_deployed_in_two_waves() {
    let mut cluster = Cluster::new(MANY / 2, 2);
    cluster.submit(all_to_all(MANY, ExchangeMode::Blocking));
    assert_eq!(cluster.running.len(), MANY as usize);
    cluster.report(0, TaskState::Finished);
    assert!(cluster.running.keys().all(|id| id.vertex.0 == 1) && cluster.running.len() == MANY as usize);
    assert_eq!(cluster.bytes_sent, (MANY / 2) as usize * cluster.bytes_encoded);
    cluster.report(1, TaskState::Finished);
    assert_eq!(cluster.ended, Some(JobState::Finished));
}

#[test]
fn one_lost_task_executor_takes_along_what_it_has_and_no_more() {
    let mut cluster = Cluster::new(MANY / 2, 2);
    cluster.submit(all_to_all(MANY, ExchangeMode::Blocking));
    let event = cluster.lose("te7");
    cluster.tell(event);
    assert_eq!(cluster.cancelled, 0, "producers don't care for each other");
    cluster.pass(2_000);
    assert_eq!(cluster.running.len(), MANY as usize - 2, "there are no slots for the two that were lost");
    cluster.report(0, TaskState::Finished);
    assert_eq!(cluster.running.len(), 2, "now there are");
    cluster.report(0, TaskState::Finished);
    assert_eq!(cluster.running.len(), MANY as usize - 2, "two consumers wait for slots");
    cluster.report(1, TaskState::Finished);
    cluster.report(1, TaskState::Finished);
    assert_eq!(cluster.ended, Some(JobState::Finished));
}
