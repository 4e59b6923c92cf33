//! Runs a JobGraph's tasks over bounded queues, with tokens for records: does it end?

use flinkrs_core::strategy::{DriverStrategy, ExchangeMode, Part};
use flinkrs_protocol::{EdgeLists, JobGraph, JobVertex};

/// Tokens that a source, or a task that has taken in everything, emits; more than all queues on a path hold.
const TOKENS: usize = 40;

struct Task {
    /// Tokens that it could still emit without reading.
    left: usize,
    done: bool,
}

/// Whether all tasks end when a queue holds one token.
pub fn ends(graph: &JobGraph) -> Result<(), String> {
    let mut tasks: Vec<Task> = graph
        .vertices
        .iter()
        .map(|vertex| Task { left: if vertex.inputs == 0 { TOKENS } else { 0 }, done: false })
        .collect();
    let edges = graph.edge_lists();
    let mut queues = vec![0usize; graph.edges.len()];
    let mut dammed = vec![false; tasks.len()];
    loop {
        let mut progress = false;
        for vertex in &graph.vertices {
            progress |= step(graph, &edges, vertex, &mut tasks, &mut queues, &mut dammed);
        }
        if tasks.iter().all(|task| task.done) {
            return Ok(());
        }
        if !progress {
            let stuck: Vec<&str> = graph
                .vertices
                .iter()
                .filter(|vertex| !tasks[vertex.id.0 as usize].done)
                .map(|vertex| vertex.name.as_str())
                .collect();
            return Err(format!("stuck: {stuck:?}"));
        }
    }
}

fn step(
    graph: &JobGraph,
    edges: &EdgeLists,
    vertex: &JobVertex,
    tasks: &mut [Task],
    queues: &mut [usize],
    dammed: &mut [bool],
) -> bool {
    let me = vertex.id.0 as usize;
    if tasks[me].done {
        return false;
    }
    let is_set = |edge: usize| vertex.broadcast_inputs.iter().any(|set| set.edge as usize == edge);
    let inputs = edges.edges_into(vertex.id);
    let ended = |edge: usize, tasks: &[Task], queues: &[usize]| {
        tasks[graph.edges[edge].from.0 as usize].done && queues[edge] == 0
    };
    // Broadcast sets are taken in first.
    for &edge in inputs.iter().filter(|edge| is_set(**edge)) {
        if queues[edge] > 0 {
            queues[edge] -= 1;
            return true;
        }
    }
    if inputs.iter().any(|edge| is_set(*edge) && !ended(*edge, tasks, queues)) {
        return false;
    }
    let outputs = edges.edges_out_of(vertex.id);
    let room = outputs.iter().all(|edge| graph.edges[*edge].mode == ExchangeMode::Blocking || queues[*edge] == 0);
    let (dams, first) = (dams(vertex), first_input(vertex));
    let is_first = |edge: usize| first == Some(usize::from(graph.edges[edge].input));
    let reading_first = inputs.iter().any(|e| !is_set(*e) && is_first(*e) && !ended(*e, tasks, queues));
    for &edge in inputs.iter().filter(|edge| !is_set(**edge)) {
        let readable = queues[edge] > 0
            && (graph.edges[edge].mode == ExchangeMode::Pipelined || tasks[graph.edges[edge].from.0 as usize].done)
            && (!reading_first || is_first(edge));
        if readable && (dams || is_first(edge)) {
            queues[edge] -= 1;
            return true;
        }
        if readable && room {
            queues[edge] -= 1;
            outputs.iter().for_each(|edge| queues[*edge] += 1);
            return true;
        }
    }
    let all_read = inputs.iter().all(|edge| ended(*edge, tasks, queues));
    if all_read && dams && !dammed[me] {
        dammed[me] = true;
        tasks[me].left += TOKENS;
    }
    if tasks[me].left > 0 && (all_read || vertex.inputs == 0) {
        if room {
            tasks[me].left -= 1;
            outputs.iter().for_each(|edge| queues[*edge] += 1);
        }
        return room;
    }
    if all_read && tasks[me].left == 0 {
        tasks[me].done = true;
        return true;
    }
    false
}

fn dams(vertex: &JobVertex) -> bool {
    vertex.chain.iter().any(|op| {
        matches!(
            op.part,
            Part::Sort { .. }
                | Part::RangeBounds { .. }
                | Part::Driver(DriverStrategy::HashGroup | DriverStrategy::Merge { .. })
        )
    })
}

fn first_input(vertex: &JobVertex) -> Option<usize> {
    match vertex.chain[0].part {
        Part::Driver(DriverStrategy::HybridHash { build }) => Some(build.index()),
        Part::Driver(DriverStrategy::NestedLoop { inner }) => Some(inner.index()),
        _ => None,
    }
}
