//! What HDFS's failures mean to the engine: an error of one of its kinds, with the path and what to do.

use flinkrs_core::error::Error;
use flinkrs_hadoop::kerberos;
use flinkrs_hadoop::token::TOKEN_FILE;
use hdfs_native::HdfsError;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

/// A call that brought nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client's error.
    Hdfs(HdfsError),
    /// The NameNode didn't answer within this time.
    Late(Duration),
    /// An error of the engine's own.
    Own(Error),
}

impl From<HdfsError> for Failure {
    fn from(error: HdfsError) -> Failure {
        Failure::Hdfs(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Own(error)
    }
}

/// What a failure is, where something is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// There is no such file.
    Missing,
    /// There is one already, or somebody writes it.
    Exists,
    /// The user may not do that.
    Denied,
    /// The NameNode takes no changes yet, or any more.
    SafeMode,
    /// Names or space are used up.
    Quota,
    /// The NameNode, or the way to it, is gone; it may come back.
    Away,
    /// Anything else.
    Other,
}

impl Failure {
    /// What it is, by kinds and Java classes.
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Failure::Hdfs(error) => meaning(error),
            Failure::Late(_) => Meaning::Away,
            Failure::Own(_) => Meaning::Other,
        }
    }

    /// What is wrong with the login, if that is what it is.
    fn login(&self) -> Option<String> {
        let in_container = std::env::var_os(TOKEN_FILE).is_some();
        let what = match self {
            Failure::Hdfs(HdfsError::GSSAPIError(..) | HdfsError::NoSASLMechanism) if in_container => {
                "the container's token for HDFS has expired: dfs.namenode.delegation.token.max-lifetime is how long \
                 one can be renewed"
                    .to_owned()
            }
            Failure::Hdfs(HdfsError::GSSAPIError(_, code, text)) => {
                let text = text.rsplit("may provide more information: ").next().unwrap_or(text);
                kerberos::explain(*code as i32, text, kerberos::REMEDY)
            }
            Failure::Hdfs(HdfsError::SASLError(text)) => text.clone(),
            Failure::Hdfs(HdfsError::NoSASLMechanism) => "the NameNode offers no way that is known".to_owned(),
            _ => return None,
        };
        Some(format!("no login by Kerberos: {what}"))
    }

    /// The same, of a file that was worked on for so long.
    pub(crate) fn after(self, waited: Duration) -> Failure {
        match self {
            Failure::Hdfs(HdfsError::DataTransferError(said)) => {
                let seconds = waited.as_secs();
                HdfsError::DataTransferError(format!("no DataNode has taken more for {seconds} s: {said}")).into()
            }
            other => other,
        }
    }

    /// The error of a call of [`std::io`], whose caller knows the path.
    pub(crate) fn into_io(self) -> io::Error {
        match self.into_error("use", Path::new(""), "HDFS") {
            Error::Io { source, .. } => source,
            other => io::Error::other(other.to_string()),
        }
    }

    /// The engine's error for it.
    pub(crate) fn into_error(self, action: &'static str, path: &Path, server: &str) -> Error {
        let meaning = self.meaning();
        if let Some(message) = self.login() {
            return Error::Resource { message: format!("cannot {action} {}: {message}", path.display()) };
        }
        let error = match self {
            Failure::Own(error) => return error,
            Failure::Late(waited) => {
                let message = format!(
                    "no NameNode of {server} answers within {} s; is it up, and is the address the one of \
                     fs.defaultFS or hdfs-site.xml?",
                    waited.as_secs()
                );
                return Error::io(action, path, io::Error::new(ErrorKind::TimedOut, message));
            }
            Failure::Hdfs(error) => error,
        };
        let io = |kind: ErrorKind, message: String| Error::io(action, path, io::Error::new(kind, message));
        match meaning {
            Meaning::Missing => io(ErrorKind::NotFound, "there is no such file or folder".to_owned()),
            Meaning::Exists => io(ErrorKind::AlreadyExists, said(&error)),
            Meaning::Denied => io(ErrorKind::PermissionDenied, said(&error)),
            Meaning::SafeMode => {
                let message = "the NameNode is in safe mode and changes nothing; it leaves it when enough DataNodes \
                               have reported, or by `hdfs dfsadmin -safemode leave`";
                io(ErrorKind::ReadOnlyFilesystem, message.to_owned())
            }
            Meaning::Quota => Error::Resource {
                message: format!(
                    "cannot {action} {}: {}; `hdfs dfsadmin -setQuota` or `-setSpaceQuota` raises it",
                    path.display(),
                    said(&error)
                ),
            },
            Meaning::Away => io(ErrorKind::ConnectionReset, format!("{server}: {}", said(&error))),
            Meaning::Other => io(ErrorKind::Other, said(&error)),
        }
    }
}

