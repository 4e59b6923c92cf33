//! The open connections of a worker, read by whoever finds that something has come.
//!
//! That is the reactor, which the system wakes up; or a worker of the scheduler that has nothing to do and looks for a
//! while before it sleeps. What comes meanwhile is in its task's hands without a thread having been woken up, which
//! takes longer than all else on the way of a small message.

use crate::network::remote::ChannelId;
use crate::network::remote::credit::Grant;
use crate::network::remote::exchange::Shared;
use crate::network::remote::frame::{FrameReader, Header, Kind, Malformed};
use crate::network::remote::peer::Peer;
use crate::network::remote::socket::Socket;
use crate::task::{Lookout, lock};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Duration;

/// What is read at once beside the payload that is under way.
const STAGING_BYTES: usize = 64 << 10;

/// Reads from one connection before the others get their turn.
const READS_PER_TURN: usize = 16;

/// Connections about which the system says something at once.
const EVENTS: usize = 256;

/// The open connections.
pub(crate) struct Links(Mutex<State>);

struct State {
    shared: Arc<Shared>,
    poll: Poll,
    events: Events,
    open: HashMap<Token, Link>,
    staging: Vec<u8>,
    /// Links that were left with something to read.
    unread: Vec<Token>,
    /// Whether the last turn has left something to read.
    is_unfinished: bool,
    /// Links that are over, which the reactor reports.
    ended: Vec<(Link, Ending)>,
}

/// A connection behind its handshake.
pub(crate) struct Link {
    pub(crate) peer: Arc<Peer>,
    pub(crate) addr: SocketAddr,
    /// The peer has said that it leaves.
    pub(crate) bye: bool,
    socket: Arc<Socket>,
    reader: FrameReader,
    /// This side has said so.
    leaves: bool,
}

/// Why a connection ends.
pub(crate) enum Ending {
    /// The other side hung up, or the system says so.
    Closed(io::Error),
    /// The other side sends what it shouldn't.
    Malformed(Malformed),
    /// There is another connection between the two, or will be.
    Duplicate,
}

impl Ending {
    /// The other side hung up where `what` says.
    pub(crate) fn closed(what: &str) -> Ending {
        Ending::Closed(io::Error::new(io::ErrorKind::UnexpectedEof, what))
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Ending {
        if error.kind() == io::ErrorKind::InvalidData {
            return Ending::Malformed(Malformed(error.to_string()));
        }
        Ending::Closed(error)
    }
}

impl From<Malformed> for Ending {
    fn from(malformed: Malformed) -> Ending {
        Ending::Malformed(malformed)
    }
}

/// What a turn leaves to do.
pub(crate) struct Turn {
    /// Whether there is more to read.
    pub(crate) is_unfinished: bool,
    /// Links that are over.
    pub(crate) ended: Vec<(Link, Ending)>,
}

impl Links {
    pub(crate) fn new(shared: &Arc<Shared>) -> io::Result<Arc<Links>> {
        let state = State {
            shared: Arc::clone(shared),
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            is_unfinished: false,
            open: HashMap::new(),
            staging: vec![0; STAGING_BYTES],
            unread: Vec::new(),
            ended: Vec::new(),
        };
        Ok(Arc::new(Links(Mutex::new(state))))
    }

    /// Has the system say by `token` that something has come.
    pub(crate) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let state = lock(&self.0);
        registry.register(&mut SourceFd(&state.poll.as_raw_fd()), token, Interest::READABLE)
    }

    /// Takes a connection that has proven itself; no two have the same token.
    pub(crate) fn open(
        &self,
        token: Token,
        mut socket: Socket,
        addr: SocketAddr,
        peer: &Arc<Peer>,
    ) -> io::Result<Arc<Socket>> {
        let mut state = lock(&self.0);
        socket.register(state.poll.registry(), token)?;
        let socket = Arc::new(socket);
        let (peer, reader) = (Arc::clone(peer), FrameReader::new());
        state.open.insert(token, Link { peer, addr, bye: false, socket: Arc::clone(&socket), reader, leaves: false });
        // What follows the handshake may have been read and decrypted together with its end.
        state.unread.push(token);
        Ok(socket)
    }

    /// Reads what has come.
    pub(crate) fn turn(&self) -> io::Result<Turn> {
        let mut state = lock(&self.0);
        state.turn()?;
        Ok(Turn { is_unfinished: state.is_unfinished, ended: std::mem::take(&mut state.ended) })
    }

