//! Connections that prove themselves by certificates before anything else is heard of them.

use flinkrs_core::error::{Error, Result};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Strangers that are being asked who they are at a time; more wait to be accepted.
const HANDSHAKES_MAX: usize = 256;

/// Connections that wait to be served at most.
const PROVEN_MAX: usize = 16;

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection to whoever has proven itself.
pub(crate) struct Secured(TlsStream<TcpStream>);

/// Asks a stranger who it is. A line says who was sent away, and why.
pub(crate) async fn secure(stream: TcpStream, from: SocketAddr, tls: Arc<ServerConfig>, what: &str) -> Option<Secured> {
    // Small answers are not held back for others; where that can't be said, they are.
    let _ = stream.set_nodelay(true);
    let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(tls).accept(stream)).await;
    match shaken.unwrap_or_else(|late| Err(late.into())) {
        Ok(stream) => Some(Secured(stream)),
        Err(error) => {
            eprintln!("{what}: refused a connection from {from}: {error}");
            None
        }
    }
}

/// The connections of those who have proven themselves.
pub(crate) fn connections(listener: TcpListener, tls: Arc<ServerConfig>) -> ReceiverStream<io::Result<Secured>> {
    let (to, proven) = mpsc::channel(PROVEN_MAX);
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        while !to.is_closed() {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let Ok((stream, from)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (to, tls) = (to.clone(), Arc::clone(&tls));
            tokio::spawn(async move {
                if let Some(secured) = secure(stream, from, tls, "RPC").await {
                    // When nobody takes it, the server has ended.
                    let _ = to.send(Ok(secured)).await;
                }
                drop(permit);
            });
        }
    });
    ReceiverStream::new(proven)
}

/// Whoever can submit a job can run code: so a cluster that others can reach asks them who they are.
pub(crate) fn check_open(option: &str, address: SocketAddr, asks: bool, certificates: &str) -> Result<()> {
    let address = address.ip();
    if address.is_loopback() || asks {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{option} is {address}, which others can reach, and whoever can submit a job can run code; set \
         security.cluster-secret-file to the file of a secret, demand certificates ({certificates}), or listen on \
         127.0.0.1"
    )))
}

impl Connected for Secured {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
