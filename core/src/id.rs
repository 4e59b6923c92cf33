//! Typed identifiers, so that an operator's number is never taken for a vertex's.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An operator of a plan: its position in the order in which the program built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperatorId(pub u32);

/// A vertex of a JobGraph: a chain of operators that run in one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VertexId(pub u32);

/// One of the parallel instances of an operator or vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subtask {
    /// From 0 to `parallelism - 1`.
    pub index: u32,
    /// How many instances there are.
    pub parallelism: u32,
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Subtask {
    /// Counts from 1, as Flink does: `1/8` is the first of eight.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.parallelism)
    }
}
