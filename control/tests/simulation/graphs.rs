//! Random JobGraphs, and what comes out of them when every split is read exactly once.

use crate::rng::Rng;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::source::Split;
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, DriverStrategy, ExchangeMode, Part, ShipStrategy};
use flinkrs_protocol::{BroadcastInput, ChainedOperator, JobEdge, JobGraph, JobLoop, JobSource, JobVertex, LoopEnd};
use std::collections::BTreeMap;

/// How often each split is in a place; a split is a number that is unique in its graph.
pub(crate) type Content = BTreeMap<i64, u64>;

/// The number of a split.
pub(crate) fn token(vertex: VertexId, split: u32) -> i64 {
    i64::from(vertex.0) * 1000 + i64::from(split)
}

/// A graph of up to seven vertices, of which any two slot sharing groups need up to `most` slots.
pub(crate) fn random(rng: &mut Rng, name: &str, most: u64, hosts: &[String]) -> JobGraph {
    let count = rng.range(1, 7) as u32;
    let is_grouped = most > 1 && rng.chance(30);
    let most = if is_grouped { most / 2 } else { most };
    let mut graph = JobGraph { name: name.to_owned(), ..JobGraph::default() };
    let usual = rng.range(1, most) as u32;
    for id in 0..count {
        let parallelism = if rng.chance(70) { usual } else { rng.range(1, most) as u32 };
        let mut vertex = vertex(id, parallelism);
        if id == 0 || rng.chance(20) {
            vertex.source = Some(JobSource { splits: splits(rng, parallelism, hosts) });
        }
        graph.vertices.push(vertex);
        let inputs = if graph.vertices[id as usize].source.is_some() { 0 } else { rng.range(1, 2) };
        for input in 0..inputs {
            // The same producer twice makes a diamond.
            let from = rng.range(0, u64::from(id) - 1) as u32;
            let edge = edge(rng, &graph, from, id, input as u8);
            graph.edges.push(edge);
            graph.vertices[id as usize].inputs += 1;
        }
        if id > 0 && rng.chance(15) {
            broadcast_set(rng, &mut graph, id);
        }
    }
    if rng.chance(40) {
        make_loop(rng, &mut graph);
    }
    if is_grouped {
        make_groups(rng, &mut graph);
    }
    graph.validate().expect("the generator makes valid graphs");
    graph
}

fn vertex(id: u32, parallelism: u32) -> JobVertex {
    let chained = ChainedOperator {
        operator: OperatorId(id),
        part: Part::Driver(DriverStrategy::Only),
        name: format!("v{id}"),
        memory_weight: 1,
    };
    JobVertex {
        id: VertexId(id),
        name: format!("v{id}"),
        parallelism,
        slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
        chain: vec![chained],
        inputs: 0,
        source: None,
        broadcast_inputs: Vec::new(),
        of_loop: None,
    }
}

fn splits(rng: &mut Rng, parallelism: u32, hosts: &[String]) -> Vec<Split> {
    let count = rng.range(0, 3 * u64::from(parallelism));
    let split = |_| {
        let near = if rng.chance(50) { vec![rng.pick(hosts).clone()] } else { Vec::new() };
        Split { payload: Vec::new(), bytes: 1, hosts: near }
    };
    (0..count).map(split).collect()
}

fn edge(rng: &mut Rng, graph: &JobGraph, from: u32, to: u32, input: u8) -> JobEdge {
    let parallelism = |id: u32| graph.vertices[id as usize].parallelism;
    let equal = parallelism(from) == parallelism(to);
    let ship = match rng.range(0, 9) {
        0..=3 if equal => ShipStrategy::Forward,
        0..=7 => ShipStrategy::PartitionHash,
        8 => ShipStrategy::Rebalance,
        _ => ShipStrategy::Broadcast,
    };
    let mode = if rng.chance(60) { ExchangeMode::Blocking } else { ExchangeMode::Pipelined };
    let partitioner = (ship == ShipStrategy::PartitionHash).then_some((OperatorId(to), input));
    JobEdge { from: VertexId(from), side: None, to: VertexId(to), input, ship, mode, partitioner, replay: false }
}

