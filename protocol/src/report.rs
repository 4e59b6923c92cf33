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

/// An operator of a plan in short: enough to see whether two processes have built the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPrint {
    /// Its name.
    pub name: String,
    /// A hash of what it is, of its types and keys, and of its place in the plan.
    pub hash: u64,
}
