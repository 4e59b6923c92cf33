//! The optimized plan as a JobGraph: one vertex per chain, one edge per exchange.

use crate::chain::Chains;
use crate::context::Context;
use crate::physical::{Link, Physical};
use flinkrs_core::error::Result;
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::{Part, ShipStrategy};
use flinkrs_plan::OperatorKind;
use flinkrs_protocol::{BroadcastInput, ChainedOperator, JobEdge, JobGraph, JobSource, JobVertex};

/// Translates; the result has passed [`JobGraph::validate`].
pub(crate) fn job_graph(context: &Context, physical: &Physical, chains: &Chains) -> Result<JobGraph> {
    let mut graph = JobGraph {
        name: context.plan.name.clone(),
        vertices: (0..chains.tasks.len()).map(|task| vertex(context, physical, chains, task)).collect(),
        edges: Vec::new(),
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
        graph.edges.push(edge(chains, link));
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
    let (inputs, source) = match kind {
        OperatorKind::Source { splits, .. } => (0, Some(JobSource { splits: splits.clone() })),
        OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } | OperatorKind::Cross { .. } => (2, None),
        _ => (1, None),
    };
    JobVertex {
        id: VertexId(task as u32),
        name: names.join(" -> "),
        parallelism: head.parallelism,
        inputs,
        source: source.filter(|_| matches!(head.part, Part::Driver(_))),
        broadcast_inputs: Vec::new(),
        chain,
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
    }
}

/// Whose key a link is partitioned by, if it is by a key.
fn partitioner(link: &Link) -> Option<(OperatorId, u8)> {
    match link.ship {
        ShipStrategy::PartitionHash | ShipStrategy::PartitionRange | ShipStrategy::PartitionCustom => {
            link.ships.map(|(operator, input)| (operator, input as u8))
        }
        ShipStrategy::Forward | ShipStrategy::Broadcast | ShipStrategy::Rebalance => None,
    }
}
