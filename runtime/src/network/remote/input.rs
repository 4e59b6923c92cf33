//! The consumer's side of a channel: what has arrived, decoded when the consumer takes it.

use crate::network::Inbox;
use crate::network::remote::codec::decode;
use crate::network::remote::credit::{Grant, ReceiveWindow};
use crate::network::remote::frame::{Header, Kind, Malformed, bare, cost};
use crate::network::remote::partition_file::{PartitionFile, PartitionReader};
use crate::network::remote::peer::Peer;
use crate::network::remote::{BufferPool, ChannelId};
use crate::task::lock;
use flinkrs_core::element::{Barrier, Element, Superstep, Watermark};
use flinkrs_core::{Batch, Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// One channel that another worker feeds.
pub(crate) struct RemoteInput {
    pub(crate) channel: ChannelId,
    slot: u32,
    peer: Weak<Peer>,
    inbox: Arc<Inbox>,
    like: Batch,
    window: Mutex<ReceiveWindow>,
    pool: Arc<BufferPool>,
    /// The consumer reads no further, which the producer's side knows.
    abandoned: AtomicBool,
}

/// What arrived for an inbox, in the order of its channel.
pub(crate) enum Arrived {
    /// A frame of records.
    Data(Arc<RemoteInput>, Header, Vec<u8>),
    /// Anything else.
    Control(Element),
}

/// What a consumer reads from a finished partition of its own worker, in its own turns.
pub(crate) struct FileInput {
    channel: ChannelId,
    reader: PartitionReader,
    like: Batch,
}

impl FileInput {
    pub(crate) fn open(folder: &Path, channel: ChannelId, like: Batch) -> Result<FileInput> {
        let reader = PartitionFile::open(folder, &channel.partition())
            .and_then(|file| PartitionReader::new(&file, channel.consumer))
            .map_err(|broken| channel.partition().error(broken.0))?;
        Ok(FileInput { channel, reader, like })
    }

    /// The next records, or `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>> {
        match self.reader.next_frame() {
            Ok(Some((header, payload))) => decode(&self.like, &header, payload).map(Some),
            Ok(None) => Ok(None),
            Err(broken) => Err(self.channel.partition().error(broken.0)),
        }
    }
}

impl RemoteInput {
    pub(crate) fn new(
        channel: ChannelId,
        slot: u32,
        peer: &Arc<Peer>,
        inbox: Arc<Inbox>,
        like: Batch,
        window: ReceiveWindow,
        pool: &Arc<BufferPool>,
    ) -> Arc<RemoteInput> {
        let peer = Arc::downgrade(peer);
        let (window, pool) = (Mutex::new(window), Arc::clone(pool));
        let input = RemoteInput { channel, slot, peer, inbox, like, window, pool, abandoned: AtomicBool::new(false) };
        let input = Arc::new(input);
        input.inbox.add_remote(&input);
        input
    }

    /// On the reactor: takes a frame of the channel; whether it was the last.
    pub(crate) fn arrive(self: &Arc<Self>, header: Header, payload: Vec<u8>) -> Result<bool, Malformed> {
        let value = header.value;
        let element = match header.kind {
            Kind::Data => {
                lock(&self.window).receive(cost(payload.len()))?;
                self.inbox.arrive(Arrived::Data(Arc::clone(self), header, payload));
                return Ok(false);
            }
            Kind::SuperstepEnd => Element::SuperstepEnd(Superstep(narrow(value)?)),
            Kind::Watermark => Element::Watermark(Watermark(value.cast_signed())),
            Kind::Barrier => Element::Barrier(Barrier(value)),
            Kind::End => Element::End,
            other => return Err(Malformed(format!("a {other:?} frame for a consumer"))),
        };
        let is_end = matches!(element, Element::End);
        self.inbox.arrive(Arrived::Control(element));
        Ok(is_end)
    }

    /// The channel brings nothing any more, and this is why.
    pub(crate) fn fail(&self, error: Error) {
        self.inbox.fail(error);
    }

    /// The error that the producer's side gives when it refuses the channel.
    pub(crate) fn refused(&self, reason: &[u8]) -> Error {
        self.channel.partition().error(String::from_utf8_lossy(reason))
    }

    /// The consumer reads no further: the producer's side may drop what it has.
    pub(crate) fn abandon(&self) {
        if !self.abandoned.swap(true, Ordering::Relaxed)
            && let Some(peer) = self.peer.upgrade()
        {
            peer.send(bare(Kind::Abandon, self.slot, 0));
        }
    }

    /// The consumer has taken a frame with such a payload.
    fn taken(&self, payload_bytes: usize) {
        let grant = lock(&self.window).take(cost(payload_bytes));
        if let (Some(grant), Some(peer)) = (grant, self.peer.upgrade()) {
            peer.send(credit(self.slot, grant));
        }
    }
}

impl Arrived {
    /// The element, decoded on the thread that calls; credit goes back to the producer's side.
    pub(crate) fn into_element(self) -> Result<Element> {
        match self {
            Arrived::Control(element) => Ok(element),
            Arrived::Data(input, header, payload) => {
                let batch = decode(&input.like, &header, &payload);
                let bytes = payload.len();
                input.pool.give(payload);
                input.taken(bytes);
                batch.map(Element::Batch)
            }
        }
    }

    /// Drops the records of a consumer that reads no further.
    pub(crate) fn discard(self) {
        if let Arrived::Data(input, _, payload) = self {
            let bytes = payload.len();
            input.pool.give(payload);
            input.taken(bytes);
        }
    }
}

fn narrow(value: u64) -> Result<u32, Malformed> {
    u32::try_from(value).map_err(|_| Malformed(format!("a superstep {value}")))
}

fn credit(slot: u32, grant: Grant) -> Vec<u8> {
    let header = Header { extra: grant.window, ..Header::new(Kind::Credit, slot, grant.taken) };
    header.encode().to_vec()
}
