//! Writes a file, behind who fills it.
//!
//! ```text
//! write ─ chunks of 256 KiB ─▶ queue ─▶ task ─▶ hdfs-native: packets ─▶ DataNodes
//! ```
//!
//! The task goes on while the caller makes more, also over the end of a block, where the client waits for the last
//! acknowledgement and for DataNodes for the next one. What goes wrong is told with a later write, or with the close.

use crate::failure::Failure;
use crate::recovery::Output;
use crate::runtime::poll_here;
use bytes::{Bytes, BytesMut};
use flinkrs_core::fs::OutputFile;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes that are handed to the task at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Chunks that wait for the task.
const QUEUED_MAX: usize = 16;

/// DataNodes hear of a writer at least this often: they wait for a minute.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A file that is written; complete once it is closed.
pub(crate) struct HdfsWriter {
    runtime: &'static Runtime,
    chunk: BytesMut,
    chunks: Option<Sender<Bytes>>,
    task: Option<JoinHandle<Result<Output, Failure>>>,
}

impl HdfsWriter {
    pub(crate) fn new(runtime: &'static Runtime, output: Output) -> HdfsWriter {
        let (chunks, queue) = channel(QUEUED_MAX);
        let task = runtime.spawn(run(output, queue));
        HdfsWriter { runtime, chunk: BytesMut::new(), chunks: Some(chunks), task: Some(task) }
    }

    /// Hands the chunk over; waits while the queue is full.
    fn hand_over(&mut self) -> io::Result<()> {
        let chunk = self.chunk.split().freeze();
        if let Some(chunks) = &self.chunks
            && (chunk.is_empty() || poll_here(self.runtime, chunks.send(chunk)).is_ok())
        {
            return Ok(());
        }
        self.end().map(|_| ())?;
        Err(io::Error::new(ErrorKind::BrokenPipe, "the file is closed already"))
    }

    /// Waits until the task has taken all chunks, or has failed.
    fn end(&mut self) -> io::Result<Option<Output>> {
        self.chunks = None;
        let Some(task) = self.task.take() else { return Ok(None) };
        let ended = poll_here(self.runtime, task).map_err(io::Error::other)?;
        ended.map(Some).map_err(Failure::into_io)
    }
}

/// Writes chunks until there are no more.
async fn run(mut output: Output, mut queue: Receiver<Bytes>) -> Result<Output, Failure> {
    loop {
        match timeout(SILENCE_MAX, queue.recv()).await {
            Ok(Some(chunk)) => Box::pin(output.write(chunk)).await?,
            Ok(None) => return Ok(output),
            Err(_) => output.keep_alive().await?,
        }
    }
}

impl Write for HdfsWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.capacity() == 0 {
            self.chunk.reserve(CHUNK_BYTES);
        }
        let count = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK_BYTES {
            self.hand_over()?;
        }
        Ok(count)
    }

    /// Hands on what there is; readers see it when the file is closed.
    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl OutputFile for HdfsWriter {
    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.hand_over()?;
        let Some(mut output) = self.end()? else { return Err(ErrorKind::BrokenPipe.into()) };
        let closing = self.runtime.spawn(async move { Box::pin(output.close()).await });
        poll_here(self.runtime, closing).map_err(io::Error::other)?.map_err(Failure::into_io)
    }
}

impl Drop for HdfsWriter {
    fn drop(&mut self) {
        // Nobody closes the file any more: what is queued for it isn't written.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
