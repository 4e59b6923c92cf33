//! Long reads: block after block from a DataNode, on the thread that takes the bytes.
//!
//! The client has each piece come by a thread of its own, in packets that are allocated for it, and checks sums in
//! tables: nothing of that is seen in a short read, but most of the time of a long one goes there. So files of the
//! usual kind, in whole replicas and unencrypted, are read here; where no replica of a block is left, the client goes
//! on.
//!
//! What is ahead of the reader is in the kernel: as much as the socket may buffer, 6 MiB where Linux isn't told
//! otherwise. In the process, a reader has 256 KiB.

use crate::reader::Source;
use crate::runtime::poll_here;
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::datanode::{BlockRange, BlockReader};
use flinkrs_hadoop::proto::hdfs::{LocatedBlockProto, LocatedBlocksProto};
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// What is read here at least. From here on it takes half of the CPU time that pieces take, and less time; below, the
/// question to the NameNode costs more than that.
pub(crate) const BYTES_MIN: u64 = 4 << 20;

/// What a file system needs for reading directly.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) name_node: Arc<NameNode>,
    /// What DataNodes call the reader.
    pub(crate) reader: Arc<str>,
    /// Whether DataNodes are dialled by name and not by address.
    pub(crate) dials_names: bool,
}

/// A part of a file, and its blocks.
pub(crate) struct Direct {
    access: Access,
    blocks: Vec<LocatedBlockProto>,
    end: u64,
    /// The block that is being read, and its DataNode.
    current: Option<(BlockReader, String)>,
    /// DataNodes that have failed, by their ids; they aren't asked again.
    lost: HashSet<String>,
}

impl Direct {
    /// The part of a file of `file_bytes` from `offset` to `end`; `None` if only the client can read it.
    pub(crate) async fn look_up(source: &Source, offset: u64, end: u64, file_bytes: u64) -> Option<Direct> {
        let access = source.direct.clone()?;
        let found = access.name_node.block_locations(&source.path, offset, end - offset).await.ok()??;
        // Another file may have taken its place meanwhile.
        (is_usual(&found) && found.file_length == file_bytes).then(|| Direct {
            access,
            blocks: found.blocks,
            end,
            current: None,
            lost: HashSet::new(),
        })
    }

    /// Takes bytes from `position` on; none at the end of the part, and when the client has to go on.
    pub(crate) fn read(&mut self, runtime: &Runtime, position: u64, buffer: &mut [u8]) -> usize {
        loop {
            if let Some((block, node)) = &mut self.current {
                match block.read(buffer) {
                    Ok(0) => self.current = None,
                    Ok(count) => return count,
                    Err(_) => {
                        self.lost.insert(std::mem::take(node));
                        self.current = None;
                    }
                }
            }
            if position == self.end {
                return 0;
            }
            match poll_here(runtime, self.open(position)) {
                None => return 0,
                opened => self.current = opened,
            }
        }
    }

    /// Asks a DataNode for what its block has from `position` on.
    async fn open(&mut self, position: u64) -> Option<(BlockReader, String)> {
        let has_it =
            |block: &&LocatedBlockProto| (block.offset..block.offset + block.b.num_bytes()).contains(&position);
        let located = self.blocks.iter().find(has_it)?;
        let offset = position - located.offset;
        let bytes = (located.b.num_bytes() - offset).min(self.end - position);
        for node in located.locs.iter().map(|location| &location.id) {
            if self.lost.contains(&node.datanode_uuid) {
                continue;
            }
            let Access { reader, dials_names, .. } = &self.access;
            let range = BlockRange { located, node, offset, bytes, reader, dials_names: *dials_names };
            match BlockReader::open(range).await {
                Ok(block) => return Some((block, node.datanode_uuid.clone())),
                Err(_) => self.lost.insert(node.datanode_uuid.clone()),
            };
        }
        None
    }
}

/// Whether a file's blocks can be read as they are, and stay what they are.
fn is_usual(found: &LocatedBlocksProto) -> bool {
    found.ec_policy.is_none() && found.file_encryption_info.is_none() && !found.under_construction
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_hadoop::proto::hdfs::{ErasureCodingPolicyProto, FileEncryptionInfoProto};

    #[test]
    fn blocks_that_only_the_client_can_read_are_left_to_it() {
        let usual = LocatedBlocksProto { is_last_block_complete: true, ..Default::default() };
        let striped = LocatedBlocksProto { ec_policy: Some(ErasureCodingPolicyProto { id: 1 }), ..usual.clone() };
        let key = FileEncryptionInfoProto { key_name: "key".to_owned() };
        let encrypted = LocatedBlocksProto { file_encryption_info: Some(key), ..usual.clone() };
        let growing = LocatedBlocksProto { under_construction: true, ..usual.clone() };
        assert_eq!([usual, striped, encrypted, growing].map(|found| is_usual(&found)), [true, false, false, false]);
    }
}
