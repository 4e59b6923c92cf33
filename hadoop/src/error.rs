//! What can go wrong between here and a Hadoop cluster, and whether it helps to try again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the server or file in its message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A Hadoop configuration that is missing or wrong.
    #[error("{message}")]
    Configuration {
        /// Which file or key, and what it should be.
        message: String,
    },
    /// A file that could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// A verb, such as `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A token file with wrong content, or without the token that is needed.
    #[error("{message}")]
    Token {
        /// What was found, and what was expected.
        message: String,
    },
    /// Nobody answers at the server's address; nothing was sent.
    #[error("cannot connect to {server}: {reason}")]
    Connect {
        /// Host and port.
        server: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The server doesn't accept who we are.
    #[error("{server} refuses the login by {method}: {message}")]
    Login {
        /// Host and port.
        server: String,
        /// SIMPLE, TOKEN or KERBEROS.
        method: &'static str,
        /// The server's reason, or what it did wrong.
        message: String,
    },
    /// Who we are can't be proven to the server, or not who it is.
    #[error("no login to {server} by Kerberos: {message}")]
    Kerberos {
        /// Host and port.
        server: String,
        /// What is missing or wrong, and what to do.
        message: String,
    },
    /// The connection ended before the answer came.
    #[error("{server} was lost during {method}: {reason}")]
    Lost {
        /// Host and port.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// How the connection ended.
        reason: String,
    },
    /// No answer came in time.
    #[error("{server} didn't answer {method} within {} s", waited.as_secs_f64())]
    Timeout {
        /// Host and port.
        server: String,
        /// The method that was called, or `connect`.
        method: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// What the server sent isn't Hadoop's protocol, or goes over a limit.
    #[error("{server} sent what can't be read: {message}")]
    Garbled {
        /// Host and port.
        server: String,
        /// What was found where, and the limit.
        message: String,
    },
    /// The server answered with an exception.
    #[error("{server} answers {method} with {exception}")]
    Server {
        /// Host and port.
        server: String,
        /// The method that was called.
        method: &'static str,
        /// What it answered.
        exception: ServerException,
    },
    /// No server of a service took the call in time.
    #[error("no {service} took {method} within {:.1} s; {last}", waited.as_secs_f64())]
    Unavailable {
        /// What kind of server.
        service: &'static str,
        /// The method that was called.
        method: &'static str,
        /// How long was tried.
        waited: Duration,
        /// The last failure of each server.
        last: String,
    },
}

/// An exception of a Hadoop server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerException {
    /// The Java class, with its package.
    pub class: String,
    /// Its message, without the stack trace.
    pub message: String,
}

/// What an exception means, where something is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The server is up and not the active one.
    Standby,
    /// The server asks to try again later.
    Later,
    /// The ApplicationMaster has to register (again): the ResourceManager was restarted.
    NotRegistered,
    /// The attempt is over for the ResourceManager: another one runs, or none.
    AttemptGone,
    /// There is no such application.
    NoApplication,
    /// The container that is asked for doesn't fit into the cluster, the queue or its limits.
    InvalidRequest,
    /// The token is unknown or has expired.
    InvalidToken,
    /// The user may not do that.
    Denied,
    /// Anything else.
    Other,
}

impl ServerException {
    /// Reads the class and the first line of a stack trace, in which Hadoop sends both.
    pub fn new(class: &str, trace: &str) -> ServerException {
        let first = trace.lines().next().unwrap_or_default();
        let message = first.strip_prefix(class).map_or(first, |rest| rest.strip_prefix(':').unwrap_or(rest).trim());
        ServerException { class: class.to_owned(), message: message.to_owned() }
    }

    /// What to make of it; known by the class alone.
    pub fn meaning(&self) -> Meaning {
        match self.class.rsplit(['.', '$']).next().unwrap_or_default() {
            "StandbyException" | "NotMasterException" => Meaning::Standby,
            "RetriableException" | "RpcNoSuchProtocolException" | "ServerNotRunningException" => Meaning::Later,
            "ApplicationMasterNotRegisteredException" => Meaning::NotRegistered,
            "ApplicationAttemptNotFoundException" => Meaning::AttemptGone,
            "ApplicationNotFoundException" => Meaning::NoApplication,
            "InvalidResourceRequestException" | "InvalidLabelResourceRequestException" => Meaning::InvalidRequest,
            "InvalidToken" => Meaning::InvalidToken,
            "AccessControlException" | "AuthorizationException" => Meaning::Denied,
            _ => Meaning::Other,
        }
    }
}

impl std::fmt::Display for ServerException {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let class = self.class.rsplit('.').next().unwrap_or_default();
        write!(f, "{class}: {}", self.message)
    }
}

impl Error {
    /// Wraps an operating-system error with the action and the path.
    pub fn file(action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::File { action, path: path.to_path_buf(), source }
    }

    /// A configuration that is missing or wrong.
    pub fn configuration(message: impl Into<String>) -> Error {
        Error::Configuration { message: message.into() }
    }

    /// What the server's exception means, when that is what this is.
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            Error::Server { exception, .. } => Some(exception.meaning()),
            _ => None,
        }
    }

    /// Whether the server certainly did nothing, so that any call may be sent again.
    pub fn is_before_call(&self) -> bool {
        match self {
            Error::Connect { .. } | Error::Timeout { method: "connect", .. } => true,
            other => matches!(other.meaning(), Some(Meaning::Standby | Meaning::Later)),
        }
    }

    /// Whether the fault is the network's or the server's, so that the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        self.is_before_call() || matches!(self, Error::Lost { .. } | Error::Timeout { .. } | Error::Unavailable { .. })
    }
}

/// Files become errors of input and output, everything about the cluster one of resources (exit code 4).
impl From<Error> for flinkrs_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::File { action, path, source } => flinkrs_core::Error::Io { action, path, source },
            Error::Configuration { message } => flinkrs_core::Error::Usage { message },
            other => flinkrs_core::Error::Resource { message: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whose_fault_it_is() {
        let code = |error: Error| flinkrs_core::Error::from(error).exit_code();
        assert_eq!(code(Error::configuration("no Hadoop configuration")), 2);
        assert_eq!(code(Error::file("read", Path::new("core-site.xml"), io::ErrorKind::NotFound.into())), 3);
        assert_eq!(code(Error::Connect { server: "rm:8032".to_owned(), reason: "refused".to_owned() }), 4);
    }

    #[test]
    fn an_exception_is_its_class_and_the_first_line() {
        let class = "org.apache.hadoop.security.token.SecretManager$InvalidToken";
        let found = ServerException::new(class, &format!("{class}: not found\n\tat a.B.c(B.java:1)"));
        assert_eq!((found.message.as_str(), found.meaning()), ("not found", Meaning::InvalidToken));
        assert_eq!(found.to_string(), "SecretManager$InvalidToken: not found");
        let bare = ServerException::new("org.apache.hadoop.ipc.StandbyException", "not active");
        assert_eq!((bare.message.as_str(), bare.meaning()), ("not active", Meaning::Standby));
        assert_eq!(ServerException::new("java.io.IOException", "").meaning(), Meaning::Other);
    }
}
