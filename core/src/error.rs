//! The error of operators and of everything a job meets: whose fault it is, and how the process ends.

use crate::id::Subtask;
use std::path::{Path, PathBuf};

/// What every fallible call of the engine returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is; the restart strategy and the exit code read this, nothing parses messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program, its options or its data: the same run fails again.
    User,
    /// A disk, a file, a process: may go away.
    External,
    /// The engine broke a promise to itself.
    Internal,
}

/// A failure, with what, where and what to do in its message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A wrong option or argument.
    #[error("{message}")]
    Usage {
        /// What is wrong with which option, and what is allowed.
        message: String,
    },
    /// A program that describes no valid plan.
    #[error("{message}")]
    Plan {
        /// What is wrong with which operator.
        message: String,
    },
    /// A file or folder that could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// A verb, such as `open` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Input whose content is wrong, or output that may not be replaced.
    #[error("{message}")]
    Data {
        /// File, line, column and text where they are known.
        message: String,
    },
    /// A limit of memory, disk or result size that an option can raise.
    #[error("{message}")]
    Resource {
        /// The value, the limit and the option that sets it.
        message: String,
    },
    /// A panic or a returned failure of user code.
    #[error("{message}")]
    Function {
        /// The panic's message and place, or the function's own words.
        message: String,
    },
    /// An error with the operator and the subtask in which it happened.
    #[error("operator '{operator}' (subtask {subtask}): {cause}")]
    InOperator {
        /// The operator's name as the plan prints it.
        operator: String,
        /// Which of its parallel instances.
        subtask: Subtask,
        /// What happened there.
        cause: Box<Error>,
    },
    /// A connection between two processes of a job that failed or was lost.
    #[error("{message}")]
    Network {
        /// Which peer, and what happened.
        message: String,
    },
    /// What a task has left for its consumers is missing or broken: the task has to run again.
    #[error("the result of subtask {producer} (attempt {attempt}) for edge {edge} {reason}")]
    Partition {
        /// Which `execute()` of the program.
        execution: u32,
        /// The edge's index in the JobGraph.
        edge: u32,
        /// The subtask that has produced it.
        producer: u32,
        /// In which attempt.
        attempt: u32,
        /// A predicate: what is wrong with it, and where.
        reason: String,
    },
    /// The job was cancelled; not a failure of its own.
    #[error("the job was cancelled")]
    Cancelled,
    /// A broken promise of the engine: a bug to report.
    #[error("internal error: {message}; please report this")]
    Internal {
        /// What was expected and what was found.
        message: String,
    },
}

impl Error {
    /// Wraps an operating-system error with the action and the path.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Error {
        Error::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A failure of user code, in its own words.
    pub fn function(message: impl Into<String>) -> Error {
        Error::Function { message: message.into() }
    }

    /// Wrong content of an input, or an output that may not be replaced.
    pub fn data(message: impl Into<String>) -> Error {
        Error::Data { message: message.into() }
    }

    /// A wrong option or argument.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::Usage { message: message.into() }
    }

    /// A program that describes no valid plan.
    pub fn plan(message: impl Into<String>) -> Error {
        Error::Plan { message: message.into() }
    }

    /// A connection that failed or was lost.
    pub fn network(message: impl Into<String>) -> Error {
        Error::Network { message: message.into() }
    }

    /// A bug of the engine.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::Internal { message: message.into() }
    }

    /// Adds operator and subtask, unless the error already names its own or is a cancellation.
    #[must_use]
    pub fn in_operator(self, operator: &str, subtask: Subtask) -> Error {
        match self {
            Error::InOperator { .. } | Error::Cancelled => self,
            cause => Error::InOperator { operator: operator.to_owned(), subtask, cause: Box::new(cause) },
        }
    }

    /// The error itself, without the operator around it.
    pub fn root(&self) -> &Error {
        match self {
            Error::InOperator { cause, .. } => cause.root(),
            other => other,
        }
    }

    /// Whose fault this is.
    pub fn fault(&self) -> Fault {
        match self.root() {
            Error::Usage { .. } | Error::Plan { .. } | Error::Data { .. } | Error::Function { .. } => Fault::User,
            Error::Io { .. }
            | Error::Resource { .. }
            | Error::Network { .. }
            | Error::Partition { .. }
            | Error::Cancelled => Fault::External,
            Error::InOperator { .. } | Error::Internal { .. } => Fault::Internal,
        }
    }

    /// The process's exit code: 1 job failed, 2 usage or plan, 3 input or output, 4 cluster or resources.
    pub fn exit_code(&self) -> u8 {
        match self.root() {
            Error::Usage { .. } | Error::Plan { .. } => 2,
            Error::Io { .. } | Error::Data { .. } => 3,
            Error::Resource { .. } | Error::Network { .. } | Error::Partition { .. } => 4,
            Error::Function { .. } | Error::Cancelled | Error::InOperator { .. } | Error::Internal { .. } => 1,
        }
    }
}
