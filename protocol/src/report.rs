//! What processes tell of the tasks that they run, and how plans are compared.

use crate::id::ExecutionId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One attempt of a subtask: what it has done so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Which attempt.
    pub execution: ExecutionId,
    /// How long it ran on a thread.
    pub busy: Duration,
    /// How long it waited for room at those that it sends to.
    pub backpressured: Duration,
    /// How long it waited for input.
    pub idle: Duration,
    /// Whether it has ended.
    pub done: bool,
    /// The counters of its operators, in the order of the chain.
    pub operators: Vec<OperatorCounts>,
}

/// What one operator has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorCounts {
    /// Records received.
    pub records_in: u64,
    /// Records emitted.
    pub records_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes spilled to local disk.
    pub spilled_bytes: u64,
}

/// What a process uses of its machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessUse {
    /// Memory that is resident, in bytes.
    pub memory_bytes: u64,
    /// Time of its threads on cores, user and system together.
    pub cpu: Duration,
    /// Threads that it has.
    pub threads: u64,
    /// Files and connections that it has open.
    pub open_files: u64,
}

/// What a worker uses, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerUse {
    /// Of its machine.
    pub process: ProcessUse,
    /// By slot: managed memory that operators have reserved, in bytes.
    pub managed_bytes: Vec<u64>,
    /// Of the exchange.
    pub network: NetworkUse,
}

/// What an exchange uses of its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkUse {
    /// Memory that it may use, in bytes.
    pub total_bytes: u64,
    /// What it has granted producers as credit, in bytes: it is here or on its way.
    pub credit_bytes: u64,
    /// What waits to be requested by consumers, in bytes.
    pub held_bytes: u64,
    /// Buffers at rest, in bytes.
    pub spare_bytes: u64,
    /// Channels that it receives.
    pub channels_in: u64,
    /// Channels that it sends.
    pub channels_out: u64,
}

impl WorkerUse {
    /// Adds what another worker uses.
    pub fn add(&mut self, other: &WorkerUse) {
        self.process.memory_bytes += other.process.memory_bytes;
        self.process.cpu += other.process.cpu;
        self.process.threads += other.process.threads;
        self.process.open_files += other.process.open_files;
        self.managed_bytes.resize(self.managed_bytes.len().max(other.managed_bytes.len()), 0);
        self.managed_bytes.iter_mut().zip(&other.managed_bytes).for_each(|(sum, more)| *sum += more);
        let (network, more) = (&mut self.network, &other.network);
        network.total_bytes += more.total_bytes;
        network.credit_bytes += more.credit_bytes;
        network.held_bytes += more.held_bytes;
        network.spare_bytes += more.spare_bytes;
        network.channels_in += more.channels_in;
        network.channels_out += more.channels_out;
    }
}

/// An operator of a plan in short: enough to see whether two processes have built the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPrint {
    /// Its name.
    pub name: String,
    /// A hash of what it is, of its types and keys, and of its place in the plan.
    pub hash: u64,
}
