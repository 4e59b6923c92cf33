//! Writes blocks to their DataNodes and reads them from there, with DataTransferProtocol.

mod reader;
mod writer;

pub use reader::{BlockRange, BlockReader};
pub use writer::{BlockRequest, BlockWriter, Broken};

use crate::proto::hdfs::DatanodeIdProto;
use prost::Message;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// The version of the protocol.
const VERSION: [u8; 2] = 28u16.to_be_bytes();

/// An answer is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A host that doesn't take a connection within this time is down.
const CONNECT_MAX: Duration = Duration::from_secs(10);

fn address(node: &DatanodeIdProto, by_name: bool) -> String {
    format!("{}:{}", if by_name { &node.host_name } else { &node.ip_addr }, node.xfer_port)
}

/// Reads a message with its length before it.
async fn receive<M: Message + Default>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<M> {
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
        if length > ANSWER_BYTES_MAX || shift > 21 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer has a length that is none"));
        }
    }
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its answer has {length} bytes")));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    M::decode(message.as_slice()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What comes within a time.
async fn within<T>(max: Duration, coming: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(max, coming).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", max.as_secs())))
    })
}
