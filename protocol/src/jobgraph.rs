//! The JobGraph: vertices that become tasks, and the edges between them.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::source::Split;
use flinkrs_core::strategy::{ExchangeMode, Part, ShipStrategy};
use flinkrs_core::types::hash_key;
use serde::{Deserialize, Serialize};

/// A job as the runtime takes it: vertices in topological order, and the edges between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobGraph {
    /// The job's name.
    pub name: String,
    /// Producers before consumers; a vertex's id is its position.
    pub vertices: Vec<JobVertex>,
    /// Edges, in no particular order.
    pub edges: Vec<JobEdge>,
    /// Loops, none inside of another.
    pub loops: Vec<JobLoop>,
}

/// A loop over some of the vertices: those whose [`of_loop`](JobVertex::of_loop) says so run in every superstep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobLoop {
    /// What progress and reports call it.
    pub name: String,
    /// The operator that closes it, the last of the tail's chain; it has the convergence criterion.
    pub close: OperatorId,
    /// Of a delta iteration the operator that has the solution set.
    pub solution: Option<OperatorId>,
    /// Where supersteps begin: its input is the first superstep's, and then what the tail feeds back.
    pub head: VertexId,
    /// Where they end; subtask `i` feeds back to subtask `i` of the head.
    pub tail: VertexId,
    /// Supersteps at most.
    pub max_supersteps: u32,
    /// What else ends it, beside a convergence criterion.
    pub end: LoopEnd,
}

/// What ends a loop before its last superstep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoopEnd {
    /// Nothing.
    Supersteps,
    /// A termination data set without a record.
    EmptyTermination,
    /// Nothing was fed back.
    EmptyWorkset,
}

/// A chain of operators that run in one task, in `parallelism` subtasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobVertex {
    /// Its position in [`JobGraph::vertices`].
    pub id: VertexId,
    /// The names of its operators, joined by arrows.
    pub name: String,
    /// How many subtasks it runs in; at least 1.
    pub parallelism: u32,
    /// Whose slots its subtasks may share: those of the vertices of the same group.
    pub slot_sharing_group: String,
    /// First to last; only the first may have more than one input.
    pub chain: Vec<ChainedOperator>,
    /// How many logical inputs the first operator has; 0 for a source.
    pub inputs: u8,
    /// For a source: what there is to read.
    pub source: Option<JobSource>,
    /// Broadcast sets that have to be complete before the first record is read.
    pub broadcast_inputs: Vec<BroadcastInput>,
    /// Its loop, as a position in [`JobGraph::loops`]. Edges from outside bring the same to every superstep.
    pub of_loop: Option<u32>,
}

/// One operator in a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainedOperator {
    /// Whose typed code it is.
    pub operator: OperatorId,
    /// Which part of that code.
    pub part: Part,
    /// The name that plans, metrics and errors show.
    pub name: String,
    /// Its share of the slot's managed memory, relative to the other operators; 0 for those that hold nothing.
    pub memory_weight: u32,
}

/// The splits of a source vertex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSource {
    /// Enumerated while planning; handed out on request.
    pub splits: Vec<Split>,
}

/// A broadcast set of one of a vertex's operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BroadcastInput {
    /// The operator that sees the set.
    pub operator: OperatorId,
    /// The part of it that sees the set; the bounds of a range partitioning are a set of the edge behind `NoOp`.
    pub index: u8,
    /// The name under which its functions find it.
    pub name: String,
    /// Index into [`JobGraph::edges`]; its ship strategy is BROADCAST.
    pub edge: u32,
}

/// Records from one vertex to an input of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEdge {
    /// The producer.
    pub from: VertexId,
    /// `None` for the producer's main output, or a side output's tag.
    pub side: Option<u8>,
    /// The consumer.
    pub to: VertexId,
    /// The consumer's logical input that the edge feeds; several edges may feed one, as in a union. Of no meaning
    /// for a broadcast set.
    pub input: u8,
    /// How records are spread over the consumer's subtasks.
    pub ship: ShipStrategy,
    /// Whether the consumer may read while the producer writes.
    pub mode: ExchangeMode,
    /// For PARTITION_HASH, PARTITION_RANGE and PARTITION_CUSTOM: whose key is partitioned by, and which input's.
    pub partitioner: Option<(OperatorId, u8)>,
    /// Whether the consumer, in a loop, is shown the records again in each superstep; otherwise it keeps what it needs.
    pub replay: bool,
}

