//! Reads a part of a block from one DataNode.
//!
//! ```text
//! BlockReader ─ request ─▶ DataNode
//!             ◀─ packets ─
//!             ─ status ──▶
//! ```
//!
//! The DataNode sends as fast as the sockets take it. Whoever reads waits for it, checks and copies on its own thread:
//! a stream of gigabytes isn't worth a hand-over.

use super::{CONNECT_MAX, VERSION, address, receive, within};
use crate::proto::hdfs::*;
use prost::Message;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// The operation that reads.
const READ_BLOCK: u8 = 81;

/// What is taken from the socket at a time. A packet has 64 KiB, unless the DataNode is told otherwise.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes of a packet at most, with its checksums; Hadoop's own limit.
const PACKET_BYTES_MAX: usize = 16 << 20;

/// The lengths before a packet: of what follows the header (and this length), and of the header.
const LENGTHS_BYTES: usize = 4 + 2;

/// How long a DataNode may be silent; Hadoop's default.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A part of a block, and the replica that is read.
#[derive(Clone, Copy, Debug)]
pub struct BlockRange<'a> {
    /// The block, and the token for it.
    pub located: &'a LocatedBlockProto,
    /// A DataNode that has it.
    pub node: &'a DatanodeIdProto,
    /// The first byte within the block.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// The reader's name, for the DataNode's log.
    pub reader: &'a str,
    /// Whether DataNodes are dialled by name and not by address.
    pub dials_names: bool,
}

/// A part of a block on its way. Its end is that of the part; each byte is checked before it is handed out. Keeps
/// 256 KiB, or a packet if that is longer.
pub struct BlockReader {
    stream: TcpStream,
    /// What has come, and where in it that is which nobody has looked at.
    buffer: Vec<u8>,
    unread: Range<usize>,
    /// Bytes of the last packet that were checked and not taken.
    checked: Range<usize>,
    /// Where the next packet has to go on, and the end, within the block.
    position: u64,
    end: u64,
    checksum: ChecksumTypeProto,
    checksum_bytes: usize,
}

impl BlockReader {
    /// Has the DataNode send the part.
    ///
    /// # Errors
    /// When it can't be reached, or doesn't have the block.
    pub async fn open(range: BlockRange<'_>) -> io::Result<BlockReader> {
        let dialled = address(range.node, range.dials_names);
        let mut stream = within(CONNECT_MAX, tokio::net::TcpStream::connect(dialled)).await?;
        stream.set_nodelay(true)?;
        within(SILENCE_MAX, stream.write_all(&encode(&range))).await?;
        let answer: BlockOpResponseProto = within(SILENCE_MAX, receive(&mut stream)).await?;
        if answer.status() != Status::Success {
            return Err(io::Error::other(format!("{} {}", answer.status().as_str_name(), answer.message())));
        }
        let checksum = answer.read_op_checksum_info.ok_or_else(|| wrong("it doesn't say which checksums it has"))?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(BlockReader {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            unread: 0..0,
            checked: 0..0,
            position: range.offset,
            end: range.offset + range.bytes,
            checksum: checksum.checksum.r#type(),
            checksum_bytes: checksum.checksum.bytes_per_checksum.max(1) as usize,
        })
    }

    /// Takes the next packet, which is checked.
    fn next_packet(&mut self) -> io::Result<()> {
        let (header, body) = self.receive_packet()?;
        let data_bytes = usize::try_from(header.data_len).map_err(|_| wrong("a packet has a length that is none"))?;
        let sums_bytes = body.len().checked_sub(data_bytes).ok_or_else(|| wrong("a packet lacks some of its bytes"))?;
        let data = body.start + sums_bytes..body.end;
        check(self.checksum, self.checksum_bytes, &self.buffer[body.start..data.start], &self.buffer[data.clone()])?;
        // The first one begins with a checksum, and the last one ends with one.
        let before = self.position.wrapping_sub(header.offset_in_block as u64);
        if before >= data_bytes as u64 {
            return Err(wrong("a packet isn't the one that follows"));
        }
        let start = data.start + before as usize;
        let count = ((data.end - start) as u64).min(self.end - self.position);
        self.position += count;
        self.checked = start..start + count as usize;
        Ok(())
    }

