//! Which regions run again.
//!
//! As in Flink's region failover: the regions that failed; the producers of what they read, where that is gone; and the
//! regions that read from any of these. What was on a lost TaskExecutor isn't gone while its successor may bring it.
//!
//! Unlike Flink, a consumer that has FINISHED is left alone when its producer writes the same to it again: a region
//! that had finished reads the same splits and partitions as before, and hash, custom and broadcast partitionings
//! depend on nothing else. A rebalanced edge depends on the order of records, and the bounds of a range partitioning on
//! a sample.

use crate::execution_graph::ExecutionGraph;
use crate::regions::{RegionId, is_forward};
use flinkrs_core::id::VertexId;
use flinkrs_core::strategy::ShipStrategy;
use flinkrs_protocol::{JobEdge, TaskState};
use std::collections::{BTreeMap, BTreeSet};

/// How far a region is, as far as restarts are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing of it has been placed.
    Waiting,
    /// It may be reading.
    Active,
    /// All of it has finished.
    Finished,
}

/// Adds to the regions that failed those that have to run again with them.
///
/// `is_settled` says of a region whether it has finished before: then it reads again what it has read.
/// Linear in the subtasks of these regions and their edges; an all-to-all edge is looked at twice at most.
pub(crate) fn restart_set(
    graph: &ExecutionGraph,
    failed: &BTreeSet<RegionId>,
    progress: impl Fn(RegionId) -> Progress,
    is_settled: impl Fn(RegionId) -> bool,
) -> BTreeSet<RegionId> {
    // By region, whether what it writes may differ from what it has written before.
    let mut set: BTreeMap<RegionId, bool> = failed.iter().map(|region| (*region, !is_settled(*region))).collect();
    let mut open: Vec<RegionId> = failed.iter().copied().collect();
    let (mut seen_into, mut seen_out_of) = (BTreeSet::new(), BTreeSet::new());
    while let Some(region) = open.pop() {
        let changed = set[&region];
        let mut found: Vec<(RegionId, bool)> = Vec::new();
        for (vertex, subtasks) in graph.regions.members(&graph.graph, region) {
            for (at, edge) in graph.inputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)) {
                let again = |subtask| lost(graph, edge.from, subtask).map(|region| (region, !is_settled(region)));
                if is_forward(edge) {
                    found.extend(subtasks.clone().filter_map(again));
                } else if seen_into.insert(at) && !graph.is_readable(edge, 0) {
                    found.extend((0..graph.parallelism(edge.from)).filter_map(again));
                }
            }
            for (at, edge) in graph.outputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)) {
                let other = changed || !is_repeatable(graph, region, edge);
                let again = |consumer: RegionId| match progress(consumer) {
                    // It is about to run again, on other input than those have seen who have read from it.
                    Progress::Waiting => (other && is_settled(consumer)).then_some((consumer, true)),
                    Progress::Active => Some((consumer, other || !is_settled(consumer))),
                    Progress::Finished => other.then_some((consumer, true)),
                };
                if is_forward(edge) {
                    found.extend(subtasks.clone().filter_map(|subtask| again(graph.regions.of(edge.to, subtask))));
                } else if seen_out_of.insert((at, other)) {
                    found.extend(graph.regions.of_vertex(edge.to).map(RegionId).filter_map(again));
                }
            }
        }
        for (region, changed) in found {
            let before = set.insert(region, changed || set.get(&region) == Some(&true));
            if before.is_none() || (changed && before == Some(false)) {
                open.push(region);
            }
        }
    }
    set.into_keys().collect()
}

/// The region of a subtask that has finished and whose results are gone for good.
fn lost(graph: &ExecutionGraph, vertex: VertexId, subtask: u32) -> Option<RegionId> {
    let execution = graph.execution(vertex, subtask);
    let lost = execution.state() == TaskState::Finished && execution.results.is_none() && execution.absent.is_none();
    lost.then(|| graph.regions.of(vertex, subtask))
}

/// Whether another run of a region writes the same records to the same consumers.
fn is_repeatable(graph: &ExecutionGraph, region: RegionId, edge: &JobEdge) -> bool {
    edge.ship != ShipStrategy::Rebalance && !graph.regions.component(region).unsteady
}

