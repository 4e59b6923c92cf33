//! The producer's side of a channel, which holds what may not be sent yet, and the task's end of it.

use crate::network::remote::codec::Encoder;
use crate::network::remote::credit::{Grant, SendWindow};
use crate::network::remote::exchange::Shared;
use crate::network::remote::frame::{HEADER_BYTES, Header, Kind, Malformed, cost};
use crate::network::remote::peer::Peer;
use crate::network::remote::{BufferPool, ChannelId, Compression};
use crate::network::{ChannelSender, Sent, current_waker};
use crate::task::lock;
use flinkrs_core::element::Element;
use flinkrs_core::{Batch, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

/// What a channel that nobody has requested yet holds, beside one frame.
const HELD_BYTES_MAX: usize = 128 << 10;

/// What all channels of a worker share on the producer's side.
pub(crate) struct SendShare {
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) compression: Compression,
    /// Bytes that channels hold, and their bound: past it, a channel holds one frame.
    pub(crate) held: AtomicUsize,
    pub(crate) held_max: usize,
}

/// A channel, from the first of its producer and its request until both have ended.
pub(crate) struct SendChannel {
    pub(crate) id: ChannelId,
    share: Arc<SendShare>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whoever has requested the channel, and the slot that it gave it.
    consumer: Option<(Arc<Peer>, u32)>,
    window: SendWindow,
    /// What may not be sent yet; frames behind data wait for it.
    held: VecDeque<Frame>,
    held_bytes: usize,
    waiting: Option<Waker>,
    /// The consumer reads no further.
    abandoned: bool,
    /// The connection has ended, and with it the channel.
    lost: bool,
    /// The producer has ended it.
    ended: bool,
}

/// An encoded frame whose header waits for its slot.
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// A frame without a payload.
    pub(crate) fn bare(header: Header) -> Frame {
        Frame { header, bytes: vec![0; HEADER_BYTES] }
    }
}

impl SendChannel {
    pub(crate) fn new(id: ChannelId, share: &Arc<SendShare>) -> Arc<SendChannel> {
        Arc::new(SendChannel { id, share: Arc::clone(share), state: Mutex::default() })
    }

    /// A peer requests the channel: what was held is sent as far as its window goes.
    pub(crate) fn attach(&self, peer: &Arc<Peer>, slot: u32, first_window: u64) {
        let mut state = lock(&self.state);
        debug_assert!(state.consumer.is_none(), "a channel is requested once");
        state.consumer = Some((Arc::clone(peer), slot));
        state.window = SendWindow::new(first_window);
        self.pump(state);
    }

    /// The consumer has taken something.
    pub(crate) fn grant(&self, grant: Grant) -> Result<(), Malformed> {
        let mut state = lock(&self.state);
        state.window.grant(grant)?;
        self.pump(state);
        Ok(())
    }

    /// The consumer reads no further.
    pub(crate) fn abandon(&self) {
        let mut state = lock(&self.state);
        state.abandoned = true;
        state.held.retain(|frame| frame.header.kind != Kind::Data);
        self.pump(state);
    }