/// For each vertex of a [`JobGraph`] the positions of its edges in [`JobGraph::edges`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeLists {
    into: Vec<Vec<usize>>,
    out_of: Vec<Vec<usize>>,
}

impl EdgeLists {
    /// The edges that feed `vertex`, broadcast sets among them.
    pub fn edges_into(&self, vertex: VertexId) -> &[usize] {
        &self.into[vertex.0 as usize]
    }

    /// The edges that leave `vertex`.
    pub fn edges_out_of(&self, vertex: VertexId) -> &[usize] {
        &self.out_of[vertex.0 as usize]
    }
}

impl JobGraph {
    /// The edges of each vertex.
    pub fn edge_lists(&self) -> EdgeLists {
        let count = self.vertices.len();
        let mut lists = EdgeLists { into: vec![Vec::new(); count], out_of: vec![Vec::new(); count] };
        for (position, edge) in self.edges.iter().enumerate() {
            lists.into[edge.to.0 as usize].push(position);
            lists.out_of[edge.from.0 as usize].push(position);
        }
        lists
    }

    /// A number that says what the job computes and how: equal for equal programs with equal plans.
    ///
    /// What may change from one run to the next is left out: what sources read, the memory, the limits of loops.
    pub fn fingerprint(&self) -> u64 {
        let operator = |op: &ChainedOperator| hash_key(&(op.operator, op.part, &op.name));
        let vertex = |vertex: &JobVertex| {
            let chain: Vec<u64> = vertex.chain.iter().map(operator).collect();
            hash_key(&(vertex.parallelism, chain, vertex.inputs, &vertex.broadcast_inputs, vertex.of_loop))
        };
        let edge = |edge: &JobEdge| {
            hash_key(&(edge.from, edge.side, edge.to, edge.input, edge.ship, edge.partitioner, edge.replay))
        };
        let of_loop = |of: &JobLoop| hash_key(&(&of.name, of.close, of.solution, of.head, of.tail, of.end));
        let vertices: Vec<u64> = self.vertices.iter().map(vertex).collect();
        let edges: Vec<u64> = self.edges.iter().map(edge).collect();
        let loops: Vec<u64> = self.loops.iter().map(of_loop).collect();
        hash_key(&(&self.name, vertices, edges, loops))
    }

    /// Checks what the runtime relies on; an error names the vertex.
    pub fn validate(&self) -> Result<()> {
        for (i, vertex) in self.vertices.iter().enumerate() {
            let wrong = |what: &str| Err(Error::internal(format!("vertex {i} '{}' {what}", vertex.name)));
            if vertex.id.0 as usize != i {
                return wrong("isn't at its position");
            }
            if vertex.parallelism == 0 {
                return wrong("has parallelism 0");
            }
            if vertex.chain.is_empty() {
                return wrong("has no operators");
            }
            if (vertex.inputs == 0) != vertex.source.is_some() {
                return wrong("is neither a source nor has inputs");
            }
        }
        for (i, of) in self.loops.iter().enumerate() {
            for end in [of.head, of.tail] {
                if self.vertices.get(end.0 as usize).is_none_or(|vertex| vertex.of_loop != Some(i as u32)) {
                    return Err(Error::internal(format!("loop {i} '{}' has an end outside of itself", of.name)));
                }
            }
            if self.vertices[of.head.0 as usize].parallelism != self.vertices[of.tail.0 as usize].parallelism {
                return Err(Error::internal(format!("loop {i} '{}' has ends of unequal parallelism", of.name)));
            }
        }
        for vertex in &self.vertices {
            let head = vertex.of_loop.and_then(|at| self.loops.get(at as usize)).map(|of| of.head.0 as usize);
            if head.is_some_and(|head| self.vertices[head].slot_sharing_group != vertex.slot_sharing_group) {
                let message = format!("vertex '{}' shares no slots with the loop that it is in", vertex.name);
                return Err(Error::internal(message));
            }
        }
        for (i, edge) in self.edges.iter().enumerate() {
            self.validate_edge(i, edge)?;
        }
        Ok(())
    }

