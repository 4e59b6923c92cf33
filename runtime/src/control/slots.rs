//! The memory of the slots: what each operator has for certain, and the pools for the rest.

use flinkrs_core::resource::MemoryPool;
use flinkrs_core::strategy::ExchangeMode;
use flinkrs_protocol::JobGraph;
use std::sync::Arc;

/// The memory weight of a blocking edge in each consuming subtask, beside the weights of the operators.
pub(super) const BLOCKING_EDGE_WEIGHT: u64 = 1;

/// The memory weight of what a loop feeds back, in each of its subtasks: it is written while the last is read.
pub(super) const FEEDBACK_WEIGHT: u64 = 1;

/// The memory weight of an edge that each superstep of a loop reads again, in each consuming subtask.
pub(super) const REPLAY_WEIGHT: u64 = 1;

/// The managed memory of one job in the slots of a process.
pub struct SlotPools {
    /// By slot: the part that goes to whoever needs it.
    pub(super) pools: Vec<Arc<MemoryPool>>,
    /// The managed memory of each slot.
    slot_bytes: usize,
    /// The sum of all weights, of which each operator has its part.
    weights: u64,
}

impl SlotPools {
    /// Divides `slots` times `slot_bytes` among the operators of `graph`.
    pub fn new(graph: &JobGraph, slots: usize, slot_bytes: usize) -> SlotPools {
        let blocking = graph.edges.iter().filter(|edge| edge.mode == ExchangeMode::Blocking).count() as u64;
        let replayed = graph.edges.iter().filter(|edge| edge.replay).count() as u64;
        let beside =
            blocking * BLOCKING_EDGE_WEIGHT + replayed * REPLAY_WEIGHT + 2 * FEEDBACK_WEIGHT * graph.loops.len() as u64;
        let operators = graph.vertices.iter().flat_map(|vertex| &vertex.chain);
        let weights = operators.map(|op| u64::from(op.memory_weight)).sum::<u64>() + beside;
        let mut divided = SlotPools { pools: Vec::new(), slot_bytes, weights };
        let free = slot_bytes - divided.guaranteed(beside);
        divided.pools = (0..slots).map(|_| MemoryPool::new(free)).collect();
        divided
    }

    /// By slot: what operators have reserved now, in bytes.
    pub fn in_use(&self) -> Vec<u64> {
        self.pools.iter().map(|pool| (pool.total() - pool.free()) as u64).collect()
    }

    /// What an operator of that weight has of a slot's memory for certain: half of its fair part, so that the other
    /// half goes to whoever needs it.
    pub(super) fn guaranteed(&self, weight: u64) -> usize {
        (self.slot_bytes as u64 * weight / (2 * self.weights.max(1))) as usize
    }
}