    /// The connection has ended: what the producer still sends is held, until the job decides what becomes of it.
    pub(crate) fn lose(&self) {
        let mut state = lock(&self.state);
        state.lost = true;
        state.consumer = None;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// Whoever consumes the channel, once its end has been handed to the connection.
    pub(crate) fn over(&self) -> Option<(Arc<Peer>, u32)> {
        let state = lock(&self.state);
        if state.ended && state.held.is_empty() { state.consumer.clone() } else { None }
    }

    /// Sends what the window allows, in order, and wakes the producer when nothing is left. The channel is locked while
    /// frames are queued, not while they are written.
    fn pump(&self, mut state: MutexGuard<'_, State>) {
        let Some((peer, _)) = &state.consumer else { return };
        let peer = Arc::clone(peer);
        self.queue(&mut state);
        drop(state);
        peer.write();
    }

    fn queue(&self, state: &mut State) {
        let Some((peer, slot)) = &state.consumer else { return };
        while let Some(frame) = state.held.front() {
            if frame.header.kind == Kind::Data {
                let cost = cost(frame.bytes.len() - HEADER_BYTES);
                if !state.window.fits(cost) {
                    break;
                }
                state.window.send(cost);
            }
            let Some(Frame { mut header, mut bytes }) = state.held.pop_front() else { break };
            header.slot = *slot;
            bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
            peer.queue(bytes);
        }
        let left = state.held.iter().map(|frame| frame.bytes.len()).sum();
        let before = std::mem::replace(&mut state.held_bytes, left);
        self.share.held.fetch_sub(before - left, Ordering::Relaxed);
        if state.held.is_empty()
            && let Some(waiting) = state.waiting.take()
        {
            waiting.wake();
        }
    }

    /// Sends a frame behind all others, once the window allows it.
    pub(crate) fn push(&self, frame: Frame) {
        if let Some(peer) = self.push_later(frame) {
            peer.write();
        }
    }

    /// Does the same but for the writing, which is to follow; returns the peer to write to if there is one.
    fn push_later(&self, frame: Frame) -> Option<Arc<Peer>> {
        let mut state = lock(&self.state);
        if state.abandoned && frame.header.kind == Kind::Data {
            self.share.pool.give(frame.bytes);
            return None;
        }
        state.ended |= frame.header.kind == Kind::End;
        state.held_bytes += frame.bytes.len();
        self.share.held.fetch_add(frame.bytes.len(), Ordering::Relaxed);
        state.held.push_back(frame);
        self.queue(&mut state);
        state.consumer.as_ref().map(|(peer, _)| Arc::clone(peer))
    }

    /// Whether data may be encoded now, and how large a frame should be; if not, `waker` is woken when it may.
    pub(crate) fn room(&self, waker: impl Fn() -> Waker) -> Room {
        let mut state = lock(&self.state);
        if state.abandoned {
            return Room::Abandoned;
        }
        if state.lost {
            return Room::Lost;
        }
        let has_room = match &state.consumer {
            Some((peer, _)) => state.held.is_empty() && peer.has_room(&waker),
            None => {
                let few = self.share.held.load(Ordering::Relaxed) < self.share.held_max;
                state.held_bytes == 0 || (few && state.held_bytes < HELD_BYTES_MAX)
            }
        };
        if !has_room {
            state.waiting = Some(waker());
            return Room::Full;
        }
        // Before the request, the least that a window will be.
        let window =
            if state.consumer.is_some() { state.window.bytes().saturating_sub(cost(0)) } else { HELD_BYTES_MAX };
        Room::Frame(window.max(1))
    }
}

impl SendChannel {
    /// A frame of records that are encoded already.
    pub(crate) fn frame(&self, header: Header, payload: &[u8]) -> Frame {
        let mut bytes = self.share.pool.take(HEADER_BYTES + payload.len());
        bytes.clear();
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(payload);
        Frame { header, bytes }
    }
}

impl Drop for SendChannel {
    fn drop(&mut self) {
        let held = lock(&self.state).held_bytes;
        self.share.held.fetch_sub(held, Ordering::Relaxed);
    }
}

/// What a channel has room for.
pub(crate) enum Room {
    /// For a frame of at most so many bytes, if its records can be cut.
    Frame(usize),
    /// For nothing now.
    Full,
    /// The consumer reads no further.
    Abandoned,
    /// The connection has ended; nobody is woken.
    Lost,
}

/// A producing task's end of a channel to another process.
pub(crate) struct RemoteSender {
    channel: Arc<SendChannel>,
    shared: Arc<Shared>,
    encoder: Encoder,
    /// To whom something is to be written that was sent.
    unwritten: Option<Arc<Peer>>,
}

/// Bytes that are written without waiting for more: few calls of the system per record, and no consumer idle for long.
const WORTH_WRITING: usize = 32 << 10;

impl RemoteSender {
    pub(crate) fn new(channel: Arc<SendChannel>, shared: &Arc<Shared>) -> RemoteSender {
        let encoder = Encoder::new(channel.share.compression, &channel.share.pool);
        RemoteSender { channel, shared: Arc::clone(shared), encoder, unwritten: None }
    }

    /// Sends what finds room, in frames that fit the window.
    fn send_batch(&mut self, mut batch: Batch) -> Result<Sent> {
        while !batch.is_empty() {
            let window = match self.channel.room(current_waker) {
                Room::Frame(bytes) => bytes,
                // Whose channel is lost waits for the job, which decides what becomes of it.
                Room::Full | Room::Lost => {
                    self.flush();
                    return Ok(Sent::Full(Element::Batch(batch)));
                }
                Room::Abandoned => {
                    batch.clear();
                    break;
                }
            };
            if let Some((header, bytes)) = self.encoder.encode_some(&mut batch, window)? {
                self.push(Frame { header, bytes });
            }
        }
        Ok(Sent::Taken(Some(batch)))
    }

    fn push(&mut self, frame: Frame) {
        if let Some(peer) = self.channel.push_later(frame) {
            self.unwritten = Some(peer);
        }
        if self.unwritten.as_ref().is_some_and(|peer| peer.has_queued(WORTH_WRITING)) {
            self.flush();
        }
    }
}

impl ChannelSender for RemoteSender {
    fn try_send(&mut self, element: Element) -> Result<Sent> {
        let header = match element {
            Element::Batch(batch) => return self.send_batch(batch),
            Element::Watermark(watermark) => Header::new(Kind::Watermark, 0, watermark.0.cast_unsigned()),
            Element::Barrier(barrier) => Header::new(Kind::Barrier, 0, barrier.0),
            Element::SuperstepEnd(superstep) => Header::new(Kind::SuperstepEnd, 0, u64::from(superstep.0)),
            Element::End => Header::new(Kind::End, 0, 0),
        };
        self.push(Frame::bare(header));
        if header.kind == Kind::End {
            self.flush();
            self.shared.tidy(&self.channel);
        }
        Ok(Sent::Taken(None))
    }

    fn flush(&mut self) {
        if let Some(peer) = self.unwritten.take() {
            peer.write();
        }
    }
}
