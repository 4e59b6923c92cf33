//! Which regions run again.
//!
//! As in Flink's region failover: the regions that failed; the producers of what they read, where that is gone; and the
//! regions that read from any of these. Unlike Flink, a consumer that has FINISHED is left alone when its producer
//! writes the same to it again: a producer reads the same splits and partitions as before, and hash, custom and broadcast
//! partitionings depend on nothing else. A rebalanced edge depends on the order of records, and the bounds of a range
//! partitioning on a sample.

use crate::execution_graph::ExecutionGraph;
use crate::regions::{RegionId, is_forward};
use flinkrs_core::id::VertexId;
use flinkrs_core::strategy::{Part, ShipStrategy};
use flinkrs_protocol::{JobEdge, JobGraph, TaskState};
use std::collections::BTreeSet;

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
/// Linear in the subtasks of these regions and their edges; an all-to-all edge is looked at once.
pub(crate) fn restart_set(
    graph: &ExecutionGraph,
    failed: &BTreeSet<RegionId>,
    progress: impl Fn(RegionId) -> Progress,
) -> BTreeSet<RegionId> {
    let mut set = failed.clone();
    let mut open: Vec<RegionId> = failed.iter().copied().collect();
    let (mut seen_into, mut seen_out_of) = (BTreeSet::new(), BTreeSet::new());
    while let Some(region) = open.pop() {
        let mut found = Vec::new();
        for (vertex, subtasks) in graph.regions.members(&graph.graph, region) {
            for (at, edge) in graph.inputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)) {
                if is_forward(edge) {
                    found.extend(subtasks.clone().filter_map(|subtask| lost(graph, edge.from, subtask)));
                } else if seen_into.insert(at) && !graph.is_readable(edge, 0) {
                    let producers = 0..graph.parallelism(edge.from);
                    found.extend(producers.filter_map(|subtask| lost(graph, edge.from, subtask)));
                }
            }
            for (at, edge) in graph.outputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)) {
                let reads = |consumer: &RegionId| match progress(*consumer) {
                    Progress::Waiting => false,
                    Progress::Active => true,
                    Progress::Finished => !is_repeatable(&graph.graph, edge),
                };
                if is_forward(edge) {
                    let consumers = subtasks.clone().map(|subtask| graph.regions.of(edge.to, subtask));
                    found.extend(consumers.filter(reads));
                } else if seen_out_of.insert(at) {
                    found.extend(graph.regions.of_vertex(edge.to).map(RegionId).filter(reads));
                }
            }
        }
        open.extend(found.into_iter().filter(|region| set.insert(*region)));
    }
    set
}

/// The region of a subtask that has finished and whose results are gone.
fn lost(graph: &ExecutionGraph, vertex: VertexId, subtask: u32) -> Option<RegionId> {
    let execution = graph.execution(vertex, subtask);
    let lost = execution.state() == TaskState::Finished && execution.results.is_none();
    lost.then(|| graph.regions.of(vertex, subtask))
}

/// Whether another attempt of the producers writes the same records to the same consumers.
fn is_repeatable(graph: &JobGraph, edge: &JobEdge) -> bool {
    let bounds = |part: &Part| matches!(part, Part::RangeBounds { .. });
    let chain = &graph.vertices[edge.from.0 as usize].chain;
    edge.ship != ShipStrategy::Rebalance && !chain.iter().any(|of| bounds(&of.part))
}

/// Whether anybody still has to read what a finished subtask has left.
pub(crate) fn is_needed(graph: &ExecutionGraph, vertex: VertexId, subtask: u32) -> bool {
    graph.outputs(vertex).filter(|(_, edge)| graph.regions.crosses(edge)).any(|(_, edge)| {
        if is_forward(edge) {
            graph.execution(edge.to, subtask).state() != TaskState::Finished
        } else {
            graph.count(edge.to, TaskState::Finished) < graph.parallelism(edge.to)
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
        restart_set(graph, &failed, progress).into_iter().map(|region| region.0).collect()
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
    fn what_nobody_reads_any_more_is_not_needed() {
        let mut graph = two_stages(ShipStrategy::PartitionHash);
        assert!(is_needed(&graph, VertexId(1), 0));
        finish(&mut graph, 2);
        assert!(!is_needed(&graph, VertexId(1), 0));
    }
}
