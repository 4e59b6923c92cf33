//! The thread that accepts, dials and reads, for all peers of a worker.

use crate::network::remote::credit::Grant;
use crate::network::remote::exchange::{Command, ExchangeOptions, Shared};
use crate::network::remote::frame::{FrameReader, Header, Kind, Malformed};
use crate::network::remote::handshake::{Handshake, Step, Verdict};
use crate::network::remote::peer::Peer;
use crate::network::remote::socket::Socket;
use crate::network::remote::{ChannelId, PeerId};
use crate::task::lock;
use flinkrs_core::Error;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// What is read at once beside the payload that is under way.
const STAGING_BYTES: usize = 64 << 10;

/// Reads from one connection before the others get their turn.
const READS_PER_TURN: usize = 16;

/// Strangers that are being asked who they are at a time.
const GREETINGS_MAX: usize = 256;

/// A handshake takes at most so long.
const GREETING_TIME: Duration = Duration::from_secs(10);

/// How long a peer is dialed until it counts as lost.
const DIAL_TIME: Duration = Duration::from_secs(10);

/// After a dial that failed, the next.
const DIAL_PAUSE: Duration = Duration::from_millis(50);

/// When the exchange is dropped: how long what is queued may take to be written, and peers to hang up.
const STOP_TIME: Duration = Duration::from_secs(1);

/// The service's thread.
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    poll: Poll,
    listener: TcpListener,
    links: HashMap<Token, Link>,
    next_token: usize,
    staging: Vec<u8>,
    /// Links that were left with something to read.
    unread: Vec<Token>,
    /// Peers to be dialed again, when, and until when.
    redials: Vec<Redial>,
    stopping: Option<Instant>,
}

struct Redial {
    at: Instant,
    until: Instant,
    peer: Arc<Peer>,
}

/// A connection, or one that is to become one.
struct Link {
    socket: Arc<Socket>,
    addr: SocketAddr,
    /// The peer that was dialed, and until when it is dialed again.
    dialed: Option<(Arc<Peer>, Instant)>,
    phase: Phase,
    /// When the handshake has to be over.
    deadline: Instant,
}

enum Phase {
    /// Dialed; the system hasn't said yet whether it worked.
    Connecting,
    Greeting(Handshake),
    Open {
        peer: Arc<Peer>,
        reader: FrameReader,
        /// The peer has said that it leaves.
        bye: bool,
        /// This side has said so.
        leaves: bool,
    },
}