    /// Takes the empty packet behind the last one, and says that all is well: the DataNode waits for that.
    fn finish(&mut self) -> io::Result<()> {
        self.receive_packet()?;
        let status = ClientReadStatusProto { status: Status::ChecksumOk as i32 };
        self.stream.write_all(&status.encode_length_delimited_to_vec())
    }

    /// The header of the next packet, and where its checksums and data are in the buffer.
    fn receive_packet(&mut self) -> io::Result<(PacketHeaderProto, Range<usize>)> {
        self.receive(LENGTHS_BYTES)?;
        let lengths = &self.buffer[self.unread.start..];
        let body = u32::from_be_bytes([lengths[0], lengths[1], lengths[2], lengths[3]]) as usize;
        let header = usize::from(u16::from_be_bytes([lengths[4], lengths[5]]));
        if !(4..=PACKET_BYTES_MAX).contains(&body) {
            return Err(wrong("a packet has a length that is none"));
        }
        let (begin, bytes) = (LENGTHS_BYTES + header, LENGTHS_BYTES + header + body - 4);
        self.receive(bytes)?;
        let packet = self.unread.start..self.unread.start + bytes;
        self.unread.start = packet.end;
        let header = &self.buffer[packet.start + LENGTHS_BYTES..packet.start + begin];
        let header = PacketHeaderProto::decode(header).map_err(|error| wrong(&error.to_string()))?;
        Ok((header, packet.start + begin..packet.end))
    }

    /// Waits until at least so many unread bytes are in the buffer. What was checked is gone then.
    fn receive(&mut self, bytes: usize) -> io::Result<()> {
        if self.unread.is_empty() || self.unread.start + bytes > self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            self.buffer.resize(self.buffer.len().max(bytes), 0);
        }
        while self.unread.len() < bytes {
            match self.stream.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended in the middle")),
                Ok(count) => self.unread.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for BlockReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.checked.is_empty() && !buffer.is_empty() {
            if self.position == self.end {
                // All bytes are there and right, whatever the DataNode still has to say.
                let _ = self.finish();
                return Ok(0);
            }
            self.next_packet()?;
        }
        let count = buffer.len().min(self.checked.len());
        buffer[..count].copy_from_slice(&self.buffer[self.checked.start..self.checked.start + count]);
        self.checked.start += count;
        Ok(count)
    }
}

/// The request as it is sent.
fn encode(range: &BlockRange<'_>) -> Vec<u8> {
    let (block, token) = (range.located.b.clone(), Some(range.located.block_token.clone()));
    let base_header = BaseHeaderProto { block, token };
    let header = ClientOperationHeaderProto { base_header, client_name: range.reader.to_owned() };
    let message = OpReadBlockProto { header, offset: range.offset, len: range.bytes };
    [&VERSION[..], &[READ_BLOCK], &message.encode_length_delimited_to_vec()].concat()
}

/// Compares the checksums of a packet with its data.
fn check(checksum: ChecksumTypeProto, checksum_bytes: usize, sums: &[u8], data: &[u8]) -> io::Result<()> {
    let sum: fn(&[u8]) -> u32 = match checksum {
        ChecksumTypeProto::ChecksumNull => return Ok(()),
        ChecksumTypeProto::ChecksumCrc32 => crc32fast::hash,
        ChecksumTypeProto::ChecksumCrc32c => crc32c::crc32c,
    };
    if sums.len() != data.len().div_ceil(checksum_bytes) * 4 {
        return Err(wrong("a packet lacks checksums"));
    }
    let mut chunks = data.chunks(checksum_bytes).zip(sums.chunks_exact(4));
    match chunks.all(|(chunk, expected)| sum(chunk).to_be_bytes() == expected) {
        true => Ok(()),
        false => Err(wrong("a checksum is wrong")),
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
