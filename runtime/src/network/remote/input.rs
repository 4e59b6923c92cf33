//! The consumer's side of a channel: what has arrived, decoded when the consumer takes it.

use crate::network::Inbox;
use crate::network::remote::credit::{Grant, ReceiveWindow};
use crate::network::remote::frame::{HEADER_BYTES, Header, Kind, Malformed, bare};
use crate::network::remote::peer::Peer;
use crate::network::remote::{BufferPool, ChannelId};
use crate::task::lock;
use flinkrs_core::element::{Barrier, Element, Superstep, Watermark};
use flinkrs_core::{Batch, Error, Result};
use std::cell::RefCell;
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

thread_local! {
    /// Where this thread decompresses.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A larger buffer for decompression isn't kept.
const PLAIN_BYTES_KEPT: usize = 1 << 20;

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
                lock(&self.window).receive(payload.len())?;
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
        let ChannelId { execution, edge, producer, attempt, .. } = self.channel;
        let reason = String::from_utf8_lossy(reason).into_owned();
        Error::Partition { execution, edge, producer, attempt, reason }
    }

    /// The consumer reads no further: the producer's side may drop what it has.
    pub(crate) fn abandon(&self) {
        if !self.abandoned.swap(true, Ordering::Relaxed)
            && let Some(peer) = self.peer.upgrade()
        {
            peer.send(bare(Kind::Abandon, self.slot, 0));
        }
    }

    fn taken(&self, bytes: usize) {
        let grant = lock(&self.window).take(bytes);
        if let (Some(grant), Some(peer)) = (grant, self.peer.upgrade()) {
            peer.send(credit(self.slot, grant));
        }
    }

    fn decode(&self, header: Header, payload: &[u8]) -> Result<Batch> {
        let broken = |why: &str| Error::internal(format!("records of channel {} {why}", self.channel));
        if !header.compressed {
            return self.like.decode_like(payload);
        }
        PLAIN.with_borrow_mut(|plain| {
            let bytes = header.extra as usize;
            if plain.len() < bytes {
                plain.resize(bytes, 0);
            }
            let count = lz4_flex::block::decompress_into(payload, &mut plain[..bytes])
                .map_err(|error| broken(&format!("can't be decompressed: {error}")))?;
            if count != bytes {
                return Err(broken(&format!("are {count} bytes, not {bytes}, when decompressed")));
            }
            let batch = self.like.decode_like(&plain[..bytes]);
            if plain.len() > PLAIN_BYTES_KEPT {
                *plain = Vec::new();
            }
            batch
        })
    }
}

impl Arrived {
    /// The element, decoded on the thread that calls; credit goes back to the producer's side.
    pub(crate) fn into_element(self) -> Result<Element> {
        match self {
            Arrived::Control(element) => Ok(element),
            Arrived::Data(input, header, payload) => {
                let batch = input.decode(header, &payload);
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
    let mut frame = Vec::with_capacity(HEADER_BYTES);
    frame.extend_from_slice(&header.encode());
    frame
}