/// Why a link ends.
enum Ending {
    /// The other side hung up, or the system says so.
    Closed(io::Error),
    /// The other side sends what it shouldn't.
    Malformed(Malformed),
    /// There is another connection between the two, or will be.
    Duplicate,
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

impl Reactor {
    pub(crate) fn new(listener: std::net::TcpListener, options: ExchangeOptions) -> io::Result<(Reactor, Arc<Shared>)> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Shared::new(options, Waker::new(poll.registry(), WAKER)?);
        let reactor = Reactor {
            shared: Arc::clone(&shared),
            poll,
            listener,
            links: HashMap::new(),
            next_token: 2,
            staging: vec![0; STAGING_BYTES],
            unread: Vec::new(),
            redials: Vec::new(),
            stopping: None,
        };
        Ok((reactor, shared))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until the exchange is dropped.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = Instant::now();
            self.expire(now);
            if self.stopping.is_some_and(|until| self.may_stop(now, until)) {
                return self.shared.forget_all();
            }
            let timeout = if self.unread.is_empty() { self.timeout(now) } else { Some(Duration::ZERO) };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log(&format!("the network of this worker ends: cannot wait for events: {error}"));
                return self.shared.forget_all();
            }
            for token in std::mem::take(&mut self.unread) {
                self.ready(token, true, false);
            }
            for event in &events {
                self.dispatch(event);
            }
        }
    }

    fn dispatch(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => self.obey(),
            token => {
                let readable = event.is_readable() || event.is_error() || event.is_read_closed();
                self.ready(token, readable, event.is_writable());
            }
        }
    }

    fn obey(&mut self) {
        for command in self.shared.commands() {
            match command {
                Command::Dial(peer) => self.dial(peer, Instant::now() + DIAL_TIME),
                Command::Stop => self.stopping = Some(Instant::now() + STOP_TIME),
            }
        }
    }

    /// When stopping: hangs up where all channels have been sent to their ends; whether the others have hung up, too.
    fn may_stop(&mut self, now: Instant, until: Instant) -> bool {
        self.links.retain(|_, link| match &mut link.phase {
            Phase::Open { peer, leaves, .. } => {
                if !*leaves && lock(&peer.outputs).is_empty() {
                    *leaves = true;
                    peer.say_bye();
                }
                if *leaves && peer.is_flushed() {
                    // What is unread at a full close would make the system drop what is unsent.
                    let _ = link.socket.shutdown(Shutdown::Write);
                }
                true
            }
            _ => false,
        });
        self.links.is_empty() || now >= until
    }

    /// Until the next thing that happens by itself.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let greetings = self.links.values().filter(|link| !link.is_open()).map(|link| link.deadline);
        let redials = self.redials.iter().map(|redial| redial.at);
        let stop = self.stopping.map(|until| until.min(now + Duration::from_millis(5)));
        greetings.chain(redials).chain(stop).min().map(|at| at.saturating_duration_since(now))
    }

    /// Ends handshakes that take too long, and dials again.
    fn expire(&mut self, now: Instant) {
        let late = self.links.iter().filter(|(_, link)| !link.is_open() && link.deadline <= now);
        for token in late.map(|(token, _)| *token).collect::<Vec<_>>() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long");
            self.end(token, Ending::Closed(error));
        }
        if self.stopping.is_some() {
            self.redials.clear();
        }
        let due: Vec<Redial> = self.redials.extract_if(.., |redial| redial.at <= now).collect();
        for Redial { peer, until, .. } in due {
            if !peer.is_connected() && !peer.is_closed() {
                self.dial(peer, until);
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, addr)) => {
                    let greetings = self.links.values().filter(|link| !link.is_open()).count();
                    if self.stopping.is_some() || greetings >= GREETINGS_MAX {
                        continue;
                    }
                    let added = nonce().and_then(|nonce| {
                        let socket = Socket::accepted(socket, self.shared.tls.as_ref())?;
                        let handshake = Handshake::accept(self.shared.identity.clone(), nonce);
                        self.add(socket, addr, None, Phase::Greeting(handshake))
                    });
                    if let Err(error) = added {
                        log(&format!("cannot accept a connection from {addr}: {error}"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Out of descriptors, or the stranger has gone: the others go on.
                Err(error) => return log(&format!("cannot accept a connection: {error}")),
            }
        }
    }

    fn dial(&mut self, peer: Arc<Peer>, until: Instant) {
        if peer.is_connected() {
            return;
        }
        let (addr, id) = (peer.addr, peer.id);
        let dialed = Socket::dial(addr, self.shared.tls.as_ref())
            .and_then(|socket| self.add(socket, addr, Some((Arc::clone(&peer), until)), Phase::Connecting));
        if let Err(error) = dialed {
            self.lost(&peer, &format!("cannot connect to {id} at {addr}: {error}"));
        }
    }

    fn add(
        &mut self,
        mut socket: Socket,
        addr: SocketAddr,
        dialed: Option<(Arc<Peer>, Instant)>,
        phase: Phase,
    ) -> io::Result<()> {
        let token = Token(self.next_token);
        self.next_token += 1;
        socket.register(self.poll.registry(), token)?;
        let deadline = Instant::now() + GREETING_TIME;
        self.links.insert(token, Link { socket: Arc::new(socket), addr, dialed, phase, deadline });
        Ok(())
    }

    /// A socket has something to read, or room to write.
    fn ready(&mut self, token: Token, readable: bool, writable: bool) {
        let Some(link) = self.links.get_mut(&token) else { return };
        let result = match &mut link.phase {
            Phase::Connecting => link.connected(&self.shared),
            Phase::Greeting(_) => link.socket.flush().map_err(Ending::from).map(|()| true),
            Phase::Open { peer, .. } => link.socket.flush().map_err(Ending::from).map(|()| {
                if writable {
                    peer.writable();
                }
                readable
            }),
        };
        let result = match result {
            Ok(true) => self.read(token),
            Ok(false) => Ok(()),
            Err(ending) => Err(ending),
        };
        if let Err(ending) = result {
            self.end(token, ending);
        }
    }

    fn read(&mut self, token: Token) -> Result<(), Ending> {
        for _ in 0..READS_PER_TURN {
            let Some(link) = self.links.get_mut(&token) else { return Ok(()) };
            let read = match &mut link.phase {
                Phase::Connecting => return Ok(()),
                Phase::Open { peer, reader, bye, .. } => {
                    let shared = &self.shared;
                    let mut show = |header, payload| on_frame(shared, peer, bye, header, payload);
                    match reader.read(&mut &*link.socket, &mut self.staging, &shared.pool, &mut show) {
                        Ok(0) if reader.is_between_frames() => Err(closed("the connection was closed")),
                        Ok(0) => Err(closed("the connection was closed in the middle of a frame")),
                        Ok(_) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
                Phase::Greeting(handshake) => {
                    let mut bytes = [0; 64];
                    let wants = handshake.wants().min(bytes.len());
                    match (&*link.socket).read(&mut bytes[..wants]) {
                        Ok(0) if handshake.is_judged() => {
                            return Err(Malformed("the peer hangs up: it has another secret".to_owned()).into());
                        }
                        Ok(0) => Err(closed("the connection was closed during the handshake")),
                        Ok(count) => match handshake.take(&bytes[..count]) {
                            Ok(step) => return self.greet(token, step).and_then(|()| self.read(token)),
                            Err(malformed) => {
                                if let Some(parting) = handshake.parting() {
                                    // The other side may be gone already.
                                    let _ = (&*link.socket).write(&parting);
                                }
                                return Err(malformed.into());
                            }
                        },
                        Err(error) => Err(error),
                    }
                }
            };
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unread.push(token);
        Ok(())
    }

    /// Goes on with a handshake.
    fn greet(&mut self, token: Token, step: Step) -> Result<(), Ending> {
        let Some(link) = self.links.get_mut(&token) else { return Ok(()) };
        match step {
            Step::Wait => Ok(()),
            Step::Send(bytes) => link.send_whole(&bytes),
            Step::Proven(id) => {
                let peer = self.shared.welcome(id, link.addr);
                let Phase::Greeting(handshake) = &link.phase else { return Ok(()) };
                let verdict = if peer.is_some() { Verdict::Accepted } else { Verdict::Duplicate };
                link.send_whole(&handshake.answer(verdict))?;
                match peer {
                    Some(peer) => {
                        self.open(token, &peer);
                        Ok(())
                    }
                    None => Err(Ending::Duplicate),
                }
            }
            Step::Decided(id, verdict) => {
                let Some((peer, _)) = link.dialed.clone() else { return Ok(()) };
                if id != peer.id {
                    return Err(Malformed(format!("{id} listens there, not {}", peer.id)).into());
                }
                if verdict == Verdict::Duplicate || peer.is_connected() || peer.is_closed() {
                    return Err(Ending::Duplicate);
                }
                self.open(token, &peer);
                Ok(())
            }
        }
    }

    fn open(&mut self, token: Token, peer: &Arc<Peer>) {
        if let Some(link) = self.links.get_mut(&token) {
            link.phase = Phase::Open { peer: Arc::clone(peer), reader: FrameReader::new(), bye: false, leaves: false };
            peer.connected(Arc::clone(&link.socket));
        }
        // A dial of our own to the same peer has lost.
        self.links.retain(|other, link| {
            *other == token || link.is_open() || link.dialed.as_ref().is_none_or(|(dialed, _)| dialed.id != peer.id)
        });
    }

    /// A link is over.
    fn end(&mut self, token: Token, ending: Ending) {
        let Some(link) = self.links.remove(&token) else { return };
        let reason = match &ending {
            Ending::Closed(error) => error.to_string(),
            Ending::Malformed(malformed) => {
                log(&format!("closed the connection with {}: {malformed}", link.addr));
                malformed.to_string()
            }
            Ending::Duplicate => String::new(),
        };
        let _ = link.socket.shutdown(Shutdown::Both);
        match (link.phase, link.dialed) {
            (Phase::Open { peer, bye, .. }, _) => {
                let open = self.shared.forget(&peer);
                if !open.is_empty() || !bye {
                    let message = format!("the connection to {} at {} was lost: {reason}", peer.id, link.addr);
                    self.report(&peer, open, &message);
                }
            }
            (_, Some((peer, until))) if !peer.is_connected() && !peer.is_closed() => {
                let now = Instant::now();
                // Who told a peer's address had it from the peer, which listened by then.
                let is_gone = matches!(&ending, Ending::Closed(e) if e.kind() == io::ErrorKind::ConnectionRefused);
                let hopeless = is_gone || matches!(ending, Ending::Malformed(_)) || now + DIAL_PAUSE >= until;
                if hopeless {
                    self.lost(&peer, &format!("cannot connect to {} at {}: {reason}", peer.id, peer.addr));
                } else {
                    self.redials.push(Redial { at: now + DIAL_PAUSE, until, peer });
                }
            }
            _ => {}
        }
    }

    fn lost(&self, peer: &Arc<Peer>, message: &str) {
        let open = self.shared.forget(peer);
        self.report(peer, open, message);
    }

    fn report(&self, peer: &Peer, open: Vec<ChannelId>, message: &str) {
        if self.stopping.is_some() {
            return;
        }
        let handler = lock(&self.shared.on_lost).clone();
        match handler {
            Some(handler) => handler(peer.id, open, Error::network(message)),
            None => log(message),
        }
    }
}

impl Link {
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// The system has something to say of a dial; whether it worked, and there is a handshake to read for.
    fn connected(&mut self, shared: &Shared) -> Result<bool, Ending> {
        if let Some(error) = self.socket.tcp().take_error()? {
            return Err(error.into());
        }
        match self.socket.tcp().peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.socket.tcp().set_nodelay(true)?;
        let (handshake, hello) = Handshake::dial(shared.identity.clone(), nonce()?);
        self.phase = Phase::Greeting(handshake);
        self.send_whole(&hello)?;
        Ok(true)
    }

    /// Sends a few bytes of a handshake: a connection on which nothing else was sent has room for them.
    fn send_whole(&self, bytes: &[u8]) -> Result<(), Ending> {
        self.socket.tcp().set_nodelay(true)?;
        match (&*self.socket).write(bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(closed("there is no room for a handshake").into()),
        }
    }
}

impl Shared {
    /// A peer has proven itself over a connection that it has dialed: the peer, if this is to be the connection.
    ///
    /// Of two that dial each other at once, the one with the smaller id has its way.
    fn welcome(&self, id: PeerId, addr: SocketAddr) -> Option<Arc<Peer>> {
        let mut peers = lock(&self.peers);
        match peers.get(&id) {
            Some(peer) if peer.is_connected() || self.identity.me < id => None,
            Some(peer) => Some(Arc::clone(peer)),
            None => {
                let peer = Peer::new(id, addr, &self.pool);
                peers.insert(id, Arc::clone(&peer));
                Some(peer)
            }
        }
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

fn closed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

fn nonce() -> io::Result<[u8; 32]> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)
        .map_err(|error| io::Error::other(format!("the system gives no random bytes: {error}")))?;
    Ok(nonce)
}

fn log(message: &str) {
    eprintln!("exchange: {message}");
}
