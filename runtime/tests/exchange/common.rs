//! Exchanges, channels and records for the tests.

use flinkrs_core::Batch;
use flinkrs_runtime::{ChannelId, ChannelReader, Compression, Exchange, ExchangeOptions, PeerId};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub(crate) const JOB: u128 = 0xfeed;

/// Longer than anything here takes on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn options(me: u64) -> ExchangeOptions {
    ExchangeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        job: JOB,
        me: PeerId(me),
        secret: b"known to the job's workers".to_vec(),
        memory_bytes: 8 << 20,
        compression: Compression::None,
        folder: None,
        tls: None,
    }
}

pub(crate) fn start(me: u64) -> Exchange {
    Exchange::start(options(me)).expect("loopback can be listened on")
}

pub(crate) fn at(exchange: &Exchange, id: u64) -> (PeerId, SocketAddr) {
    (PeerId(id), exchange.local_addr())
}

pub(crate) fn channel_id(producer: u32, consumer: u32) -> ChannelId {
    ChannelId { job: JOB, execution: 0, edge: 1, producer, attempt: 0, consumer }
}

/// A record of 64 bytes.
pub(crate) type Record = [u64; 8];

pub(crate) fn record(channel: u32, number: u64) -> Record {
    std::array::from_fn(|i| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32 * 7) ^ u64::from(channel))
}

pub(crate) fn batch(channel: u32, numbers: std::ops::Range<u64>) -> Batch {
    Batch::new(numbers.map(|number| record(channel, number)).collect::<Vec<_>>())
}

pub(crate) fn like() -> Batch {
    Batch::new(Vec::<Record>::new())
}

/// Reads a channel to its end and checks every record.
pub(crate) fn check_all(reader: &mut ChannelReader, channel: u32) -> u64 {
    let mut number = 0;
    while let Some(mut batch) = reader.next_batch().expect("the channel is readable") {
        for found in batch.records::<Record>() {
            assert_eq!(*found, record(channel, number), "record {number} of channel {channel}");
            number += 1;
        }
    }
    number
}

/// What the exchange reports of lost peers.
pub(crate) fn losses(exchange: &Exchange) -> Receiver<(PeerId, String)> {
    let (to, from) = channel();
    exchange.on_peer_lost(std::sync::Arc::new(move |peer, _, error| {
        // The test may be over.
        let _ = to.send((peer, error.to_string()));
    }));
    from
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} doesn't come about");
        std::thread::sleep(Duration::from_millis(1));
    }
}
