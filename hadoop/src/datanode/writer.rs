//! Writes one block to its DataNodes, with DataTransferProtocol.
//!
//! ```text
//! BlockWriter ─ packets ─▶ first DataNode ─▶ second ─▶ …
//!             ◀─ acks ──                  ◀─         ◀─
//! ```
//!
//! Nothing is kept of what is sent: who has to go on after a failure has the bytes.

use super::{CONNECT_MAX, VERSION, address, receive, within};
use crate::proto::hdfs::op_write_block_proto::BlockConstructionStage as Stage;
use crate::proto::hdfs::*;
use prost::Message;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The operation that writes.
const WRITE_BLOCK: u8 = 80;

/// The number of packets that only say that the writer lives.
const HEARTBEAT: i64 = -1;

/// Bytes of a packet at most, without its header and checksums; Hadoop's default.
const PACKET_BYTES: usize = 63 << 10;

/// Packets that may wait for their acknowledgement: 5 MB.
const PENDING_MAX: usize = 80;

/// How long an answer may take. A DataNode waits for 60 s for the one behind it, and 5 s longer for each that is
/// farther behind, so the one before a lost one says so first.
const ANSWER_MAX: Duration = Duration::from_secs(75);

/// A block and its DataNodes as they are asked to take it.
#[derive(Clone, Debug)]
pub struct BlockRequest {
    /// The block, its DataNodes in the order in which they pass it on, and the token for it.
    pub located: LocatedBlockProto,
    /// The writer's name at the NameNode.
    pub writer: String,
    /// What they have of it, as they should know.
    pub stage: Stage,
    /// What the block is called from now on.
    pub generation_stamp: u64,
    /// Bytes that they have at least, and at most.
    pub bytes: (u64, u64),
    /// Bytes that share a checksum.
    pub checksum_bytes: u32,
    /// Whether DataNodes are dialled by name and not by address.
    pub dials_names: bool,
}

/// A block on its way.
pub struct BlockWriter {
    stream: BufReader<TcpStream>,
    nodes: Vec<String>,
    block: ExtendedBlockProto,
    checksum_bytes: usize,
    /// Bytes of the block that were sent, and those of the next packet.
    sent: u64,
    packet: Vec<u8>,
    next_number: i64,
    /// The packets that wait for their acknowledgement, by number.
    pending: VecDeque<i64>,
}

/// The DataNodes of a block don't take more of it.
#[derive(Debug)]
pub struct Broken {
    /// Which of them is the cause, as far as can be seen.
    pub node: usize,
    /// Its address.
    pub address: String,
    /// What happened.
    pub reason: String,
    /// Whether it took no connection, or the one before it says that it is the cause.
    pub is_certain: bool,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataNode {} takes no more: {}", self.address, self.reason)
    }
}

impl BlockWriter {
    /// Has the DataNodes take the block; what is written then follows the first of `request.bytes`.
    pub async fn open(request: &BlockRequest) -> Result<BlockWriter, Broken> {
        let nodes: Vec<String> = request.located.locs.iter().map(|node| address(&node.id, false)).collect();
        let broken = |node: usize, reason: String, is_certain: bool| Broken {
            node,
            address: nodes.get(node).cloned().unwrap_or_default(),
            reason,
            is_certain,
        };
        let Some(first) = request.located.locs.first() else {
            return Err(broken(0, "the block has none".to_owned(), true));
        };
        let dialled = address(&first.id, request.dials_names);
        let connected = within(CONNECT_MAX, TcpStream::connect(dialled)).await;
        let mut stream = BufReader::new(connected.map_err(|error| broken(0, error.to_string(), true))?);
        let answer: Result<BlockOpResponseProto, io::Error> = async {
            stream.get_ref().set_nodelay(true)?;
            within(ANSWER_MAX, stream.write_all(&encode(request))).await?;
            within(ANSWER_MAX, receive(&mut stream)).await
        }
        .await;
        let answer = answer.map_err(|error| broken(0, error.to_string(), false))?;
        if answer.status() != Status::Success {
            let named = nodes.iter().position(|node| node == answer.first_bad_link());
            let reason = format!("{} {}", answer.status().as_str_name(), answer.message());
            return Err(broken(named.unwrap_or(0), reason, named.is_some()));
        }
        let block = ExtendedBlockProto { generation_stamp: request.generation_stamp, ..request.located.b.clone() };
        let checksum_bytes = request.checksum_bytes.max(1) as usize;
        let (sent, packet, pending) = (request.bytes.0, Vec::new(), VecDeque::new());
        Ok(BlockWriter { stream, nodes, block, checksum_bytes, sent, packet, next_number: 0, pending })
    }

    /// The length of the block with all that was written.
    pub fn bytes(&self) -> u64 {
        self.sent + self.packet.len() as u64
    }