/// Whether anybody still has to read what a finished subtask has left; `is_stopping` says of a region that it will run
/// again, whatever its tasks have come to.
pub(crate) fn is_needed(
    graph: &ExecutionGraph,
    vertex: VertexId,
    subtask: u32,
    is_stopping: impl Fn(RegionId) -> bool,
) -> bool {
    graph.outputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)).any(|(_, edge)| {
        if is_forward(edge) {
            let unread = graph.execution(edge.to, subtask).state() != TaskState::Finished;
            unread || is_stopping(graph.regions.of(edge.to, subtask))
        } else {
            let unread = graph.count(edge.to, TaskState::Finished) < graph.parallelism(edge.to);
            unread || graph.regions.of_vertex(edge.to).map(RegionId).any(&is_stopping)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution_graph::{ExecutorInfo, Place};
    use crate::testing::{all_to_all, blocking, forward, graph};
    use crate::time::Timestamp;
    use flinkrs_protocol::WorkerId;
    use std::sync::Arc;

    fn finish(graph: &mut ExecutionGraph, vertex: u32) {
        let info = Arc::new(ExecutorInfo { id: "a".into(), host: "a".into(), data_address: "a:1".into() });
        for subtask in 0..graph.parallelism(VertexId(vertex)) {
            let place = Place { executor: subtask, info: Arc::clone(&info), slot: 0, worker: WorkerId(1) };
            graph.execution_mut(VertexId(vertex), subtask).place = Some(place);
            for state in [TaskState::Scheduled, TaskState::Deploying, TaskState::Running, TaskState::Finished] {
                graph.advance(VertexId(vertex), subtask, state, Timestamp(0));
            }
        }
    }

    /// Source → map → reduce, the reduce behind a blocking shuffle, the map and the source in chains of two.
    fn two_stages(ship: ShipStrategy) -> ExecutionGraph {
        let shuffle = JobEdge { ship, ..blocking(all_to_all(1, 2)) };
        let graph = graph(&[3, 3, 3], vec![forward(0, 1), shuffle]);
        let mut graph = ExecutionGraph::new(graph.into(), 1, Timestamp(0));
        finish(&mut graph, 0);
        finish(&mut graph, 1);
        graph
    }

    fn set(graph: &ExecutionGraph, failed: u32, progress: impl Fn(RegionId) -> Progress) -> Vec<u32> {
        let failed = BTreeSet::from([RegionId(failed)]);
        restart_set(graph, &failed, progress, |_| true).into_iter().map(|region| region.0).collect()
    }

    #[test]
    fn a_consumer_alone_runs_again_while_its_input_is_there() {
        let graph = two_stages(ShipStrategy::PartitionHash);
        assert_eq!(set(&graph, 4, |_| Progress::Active), [4]);
    }

    #[test]
    fn lost_input_is_made_again_and_whoever_reads_it_starts_over() {
        let mut graph = two_stages(ShipStrategy::PartitionHash);
        graph.lose_results(VertexId(1), 2);
        let progress =
            |region: RegionId| [Progress::Finished, Progress::Active, Progress::Active][region.0 as usize % 3];
        assert_eq!(set(&graph, 4, progress), [2, 4, 5], "what has finished stays");
        let mut graph = two_stages(ShipStrategy::Rebalance);
        graph.lose_results(VertexId(1), 2);
        assert_eq!(set(&graph, 4, progress), [2, 3, 4, 5], "records are dealt out anew");
    }

    #[test]
    fn consumers_of_a_region_that_had_not_finished_start_over() {
        let graph = two_stages(ShipStrategy::PartitionHash);
        let failed = BTreeSet::from([RegionId(0)]);
        for (settled, expected) in [(true, vec![0]), (false, vec![0, 3, 4, 5])] {
            let set = restart_set(&graph, &failed, |_| Progress::Finished, |_| settled);
            assert_eq!(set.into_iter().map(|region| region.0).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_nobody_reads_any_more_is_not_needed() {
        let mut graph = two_stages(ShipStrategy::PartitionHash);
        assert!(is_needed(&graph, VertexId(1), 0, |_| false));
        finish(&mut graph, 2);
        assert!(!is_needed(&graph, VertexId(1), 0, |_| false));
        assert!(is_needed(&graph, VertexId(1), 0, |_| true), "it is about to be read again");
    }
}
