//! The optimized plan as a JobGraph: one vertex per chain, one edge per exchange.

use crate::chain::Chains;
use crate::context::Context;
use crate::iteration::keeps_constant;
use crate::physical::{Link, Physical};
use flinkrs_core::error::Result;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::{DriverStrategy, Part, ShipStrategy};
use flinkrs_plan::{Loop, OperatorKind};
use flinkrs_protocol::{BroadcastInput, ChainedOperator, JobEdge, JobGraph, JobLoop, JobSource, JobVertex, LoopEnd};

/// Translates; the result has passed [`JobGraph::validate`].
pub(crate) fn job_graph(context: &Context, physical: &Physical, chains: &Chains) -> Result<JobGraph> {
    let mut graph = JobGraph {
        name: context.plan.name.clone(),
        vertices: (0..chains.tasks.len()).map(|task| vertex(context, physical, chains, task)).collect(),
        edges: Vec::new(),
        loops: context.loops.list.iter().map(|of| job_loop(context, physical, chains, of)).collect(),
    };
    for link in physical.links.iter().filter(|link| !chains.inside(link)) {
        if let Some((index, name)) = &link.broadcast {
            graph.vertices[chains.task_of[link.to]].broadcast_inputs.push(BroadcastInput {
                operator: physical.nodes[link.to].operator,
                index: *index,
                name: name.clone(),
                edge: graph.edges.len() as u32,
            });
        }
        graph.edges.push(JobEdge { replay: replays(context, physical, link), ..edge(chains, link) });
    }
    graph.validate()?;
    Ok(graph)
}

fn vertex(context: &Context, physical: &Physical, chains: &Chains, task: usize) -> JobVertex {
    let nodes = &chains.tasks[task];
    let head = &physical.nodes[nodes[0]];
    let chain: Vec<ChainedOperator> = nodes
        .iter()
        .map(|node| &physical.nodes[*node])
        .map(|node| ChainedOperator {
            operator: node.operator,
            part: node.part,
            name: node.name.clone(),
            memory_weight: node.memory_weight,
        })
        .collect();
    let names: Vec<&str> = chain.iter().map(|op| op.name.as_str()).collect();
    let kind = &context.operator(head.operator).kind;
    // Not a sort in front of it, and not a lookup of a solution set, to which nothing flows.
    let is_lookup = matches!(head.part, Part::Driver(DriverStrategy::SolutionSet { .. }));
    let pairs = matches!(head.part, Part::Driver(_)) && !is_lookup;
    let (inputs, source) = match kind {
        OperatorKind::Source { splits, .. } => (0, Some(JobSource { splits: splits.clone() })),
        OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } | OperatorKind::Cross { .. } if pairs => (2, None),
        OperatorKind::LoopInput | OperatorKind::BulkIteration { .. } | OperatorKind::DeltaIteration { .. } => {
            (context.operator(head.operator).inputs.len() as u8, None)
        }
        _ => (1, None),
    };
    JobVertex {
        id: VertexId(task as u32),
        name: names.join(" -> "),
        parallelism: head.parallelism,
        slot_sharing_group: head.group.as_ref().to_owned(),
        inputs,
        source: source.filter(|_| matches!(head.part, Part::Driver(_))),
        broadcast_inputs: Vec::new(),
        of_loop: context.loops.of[head.operator.0 as usize].map(|at| at as u32),
        chain,
    }
}

/// A loop: the tasks in which its supersteps begin and end.
fn job_loop(context: &Context, physical: &Physical, chains: &Chains, of: &Loop) -> JobLoop {
    let vertex = |id: OperatorId| {
        let node = physical.nodes.iter().position(|node| node.operator == id && !node.inserted);
        VertexId(chains.task_of[node.expect("every operator of a loop has a node")] as u32)
    };
    let termination = of.solution.is_none() && context.operator(of.close).inputs.len() == 2;
    JobLoop {
        name: context.operator(of.close).name.clone(),
        close: of.close,
        solution: of.solution,
        head: vertex(of.head),
        tail: vertex(of.close),
        max_supersteps: of.max_supersteps,
        end: match (of.solution, termination) {
            (Some(_), _) => LoopEnd::EmptyWorkset,
            (None, true) => LoopEnd::EmptyTermination,
            (None, false) => LoopEnd::Supersteps,
        },
    }
}

fn edge(chains: &Chains, link: &Link) -> JobEdge {
    JobEdge {
        from: VertexId(chains.task_of[link.from] as u32),
        side: link.side,
        to: VertexId(chains.task_of[link.to] as u32),
        input: link.input,
        ship: link.ship,
        mode: link.mode,
        partitioner: partitioner(link),
        replay: false,
    }
}

/// Whether a link brings the same to every superstep of a loop, and its consumer has to be shown it in each.
pub(crate) fn replays(context: &Context, physical: &Physical, link: &Link) -> bool {
    let (from, to) = (&physical.nodes[link.from], &physical.nodes[link.to]);
    let outside = context.loops.get(to.operator).is_some() && !context.loops.feeds_anew(from.operator, to.operator);
    let keeps = matches!(to.part, Part::Driver(driver) if keeps_constant(driver, link.input));
    outside && to.part != Part::LoopHead && link.broadcast.is_none() && !keeps
}

/// Whose key a link is partitioned by, if it is by a key.
fn partitioner(link: &Link) -> Option<(OperatorId, u8)> {
    match link.ship {
        ShipStrategy::PartitionHash | ShipStrategy::PartitionRange | ShipStrategy::PartitionCustom => {
            link.by.or(link.ships.map(|(operator, input)| (operator, input as u8)))
        }
        ShipStrategy::Forward | ShipStrategy::Broadcast | ShipStrategy::Rebalance => None,
    }
}
