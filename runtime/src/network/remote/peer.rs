//! The one connection to another worker: the frames that wait to be written, and who writes them.
//!
//! Whoever queues frames writes them, unless another thread is writing already: a frame then needs no thread to wake
//! up before it is on its way. What the socket doesn't take stays queued, and the reactor writes on when it is told
//! that there is room.

use crate::network::remote::frame::{Kind, bare};
use crate::network::remote::input::RemoteInput;
use crate::network::remote::sender::SendChannel;
use crate::network::remote::socket::Socket;
use crate::network::remote::{BufferPool, PeerId};
use crate::task::lock;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Frames handed to the system at once.
const FRAMES_PER_WRITE: usize = 32;

/// Data that waits to be written to one peer at most, beside one frame, before its producers wait: more than a socket
/// takes while its producers run on.
const QUEUED_BYTES_MAX: usize = 1 << 20;

/// Another worker, from the moment that it is first needed until its connection ends.
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) addr: SocketAddr,
    pool: Arc<BufferPool>,
    out: Mutex<Out>,
    /// The channels that this worker has requested from the peer, by slot.
    pub(crate) inputs: Mutex<HashMap<u32, Arc<RemoteInput>>>,
    /// The channels that the peer has requested, by its slot.
    pub(crate) outputs: Mutex<HashMap<u32, Arc<SendChannel>>>,
    next_slot: AtomicU32,
}

#[derive(Default)]
struct Out {
    socket: Option<Arc<Socket>>,
    queue: VecDeque<Vec<u8>>,
    /// Bytes in `queue`, and in the hands of the thread that writes.
    queued_bytes: usize,
    /// Bytes of the first frame that have been written.
    written: usize,
    /// A thread is writing.
    writing: bool,
    /// The socket has room again, which the thread that writes may not have seen.
    writable: bool,
    closed: bool,
    waiting: Vec<Waker>,
}

impl Peer {
    pub(crate) fn new(id: PeerId, addr: SocketAddr, pool: &Arc<BufferPool>) -> Arc<Peer> {
        Arc::new(Peer {
            id,
            addr,
            pool: Arc::clone(pool),
            out: Mutex::default(),
            inputs: Mutex::default(),
            outputs: Mutex::default(),
            next_slot: AtomicU32::new(1),
        })
    }

    pub(crate) fn next_slot(&self) -> u32 {
        self.next_slot.fetch_add(1, Ordering::Relaxed)
    }

    /// The connection is there: what has waited is written.
    pub(crate) fn connected(&self, socket: Arc<Socket>) {
        lock(&self.out).socket = Some(socket);
        self.write();
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.out).socket.is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.out).closed
    }

    /// Queues a frame behind all others, and writes what the socket takes. After the end of the connection frames are
    /// dropped, and `false` says so.
    pub(crate) fn send(&self, frame: Vec<u8>) -> bool {
        let queued = self.queue(frame);
        self.write();
        queued
    }

    /// Queues a frame behind all others; [`Peer::write`] is to follow.
    pub(crate) fn queue(&self, frame: Vec<u8>) -> bool {
        let mut out = lock(&self.out);
        if out.closed {
            return false;
        }
        out.queued_bytes += frame.len();
        out.queue.push_back(frame);
        true
    }

    /// Whether at least so many bytes wait to be written.
    pub(crate) fn has_queued(&self, bytes: usize) -> bool {
        lock(&self.out).queued_bytes >= bytes
    }

    /// Whether more data should be queued; if not, `waker` is woken when it should.
    pub(crate) fn has_room(&self, waker: impl FnOnce() -> Waker) -> bool {
        let mut out = lock(&self.out);
        if out.queued_bytes < QUEUED_BYTES_MAX || out.closed {
            return true;
        }
        let waker = waker();
        if !out.waiting.iter().any(|waiting| waiting.will_wake(&waker)) {
            out.waiting.push(waker);
        }
        false
    }

    /// The socket has room.
    pub(crate) fn writable(&self) {
        let mut out = lock(&self.out);
        if out.writing {
            out.writable = true;
            return;
        }
        drop(out);
        self.write();
    }

    /// Writes until nothing waits or the socket is full, unless another thread is at it.
    pub(crate) fn write(&self) {
        let mut batch: VecDeque<Vec<u8>> = VecDeque::new();
        let mut out = lock(&self.out);
        if out.writing || out.queue.is_empty() {
            return;
        }
        let Some(socket) = out.socket.clone() else { return };
        out.writing = true;
        loop {
            while batch.len() < FRAMES_PER_WRITE
                && let Some(frame) = out.queue.pop_front()
            {
                batch.push_back(frame);
            }
            if batch.is_empty() {
                out.writing = false;
                return;
            }
            out.writable = false;
            let skip = out.written;
            drop(out);
            let result = write_frames(&socket, &batch, skip);
            out = lock(&self.out);
            match result {
                Ok(count) => self.wrote(&mut out, &mut batch, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !out.writable {
                        while let Some(frame) = batch.pop_back() {
                            out.queue.push_front(frame);
                        }
                        out.writing = false;
                        return;
                    }
                }
                Err(_) => {
                    // The reactor finds the end when it reads, and reports it.
                    let _ = socket.shutdown(Shutdown::Both);
                    out.writing = false;
                    return;
                }
            }
        }
    }

    fn wrote(&self, out: &mut Out, batch: &mut VecDeque<Vec<u8>>, mut count: usize) {
        out.queued_bytes = out.queued_bytes.saturating_sub(count);
        count += out.written;
        while let Some(frame) = batch.front() {
            if count < frame.len() {
                break;
            }
            count -= frame.len();
            self.pool.give(batch.pop_front().unwrap_or_default());
        }
        out.written = count;
        if out.queued_bytes < QUEUED_BYTES_MAX / 2 {
            out.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Whether all has been handed to the system.
    pub(crate) fn is_flushed(&self) -> bool {
        let out = lock(&self.out);
        let Some(socket) = out.socket.as_ref().filter(|_| !out.closed) else { return true };
        out.queued_bytes == 0 && socket.is_flushed()
    }

    /// Says that no more follows.
    pub(crate) fn say_bye(&self) {
        self.send(bare(Kind::Bye, 0, 0));
    }

    /// The connection is over: drops what waits.
    pub(crate) fn close(&self) {
        let mut out = lock(&self.out);
        out.closed = true;
        out.socket = None;
        out.queue.clear();
        out.queued_bytes = 0;
        out.waiting.drain(..).for_each(Waker::wake);
    }
}

fn write_frames(mut socket: &Socket, frames: &VecDeque<Vec<u8>>, skip: usize) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
    for (i, (slice, frame)) in slices.iter_mut().zip(frames).enumerate() {
        *slice = IoSlice::new(&frame[if i == 0 { skip } else { 0 }..]);
    }
    socket.write_vectored(&slices[..frames.len()])
}
