//! JobGraphs for tests.

use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::source::Split;
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, DriverStrategy, ExchangeMode, Part, ShipStrategy};
use flinkrs_protocol::{ChainedOperator, JobEdge, JobGraph, JobLoop, JobSource, JobVertex, LoopEnd};

pub(crate) fn forward(from: u32, to: u32) -> JobEdge {
    JobEdge {
        from: VertexId(from),
        side: None,
        to: VertexId(to),
        input: 0,
        ship: ShipStrategy::Forward,
        mode: ExchangeMode::Pipelined,
        partitioner: None,
        replay: false,
    }
}

/// As a hash partitioning.
pub(crate) fn all_to_all(from: u32, to: u32) -> JobEdge {
    let partitioner = Some((OperatorId(to), 0));
    JobEdge { ship: ShipStrategy::PartitionHash, partitioner, ..forward(from, to) }
}

pub(crate) fn blocking(edge: JobEdge) -> JobEdge {
    JobEdge { mode: ExchangeMode::Blocking, ..edge }
}

/// A graph of vertices with these parallelisms; those without inputs are sources of two splits per subtask.
pub(crate) fn graph(parallelisms: &[u32], edges: Vec<JobEdge>) -> JobGraph {
    let mut has_input = vec![false; parallelisms.len()];
    edges.iter().for_each(|edge| has_input[edge.to.0 as usize] = true);
    let vertex = |(id, parallelism): (usize, &u32)| {
        let split = || Split { payload: Vec::new(), bytes: 1, hosts: Vec::new() };
        let splits = (0..2 * parallelism).map(|_| split()).collect();
        JobVertex {
            id: VertexId(id as u32),
            name: format!("v{id}"),
            parallelism: *parallelism,
            slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
            chain: vec![ChainedOperator {
                operator: OperatorId(id as u32),
                part: Part::Driver(DriverStrategy::Only),
                name: format!("v{id}"),
                memory_weight: 0,
            }],
            inputs: u8::from(has_input[id]),
            source: (!has_input[id]).then_some(JobSource { splits }),
            broadcast_inputs: Vec::new(),
            of_loop: None,
        }
    };
    let vertices = parallelisms.iter().enumerate().map(vertex).collect();
    JobGraph { name: "job".to_owned(), vertices, edges, loops: Vec::new() }
}

/// Makes a loop of the vertices from `head` to `tail`.
pub(crate) fn looped(graph: &mut JobGraph, head: u32, tail: u32) {
    let at = graph.loops.len() as u32;
    (head..=tail).for_each(|id| graph.vertices[id as usize].of_loop = Some(at));
    graph.loops.push(JobLoop {
        name: "loop".to_owned(),
        close: OperatorId(tail),
        solution: None,
        head: VertexId(head),
        tail: VertexId(tail),
        max_supersteps: 3,
        end: LoopEnd::Supersteps,
    });
}
