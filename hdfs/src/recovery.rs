//! A file that is written to whatever happens to its DataNodes and its NameNode.
//!
//! Within a block the client itself goes on with the DataNodes that are left, mostly. What it gives up goes on as a
//! [`Tail`], with the bytes that may not have come to them, of which the newest are kept.

use crate::failure::{Failure, Meaning};
use crate::tail::{Tail, Target};
use bytes::Bytes;
use flinkrs_core::error::Error;
use hdfs_native::file::FileWriter;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Bytes that are kept after they were handed on: more than a client has on its way, which are two queues of 100
/// packets of 64 KiB and what is between them.
const KEPT_BYTES: u64 = 16 << 20;

/// How long a file is worked on, from a failure to the next byte that is written.
const RECOVERY_MAX: Duration = Duration::from_secs(180);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// A file that is being written.
pub(crate) struct Output {
    /// Stays when the tail has taken over: it renews the lease. None while it closes the file, and after that.
    client: Option<FileWriter>,
    tail: Tail,
    /// Whether the client has given up.
    has_tail: bool,
    /// Bytes that were handed on, with those that were there before.
    written: u64,
    /// The last of them.
    kept: VecDeque<Bytes>,
    kept_bytes: u64,
}

impl Output {
    /// Writes to `client`'s file, which has `length` bytes already.
    pub(crate) fn new(target: Target, client: FileWriter, length: u64) -> Output {
        let tail = Tail::new(target, length);
        let client = Some(client);
        Output { client, tail, has_tail: false, written: length, kept: VecDeque::new(), kept_bytes: 0 }
    }

    /// Writes all of a chunk.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let written = match &mut self.client {
            Some(client) if !self.has_tail => {
                Box::pin(client.write_bytes(chunk.clone())).await.map(|_| ()).map_err(Failure::from)
            }
            _ => Box::pin(self.tail.write(&chunk)).await,
        };
        // Whether it was written or will be.
        self.keep(chunk);
        match written {
            Ok(()) => Ok(()),
            Err(failure) => self.recover(failure, false).await,
        }
    }

    /// Says to the DataNodes that more will come; the client does so by itself.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), Failure> {
        match self.has_tail {
            false => Ok(()),
            true => match Box::pin(self.tail.keep_alive()).await {
                Ok(()) => Ok(()),
                Err(failure) => self.recover(failure, false).await,
            },
        }
    }

    /// Makes the file complete.
    pub(crate) async fn close(&mut self) -> Result<(), Failure> {
        let closed = match self.has_tail {
            false => self.close_client().await,
            true => Box::pin(self.tail.close()).await,
        };
        match closed {
            Ok(()) => Ok(()),
            Err(failure) => self.recover(failure, true).await,
        }
    }

    /// Has the client close the file. It asks the NameNode twice a second whether that is done; who waits here asks
    /// more often, and then leaves it to find that out by itself.
    async fn close_client(&mut self) -> Result<(), Failure> {
        let Some(mut client) = self.client.take() else { return Ok(()) };
        let closing = tokio::spawn(async move {
            let closed = Box::pin(client.close()).await;
            (client, closed)
        });
        tokio::select! {
            ended = closing => {
                let (client, closed) = ended.map_err(|error| Failure::Own(Error::internal(error.to_string())))?;
                self.client = Some(client);
                closed.map_err(Failure::from)
            }
            () = self.tail.closed_early() => Ok(()),
        }
    }

    fn keep(&mut self, chunk: Bytes) {
        self.written += chunk.len() as u64;
        self.kept_bytes += chunk.len() as u64;
        self.kept.push_back(chunk);
        while let Some(first) = self.kept.front().filter(|first| self.kept_bytes - first.len() as u64 >= KEPT_BYTES) {
            self.kept_bytes -= first.len() as u64;
            self.kept.pop_front();
        }
    }

    /// Brings the file to what was written, whatever of it is there; and closes it, if it was being closed.
    async fn recover(&mut self, first: Failure, closes: bool) -> Result<(), Failure> {
        let (mut failure, started) = (first, Instant::now());
        while self.tail.is_possible() && is_curable(&failure) && started.elapsed() < RECOVERY_MAX {
            self.has_tail = true;
            match Box::pin(self.try_to_recover(closes)).await {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
            sleep(PAUSE).await;
        }
        Err(if started.elapsed() < RECOVERY_MAX { failure } else { failure.after(started.elapsed()) })
    }

    async fn try_to_recover(&mut self, closes: bool) -> Result<(), Failure> {
        let first_kept = self.written - self.kept_bytes;
        let Some(begin) = self.tail.take_over(first_kept..self.written, closes).await? else { return Ok(()) };
        let mut skip = begin - first_kept;
        for chunk in &self.kept {
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            self.tail.write(&chunk[skipped as usize..]).await?;
        }
        if closes { self.tail.close().await } else { Ok(()) }
    }
}

/// Whether another try may bring more.
fn is_curable(failure: &Failure) -> bool {
    !matches!(failure.meaning(), Meaning::Missing | Meaning::Denied | Meaning::Quota)
}
