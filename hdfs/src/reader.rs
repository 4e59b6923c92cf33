//! Reads a file.

use bytes::Bytes;
use futures_util::StreamExt;
use hdfs_native::file::FileReader;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use tokio::runtime::Runtime;

/// Pieces that are ready before the reader takes them.
const AHEAD: usize = 32;

/// The content of a file from some offset on.
pub(crate) struct HdfsReader {
    pieces: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl HdfsReader {
    pub(crate) fn start(runtime: &Runtime, file: FileReader, offset: usize) -> HdfsReader {
        let (sender, pieces) = sync_channel(AHEAD);
        let length = file.file_length().saturating_sub(offset);
        runtime.spawn(async move {
            let mut stream = Box::pin(file.read_range_stream(offset.min(file.file_length()), length));
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(io::Error::other);
                if tokio::task::block_in_place(|| sender.send(piece)).is_err() {
                    return;
                }
            }
        });
        HdfsReader { pieces, piece: Bytes::new() }
    }
}

impl Read for HdfsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = piece?,
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
