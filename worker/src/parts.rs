//! What of a deployment has to run, and to end, together.

use flinkrs_core::strategy::ShipStrategy;
use flinkrs_protocol::{Deployment, JobGraph, TaskDeployment};
use std::collections::BTreeMap;

/// Divides a deployment into parts that know nothing of each other here: tasks that records flow between without a
/// file, that are in one loop, or that share a broadcast set. When one of a part's tasks fails, the others are of no
/// use.
pub(crate) fn divide(deployment: Deployment, graph: &JobGraph, stored: &[bool]) -> Vec<Deployment> {
    let tasks = &deployment.tasks;
    let mut sets: Vec<usize> = (0..tasks.len()).collect();
    let mut of_vertex: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        of_vertex.entry(task.execution.vertex.0).or_default().push(at);
    }
    let here = |vertex: u32| of_vertex.get(&vertex).map_or(&[][..], Vec::as_slice);
    for (edge, _) in graph.edges.iter().zip(stored).filter(|(_, stored)| !**stored) {
        let (from, to) = (here(edge.from.0), here(edge.to.0));
        if edge.ship == ShipStrategy::Forward {
            let subtask = |at: &usize| tasks[*at].execution.subtask;
            let producers: BTreeMap<u32, usize> = from.iter().map(|at| (subtask(at), *at)).collect();
            to.iter()
                .filter_map(|at| Some((*at, *producers.get(&subtask(at))?)))
                .for_each(|(a, b)| join(&mut sets, a, b));
        } else {
            join_all(&mut sets, from.iter().chain(to));
        }
    }
    for vertex in graph.vertices.iter().filter(|vertex| !vertex.broadcast_inputs.is_empty()) {
        join_all(&mut sets, here(vertex.id.0).iter());
    }
    for of in 0..graph.loops.len() {
        let inside = graph.vertices.iter().filter(|vertex| vertex.of_loop == Some(of as u32));
        let inside: Vec<usize> = inside.flat_map(|vertex| here(vertex.id.0)).copied().collect();
        join_all(&mut sets, inside.iter());
    }
    let mut parts: BTreeMap<usize, Vec<TaskDeployment>> = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        parts.entry(root(&mut sets, at)).or_default().push(*task);
    }
    parts.into_values().map(|tasks| Deployment { tasks, ..deployment.clone() }).collect()
}

fn root(sets: &mut [usize], mut at: usize) -> usize {
    while sets[at] != at {
        sets[at] = sets[sets[at]];
        at = sets[at];
    }
    at
}

fn join(sets: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(sets, a), root(sets, b));
    sets[a.max(b)] = a.min(b);
}

fn join_all<'a>(sets: &mut [usize], mut all: impl Iterator<Item = &'a usize>) {
    if let Some(first) = all.next() {
        all.for_each(|at| join(sets, *first, *at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::id::VertexId;
    use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, ExchangeMode};
    use flinkrs_protocol::{JobEdge, JobVertex};

    fn graph(edges: &[(u32, u32, ShipStrategy)]) -> JobGraph {
        let vertex = |id| JobVertex {
            id: VertexId(id),
            name: String::new(),
            parallelism: 2,
            slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
            chain: Vec::new(),
            inputs: 1,
            source: None,
            broadcast_inputs: Vec::new(),
            of_loop: None,
        };
        let edge = |(from, to, ship): &(u32, u32, ShipStrategy)| JobEdge {
            from: VertexId(*from),
            side: None,
            to: VertexId(*to),
            input: 0,
            ship: *ship,
            mode: ExchangeMode::Pipelined,
            partitioner: None,
            replay: false,
        };
        let (vertices, edges) = ((0..3).map(vertex).collect(), edges.iter().map(edge).collect());
        JobGraph { name: String::new(), vertices, edges, loops: Vec::new() }
    }

    fn divided(graph: &JobGraph, stored: &[bool]) -> Vec<Vec<(u32, u32)>> {
        let parts = divide(Deployment::whole(graph), graph, stored);
        let name = |task: &TaskDeployment| (task.execution.vertex.0, task.execution.subtask);
        parts.iter().map(|part| part.tasks.iter().map(name).collect()).collect()
    }

    #[test]
    fn tasks_that_records_flow_between_stay_together() {
        use ShipStrategy::{Forward, PartitionHash};
        let forward = graph(&[(0, 1, Forward), (1, 2, PartitionHash)]);
        assert_eq!(
            divided(&forward, &[false, true]),
            [vec![(0, 0), (1, 0)], vec![(0, 1), (1, 1)], vec![(2, 0)], vec![(2, 1)]]
        );
        assert_eq!(divided(&forward, &[false, false]).len(), 1);
    }

    #[test]
    fn tasks_of_one_loop_stay_together() {
        let mut looped = graph(&[(0, 1, ShipStrategy::Forward), (1, 2, ShipStrategy::Forward)]);
        looped.vertices[1].of_loop = Some(0);
        looped.loops = vec![flinkrs_protocol::JobLoop {
            name: String::new(),
            close: flinkrs_core::id::OperatorId(0),
            solution: None,
            head: VertexId(1),
            tail: VertexId(1),
            max_supersteps: 1,
            end: flinkrs_protocol::LoopEnd::Supersteps,
        }];
        assert_eq!(divided(&looped, &[true, true]).len(), 5);
    }
}
