//! A file that is written to whatever happens to its DataNodes and its NameNode.
//!
//! Within a block the client itself goes on with the DataNodes that are left. What it gives up is done here, with the
//! bytes that it may not have brought to them, of which the newest are kept:
//!
//! - A block of which all bytes are kept, such as a new one, is abandoned; the file is closed behind the block before,
//!   and opened again to append. The NameNode is asked for a block without the DataNodes that can't be reached, and
//!   gives the client the same one when that asks.
//! - Otherwise the file's lease is recovered, which closes it where its DataNodes agree. What is missing then is
//!   appended.
//!
//! Both need the NameNode's block calls, which `hdfs-native` keeps for itself; the writer's name in them is the
//! client's.

use crate::calls::Calls;
use crate::failure::{Failure, Meaning};
use bytes::Bytes;
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::proto::hdfs::{DatanodeInfoProto, ExtendedBlockProto, LocatedBlockProto};
use hdfs_native::file::FileWriter;
use hdfs_native::{Client, HdfsError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Bytes that are kept after they were handed to the client: more than it has on its way, which are two queues of 100
/// packets of 64 KiB and what is between them.
const KEPT_BYTES: u64 = 16 << 20;

/// How long a file is worked on, from a failure to the next byte that is written.
const RECOVERY_MAX: Duration = Duration::from_secs(180);

/// Between two looks at a file that is being recovered.
const PAUSE: Duration = Duration::from_millis(500);

/// A DataNode that doesn't take a connection within this time gets no block.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A file that is being written.
pub(crate) struct Output {
    target: Target,
    /// None while the file is recovered.
    file: Option<FileWriter>,
    /// Bytes that were handed to the client.
    written: u64,
    /// The last of them.
    kept: VecDeque<Bytes>,
    kept_bytes: u64,
}

/// What a file needs besides the writer.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    /// The block calls; none where they would need a login that isn't supported.
    pub(crate) name_node: Option<Arc<NameNode>>,
    /// What the NameNode calls the client.
    pub(crate) writer_name: Arc<str>,
    pub(crate) path: String,
    pub(crate) block_bytes: u64,
}

impl Output {
    /// Writes to `file`, which has `written` bytes already.
    pub(crate) fn new(target: Target, file: FileWriter, written: u64) -> Output {
        Output { target, file: Some(file), written, kept: VecDeque::new(), kept_bytes: 0 }
    }

    /// Writes all of a chunk.
    pub(crate) async fn write(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        while !chunk.is_empty() {
            let room = self.target.block_bytes - self.written % self.target.block_bytes;
            let piece = chunk.split_to((chunk.len() as u64).min(room) as usize);
            let failed = match &mut self.file {
                Some(file) => Box::pin(file.write_bytes(piece.clone())).await.err(),
                None => Some(HdfsError::OperationFailed("the file is closed already".to_owned())),
            };
            // Whether it was written or will be.
            self.keep(piece);
            if let Some(error) = failed {
                self.recover(error, false).await?;
            }
        }
        Ok(())
    }

