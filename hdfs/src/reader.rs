//! Reads a file, ahead of who takes it.
//!
//! A long read takes its blocks straight from the DataNodes ([`Direct`]), as far as that is possible. What is left, and
//! any other read, comes through the client, in pieces: the one that is taken from, and the next ones, which are asked
//! for as soon as there is room. They come from their DataNodes at the same time, on the runtime's threads. Pieces
//! begin small, so that whoever looks at the start of a file doesn't pay for more.

use crate::calls::Calls;
use crate::direct::{self, Access, Direct};
use crate::failure::{Failure, Meaning};
use crate::runtime::poll_here;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use hdfs_native::file::FileReader;
use hdfs_native::{Client, HdfsError};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// The first piece; each later one is four times as large.
const PIECE_BYTES_MIN: u64 = 256 << 10;

/// The largest piece; what comes of one is kept until it is taken.
const PIECE_BYTES_MAX: u64 = 2 << 20;

/// Pieces that are asked for beside the one that is taken from: a file has 8 MiB in memory at most.
const AHEAD: usize = 3;

/// How often a file is looked up again, without a byte in between, when none of its replicas can be read.
const LOOKUPS_MAX: u32 = 6;

/// Before it is looked up again; doubles from time to time.
const PAUSE: Duration = Duration::from_millis(250);

type Packets = BoxStream<'static, Result<Bytes, HdfsError>>;

/// What comes of a piece that was asked for: its first packet, and the others.
type Begun = (Option<Result<Bytes, HdfsError>>, Packets);

/// Where a file is, for those who read it.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    /// None where DataNodes can't be read without the client.
    pub(crate) direct: Option<Access>,
    /// As the NameNode takes it.
    pub(crate) path: String,
}

impl Source {
    /// Asks where the blocks are.
    pub(crate) async fn look_up(&self) -> Result<FileReader, Failure> {
        self.calls.repeat(|| self.client.read(&self.path)).await
    }
}

/// The content of a file from some offset on.
pub(crate) struct HdfsReader {
    runtime: &'static Runtime,
    source: Arc<Source>,
    file: FileReader,
    /// Where the bytes come from until pieces are needed.
    direct: Option<Direct>,
    /// Of the next byte that is taken.
    position: u64,
    /// Of the next piece that is asked for.
    ahead: u64,
    /// Where reading ahead ends.
    end: u64,
    piece_bytes: u64,
    packet: Bytes,
    current: Option<Packets>,
    /// Pieces that were asked for, in order.
    next: VecDeque<JoinHandle<Begun>>,
    lookups: u32,
}

impl HdfsReader {
    /// Reads from `offset`, of which about `bytes` will be taken.
    pub(crate) async fn open(
        runtime: &'static Runtime,
        source: Source,
        offset: u64,
        bytes: u64,
    ) -> Result<HdfsReader, Failure> {
        let file = source.look_up().await?;
        let length = file.file_length() as u64;
        let position = offset.min(length);
        let end = position.saturating_add(bytes).min(length);
        let is_long = end - position >= direct::BYTES_MIN;
        let direct = if is_long { Direct::look_up(&source, position, end, length).await } else { None };
        let mut reader = HdfsReader {
            runtime,
            source: Arc::new(source),
            file,
            direct,
            position,
            ahead: position,
            end,
            piece_bytes: PIECE_BYTES_MIN,
            packet: Bytes::new(),
            current: None,
            next: VecDeque::new(),
            lookups: 0,
        };
        if reader.direct.is_none() {
            reader.ask_ahead();
        }
        Ok(reader)
    }

    /// Asks for the next piece, if there is one.
    fn ask(&mut self) {
        let length = self.file.file_length() as u64;
        // Behind what was expected only what is asked for.
        let end = if self.ahead < self.end { self.end.min(length) } else { length };
        let bytes = self.piece_bytes.min(end.saturating_sub(self.ahead));
        if bytes == 0 {
            return;
        }
        let mut packets = self.file.read_range_stream(self.ahead as usize, bytes as usize).boxed();
        self.ahead += bytes;
        self.piece_bytes = (self.piece_bytes * 4).min(PIECE_BYTES_MAX);
        self.next.push_back(self.runtime.spawn(async move { (packets.next().await, packets) }));
    }

    /// Asks for pieces until there are enough, or what was expected is asked for.
    fn ask_ahead(&mut self) {
        let end = self.end.min(self.file.file_length() as u64);
        while self.next.len() < AHEAD && self.ahead < end {
            self.ask();
        }
    }

    /// Lets go of what was asked for.
    fn forget_ahead(&mut self) {
        self.next.drain(..).for_each(|next| next.abort());
    }

    /// The next packet; empty at the end of the file.
    fn next_packet(&mut self) -> Result<Bytes, HdfsError> {
        loop {
            if let Some(packets) = &mut self.current {
                if let Some(packet) = poll_here(self.runtime, packets.next()) {
                    return packet;
                }
                self.current = None;
            }
            if self.next.is_empty() {
                self.ask();
            }
            let Some(next) = self.next.pop_front() else { return Ok(Bytes::new()) };
            let begun = poll_here(self.runtime, next);
            let (first, packets) =
                begun.map_err(|error| HdfsError::OperationFailed(format!("a read ended by itself: {error}")))?;
            self.current = Some(packets);
            self.ask_ahead();
            if let Some(packet) = first {
                return packet;
            }
        }
    }

    /// Takes a packet, from other replicas if those that were known can't be read.
    fn fill(&mut self) -> Result<(), Failure> {
        loop {
            let error = match self.next_packet() {
                Ok(packet) => {
                    self.packet = packet;
                    self.lookups = 0;
                    return Ok(());
                }
                Err(error) => Failure::Hdfs(error),
            };
            if self.lookups == LOOKUPS_MAX || error.meaning() == Meaning::Denied {
                return Err(error);
            }
            let pause = PAUSE * 2u32.pow(self.lookups);
            self.lookups += 1;
            self.current = None;
            self.forget_ahead();
            let source = Arc::clone(&self.source);
            self.file = poll_here(self.runtime, async move {
                tokio::time::sleep(pause).await;
                source.look_up().await
            })?;
            (self.ahead, self.piece_bytes) = (self.position, PIECE_BYTES_MIN);
        }
    }
}

impl Read for HdfsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(direct) = &mut self.direct
            && !buffer.is_empty()
        {
            let count = direct.read(self.runtime, self.position, buffer);
            self.position += count as u64;
            if count > 0 {
                return Ok(count);
            }
            // What is left comes in pieces.
            self.direct = None;
            self.ahead = self.position;
            self.ask_ahead();
        }
        if self.packet.is_empty() && !buffer.is_empty() {
            self.fill().map_err(Failure::into_io)?;
        }
        let count = buffer.len().min(self.packet.len());
        buffer[..count].copy_from_slice(&self.packet.split_to(count));
        self.position += count as u64;
        Ok(count)
    }
}

impl Drop for HdfsReader {
    fn drop(&mut self) {
        self.forget_ahead();
    }
}
