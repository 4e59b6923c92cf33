//! The thread that accepts and dials, and reads what nobody else does, for all peers of a worker.

use crate::network::remote::exchange::{Command, ExchangeOptions, Shared};
use crate::network::remote::frame::Malformed;
use crate::network::remote::handshake::{Handshake, Step, Verdict};
use crate::network::remote::links::{Ending, Link, Links};
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
const LINKS: Token = Token(2);

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
    /// Connections that haven't proven themselves yet.
    greetings: HashMap<Token, Greeting>,
    links: Arc<Links>,
    next_token: usize,
    /// Peers to be dialed again, when, and until when.
    redials: Vec<Redial>,
    stopping: Option<Instant>,
}

struct Redial {
    at: Instant,
    until: Instant,
    peer: Arc<Peer>,
}

/// A connection that hasn't proven itself yet, or an attempt to make one.
struct Greeting {
    socket: Socket,
    addr: SocketAddr,
    /// The peer that was dialed, and until when it is dialed again.
    dialed: Option<(Arc<Peer>, Instant)>,
    /// `None` while the system hasn't said whether the dial worked.
    handshake: Option<Handshake>,
    /// When the handshake has to be over.
    deadline: Instant,
}

impl Reactor {
    pub(crate) fn new(
        listener: std::net::TcpListener,
        options: ExchangeOptions,
    ) -> io::Result<(Reactor, Arc<Shared>, Arc<Links>)> {
        let poll = Poll::new()?;
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Shared::new(options, Waker::new(poll.registry(), WAKER)?);
        let links = Links::new(&shared)?;
        links.register(poll.registry(), LINKS)?;
        let reactor = Reactor {
            shared: Arc::clone(&shared),
            poll,
            listener,
            greetings: HashMap::new(),
            links: Arc::clone(&links),
            next_token: 3,
            redials: Vec::new(),
            stopping: None,
        };
        Ok((reactor, shared, links))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until the exchange is dropped.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.run_until_stopped() {
            log(&format!("the network of this worker ends: cannot wait for events: {error}"));
        }
        self.shared.forget_all();
    }

    fn run_until_stopped(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut is_unfinished = false;
        loop {
            let now = Instant::now();
            self.expire(now);
            if self.stopping.is_some_and(|until| self.may_stop(now, until)) {
                return Ok(());
            }
            let timeout = if is_unfinished { Some(Duration::ZERO) } else { self.timeout(now) };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            for event in &events {
                self.dispatch(event);
            }
            let turn = self.links.turn()?;
            is_unfinished = turn.is_unfinished;
            turn.ended.into_iter().for_each(|(link, ending)| self.end_link(&link, &ending));
        }
    }

    fn dispatch(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => self.obey(),
            // They get their turn after all events.
            LINKS => {}
            token => self.ready(token),
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

    /// When stopping: whether all connections are over, or it is time.
    fn may_stop(&mut self, now: Instant, until: Instant) -> bool {
        self.greetings.clear();
        self.links.leave() || now >= until
    }

    /// Until the next thing that happens by itself.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let greetings = self.greetings.values().map(|greeting| greeting.deadline);
        let redials = self.redials.iter().map(|redial| redial.at);
        let stop = self.stopping.map(|until| until.min(now + Duration::from_millis(5)));
        greetings.chain(redials).chain(stop).min().map(|at| at.saturating_duration_since(now))
    }

