//! A failure as it travels between processes: the message, where it happened, and what it means for a restart.

use flinkrs_core::error::{Error, Fault};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of failure it is; the restart strategy and the exit code read this, nothing parses messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureKind {
    /// A wrong option, or a program that describes no valid plan: no restart helps.
    Usage,
    /// A panic or a returned failure of user code.
    Function,
    /// Input whose content is wrong, or output that may not be replaced.
    Data,
    /// A file, disk or connection.
    Io,
    /// A limit of memory, disk or slots.
    Resource,
    /// A process has gone, a worker, or a TaskExecutor with its workers, or what one had left for others.
    Lost,
    /// The engine broke a promise to itself.
    Internal,
}

/// A failure of a task, a process or a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind it is.
    pub kind: FailureKind,
    /// What happened, where, and what to do; without the operator.
    pub message: String,
    /// The operator in which it happened, as the plan prints it.
    pub operator: Option<String>,
}

impl FailureKind {
    /// Whether a run of the same again may go better: a lost process or a full disk may be there again, while bounded
    /// input with the same code fails in the same place. (Flink tries user code again, since a stream may go on past
    /// it.)
    pub fn may_be_retried(self) -> bool {
        !matches!(self, FailureKind::Usage | FailureKind::Function | FailureKind::Data)
    }

    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            FailureKind::Usage | FailureKind::Function | FailureKind::Data => Fault::User,
            FailureKind::Io | FailureKind::Resource | FailureKind::Lost => Fault::External,
            FailureKind::Internal => Fault::Internal,
        }
    }

    /// The exit code of a client whose job ended by it: 1 job failed, 2 usage or plan, 3 input or output, 4 cluster or
    /// resources.
    pub fn exit_code(self) -> u8 {
        match self {
            FailureKind::Function | FailureKind::Internal => 1,
            FailureKind::Usage => 2,
            FailureKind::Data | FailureKind::Io => 3,
            FailureKind::Resource | FailureKind::Lost => 4,
        }
    }
}

impl Failure {
    /// A failure outside of any operator.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), operator: None }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        let kind = match error.root() {
            Error::Usage { .. } | Error::Plan { .. } => FailureKind::Usage,
            Error::Function { .. } => FailureKind::Function,
            Error::Data { .. } => FailureKind::Data,
            Error::Io { .. } => FailureKind::Io,
            Error::Resource { .. } | Error::Cancelled => FailureKind::Resource,
            Error::Network { .. } | Error::Partition { .. } => FailureKind::Lost,
            Error::Internal { .. } | Error::InOperator { .. } => FailureKind::Internal,
        };
        let operator = match error {
            Error::InOperator { operator, .. } => Some(operator.clone()),
            _ => None,
        };
        Failure { kind, message: error.root().to_string(), operator }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operator {
            Some(operator) => write!(f, "operator '{operator}': {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::id::Subtask;

    #[test]
    fn an_error_keeps_its_operator_and_its_exit_code() {
        let error = Error::function("boom").in_operator("Map", Subtask { index: 0, parallelism: 2 });
        let failure = Failure::from(&error);
        assert_eq!(failure.to_string(), "operator 'Map': boom");
        for error in
            [error, Error::usage("a"), Error::plan("b"), Error::data("c"), Error::internal("d"), Error::network("e")]
        {
            let kind = Failure::from(&error).kind;
            assert_eq!((kind.exit_code(), kind.fault()), (error.exit_code(), error.fault()), "{error}");
        }
        assert!(!Failure::from(&Error::plan("b")).kind.may_be_retried());
    }
}
