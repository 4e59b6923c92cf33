//! The rest of a file whose first writer has lost its DataNodes.
//!
//! The NameNode says how far the file is. Then there are three cases:
//!
//! - Its last block is complete: a new one follows.
//! - All bytes of the block that was being written are still here: it is abandoned, and a new one takes its place.
//! - Otherwise the block goes on with the DataNodes that are left, under a new generation stamp, from the first byte
//!   that is still here; what they have of that already they leave out.
//!
//! New blocks are asked for without those DataNodes that were lost, of which the NameNode may know nothing for ten
//! minutes.
//!
//! As long as the first writer has lost nothing, the same calls tell sooner than it does that its file is closed.

use crate::failure::Failure;
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::datanode::{BlockRequest, BlockWriter, Broken};
use flinkrs_hadoop::proto::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use flinkrs_hadoop::proto::hdfs::{DatanodeInfoProto, ExtendedBlockProto, LocatedBlockProto};
use hdfs_native::HdfsError;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How often the NameNode is asked whether enough DataNodes have reported the last block, and between two times.
const COMPLETE_TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// How long a first writer has to close its file, before others ask whether it is closed.
const FIRST_LOOK: Duration = Duration::from_millis(5);

/// What a file needs besides its writer.
pub(crate) struct Target {
    /// The block calls; none where blocks can't be written without the client.
    pub(crate) name_node: Option<Arc<NameNode>>,
    /// What the NameNode calls the client.
    pub(crate) writer_name: Arc<str>,
    pub(crate) path: String,
    pub(crate) block_bytes: u64,
    /// Whether DataNodes are dialled by name and not by address.
    pub(crate) dials_names: bool,
}

/// Writes the rest of a file.
pub(crate) struct Tail {
    target: Target,
    /// How long the file was when it was opened.
    opened_bytes: u64,
    /// Bytes that share a checksum, as the NameNode says.
    checksum_bytes: u32,
    /// The DataNodes that were lost.
    lost: Vec<DatanodeInfoProto>,
    /// The file's last block that is whole.
    previous: Option<ExtendedBlockProto>,
    /// The one behind it, and its DataNodes.
    block: Option<(BlockWriter, Vec<DatanodeInfoProto>)>,
}

impl Tail {
    pub(crate) fn new(target: Target, opened_bytes: u64) -> Tail {
        Tail { target, opened_bytes, checksum_bytes: 0, lost: Vec::new(), previous: None, block: None }
    }

    /// Whether there is a way to write blocks without the client.
    pub(crate) fn is_possible(&self) -> bool {
        self.target.name_node.is_some()
    }

    /// Makes the file ready for more, of which the bytes `kept` are still here, and says from which of them on it lacks
    /// some. `None` when it is closed and whole, as a file may be that was being closed (`closes`).
    pub(crate) async fn take_over(&mut self, kept: Range<u64>, closes: bool) -> Result<Option<u64>, Failure> {
        self.block = None;
        self.previous = None;
        self.checksum_bytes = self.name_node()?.server_defaults().await.map_err(own)?.bytes_per_checksum.max(1);
        let path = self.target.path.clone();
        // With the block before the first byte that is kept.
        let from = kept.start.saturating_sub(1);
        let found = self.name_node()?.block_locations(&path, from, i64::MAX as u64 - from).await;
        let Some(found) = found.map_err(own)? else { return Err(HdfsError::FileNotFound(path).into()) };
        if found.ec_policy.is_some() {
            return Err(failed(format!("{path} is erasure-coded, and too many of its DataNodes are lost")));
        }
        if !found.under_construction {
            return match closes && found.file_length == kept.end {
                true => Ok(None),
                false => Err(failed(format!("{path} was closed by another with {} bytes", found.file_length))),
            };
        }
        let begin = match found.last_block {
            None => 0,
            Some(last) if found.is_last_block_complete => {
                let end = last.offset + last.b.num_bytes();
                self.previous = Some(last.b);
                end
            }
            Some(last) if last.offset >= kept.start => {
                let before = found.blocks.into_iter().filter(|block| block.offset < last.offset);
                self.previous = before.max_by_key(|block| block.offset).map(|block| block.b);
                let abandoned = self.name_node()?.abandon_block(&path, &self.target.writer_name, last.b).await;
                abandoned.map_err(own)?;
                last.offset
            }
            Some(last) => self.go_on_with(last, &kept, closes).await?,
        };
        match kept.start <= begin && begin <= kept.end {
            true => Ok(Some(begin)),
            false => Err(failed(format!(
                "{path} has {begin} bytes after the loss of its DataNodes, and only those from {} to {} are still here",
                kept.start, kept.end
            ))),
        }
    }