fn broadcast_set(rng: &mut Rng, graph: &mut JobGraph, to: u32) {
    let from = rng.range(0, u64::from(to) - 1) as u32;
    let mut edge = edge(rng, graph, from, to, 0);
    (edge.ship, edge.partitioner) = (ShipStrategy::Broadcast, None);
    let set =
        BroadcastInput { operator: OperatorId(to), index: 0, name: "set".to_owned(), edge: graph.edges.len() as u32 };
    graph.vertices[to as usize].broadcast_inputs.push(set);
    graph.edges.push(edge);
}

/// Makes a loop of a vertex and one that follows it through a pipelined edge, if there are such.
fn make_loop(rng: &mut Rng, graph: &mut JobGraph) {
    let fits = |edge: &&JobEdge| {
        let parallelism = |id: VertexId| graph.vertices[id.0 as usize].parallelism;
        edge.mode == ExchangeMode::Pipelined && parallelism(edge.from) == parallelism(edge.to)
    };
    let ends: Vec<(VertexId, VertexId)> = graph.edges.iter().filter(fits).map(|edge| (edge.from, edge.to)).collect();
    if ends.is_empty() {
        return;
    }
    let (head, tail) = *rng.pick(&ends);
    [head, tail].iter().for_each(|id| graph.vertices[id.0 as usize].of_loop = Some(0));
    // What leads from inside of a loop to its inside is never kept; the region couldn't start if it were.
    for edge in graph.edges.iter_mut().filter(|edge| edge.from == head && edge.to == tail) {
        edge.mode = ExchangeMode::Pipelined;
    }
    graph.loops.push(JobLoop {
        name: "loop".to_owned(),
        close: OperatorId(tail.0),
        solution: None,
        head,
        tail,
        max_supersteps: 5,
        end: LoopEnd::Supersteps,
    });
}

/// Puts vertices into another slot sharing group, those of a loop together.
fn make_groups(rng: &mut Rng, graph: &mut JobGraph) {
    let of_loop = rng.chance(50);
    for vertex in &mut graph.vertices {
        let is_other = if vertex.of_loop.is_some() { of_loop } else { rng.chance(50) };
        if is_other {
            vertex.slot_sharing_group = "other".to_owned();
        }
    }
}

/// A graph in one line.
pub(crate) fn brief(graph: &JobGraph) -> String {
    let vertices = graph
        .vertices
        .iter()
        .map(|vertex| format!("{}×{}@{}", vertex.name, vertex.parallelism, vertex.slot_sharing_group));
    let edges = graph.edges.iter().map(|edge| format!("{}→{} {} {}", edge.from, edge.to, edge.ship, edge.mode));
    let loops = graph.loops.iter().map(|of| format!("loop {}…{}", of.head, of.tail));
    vertices.chain(edges).chain(loops).collect::<Vec<_>>().join(", ")
}

/// The part of a producer's content that a consumer gets. Of a rebalanced edge `dealt` says who got which.
pub(crate) fn share(
    edge: &JobEdge,
    parallelism: u32,
    consumer: u32,
    content: &Content,
    dealt: &BTreeMap<i64, u32>,
) -> Content {
    let gets = |token: i64| match edge.ship {
        ShipStrategy::Forward | ShipStrategy::Broadcast => true,
        ShipStrategy::Rebalance => dealt.get(&token) == Some(&consumer),
        _ => (token as u32).wrapping_mul(2_654_435_761) % parallelism == consumer,
    };
    content.iter().filter(|(token, _)| gets(**token)).map(|(token, count)| (*token, *count)).collect()
}

/// What arrives at each vertex that nothing leaves.
pub(crate) fn expected(graph: &JobGraph) -> BTreeMap<String, Content> {
    let mut contents: Vec<Content> = Vec::new();
    for vertex in &graph.vertices {
        let splits = vertex.source.iter().flat_map(|source| 0..source.splits.len() as u32);
        let mut content: Content = splits.map(|split| (token(vertex.id, split), 1)).collect();
        for edge in graph.edges.iter().filter(|edge| edge.to == vertex.id) {
            let times = if edge.ship == ShipStrategy::Broadcast { u64::from(vertex.parallelism) } else { 1 };
            for (token, count) in &contents[edge.from.0 as usize] {
                *content.entry(*token).or_default() += count * times;
            }
        }
        contents.push(content);
    }
    let is_sink = |id: usize| graph.edges.iter().all(|edge| edge.from.0 as usize != id);
    let sinks = contents.into_iter().enumerate().filter(|(id, _)| is_sink(*id));
    sinks.map(|(id, content)| (graph.vertices[id].name.clone(), content)).collect()
}