    /// Writes all of `bytes`.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let count = bytes.len().min(self.packet_bytes() - self.packet.len());
            self.packet.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.packet.len() == self.packet_bytes() {
                self.send(false).await?;
            }
        }
        Ok(())
    }

    /// Tells the DataNodes, which drop a writer of whom they have heard nothing for a minute, that there will be more.
    pub async fn heartbeat(&mut self) -> Result<(), Broken> {
        self.send_packet(HEARTBEAT, false, &[]).await?;
        self.acknowledged(0).await
    }

    /// Sends what there is, and waits until all DataNodes have the whole block on disk; says how long it is.
    pub async fn finish(mut self) -> Result<ExtendedBlockProto, Broken> {
        if !self.packet.is_empty() {
            self.send(false).await?;
        }
        self.send(true).await?;
        self.acknowledged(0).await?;
        Ok(ExtendedBlockProto { num_bytes: Some(self.sent), ..self.block })
    }

    /// How long the next packet may be: it ends with a checksum, and one that begins within ends with it.
    fn packet_bytes(&self) -> usize {
        let within = (self.sent % self.checksum_bytes as u64) as usize;
        match within {
            0 => (PACKET_BYTES / self.checksum_bytes).max(1) * self.checksum_bytes,
            within => self.checksum_bytes - within,
        }
    }

    async fn send(&mut self, is_last: bool) -> Result<(), Broken> {
        let packet = std::mem::take(&mut self.packet);
        self.send_packet(self.next_number, is_last, &packet).await?;
        self.next_number += 1;
        self.sent += packet.len() as u64;
        self.packet = packet;
        self.packet.clear();
        self.acknowledged(PENDING_MAX).await
    }

    async fn send_packet(&mut self, number: i64, is_last: bool, data: &[u8]) -> Result<(), Broken> {
        let header = PacketHeaderProto {
            offset_in_block: if number == HEARTBEAT { 0 } else { self.sent as i64 },
            seqno: number,
            last_packet_in_block: is_last,
            data_len: data.len() as i32,
            sync_block: Some(is_last),
        }
        .encode_to_vec();
        let checksums = data.len().div_ceil(self.checksum_bytes) * 4;
        let mut frame = Vec::with_capacity(6 + header.len() + checksums + data.len());
        frame.extend(((4 + checksums + data.len()) as u32).to_be_bytes());
        frame.extend((header.len() as u16).to_be_bytes());
        frame.extend(&header);
        data.chunks(self.checksum_bytes).for_each(|chunk| frame.extend(crc32c::crc32c(chunk).to_be_bytes()));
        frame.extend(data);
        self.pending.push_back(number);
        match within(ANSWER_MAX, self.stream.write_all(&frame)).await {
            Ok(()) => Ok(()),
            // The acknowledgements before may say why.
            Err(error) => match self.acknowledged(0).await {
                Err(broken) if broken.node > 0 => Err(broken),
                _ => Err(self.broken(0, error.to_string())),
            },
        }
    }

    /// Waits until not more than `left` packets lack their acknowledgement.
    async fn acknowledged(&mut self, left: usize) -> Result<(), Broken> {
        while self.pending.len() > left {
            let read: io::Result<PipelineAckProto> = within(ANSWER_MAX, receive(&mut self.stream)).await;
            let ack = read.map_err(|error| self.broken(0, error.to_string()))?;
            if let Some(bad) = ack.reply.iter().rposition(|reply| *reply != Status::Success as i32) {
                let status = Status::try_from(ack.reply[bad]).unwrap_or(Status::Error);
                return Err(self.broken(bad, status.as_str_name().to_owned()));
            }
            let expected = self.pending.pop_front();
            if expected != Some(ack.seqno) {
                return Err(self.broken(0, format!("it acknowledges {}, not {expected:?}", ack.seqno)));
            }
        }
        Ok(())
    }

    fn broken(&self, node: usize, reason: String) -> Broken {
        let node = node.min(self.nodes.len() - 1);
        Broken { node, address: self.nodes[node].clone(), reason, is_certain: false }
    }
}

/// The request as it is sent to the first DataNode, with the others as targets.
fn encode(request: &BlockRequest) -> Vec<u8> {
    let located = &request.located;
    let base_header = BaseHeaderProto { block: located.b.clone(), token: Some(located.block_token.clone()) };
    let message = OpWriteBlockProto {
        header: ClientOperationHeaderProto { base_header, client_name: request.writer.clone() },
        targets: located.locs.iter().skip(1).cloned().collect(),
        stage: request.stage as i32,
        pipeline_size: located.locs.len() as u32,
        min_bytes_rcvd: request.bytes.0,
        max_bytes_rcvd: request.bytes.1,
        latest_generation_stamp: request.generation_stamp,
        requested_checksum: ChecksumProto {
            r#type: ChecksumTypeProto::ChecksumCrc32c as i32,
            bytes_per_checksum: request.checksum_bytes,
        },
        storage_type: located.storage_types.first().copied(),
        target_storage_types: located.storage_types.iter().skip(1).copied().collect(),
        storage_id: located.storage_i_ds.first().cloned(),
        target_storage_ids: located.storage_i_ds.iter().skip(1).cloned().collect(),
    };
    [&VERSION[..], &[WRITE_BLOCK], &message.encode_length_delimited_to_vec()].concat()
}