    fn validate_edge(&self, index: usize, edge: &JobEdge) -> Result<()> {
        let wrong = |what: &str| Err(Error::internal(format!("edge {index} from {} to {} {what}", edge.from, edge.to)));
        let (Some(from), Some(to)) = (self.vertices.get(edge.from.0 as usize), self.vertices.get(edge.to.0 as usize))
        else {
            return wrong("has no such end");
        };
        if edge.from >= edge.to {
            return wrong("goes backwards");
        }
        if edge.ship == ShipStrategy::Forward && from.parallelism != to.parallelism {
            return wrong("is FORWARD between unequal parallelisms");
        }
        let keyed = matches!(
            edge.ship,
            ShipStrategy::PartitionHash | ShipStrategy::PartitionRange | ShipStrategy::PartitionCustom
        );
        if keyed != edge.partitioner.is_some() {
            return wrong("has a partitioner that doesn't fit its ship strategy");
        }
        let broadcast = to.broadcast_inputs.iter().any(|set| set.edge as usize == index);
        if broadcast && edge.ship != ShipStrategy::Broadcast {
            return wrong("feeds a broadcast set but isn't BROADCAST");
        }
        if !broadcast && edge.input >= to.inputs {
            return wrong("feeds an input that the consumer doesn't have");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::strategy::DEFAULT_SLOT_SHARING_GROUP;

    fn edge(from: u32, to: u32) -> JobEdge {
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

    fn graph(vertices: u32, edges: Vec<JobEdge>) -> JobGraph {
        let vertex = |id| JobVertex {
            id: VertexId(id),
            name: String::new(),
            parallelism: 1,
            slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
            chain: Vec::new(),
            inputs: 1,
            source: None,
            broadcast_inputs: Vec::new(),
            of_loop: None,
        };
        JobGraph { name: String::new(), vertices: (0..vertices).map(vertex).collect(), edges, loops: Vec::new() }
    }

    #[test]
    fn every_vertex_finds_its_edges() {
        let lists = graph(4, vec![edge(1, 3), edge(0, 1), edge(0, 3), edge(0, 1)]).edge_lists();
        assert_eq!([0, 1, 2, 3].map(|id| lists.edges_into(VertexId(id))), [&[][..], &[1, 3], &[], &[0, 2]]);
        assert_eq!([0, 1, 2, 3].map(|id| lists.edges_out_of(VertexId(id))), [&[1, 2, 3][..], &[0], &[], &[]]);
    }

    /// A search per vertex would take minutes.
    #[test]
    fn a_graph_of_many_vertices_finds_them_soon() {
        const VERTICES: u32 = 300_000;
        let lists = graph(VERTICES, (1..VERTICES).map(|to| edge(to - 1, to)).collect()).edge_lists();
        let found = |id: u32| lists.edges_into(VertexId(id)).len() + lists.edges_out_of(VertexId(id)).len();
        assert_eq!((0..VERTICES).map(found).sum::<usize>(), 2 * (VERTICES as usize - 1));
    }

    #[test]
    fn a_fingerprint_says_what_is_computed_and_not_on_which_input() {
        let chained = |name: &str| ChainedOperator {
            operator: OperatorId(0),
            part: Part::NoOp,
            name: name.to_owned(),
            memory_weight: 1,
        };
        let mut one = graph(2, vec![edge(0, 1)]);
        one.vertices[0].chain = vec![chained("Map")];
        let changed = |change: fn(&mut JobGraph)| {
            let mut other = one.clone();
            change(&mut other);
            other.fingerprint()
        };
        let split = |graph: &mut JobGraph| {
            let split = Split { payload: vec![1], bytes: 1, hosts: Vec::new() };
            graph.vertices[0].source = Some(JobSource { splits: vec![split] });
        };
        let same: [fn(&mut JobGraph); 2] = [split, |graph| graph.vertices[0].chain[0].memory_weight = 7];
        assert!(same.into_iter().all(|change| changed(change) == one.fingerprint()));
        let other: [fn(&mut JobGraph); 4] = [
            |graph| graph.vertices[0].parallelism = 2,
            |graph| graph.vertices[0].chain[0].name = "Filter".to_owned(),
            |graph| graph.vertices[0].chain[0].operator = OperatorId(1),
            |graph| graph.edges[0].ship = ShipStrategy::Rebalance,
        ];
        assert!(other.into_iter().all(|change| changed(change) != one.fingerprint()));
    }
}
