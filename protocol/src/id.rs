//! Identifiers of what a cluster is made of: jobs, applications, processes, slots, executions, partitions.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::VertexId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A job: one execution of a program. Shown as 32 hexadecimal digits, as Flink's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u128);

/// An application: one run of a user's program, which executes jobs one after another. 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApplicationId(pub u128);

/// A TaskExecutor process: each start of one has a name of its own.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskExecutorId(pub Arc<str>);

/// A worker process of an application; numbers grow in the order of starts and are never used again, also not by a
/// JobManager that has been started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerId(pub u64);

/// A slot: a share of a TaskExecutor's cores and memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlotId {
    /// Whose.
    pub task_executor: TaskExecutorId,
    /// From 0 to the number of its slots - 1.
    pub index: u32,
}

/// One attempt to run one subtask of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutionId {
    /// Which vertex of the JobGraph.
    pub vertex: VertexId,
    /// Which of its subtasks, from 0.
    pub subtask: u32,
    /// How many attempts there were before; from 0.
    pub attempt: u32,
}

/// What one attempt of one subtask writes to one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartitionId {
    /// Position in [`JobGraph::edges`](crate::JobGraph::edges).
    pub edge: u32,
    /// The producing subtask, from 0.
    pub subtask: u32,
    /// The producer's attempt.
    pub attempt: u32,
}

impl From<String> for TaskExecutorId {
    fn from(name: String) -> TaskExecutorId {
        TaskExecutorId(name.into())
    }
}

impl From<&str> for TaskExecutorId {
    fn from(name: &str) -> TaskExecutorId {
        TaskExecutorId(name.into())
    }
}

/// Reads 32 hexadecimal digits.
fn digits(text: &str, what: &str) -> Result<u128> {
    let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    number.ok_or_else(|| Error::usage(format!("'{text}' is no {what} id: that is 32 hexadecimal digits")))
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<JobId> {
        digits(text, "job").map(JobId)
    }
}

impl FromStr for ApplicationId {
    type Err = Error;

    fn from_str(text: &str) -> Result<ApplicationId> {
        digits(text, "application").map(ApplicationId)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApplicationId({self})")
    }
}

impl fmt::Display for TaskExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.task_executor, self.index)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotId({self})")
    }
}

impl fmt::Display for ExecutionId {
    /// `vertex_subtask_attempt`, all from 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.vertex, self.subtask, self.attempt)
    }
}

impl fmt::Display for PartitionId {
    /// `edge_subtask_attempt`, all from 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.edge, self.subtask, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_digits_and_read_again() {
        let job = JobId(0xab);
        assert_eq!(job.to_string(), "000000000000000000000000000000ab");
        assert_eq!(job.to_string().parse::<JobId>().unwrap(), job);
        for wrong in ["", "ab", "+00000000000000000000000000000ab", "0000000000000000000000000000000000"] {
            let error = wrong.parse::<JobId>().unwrap_err().to_string();
            assert!(error.contains("32 hexadecimal digits"), "{error}");
        }
    }
}