    /// When stopping: hangs up where all channels have been sent to their ends; whether the others have hung up, too.
    pub(crate) fn leave(&self) -> bool {
        let mut state = lock(&self.0);
        for link in state.open.values_mut() {
            if !link.leaves && lock(&link.peer.outputs).is_empty() {
                link.leaves = true;
                link.peer.say_bye();
            }
            if link.leaves && link.peer.is_flushed() {
                // What is unread at a full close would make the system drop what is unsent.
                let _ = link.socket.shutdown(Shutdown::Write);
            }
        }
        state.open.is_empty()
    }

    /// Who looks here before it sleeps; doesn't keep the connections open.
    pub(crate) fn lookout(self: &Arc<Self>) -> Arc<dyn Lookout> {
        Arc::new(LinksLookout(Arc::downgrade(self)))
    }
}

struct LinksLookout(Weak<Links>);

impl Lookout for LinksLookout {
    fn look(&self) {
        let Some(links) = self.0.upgrade() else { return };
        let mut state = match links.0.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        // The reactor meets the same error, and says it.
        let result = state.turn();
        if result.is_err() || state.is_unfinished || !state.ended.is_empty() {
            state.shared.wake_reactor();
        }
    }
}

impl State {
    fn turn(&mut self) -> io::Result<()> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(Duration::ZERO))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error);
        }
        for token in std::mem::take(&mut self.unread) {
            self.ready(token, true, false);
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let readable = event.is_readable() || event.is_error() || event.is_read_closed();
            self.ready(event.token(), readable, event.is_writable());
        }
        self.is_unfinished = !self.unread.is_empty() || events.iter().count() == EVENTS;
        self.events = events;
        Ok(())
    }

    /// A socket has something to read, or room to write.
    fn ready(&mut self, token: Token, readable: bool, writable: bool) {
        let Some(link) = self.open.get_mut(&token) else { return };
        let read = link.socket.flush().map_err(Ending::from).and_then(|()| {
            if writable {
                link.peer.writable();
            }
            if readable { link.read(&self.shared, &mut self.staging) } else { Ok(true) }
        });
        match read {
            Ok(true) => {}
            Ok(false) => self.unread.push(token),
            Err(ending) => {
                if let Some(link) = self.open.remove(&token) {
                    self.ended.push((link, ending));
                }
            }
        }
    }
}

impl Link {
    /// Reads for a turn; whether that was all there is.
    fn read(&mut self, shared: &Shared, staging: &mut [u8]) -> Result<bool, Ending> {
        let Link { peer, socket, reader, bye, .. } = self;
        let mut show = |header, payload| on_frame(shared, peer, bye, header, payload);
        for _ in 0..READS_PER_TURN {
            match reader.read(&mut &**socket, staging, &shared.pool, &mut show) {
                Ok(0) if reader.is_between_frames() => return Err(Ending::closed("the connection was closed")),
                Ok(0) => return Err(Ending::closed("the connection was closed in the middle of a frame")),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Ends both directions.
    pub(crate) fn hang_up(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn on_frame(
    shared: &Shared,
    peer: &Arc<Peer>,
    bye: &mut bool,
    header: Header,
    payload: Vec<u8>,
) -> Result<(), Malformed> {
    match header.kind {
        Kind::Data | Kind::SuperstepEnd | Kind::Watermark | Kind::Barrier | Kind::End => {
            // A channel that was released may still be sent.
            let input = lock(&peer.inputs).get(&header.slot).cloned();
            match input {
                Some(input) => {
                    if input.arrive(header, payload)? {
                        lock(&peer.inputs).remove(&header.slot);
                    }
                }
                None => shared.pool.give(payload),
            }
        }
        Kind::Request => {
            let channel = ChannelId::decode(&payload);
            let channel = channel.ok_or_else(|| Malformed("a request that names no channel".to_owned()))?;
            match header.extra {
                0 => shared.requested(peer, header.slot, channel, header.value)?,
                1 => shared.requested_file(peer, header.slot, channel, header.value),
                other => return Err(Malformed(format!("a request of unknown origin {other}"))),
            }
        }
        Kind::Credit => shared.granted(peer, header.slot, Grant { taken: header.value, window: header.extra })?,
        Kind::Abandon => shared.abandoned(peer, header.slot),
        Kind::Message => {
            let handler = lock(&shared.on_message).clone();
            if let Some(handler) = handler {
                handler(peer.id, payload);
            }
        }
        Kind::Refused => {
            let input = lock(&peer.inputs).remove(&header.slot);
            if let Some(input) = input {
                input.fail(input.refused(&payload));
            }
        }
        Kind::Bye => *bye = true,
    }
    Ok(())
}
