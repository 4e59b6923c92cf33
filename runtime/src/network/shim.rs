use crate::network::*;
use std::net::SocketAddr;
#[derive(Clone, Copy)]
pub struct ChannelId { pub job: u128, pub execution: u32, pub edge: u32, pub producer: u32, pub attempt: u32, pub consumer: u32 }
#[derive(Clone, Copy)]
pub struct PeerId(pub u64);
impl PeerId {
    pub fn of_worker(w: flinkrs_protocol::WorkerId) -> PeerId { PeerId(w.0) }
    pub fn of_task_executor(t: &flinkrs_protocol::TaskExecutorId) -> PeerId { PeerId(1 << 63 | flinkrs_core::types::hash_key(t)) }
}
pub struct Exchange;
impl Exchange {
    pub(crate) fn sender(&self, _: ChannelId) -> Box<dyn ChannelSender> { unimplemented!() }
    pub(crate) fn store(&self, _: flinkrs_protocol::JobId, _: flinkrs_protocol::PartitionId, _: usize, _: usize) -> Result<Vec<Box<dyn ChannelSender>>> { unimplemented!() }
    pub(crate) fn request(&self, _: (PeerId, SocketAddr), _: ChannelId, _: std::sync::Arc<Inbox>, _: Batch) -> Result<()> { unimplemented!() }
    pub fn send_message(&self, _: (PeerId, SocketAddr), _: Vec<u8>) -> Result<()> { unimplemented!() }
}