fn meaning(error: &HdfsError) -> Meaning {
    match error {
        HdfsError::FileNotFound(_) => Meaning::Missing,
        HdfsError::AlreadyExists(_) => Meaning::Exists,
        HdfsError::IOError(_) => Meaning::Away,
        HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _) => {
            match class.rsplit(['.', '$']).next().unwrap_or_default() {
                "FileNotFoundException" => Meaning::Missing,
                "FileAlreadyExistsException" | "AlreadyBeingCreatedException" => Meaning::Exists,
                "AccessControlException" | "AuthorizationException" | "InvalidToken" => Meaning::Denied,
                "SafeModeException" => Meaning::SafeMode,
                "NSQuotaExceededException"
                | "DSQuotaExceededException"
                | "QuotaExceededException"
                | "QuotaByStorageTypeExceededException" => Meaning::Quota,
                "StandbyException" | "RetriableException" | "ServerNotRunningException" => Meaning::Away,
                _ => Meaning::Other,
            }
        }
        _ => Meaning::Other,
    }
}

/// The error in its own words: of an exception the first line, without the class.
fn said(error: &HdfsError) -> String {
    match error {
        HdfsError::RPCError(class, trace) | HdfsError::FatalRPCError(class, trace) => {
            flinkrs_hadoop::error::ServerException::new(class, trace).message
        }
        HdfsError::AlreadyExists(trace) => trace.lines().next().unwrap_or_default().to_owned(),
        HdfsError::IOError(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: &str, trace: &str) -> Error {
        let failure = Failure::Hdfs(HdfsError::RPCError(class.to_owned(), trace.to_owned()));
        failure.into_error("write", Path::new("hdfs://nn/a"), "nn:8020")
    }

    #[test]
    fn exceptions_become_kinds_with_the_path_and_the_reason() {
        let class = "org.apache.hadoop.security.AccessControlException";
        let denied = error(class, &format!("{class}: Permission denied: user=ann\n\tat a.B"));
        assert!(matches!(&denied, Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied));
        assert_eq!(denied.to_string(), "cannot write hdfs://nn/a: Permission denied: user=ann");
        let full = error("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "The quota of /q is 1 B");
        assert_eq!(full.exit_code(), 4);
        assert!(full.to_string().contains("-setSpaceQuota"), "{full}");
        let safe = error("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Cannot create");
        assert!(safe.to_string().contains("dfsadmin -safemode leave"), "{safe}");
    }

    #[test]
    fn what_is_missing_or_late_is_said() {
        let missing = Failure::Hdfs(HdfsError::FileNotFound("/a".to_owned()));
        let missing = missing.into_error("open", Path::new("/a"), "nn:8020");
        assert_eq!(missing.to_string(), "cannot open /a: there is no such file or folder");
        let late = Failure::Late(Duration::from_secs(20)).into_error("open", Path::new("/a"), "nn:8020");
        assert!(late.to_string().contains("no NameNode of nn:8020 answers within 20 s"), "{late}");
    }
}