    /// Writes all of `bytes`.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            if self.block.as_ref().is_some_and(|(block, _)| block.bytes() >= self.target.block_bytes) {
                self.end_block().await?;
            }
            if self.block.is_none() {
                self.begin_block().await?;
            }
            let Some((block, nodes)) = &mut self.block else { continue };
            let count = (self.target.block_bytes - block.bytes()).min(bytes.len() as u64) as usize;
            let (piece, rest) = bytes.split_at(count);
            block.write(piece).await.map_err(|broken| lose(&mut self.lost, nodes, broken))?;
            bytes = rest;
        }
        Ok(())
    }

    pub(crate) async fn keep_alive(&mut self) -> Result<(), Failure> {
        let Some((block, nodes)) = &mut self.block else { return Ok(()) };
        block.heartbeat().await.map_err(|broken| lose(&mut self.lost, nodes, broken))
    }

    /// Makes the file complete.
    pub(crate) async fn close(&mut self) -> Result<(), Failure> {
        self.end_block().await?;
        for _ in 0..COMPLETE_TRIES {
            let (path, writer, last) = (&self.target.path, &self.target.writer_name, self.previous.clone());
            if self.name_node()?.complete(path, writer, last).await.map_err(own)? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        let waited = PAUSE * COMPLETE_TRIES as u32;
        Err(failed(format!("no DataNode has reported the last block of {} in {waited:?}", self.target.path)))
    }

    /// Returns when the file is closed whose last block the client has said to be whole: once a DataNode has reported
    /// it. Never returns where that can't be seen.
    pub(crate) async fn closed_early(&self) {
        let mut pause = FIRST_LOOK;
        loop {
            sleep(pause).await;
            // What fails here is the first writer's to say.
            if self.close_early().await.unwrap_or(false) {
                return;
            }
            pause = (2 * pause).min(PAUSE);
        }
    }

    async fn close_early(&self) -> Result<bool, Failure> {
        let (path, writer) = (&self.target.path, &self.target.writer_name);
        let found = self.name_node()?.block_locations(path, 0, 1).await.map_err(own)?;
        let whole = found.filter(|found| found.under_construction && found.is_last_block_complete);
        match whole.and_then(|found| found.last_block) {
            Some(last) => self.name_node()?.complete(path, writer, Some(last.b)).await.map_err(own),
            None => Ok(false),
        }
    }

    async fn end_block(&mut self) -> Result<(), Failure> {
        let Some((block, nodes)) = self.block.take() else { return Ok(()) };
        let ended = block.finish().await.map_err(|broken| lose(&mut self.lost, &nodes, broken))?;
        self.previous = Some(ended);
        Ok(())
    }

    /// Gets a new block behind the previous one.
    async fn begin_block(&mut self) -> Result<(), Failure> {
        let (path, writer) = (&self.target.path, &self.target.writer_name);
        let added = self.name_node()?.add_block(path, writer, self.previous.clone(), self.lost.clone()).await;
        let located = added.map_err(|error| {
            // When there is no other DataNode, one that was lost may have come back.
            self.lost.clear();
            own(error)
        })?;
        let (stamp, nodes) = (located.b.generation_stamp, located.locs.clone());
        let request = self.request(located, Stage::PipelineSetupCreate, stamp, (0, 0));
        let opened = BlockWriter::open(&request).await.map_err(|broken| lose(&mut self.lost, &nodes, broken))?;
        self.block = Some((opened, nodes));
        Ok(())
    }

    /// Has the DataNodes that are left of a block go on with it, and says where in the file.
    async fn go_on_with(&mut self, last: LocatedBlockProto, kept: &Range<u64>, closes: bool) -> Result<u64, Failure> {
        let (offset, mut left) = (last.offset, self.left_of(&last));
        if left.locs.is_empty() {
            self.lost.clear();
            left = last.clone();
        }
        // DataNodes take bytes again from where a checksum begins, or from the end of what was there before.
        let first = match kept.start > self.opened_bytes {
            true => (kept.start - offset).next_multiple_of(u64::from(self.checksum_bytes)),
            false => kept.start - offset,
        };
        let written = (kept.end - offset).min(self.target.block_bytes);
        let mut tries = vec![(Stage::PipelineSetupStreamingRecovery, (first, written))];
        if closes || written == self.target.block_bytes {
            // They may have all of it, and have ended it.
            tries.push((Stage::PipelineCloseRecovery, (written, written)));
        }
        if kept.start == self.opened_bytes {
            // They may not have opened it again.
            tries.push((Stage::PipelineSetupAppendRecovery, (first, written)));
        }
        let mut first_broken = None;
        for (stage, bytes) in tries {
            match self.go_on_as(&last, &left, stage, bytes).await? {
                Ok(begin) => return Ok(offset + begin),
                Err(broken) if broken.is_certain => return Err(lose(&mut self.lost, &left.locs, broken)),
                Err(broken) => first_broken = first_broken.or(Some(broken)),
            }
        }
        Err(first_broken.map_or_else(
            || failed(format!("{} has no DataNodes", self.target.path)),
            |broken| lose(&mut self.lost, &left.locs, broken),
        ))
    }

    /// Has the DataNodes `left` of a block go on with it in one way, and says where in the block.
    async fn go_on_as(
        &mut self,
        last: &LocatedBlockProto,
        left: &LocatedBlockProto,
        stage: Stage,
        bytes: (u64, u64),
    ) -> Result<Result<u64, Broken>, Failure> {
        let (name_node, writer) = (Arc::clone(self.name_node()?), Arc::clone(&self.target.writer_name));
        let updated = name_node.update_block_for_pipeline(&writer, last.b.clone()).await.map_err(own)?;
        let generation_stamp = updated.b.generation_stamp;
        let located = LocatedBlockProto { block_token: updated.block_token, ..left.clone() };
        let request = self.request(located, stage, generation_stamp, bytes);
        let block = match BlockWriter::open(&request).await {
            Ok(block) => block,
            Err(broken) => return Ok(Err(broken)),
        };
        let renamed = ExtendedBlockProto { generation_stamp, num_bytes: Some(bytes.1), ..last.b.clone() };
        name_node.update_pipeline(&writer, last.b.clone(), renamed.clone(), left).await.map_err(own)?;
        match stage {
            Stage::PipelineCloseRecovery => self.previous = Some(renamed),
            _ => self.block = Some((block, left.locs.clone())),
        }
        Ok(Ok(bytes.0))
    }

    /// Which of a block's DataNodes aren't lost.
    fn left_of(&self, block: &LocatedBlockProto) -> LocatedBlockProto {
        let is_left =
            |node: &DatanodeInfoProto| self.lost.iter().all(|lost| lost.id.datanode_uuid != node.id.datanode_uuid);
        let left: Vec<usize> = (0..block.locs.len()).filter(|at| is_left(&block.locs[*at])).collect();
        LocatedBlockProto {
            locs: left.iter().map(|at| block.locs[*at].clone()).collect(),
            storage_types: left.iter().filter_map(|at| block.storage_types.get(*at)).copied().collect(),
            storage_i_ds: left.iter().filter_map(|at| block.storage_i_ds.get(*at)).cloned().collect(),
            ..block.clone()
        }
    }

    fn request(
        &self,
        located: LocatedBlockProto,
        stage: Stage,
        generation_stamp: u64,
        bytes: (u64, u64),
    ) -> BlockRequest {
        let (writer, dials_names) = (self.target.writer_name.to_string(), self.target.dials_names);
        let checksum_bytes = self.checksum_bytes;
        BlockRequest { located, writer, stage, generation_stamp, bytes, checksum_bytes, dials_names }
    }

    fn name_node(&self) -> Result<&Arc<NameNode>, Failure> {
        self.target.name_node.as_ref().ok_or_else(|| failed(format!("{} can't be gone on with", self.target.path)))
    }
}

/// Remembers the DataNode that is the cause.
fn lose(lost: &mut Vec<DatanodeInfoProto>, nodes: &[DatanodeInfoProto], broken: Broken) -> Failure {
    lost.extend(nodes.get(broken.node).cloned());
    failed(broken.to_string())
}

fn failed(message: String) -> Failure {
    HdfsError::DataTransferError(message).into()
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
