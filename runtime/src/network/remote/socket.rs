//! A connection as the exchange uses it: plain, or encrypted between two who have proven themselves by certificates.
//!
//! What was taken for an encrypted connection isn't written to the system at once when that is full: it stays here,
//! encrypted, and is written on when there is room. So both kinds look alike: what a call has taken is on its way.

use crate::task::lock;
use mio::Interest;
use mio::Registry;
use mio::Token;
use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, Connection, ServerConfig};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};

/// Bytes that are read of an encrypted connection at once: four records.
const READ_BYTES: usize = 64 << 10;

/// Bytes that an encrypted connection takes while the system takes none.
const UNSENT_BYTES_MAX: usize = 256 << 10;

/// How a connection is encrypted, by who makes it.
pub type TlsConfigs = (Arc<ClientConfig>, Arc<ServerConfig>);

/// A connection, or an attempt to make one; shared by who reads and who writes.
pub(crate) struct Socket {
    tcp: TcpStream,
    tls: Option<Mutex<Session>>,
}

struct Session {
    tls: Connection,
    /// What was read and isn't decrypted yet lies at `from..to`.
    read: Box<[u8]>,
    from: usize,
    to: usize,
    ended: bool,
}

impl Socket {
    /// A connection that this side makes.
    pub(crate) fn dial(addr: SocketAddr, tls: Option<&TlsConfigs>) -> io::Result<Socket> {
        let tcp = TcpStream::connect(addr)?;
        let session = tls.map(|(client, _)| {
            let session = rustls::ClientConnection::new(Arc::clone(client), ServerName::IpAddress(addr.ip().into()));
            session.map(|session| Session::new(session.into()))
        });
        Ok(Socket { tcp, tls: session.transpose().map_err(io::Error::other)?.map(Mutex::new) })
    }

    /// A connection that another side has made.
    pub(crate) fn accepted(tcp: TcpStream, tls: Option<&TlsConfigs>) -> io::Result<Socket> {
        let session = tls.map(|(_, server)| {
            let session = rustls::ServerConnection::new(Arc::clone(server));
            session.map(|session| Session::new(session.into()))
        });
        Ok(Socket { tcp, tls: session.transpose().map_err(io::Error::other)?.map(Mutex::new) })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.tcp, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Leaves where it was registered.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.tcp)
    }

    /// The plain connection below.
    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Writes what was taken before, as far as the system takes it.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match &self.tls {
            None => Ok(()),
            Some(session) => lock(session).flush(&self.tcp),
        }
    }

    /// Whether the system has all that was taken.
    pub(crate) fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|session| !lock(session).tls.wants_write())
    }

    /// Ends one direction or both. That no record is missing at the end is what the frames tell, not the encryption.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.tcp.shutdown(how)
    }
}

impl Read for &Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(into)])
    }

    fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.tcp).read_vectored(into),
            Some(session) => lock(session).read(&self.tcp, into),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => (&self.tcp).write_vectored(bytes),
            Some(session) => lock(session).write(&self.tcp, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Socket::flush(self)
    }
}

impl Session {
    fn new(mut tls: Connection) -> Session {
        tls.set_buffer_limit(Some(UNSENT_BYTES_MAX));
        Session { tls, read: vec![0; READ_BYTES].into_boxed_slice(), from: 0, to: 0, ended: false }
    }

    /// Errors with `WouldBlock` when there is nothing to read for now.
    fn read(&mut self, mut tcp: &TcpStream, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        loop {
            match self.decrypted(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if self.from == self.to {
                (self.from, self.to) = (0, 0);
                match tcp.read(&mut self.read)? {
                    0 => self.ended = true,
                    count => self.to = count,
                }
            }
            if self.ended {
                return Ok(0);
            }
            self.from += self.tls.read_tls(&mut &self.read[self.from..self.to])?;
            let fed = self.tls.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            // The other side is told what is wrong, and goes on with a handshake.
            let flushed = self.flush(tcp);
            fed?;
            flushed?;
        }
    }

    /// Takes what has been decrypted.
    fn decrypted(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut reader = self.tls.reader();
        let mut count = 0;
        for part in into.iter_mut().filter(|part| !part.is_empty()) {
            match reader.read(part) {
                Ok(0) => break,
                Ok(read) => {
                    count += read;
                    if read < part.len() {
                        break;
                    }
                }
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Errors with `WouldBlock` when it takes nothing for now.
    fn write(&mut self, tcp: &TcpStream, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(tcp)?;
        if self.tls.wants_write() && !self.tls.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.tls.writer().write_vectored(bytes)?;
        self.flush(tcp)?;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self, mut tcp: &TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut tcp) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
