//! What a worker receives: which subtasks to run in which slots, and where their inputs are.

use crate::JobGraph;
use crate::id::{ExecutionId, JobId, PartitionId, TaskExecutorId, WorkerId};
use flinkrs_core::error::Result;
use flinkrs_core::id::VertexId;
use flinkrs_core::types::codec;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Subtasks for one worker, to be started together.
///
/// All tasks of a pipelined region are deployed at the same moment, to all of its workers: a consumer may ask a
/// producer's worker for a partition before that worker has heard of it, and is then kept waiting, not refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The job.
    pub job: JobId,
    /// Whether loops go on from their last snapshots: an attempt before this one may have written some.
    pub resume: bool,
    /// The subtasks; those of one loop with the same number are in the same slot.
    pub tasks: Vec<TaskDeployment>,
    /// For each edge into these subtasks, also edges of broadcast sets, where its producers are.
    pub inputs: Vec<InputDeployment>,
    /// For each loop that has subtasks here, who leads it.
    pub loops: Vec<LoopDeployment>,
    /// For each vertex of the region with broadcast sets, which subtasks gather them.
    pub gathers: Vec<GatherDeployment>,
}

/// One subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDeployment {
    /// Which attempt of which subtask.
    pub execution: ExecutionId,
    /// The slot of the TaskExecutor, from 0: whose share of memory it draws on. A slot has at most one subtask of each
    /// vertex at a time.
    pub slot: u32,
}

/// The producers of one edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputDeployment {
    /// Position in [`JobGraph::edges`](crate::JobGraph::edges).
    pub edge: u32,
    /// Where they are; shared by all deployments that read the same, so that it is encoded once.
    pub producers: Arc<Producers>,
}

/// Where the producing subtasks of an edge are.
#[derive(Debug, Default)]
pub struct Producers {
    /// The places, each once.
    pub locations: Vec<Location>,
    /// In the order of subtasks: all of them, or for a FORWARD edge those with the numbers of this deployment's.
    pub subtasks: Vec<Producer>,
    encoded: OnceLock<Arc<[u8]>>,
}

/// One producing subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    /// Its number, from 0.
    pub subtask: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Position in [`Producers::locations`].
    pub location: u32,
}

/// A process that serves partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The worker that runs the producer, or `None` for partitions that had finished before, which the TaskExecutor
    /// serves. A blocking edge whose ends run at the same time has a worker too: it serves what it has written once
    /// that is complete.
    pub worker: Option<WorkerId>,
    /// Its TaskExecutor.
    pub task_executor: TaskExecutorId,
    /// Host and port where it listens for consumers.
    pub address: Arc<str>,
}

/// A loop over several workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopDeployment {
    /// Position in [`JobGraph::loops`](crate::JobGraph::loops).
    pub at: u32,
    /// Which of [`members`](LoopDeployment::members) decides when supersteps end: the worker of subtask 0 of the tail.
    pub leader: u32,
    /// The workers that have subtasks of the loop, in the order of their numbers.
    pub members: Arc<[LoopMember]>,
}

/// A worker's part of a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopMember {
    /// The worker.
    pub worker: WorkerId,
    /// Host and port where it listens for other workers.
    pub address: Arc<str>,
    /// How many subtasks of the loop's tail it has: so many have to end a superstep before it says so to the leader.
    pub tails: u32,
    /// How many subtasks of the loop's head it has.
    pub heads: u32,
}

/// Who gathers the broadcast sets of one vertex; producers of the sets send to these and to no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherDeployment {
    /// The vertex.
    pub vertex: VertexId,
    /// The lowest subtask of each worker that has any, which gathers for all of that worker's.
    pub subtasks: Arc<[u32]>,
}

impl Deployment {
    /// All of a job in one process, subtask `i` of each vertex in slot `i`.
    pub fn whole(graph: &JobGraph) -> Deployment {
        let tasks = graph.vertices.iter().flat_map(|vertex| {
            (0..vertex.parallelism).map(|subtask| TaskDeployment {
                execution: ExecutionId { vertex: vertex.id, subtask, attempt: 0 },
                slot: subtask,
            })
        });
        let (inputs, loops, gathers) = (Vec::new(), Vec::new(), Vec::new());
        Deployment { job: JobId(0), resume: false, tasks: tasks.collect(), inputs, loops, gathers }
    }
}

impl Producers {
    /// Producers at some places.
    pub fn new(locations: Vec<Location>, subtasks: Vec<Producer>) -> Producers {
        Producers { locations, subtasks, encoded: OnceLock::new() }
    }

    /// The partition of a producer on `edge`, and where it is.
    ///
    /// Finds it in logarithmic time.
    pub fn find(&self, edge: u32, subtask: u32) -> Option<(PartitionId, &Location)> {
        let at = self.subtasks.binary_search_by_key(&subtask, |producer| producer.subtask).ok()?;
        let producer = self.subtasks[at];
        let partition = PartitionId { edge, subtask, attempt: producer.attempt };
        Some((partition, self.locations.get(producer.location as usize)?))
    }

    /// Its bytes, made once and then shared: a group of ten thousand producers goes to as many workers.
    pub fn encoded(&self) -> Result<Arc<[u8]>> {
        if let Some(bytes) = self.encoded.get() {
            return Ok(Arc::clone(bytes));
        }
        let mut bytes = Vec::new();
        codec::encode(&[(self.locations.clone(), self.subtasks.clone())], &mut bytes)?;
        Ok(Arc::clone(self.encoded.get_or_init(|| bytes.into())))
    }

    /// What [`encoded`](Producers::encoded) made into bytes.
    pub fn decode(bytes: &[u8]) -> Result<Producers> {
        let mut decoded: Vec<(Vec<Location>, Vec<Producer>)> = codec::decode(bytes)?;
        let (locations, subtasks) = decoded.pop().unwrap_or_default();
        Ok(Producers::new(locations, subtasks))
    }
}

impl Serialize for Producers {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let bytes = self.encoded().map_err(serde::ser::Error::custom)?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Producers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Producers, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Producers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of producers")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> std::result::Result<Producers, E> {
                Producers::decode(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl PartialEq for Producers {
    fn eq(&self, other: &Producers) -> bool {
        self.locations == other.locations && self.subtasks == other.subtasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_travel_and_are_encoded_once() {
        let location = Location { worker: None, task_executor: "a".into(), address: "a:1".into() };
        let producer = |subtask| Producer { subtask, attempt: 2, location: 0 };
        let producers = Producers::new(vec![location.clone()], vec![producer(3), producer(7)]);
        let bytes = producers.encoded().unwrap();
        assert!(Arc::ptr_eq(&bytes, &producers.encoded().unwrap()));
        let decoded = Producers::decode(&bytes).unwrap();
        assert_eq!(decoded, producers);
        let partition = PartitionId { edge: 5, subtask: 7, attempt: 2 };
        assert_eq!(decoded.find(5, 7), Some((partition, &location)));
        assert_eq!(decoded.find(5, 4), None);
        assert!(Producers::decode(&bytes[1..]).is_err());
    }
}