    /// Ends handshakes that take too long, and dials again.
    fn expire(&mut self, now: Instant) {
        let late = self.greetings.iter().filter(|(_, greeting)| greeting.deadline <= now);
        for token in late.map(|(token, _)| *token).collect::<Vec<_>>() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the handshake takes too long");
            self.end_greeting(token, Ending::Closed(error));
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
                    if self.stopping.is_some() || self.greetings.len() >= GREETINGS_MAX {
                        continue;
                    }
                    let added = nonce().and_then(|nonce| {
                        let socket = Socket::accepted(socket, self.shared.tls.as_ref())?;
                        let handshake = Handshake::accept(self.shared.identity.clone(), nonce);
                        self.add(socket, addr, None, Some(handshake))
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
            .and_then(|socket| self.add(socket, addr, Some((Arc::clone(&peer), until)), None));
        if let Err(error) = dialed {
            self.lost(&peer, &format!("cannot connect to {id} at {addr}: {error}"));
        }
    }

    fn add(
        &mut self,
        mut socket: Socket,
        addr: SocketAddr,
        dialed: Option<(Arc<Peer>, Instant)>,
        handshake: Option<Handshake>,
    ) -> io::Result<()> {
        let token = Token(self.next_token);
        self.next_token += 1;
        socket.register(self.poll.registry(), token)?;
        let deadline = Instant::now() + GREETING_TIME;
        self.greetings.insert(token, Greeting { socket, addr, dialed, handshake, deadline });
        Ok(())
    }

    /// The system has something to say of a connection that hasn't proven itself yet.
    fn ready(&mut self, token: Token) {
        let Some(greeting) = self.greetings.get_mut(&token) else { return };
        let result = match &greeting.handshake {
            None => greeting.connected(&self.shared),
            Some(_) => greeting.socket.flush().map_err(Ending::from).map(|()| true),
        };
        let result = match result {
            Ok(true) => self.read(token),
            Ok(false) => Ok(()),
            Err(ending) => Err(ending),
        };
        if let Err(ending) = result {
            self.end_greeting(token, ending);
        }
    }

    /// Goes on with a handshake as far as it gets.
    fn read(&mut self, token: Token) -> Result<(), Ending> {
        loop {
            let Some(greeting) = self.greetings.get_mut(&token) else { return Ok(()) };
            let Some(handshake) = &mut greeting.handshake else { return Ok(()) };
            let mut bytes = [0; 64];
            let wants = handshake.wants().min(bytes.len());
            match (&greeting.socket).read(&mut bytes[..wants]) {
                Ok(0) if handshake.is_judged() => {
                    return Err(Malformed("the peer hangs up: it has another secret".to_owned()).into());
                }
                Ok(0) => return Err(Ending::closed("the connection was closed during the handshake")),
                Ok(count) => match handshake.take(&bytes[..count]) {
                    Ok(step) => self.greet(token, step)?,
                    Err(malformed) => {
                        if let Some(parting) = handshake.parting() {
                            // The other side may be gone already.
                            let _ = (&greeting.socket).write(&parting);
                        }
                        return Err(malformed.into());
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn greet(&mut self, token: Token, step: Step) -> Result<(), Ending> {
        let Some(greeting) = self.greetings.get_mut(&token) else { return Ok(()) };
        match step {
            Step::Wait => Ok(()),
            Step::Send(bytes) => greeting.send_whole(&bytes),
            Step::Proven(id) => {
                let peer = self.shared.welcome(id, greeting.addr);
                let Some(handshake) = &greeting.handshake else { return Ok(()) };
                let verdict = if peer.is_some() { Verdict::Accepted } else { Verdict::Duplicate };
                greeting.send_whole(&handshake.answer(verdict))?;
                match peer {
                    Some(peer) => self.open(token, &peer),
                    None => Err(Ending::Duplicate),
                }
            }
            Step::Decided(id, verdict) => {
                let Some((peer, _)) = greeting.dialed.clone() else { return Ok(()) };
                if id != peer.id {
                    return Err(Malformed(format!("{id} listens there, not {}", peer.id)).into());
                }
                if verdict == Verdict::Duplicate || peer.is_connected() || peer.is_closed() {
                    return Err(Ending::Duplicate);
                }
                self.open(token, &peer)
            }
        }
    }

    /// A connection has proven itself.
    fn open(&mut self, token: Token, peer: &Arc<Peer>) -> Result<(), Ending> {
        if let Some(greeting) = self.greetings.get_mut(&token) {
            greeting.socket.deregister(self.poll.registry())?;
        }
        if let Some(Greeting { socket, addr, .. }) = self.greetings.remove(&token) {
            peer.connected(self.links.open(token, socket, addr, peer)?);
        }
        // A dial of our own to the same peer has lost.
        let is_other = |greeting: &Greeting| greeting.dialed.as_ref().is_none_or(|(dialed, _)| dialed.id != peer.id);
        self.greetings.retain(|_, greeting| is_other(greeting));
        Ok(())
    }

    /// A connection ends before it has proven itself.
    fn end_greeting(&mut self, token: Token, ending: Ending) {
        let Some(greeting) = self.greetings.remove(&token) else { return };
        let reason = reason(&ending, greeting.addr);
        let _ = greeting.socket.shutdown(Shutdown::Both);
        let Some((peer, until)) = greeting.dialed else { return };
        if peer.is_connected() || peer.is_closed() {
            return;
        }
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

    /// An open connection is over.
    fn end_link(&self, link: &Link, ending: &Ending) {
        let reason = reason(ending, link.addr);
        link.hang_up();
        let open = self.shared.forget(&link.peer);
        if !open.is_empty() || !link.bye {
            let message = format!("the connection to {} at {} was lost: {reason}", link.peer.id, link.addr);
            self.report(&link.peer, open, &message);
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

impl Greeting {
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
        self.handshake = Some(handshake);
        self.send_whole(&hello)?;
        Ok(true)
    }

    /// Sends a few bytes of a handshake: a connection on which nothing else was sent has room for them.
    fn send_whole(&self, bytes: &[u8]) -> Result<(), Ending> {
        self.socket.tcp().set_nodelay(true)?;
        match (&self.socket).write(bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(Ending::closed("there is no room for a handshake")),
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

/// Why a connection has ended, for messages; what a stranger did wrong goes into the log as well.
fn reason(ending: &Ending, addr: SocketAddr) -> String {
    match ending {
        Ending::Closed(error) => error.to_string(),
        Ending::Malformed(malformed) => {
            log(&format!("closed the connection with {addr}: {malformed}"));
            malformed.to_string()
        }
        Ending::Duplicate => String::new(),
    }
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
