//! How a program is told what it is: environment variables that the tools set, and no secret among them.

use crate::message::Submission;
use crate::tls::TlsFiles;
use crate::{MESSAGE_BYTES, body};
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, JobId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;

/// Tells a program its role: unset for embedded, or one of the following.
pub const ROLE: &str = "FLINKRS_ROLE";

/// The program shows a plan and ends.
pub const PLAN: &str = "plan";

/// The program submits what it executes to a cluster, and waits for the results.
pub const SUBMIT: &str = "submit";

/// The program runs the tasks that it is told to.
pub const WORKER: &str = "worker";

/// In role worker: the file that says which worker it is.
pub const WORKER_SPEC: &str = "FLINKRS_WORKER_SPEC";

/// In role submit: where to and how, as the JSON of a [`SubmitSpec`].
pub const SUBMIT_SPEC: &str = "FLINKRS_SUBMIT_SPEC";

/// In role plan: `text`, `json`, `dot` or `alternatives`.
pub const PLAN_FORMAT: &str = "FLINKRS_PLAN_FORMAT";

/// In role plan: which execution's plan is shown, counted from 1.
pub const PLAN_EXECUTION: &str = "FLINKRS_PLAN_EXECUTION";

/// How much memory the records of one `collect` may take, unless the program says so itself: a size such as `512mb`.
pub const COLLECT_LIMIT: &str = "FLINKRS_COLLECT_LIMIT";

/// In any role: what stands before paths without a scheme, as `fs.default-scheme` says.
pub const DEFAULT_SCHEME: &str = "FLINKRS_DEFAULT_SCHEME";

/// The exit code of a program that has shown its plan, as no program ends that doesn't know its role.
pub const PLAN_SHOWN: i32 = 93;

/// Where a program submits to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitSpec {
    /// Where to.
    pub to: Destination,
    /// How many subtasks operators run in, unless the program says otherwise.
    pub parallelism: Option<u32>,
    /// Whether the program doesn't wait for the end of its job.
    pub detached: bool,
    /// Whether a job is cancelled when the program that waits for it is lost.
    pub cancel_on_lost_client: bool,
    /// Whether exchanges between regions are kept whole, so that a failure repeats less.
    pub blocking_exchanges: bool,
    /// Options of the configuration that count for its jobs, in place of the cluster's.
    pub settings: BTreeMap<String, String>,
}

/// Where a program finds its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// There is one.
    JobManager {
        /// Host and port of the JobManager, or the URL of a file that has them.
        address: String,
        /// The file with the cluster's secret, if it has one.
        secret_file: Option<PathBuf>,
        /// The files of certificates, if the cluster demands them.
        tls: Option<TlsFiles>,
    },
    /// Whoever has started the program starts one for its first job: it is asked by a [`StartRequest`], through pipes
    /// that the program finds as files.
    Starter {
        /// Where the request is written.
        requests: PathBuf,
        /// Where the [`Started`] is read.
        replies: PathBuf,
        /// Managed memory of each slot that there will be, in bytes.
        slot_bytes: u64,
    },
}

/// What a program asks of whoever starts its cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartRequest {
    /// What its first job is called.
    pub name: String,
    /// Its first job.
    pub job: JobId,
    /// What it submits.
    pub submission: Submission,
}

/// A cluster that was started for a program, whose first job it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Started {
    /// The run of the program.
    pub application: ApplicationId,
    /// Host and port of the JobManager, or the URL of a file that has them.
    pub address: String,
    /// The cluster's secret.
    pub secret: Vec<u8>,
}

/// Writes a message to a pipe: its length, and its bytes.
///
/// Errors when it can't be encoded, or nobody reads any more.
pub fn write_message<T: Serialize>(to: &mut impl Write, message: &T) -> Result<()> {
    let bytes = body::encode(message)?;
    let written = to.write_all(&(bytes.len() as u64).to_le_bytes()).and_then(|()| to.write_all(&bytes));
    written.and_then(|()| to.flush()).map_err(|error| Error::io("write to", "the pipe", error))
}

/// Reads a message from a pipe; `None` when the other end has ended.
///
/// Errors when the message is cut short, longer than [`MESSAGE_BYTES`], or none.
pub fn read_message<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>> {
    let failed = |error| Error::io("read from", "the pipe", error);
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(failed)?,
    }
    let length = u64::from_le_bytes(length);
    if length > MESSAGE_BYTES as u64 {
        return Err(Error::internal(format!("a message of {length} bytes in the pipe")));
    }
    let mut bytes = vec![0; length as usize];
    from.read_exact(&mut bytes).map_err(failed)?;
    body::decode(&bytes).map(Some)
}