    /// Makes the file complete.
    pub(crate) async fn close(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let Some(file) = &mut self.file else { return Ok(()) };
            let Err(error) = Box::pin(file.close()).await else { return Ok(()) };
            if started.elapsed() > RECOVERY_MAX {
                return Err(error.into());
            }
            self.recover(error, true).await?;
        }
    }

    fn keep(&mut self, piece: Bytes) {
        self.written += piece.len() as u64;
        self.kept_bytes += piece.len() as u64;
        self.kept.push_back(piece);
        while let Some(first) = self.kept.front().filter(|first| self.kept_bytes - first.len() as u64 >= KEPT_BYTES) {
            self.kept_bytes -= first.len() as u64;
            self.kept.pop_front();
        }
    }

    /// Brings the file to what was written, whatever of it is there. A file that is being closed stays closed if it has
    /// all.
    async fn recover(&mut self, error: HdfsError, closing: bool) -> Result<(), Failure> {
        let mut failure = Failure::Hdfs(error);
        let started = Instant::now();
        let mut excluded = Vec::new();
        // From now on nobody renews the file's lease.
        self.file = None;
        while is_curable(&failure) && started.elapsed() < RECOVERY_MAX {
            match self.try_recover(closing, &mut excluded).await {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
            sleep(PAUSE).await;
        }
        Err(failure)
    }

    async fn try_recover(&mut self, closing: bool, excluded: &mut Vec<DatanodeInfoProto>) -> Result<(), Failure> {
        if let Some(name_node) = self.target.name_node.clone()
            && let Some(length) = self.abandon(&name_node, excluded).await?
        {
            let last = self.last_block(&name_node, length).await?;
            return self.append_from(length, last, excluded).await;
        }
        let length = self.closed_length().await?;
        if closing && length == self.written {
            return Ok(());
        }
        let last = match self.target.name_node.clone() {
            Some(name_node) if length.is_multiple_of(self.target.block_bytes) => {
                self.last_block(&name_node, length).await?
            }
            _ => None,
        };
        self.append_from(length, last, excluded).await
    }

    /// Takes the block that was being written off the end of the file, if all of it is kept here, and closes the file
    /// before it; says how long it is then. `None` when that isn't how the file is.
    async fn abandon(
        &self,
        name_node: &NameNode,
        excluded: &mut Vec<DatanodeInfoProto>,
    ) -> Result<Option<u64>, Failure> {
        let found = name_node.block_locations(&self.target.path, 0, i64::MAX as u64).await.map_err(own)?;
        let Some(found) = found.filter(|found| found.under_construction) else { return Ok(None) };
        let length = found.last_block.as_ref().map_or(0, |last| last.offset);
        if found.is_last_block_complete && found.last_block.is_some() {
            return Ok(None);
        }
        if !(self.written - self.kept_bytes..=self.written).contains(&length) {
            return Ok(None);
        }
        if let Some(last) = found.last_block {
            exclude_unreachable(&last, excluded).await;
            name_node.abandon_block(&self.target.path, &self.target.writer_name, last.b).await.map_err(own)?;
        }
        let before = self.last_block(name_node, length).await?;
        Ok(self.complete(name_node, before).await?.then_some(length))
    }

    /// The file's block that ends at `length`.
    async fn last_block(&self, name_node: &NameNode, length: u64) -> Result<Option<ExtendedBlockProto>, Failure> {
        let Some(at) = length.checked_sub(1) else { return Ok(None) };
        let found =
            name_node.block_locations(&self.target.path, at - at % self.target.block_bytes, 1).await.map_err(own)?;
        let blocks = found.map(|found| found.blocks.into_iter().chain(found.last_block).collect::<Vec<_>>());
        let block = blocks
            .unwrap_or_default()
            .into_iter()
            .find(|block| block.offset <= at && at < block.offset + self.target.block_bytes);
        Ok(block.map(|block| ExtendedBlockProto { num_bytes: Some(length - block.offset), ..block.b }))
    }

    async fn complete(&self, name_node: &NameNode, last: Option<ExtendedBlockProto>) -> Result<bool, Failure> {
        // Too few replicas of the last block may have been reported yet.
        for _ in 0..10 {
            if name_node.complete(&self.target.path, &self.target.writer_name, last.clone()).await.map_err(own)? {
                return Ok(true);
            }
            sleep(PAUSE).await;
        }
        Ok(false)
    }

    /// Has the file closed where its DataNodes agree, and says how long it is then.
    async fn closed_length(&self) -> Result<u64, Failure> {
        let started = Instant::now();
        while !self.target.calls.repeat(|| self.target.client.recover_lease(&self.target.path)).await? {
            if started.elapsed() > RECOVERY_MAX {
                let said = format!("{} wasn't closed within {} s", self.target.path, RECOVERY_MAX.as_secs());
                return Err(HdfsError::OperationFailed(said).into());
            }
            sleep(PAUSE).await;
        }
        Ok(self.target.calls.repeat(|| self.target.client.get_file_info(&self.target.path)).await?.length as u64)
    }

    /// Opens the closed file of `length` bytes again, and writes what it lacks.
    async fn append_from(
        &mut self,
        length: u64,
        last: Option<ExtendedBlockProto>,
        excluded: &[DatanodeInfoProto],
    ) -> Result<(), Failure> {
        let first_kept = self.written - self.kept_bytes;
        if !(first_kept..=self.written).contains(&length) {
            let said = format!(
                "{} has {length} bytes after the loss of its DataNodes; {} were written, and the last {} are kept",
                self.target.path, self.written, self.kept_bytes
            );
            return Err(HdfsError::DataTransferError(said).into());
        }
        let mut file = self.target.calls.repeat(|| self.target.client.append(&self.target.path)).await?;
        if length < self.written
            && length.is_multiple_of(self.target.block_bytes)
            && let Some(name_node) = &self.target.name_node
            && !excluded.is_empty()
        {
            let excluded = excluded.to_vec();
            name_node.add_block(&self.target.path, &self.target.writer_name, last, excluded).await.map_err(own)?;
        }
        let mut skip = length - first_kept;
        for piece in &self.kept {
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            let rest = piece.slice(skipped as usize..);
            if !rest.is_empty() {
                Box::pin(file.write_bytes(rest)).await?;
            }
        }
        self.file = Some(file);
        Ok(())
    }
}

/// Adds those nodes of a block that take no connection.
async fn exclude_unreachable(block: &LocatedBlockProto, excluded: &mut Vec<DatanodeInfoProto>) {
    for node in &block.locs {
        let connecting = TcpStream::connect((node.id.ip_addr.as_str(), node.id.xfer_port as u16));
        let known = excluded.iter().any(|other| other.id.datanode_uuid == node.id.datanode_uuid);
        if !known && !matches!(timeout(CONNECT_MAX, connecting).await, Ok(Ok(_))) {
            excluded.push(node.clone());
        }
    }
}

/// Whether another try may bring more.
fn is_curable(failure: &Failure) -> bool {
    !matches!(failure.meaning(), Meaning::Missing | Meaning::Denied | Meaning::Quota)
}

/// A failure of a block call.
fn own(error: flinkrs_hadoop::Error) -> Failure {
    match error {
        flinkrs_hadoop::Error::Server { exception, .. } => {
            Failure::Hdfs(HdfsError::RPCError(exception.class, exception.message))
        }
        other => Failure::Own(other.into()),
    }
}
