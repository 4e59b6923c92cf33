//! Hadoop's remote procedure calls, IPC version 9, from the client's side.
//!
//! A [`Client`] calls the methods of one protocol. It keeps one connection, made at the first call and closed after a
//! time without any; calls don't wait for each other. When the service has several servers of which one is active, it
//! finds that one; when a server is away, it tries again for as long as the [`Options`] say.

mod connection;
mod frame;
mod login;
mod options;
#[cfg(test)]
mod sealed_tests;
mod sealer;
#[cfg(test)]
mod tests;

pub use login::Auth;
pub use options::Options;

use super::proto::common::RequestHeaderProto;
use crate::error::{Error, Result};
use connection::{Connection, Failure};
use frame::Unreadable;
use login::Opening;
use prost::Message;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// A protocol, by the Java interface's name.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The interface, with its package.
    pub name: &'static str,
    /// What kind of server speaks it, for messages.
    pub service: &'static str,
    /// The key under which the configuration says which principal such a server is; empty where servers want tokens.
    pub principal: &'static str,
}

/// A method of a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name in the interface.
    pub name: &'static str,
    /// Whether it may be sent again when the answer to the first time was lost.
    pub is_repeatable: bool,
}

impl Method {
    /// A method that may be sent again.
    pub const fn repeatable(name: &'static str) -> Method {
        Method { name, is_repeatable: true }
    }

    /// A method that is sent once, unless it is certain that no server has seen it.
    pub const fn once(name: &'static str) -> Method {
        Method { name, is_repeatable: false }
    }
}

/// Calls the methods of one protocol, on the active one of its servers.
pub struct Client {
    protocol: Protocol,
    servers: Vec<Server>,
    /// Which server took the last call.
    active: AtomicUsize,
    /// By which servers recognise calls that are sent again.
    identity: [u8; 16],
    next_call: AtomicI32,
    auth: RwLock<Auth>,
    options: Options,
}

/// One server, and the connection to it.
struct Server {
    address: String,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// A call on its way, possibly for the second time.
struct Call {
    id: i32,
    retry: i32,
    method: Method,
}

impl Client {
    /// A client of the servers at `addresses` (`host:port`). Connects when it is first used.
    ///
    /// # Panics
    /// Without an address.
    pub fn new(protocol: Protocol, addresses: Vec<String>, auth: Auth, options: Options) -> Client {
        assert!(!addresses.is_empty(), "a client of {} has a server", protocol.name);
        let mut identity = [0; 16];
        // Without randomness the identity is all zeros: calls that are sent again may then be taken for those of
        // others, which the login, which needs randomness too, doesn't let happen.
        let _ = getrandom::fill(&mut identity);
        let server = |address| Server { address, connection: Mutex::new(None) };
        let servers = addresses.into_iter().map(server).collect();
        let (active, next_call) = (AtomicUsize::new(0), AtomicI32::new(0));
        Client { protocol, servers, active, identity, next_call, options, auth: RwLock::new(auth) }
    }

    /// Uses another login for connections that are made from now on, such as a token that was renewed.
    pub fn set_auth(&self, auth: Auth) {
        *self.auth.write().unwrap_or_else(PoisonError::into_inner) = auth;
    }

    /// Calls a method.
    ///
    /// # Errors
    /// The server's exception; or what kept the call from a server, once it makes no sense to try again.
    pub async fn call<A: Message + Default>(&self, method: Method, request: &impl Message) -> Result<A> {
        let started = Instant::now();
        // Call ids stay positive; no server remembers as many calls as there are numbers.
        let id = self.next_call.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let mut last: Vec<Option<String>> = vec![None; self.servers.len()];
        for retry in 0.. {
            let at = self.active.load(Ordering::Relaxed) % self.servers.len();
            let error = match self.servers[at].attempt(&Call { id, retry, method }, request, self).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !(error.is_before_call() || (method.is_repeatable && error.is_transient())) {
                return Err(error);
            }
            let next = (at + 1) % self.servers.len();
            // Another call may have found the active server meanwhile.
            let _ = self.active.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            let delay = self.options.retry_delay(retry as u32, self.servers.len() as u32);
            if started.elapsed() + delay > self.options.retry_max {
                last[at] = Some(error.to_string());
                return Err(self.given_up(method, error, last, started));
            }
            last[at] = Some(error.to_string());
            sleep(delay).await;
        }
        unreachable!("the loop ends by returning")
    }

    /// The error itself when there is one server that was reached; what became of each of them otherwise.
    fn given_up(&self, method: Method, error: Error, last: Vec<Option<String>>, started: Instant) -> Error {
        if self.servers.len() == 1 && !matches!(error, Error::Connect { .. }) {
            return error;
        }
        let last: Vec<String> = last.into_iter().flatten().collect();
        Error::Unavailable {
            service: self.protocol.service,
            method: method.name,
            waited: started.elapsed(),
            last: last.join("; "),
        }
    }
}

impl Server {
    /// Sends the call once.
    async fn attempt<A: Message + Default>(&self, call: &Call, request: &impl Message, client: &Client) -> Result<A> {
        let header = RequestHeaderProto {
            method_name: call.method.name.to_owned(),
            declaring_class_protocol_name: client.protocol.name.to_owned(),
            client_protocol_version: 1,
        };
        let frame = frame::encode(call.id, call.retry, &client.identity, Some(&header), Some(request));
        let connection = self.connection(client).await?;
        let answer = connection.call(call.id, frame, &client.options).await;
        let server = || self.address.clone();
        let method = call.method.name;
        let garbled = |message| Error::Garbled { server: server(), message };
        let answer = answer.map_err(|failure| match failure {
            Failure::Exception(exception) => Error::Server { server: server(), method, exception },
            Failure::Broken(Unreadable::Ended(reason)) => Error::Lost { server: server(), method, reason },
            Failure::Broken(Unreadable::Garbled(message)) => garbled(message),
            Failure::NotSent => {
                Error::Connect { server: server(), reason: "the connection was just closed".to_owned() }
            }
            Failure::TimedOut => Error::Timeout { server: server(), method, waited: client.options.call_timeout },
        })?;
        A::decode_length_delimited(answer).map_err(|error| garbled(format!("the answer to {method}: {error}")))
    }

    /// The connection, a new one if there is none that is open. Calls wait for one that another call is making, each
    /// for no longer than for one of its own.
    async fn connection(&self, client: &Client) -> Result<Arc<Connection>> {
        let waited = client.options.connect_timeout;
        let late = |_| Error::Timeout { server: self.address.clone(), method: "connect", waited };
        let mut connection = timeout(waited, self.connection.lock()).await.map_err(late)?;
        if let Some(open) = connection.as_ref().filter(|connection| connection.is_open()) {
            return Ok(Arc::clone(open));
        }
        let auth = client.auth.read().unwrap_or_else(PoisonError::into_inner).clone();
        let opening = Opening {
            server: &self.address,
            protocol: client.protocol,
            client: &client.identity,
            auth: &auth,
            options: &client.options,
        };
        let opened = Arc::new(Connection::open(&opening, &client.options).await?);
        *connection = Some(Arc::clone(&opened));
        Ok(opened)
    }
}
