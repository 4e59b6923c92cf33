//! Channels between processes: what lies behind [`ChannelSender`] when the consumer is elsewhere, and what fills an
//! [`Inbox`] from elsewhere.
//!
//! ```text
//! producer's task ─ encode ─▶ SendChannel ─▶ Peer ─ socket ─▶ reactor ─▶ Inbox ─ decode ─▶ consumer's task
//!                                 ▲                                        │
//!                                 └────────── credit, abandon ◀────────────┘
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `exchange` | the service of a worker and its handle |
//! | `frame`, `handshake` | the bytes of a connection |
//! | `credit` | windows of channels and the budget that they share |
//! | `buffer` | buffers for reuse |
//! | `codec` | batches to frames and back |
//! | `peer` | the one connection to another worker: what waits to be written, and who writes |
//! | `reactor` | the thread that accepts and dials, and reads what nobody else does |
//! | `links` | the open connections, read by whoever finds that something has come |
//! | `sender` | the producer's side of a channel |
//! | `input` | the consumer's side of a channel |
//! | `partition_file`, `partition_writer`, `partition_server` | results that outlive their producer |
//! | `partition_folder` | the folder with all of them |
//! | `decoders` | what reads bytes of strangers, for fuzzers |
//! | `ends` | both sides for those who are no tasks: they block |

mod buffer;
mod codec;
mod credit;
pub mod decoders;
mod ends;
mod exchange;
mod frame;
mod handshake;
mod input;
mod links;
mod partition_file;
mod partition_folder;
mod partition_server;
mod partition_writer;
mod peer;
mod reactor;
mod sender;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use buffer::BufferPool;
pub use ends::{ChannelReader, ChannelWriter};
pub use exchange::{Compression, Exchange, ExchangeOptions};
pub(crate) use input::{Arrived, FileInput, RemoteInput};
pub use socket::TlsConfigs;

use flinkrs_core::types::hash_key;
use flinkrs_core::{Error, Result};
use flinkrs_protocol::{ApplicationId, TaskExecutorId, WorkerId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

/// The address of a process from `HOST:PORT`, where the host is an IP address or a name. Of the addresses of a name
/// those of IPv4 come first, as whoever listens under a name takes them.
///
/// Errors when the name isn't known here.
pub(crate) fn address_of(text: &str, of: &dyn fmt::Display) -> Result<SocketAddr> {
    let unknown = |why: &dyn fmt::Display| Error::Resource {
        message: format!("'{text}' of {of} can't be found from here: {why}; see option taskmanager.host"),
    };
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|error| unknown(&error))?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| unknown(&"the name has no address"))
}

/// One producing subtask's channel to one consuming subtask, in one attempt to run the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChannelId {
    /// The job.
    pub job: u128,
    /// Which `execute()` of the program.
    pub execution: u32,
    /// The edge's index in the JobGraph.
    pub edge: u32,
    /// The producing subtask.
    pub producer: u32,
    /// The attempt of the producer, so that what a lost one has sent isn't mixed with what its successor sends.
    pub attempt: u32,
    /// The consuming subtask.
    pub consumer: u32,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChannelId { job, execution, edge, producer, attempt, consumer } = self;
        write!(f, "{job:032x}/{execution} edge {edge}, {producer} (attempt {attempt}) to {consumer}")
    }
}

/// What one producing subtask has for all consumers of one edge, in one attempt to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredPartition {
    /// The job.
    pub job: u128,
    /// Which `execute()` of the program.
    pub execution: u32,
    /// The edge's index in the JobGraph.
    pub edge: u32,
    /// The producing subtask.
    pub producer: u32,
    /// The attempt of the producer.
    pub attempt: u32,
}

impl StoredPartition {
    /// The name of its file.
    fn file_name(&self) -> String {
        let StoredPartition { job, execution, edge, producer, attempt } = self;
        format!("{job:032x}-{execution}-{edge}-{producer}-{attempt}.{FINISHED}")
    }

    /// The partition that has a file of that name, finished or not.
    fn of_file_name(name: &str) -> Option<StoredPartition> {
        let (stem, extension) = name.rsplit_once('.')?;
        let mut parts = Some(stem).filter(|_| extension == FINISHED || extension == UNFINISHED)?.split('-');
        let job = u128::from_str_radix(parts.next()?, 16).ok()?;
        let mut word = || parts.next()?.parse().ok();
        let id = StoredPartition { job, execution: word()?, edge: word()?, producer: word()?, attempt: word()? };
        id.file_name().strip_suffix(FINISHED).is_some_and(|own| name.starts_with(own)).then_some(id)
    }

    /// The error of a partition that is missing or broken; `reason` is a predicate.
    fn error(&self, reason: impl Into<String>) -> Error {
        let StoredPartition { execution, edge, producer, attempt, .. } = *self;
        Error::Partition { execution, edge, producer, attempt, reason: reason.into() }
    }
}

/// Extension of a partition's file.
const FINISHED: &str = "partition";

/// Its extension while it is written; also of what a process that was killed has left.
const UNFINISHED: &str = "unfinished";

/// Where a channel's records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// From the producer, which may not have begun.
    Producer,
    /// From the file of a finished partition, whether its producer is still there or not.
    File,
}

/// Bytes of a channel's id on the wire.
const CHANNEL_ID_BYTES: usize = 36;

impl ChannelId {
    /// The partition that the channel is a part of.
    pub fn partition(&self) -> StoredPartition {
        let ChannelId { job, execution, edge, producer, attempt, .. } = *self;
        StoredPartition { job, execution, edge, producer, attempt }
    }

    fn encode(&self) -> [u8; CHANNEL_ID_BYTES] {
        let mut out = [0; CHANNEL_ID_BYTES];
        out[..16].copy_from_slice(&self.job.to_le_bytes());
        let words = [self.execution, self.edge, self.producer, self.attempt, self.consumer];
        for (to, word) in out[16..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<ChannelId> {
        let (job, words) = bytes.split_first_chunk::<16>()?;
        let (words, []) = words.as_chunks::<4>() else { return None };
        let [execution, edge, producer, attempt, consumer] = words else { return None };
        let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        Some(ChannelId {
            job: u128::from_le_bytes(*job),
            execution: word(execution),
            edge: word(edge),
            producer: word(producer),
            attempt: word(attempt),
            consumer: word(consumer),
        })
    }
}

/// A worker, unique within its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerId(pub u64);

impl PeerId {
    /// That of a worker.
    pub fn of_worker(application: ApplicationId, worker: WorkerId) -> PeerId {
        PeerId(hash_key(&(application, worker)) >> 1)
    }

    /// That of a TaskExecutor, which no worker has.
    pub fn of_task_executor(task_executor: &TaskExecutorId) -> PeerId {
        PeerId(1 << 63 | hash_key(&*task_executor.0))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}
