//! The edges of a deployment: queues in front of its tasks, and the ways to consumers here and elsewhere.

use crate::control::around::Surroundings;
use crate::control::deploy::Deployer;
use crate::control::slots::{BLOCKING_EDGE_WEIGHT, REPLAY_WEIGHT};
use crate::network::{ChannelId, ChannelSender, EdgeWriter, Inbox, Keyed, LocalSender, PeerId, Spread, address_of};
use crate::task::Course;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::Subtask;
use flinkrs_core::strategy::{ExchangeMode, ShipStrategy};
use flinkrs_memory::BatchSpillBuffer;
use flinkrs_protocol::{JobEdge, JobId, JobVertex, Location, PartitionId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// The channel of a partition to one of its consumers.
fn channel(job: JobId, partition: PartitionId, consumer: u32) -> ChannelId {
    let PartitionId { edge, subtask: producer, attempt } = partition;
    ChannelId { job: job.0, execution: 0, edge, producer, attempt, consumer }
}

/// Whoever serves a partition at a place, and whether it is a stored one: its producer's worker, or a TaskExecutor for
/// one that is finished. What is kept by this worker's own TaskExecutor it reads itself.
fn peer_at(around: &Surroundings, location: &Location) -> Result<((PeerId, SocketAddr), bool)> {
    let address = address_of(&location.address, &location.task_executor)?;
    Ok(match location.worker {
        Some(worker) => ((around.peer(worker), address), false),
        None if location.task_executor == around.task_executor => ((around.peer(around.me), address), true),
        None => ((PeerId::of_task_executor(&location.task_executor), address), true),
    })
}

impl Deployer<'_> {
    /// The queues of an edge in front of the consuming tasks that run here.
    pub(super) fn inboxes_of(&self, index: usize) -> Result<BTreeMap<u32, Arc<Inbox>>> {
        let edge = &self.graph.edges[index];
        let to = &self.graph.vertices[edge.to.0 as usize];
        let consumers = self.tasks_of(to).iter().map(|task| task.execution.subtask);
        // A broadcast set is gathered once and shared.
        let consumers = consumers.take(if self.is_set(index) { 1 } else { usize::MAX });
        let producers = self.producers_of(edge, 0).len();
        let inbox = |subtask: u32| {
            Ok(match edge.mode {
                ExchangeMode::Blocking if !self.is_stored(index) => {
                    let memory = self.plan.slots.guaranteed(BLOCKING_EDGE_WEIGHT);
                    Inbox::blocking(producers, BatchSpillBuffer::new(&self.space(to, subtask), memory))
                }
                _ => Inbox::pipelined(producers),
            })
        };
        consumers.map(|subtask| Ok((subtask, inbox(subtask)?))).collect()
    }

    /// Whether an edge brings a broadcast set.
    fn is_set(&self, index: usize) -> bool {
        let to = &self.graph.vertices[self.graph.edges[index].to.0 as usize];
        to.broadcast_inputs.iter().any(|set| set.edge as usize == index)
    }

    /// Whether what goes along an edge is kept in files of its producers' TaskExecutors; else its consumers keep what
    /// comes along a blocking edge.
    fn is_stored(&self, index: usize) -> bool {
        self.plan.around.is_some_and(|around| around.stored[index])
    }

    /// The producing subtasks that a consuming subtask hears of.
    fn producers_of(&self, edge: &JobEdge, consumer: u32) -> Range<u32> {
        match edge.ship {
            ShipStrategy::Forward => consumer..consumer + 1,
            _ => 0..self.graph.vertices[edge.from.0 as usize].parallelism,
        }
    }

    /// The consuming subtasks that a producing subtask reaches, in the order of its channels.
    fn consumers_of(&self, index: usize, producer: u32) -> Vec<u32> {
        let edge = &self.graph.edges[index];
        match edge.ship {
            ShipStrategy::Forward => vec![producer],
            _ if self.is_set(index) && self.is_stored(index) => vec![0],
            _ if self.is_set(index) => self.gatherers(edge),
            _ => (0..self.graph.vertices[edge.to.0 as usize].parallelism).collect(),
        }
    }

    /// The subtasks that gather a vertex's broadcast sets: one per process.
    fn gatherers(&self, edge: &JobEdge) -> Vec<u32> {
        let told = self.plan.deployment.gathers.iter().find(|gathers| gathers.vertex == edge.to);
        told.map_or_else(|| vec![0], |gathers| gathers.subtasks.to_vec())
    }

    /// Asks producers in other processes for what the tasks here read of an edge.
    pub(super) fn request(&self, index: usize) -> Result<()> {
        let Some(around) = self.plan.around else { return Ok(()) };
        let edge = &self.graph.edges[index];
        let from = &self.graph.vertices[edge.from.0 as usize];
        let mut direct: Vec<u32> = self.tasks_of(from).iter().map(|task| task.execution.subtask).collect();
        if self.is_stored(index) {
            direct.clear();
        }
        let last = from.chain.last().ok_or_else(|| Error::internal("a vertex without operators"))?;
        for (consumer, inbox) in &self.inboxes[index] {
            for producer in self.producers_of(edge, *consumer).filter(|producer| !direct.contains(producer)) {
                let inputs = &self.plan.deployment.inputs;
                let input = inputs.iter().find(|input| input.edge as usize == index);
                let found = input.and_then(|input| input.producers.find(index as u32, producer));
                let (partition, location) = found.ok_or_else(|| {
                    Error::internal(format!("nobody says where subtask {producer} of edge {index} is"))
                })?;
                // What is stored for one consumer, or is the same for all, is in the first channel.
                let is_first = self.is_stored(index) && (self.is_set(index) || edge.ship == ShipStrategy::Forward);
                let consumer = if is_first { 0 } else { *consumer };
                let channel = channel(around.job, partition, consumer);
                let like = self.plan.functions.empty_batch(last.operator, last.part, edge.side)?;
                let (peer, is_stored) = peer_at(around, location)?;
                let inbox = Arc::clone(inbox);
                match is_stored {
                    true => around.exchange.request_stored(peer, channel, inbox, like)?,
                    false => around.exchange.request(peer, channel, inbox, like)?,
                }
            }
        }
        Ok(())
    }

    /// What an edge brings to the supersteps of its consumer.
    pub(super) fn course(&self, edge: usize, subtask: u32) -> Course {
        let edge = &self.graph.edges[edge];
        let (from, to) = (&self.graph.vertices[edge.from.0 as usize], &self.graph.vertices[edge.to.0 as usize]);
        let leaves = from.of_loop.is_some_and(|at| self.graph.loops[at as usize].tail == from.id);
        if to.of_loop.is_some() && from.of_loop == to.of_loop && !leaves {
            Course::Anew
        } else if edge.replay {
            let kept = BatchSpillBuffer::new(&self.space(to, subtask), self.plan.slots.guaranteed(REPLAY_WEIGHT));
            Course::Again(Box::new(kept), false)
        } else {
            Course::Once
        }
    }

    /// The way of a producing task into an edge.
    pub(super) fn writer(&self, index: usize, vertex: &JobVertex, subtask: u32, attempt: u32) -> Result<EdgeWriter> {
        let edge = &self.graph.edges[index];
        let consumers = self.consumers_of(index, subtask);
        let senders = if self.is_stored(index) {
            self.stored(index, subtask, attempt, consumers.len())?
        } else {
            consumers.iter().map(|consumer| self.sender(index, subtask, attempt, *consumer)).collect::<Result<_>>()?
        };
        let parallelism = vertex.parallelism;
        let spread = self.spread(edge, Subtask { index: subtask, parallelism })?;
        Ok(EdgeWriter::new(spread, senders, subtask as usize, self.plan.failure.cancelled.clone()))
    }

    fn sender(&self, index: usize, producer: u32, attempt: u32, consumer: u32) -> Result<Box<dyn ChannelSender>> {
        if let Some(inbox) = self.inboxes[index].get(&consumer) {
            return Ok(Box::new(LocalSender(Arc::clone(inbox))));
        }
        let around = self.plan.around.ok_or_else(|| Error::internal("a consumer runs nowhere"))?;
        let partition = PartitionId { edge: index as u32, subtask: producer, attempt };
        around.exchange.sender(channel(around.job, partition, consumer))
    }

    fn stored(
        &self,
        index: usize,
        producer: u32,
        attempt: u32,
        channels: usize,
    ) -> Result<Vec<Box<dyn ChannelSender>>> {
        let around = self.plan.around.ok_or_else(|| Error::internal("a partition is stored for nobody"))?;
        let partition = PartitionId { edge: index as u32, subtask: producer, attempt };
        let memory = self.plan.slots.guaranteed(BLOCKING_EDGE_WEIGHT);
        around.exchange.partition(&channel(around.job, partition, 0).partition(), channels as u32, memory)
    }

    fn spread(&self, edge: &JobEdge, subtask: Subtask) -> Result<Spread> {
        Ok(match (edge.ship, edge.partitioner) {
            (ShipStrategy::Forward, _) => Spread::Forward,
            (ShipStrategy::Rebalance, _) => Spread::Rebalance,
            (ShipStrategy::Broadcast, _) => Spread::Broadcast,
            (ship, Some((operator, input))) => {
                let partitioner = self.plan.functions.partitioner(operator, input, ship)?;
                let consumer = &self.graph.vertices[edge.to.0 as usize];
                // A sort of the operator may stand before it.
                let owner = consumer.chain.iter().rfind(|chained| chained.operator == operator);
                let name = format!("Partition ({})", owner.map_or(&consumer.name, |owner| &owner.name));
                Spread::Keyed(Keyed { partitioner, name, subtask })
            }
            (ship, None) => return Err(Error::internal(format!("a {ship} edge without a partitioner"))),
        })
    }
}
