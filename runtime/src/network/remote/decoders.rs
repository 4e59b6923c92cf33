//! The decoders of what strangers and disks hand in, for fuzzers and for the tests that feed them anything.
//!
//! Each takes any bytes, and must neither panic nor allocate more than a small multiple of them. Checksums would stop a
//! fuzzer at the door, so that each input is read twice: as it is, and with its checksums made right.

use crate::network::remote::codec::decode;
use crate::network::remote::frame::{FrameReader, HEADER_BYTES, Header, Kind, Malformed};
use crate::network::remote::handshake::{Handshake, Identity, Step, Verdict};
use crate::network::remote::partition_file::{PartitionFile, PartitionReader, sealed};
use crate::network::remote::{BufferPool, ChannelId, PeerId, StoredPartition};
use flinkrs_core::Batch;

/// Reads bytes as the frames of a connection, records included.
pub fn frames(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    read_frames(usize::from(*piece).max(1), bytes);
    read_frames(usize::from(*piece).max(1), &seal_frames(bytes));
}

fn read_frames(piece: usize, bytes: &[u8]) {
    let (mut reader, pool) = (FrameReader::new(), BufferPool::new(1 << 16));
    let like = Batch::new(Vec::<(String, Option<u64>, Vec<bool>)>::new());
    let mut show = |header: Header, payload: Vec<u8>| {
        match header.kind {
            Kind::Data => drop(decode(&like, &header, &payload)),
            Kind::Request => drop(ChannelId::decode(&payload)),
            _ => {}
        }
        pool.give(payload);
        Ok(())
    };
    let result: Result<(), Malformed> = bytes.chunks(piece).try_for_each(|bytes| reader.feed(bytes, &pool, &mut show));
    // What is malformed is refused: that is all that is asked.
    drop(result);
}

/// Makes the checksums of a stream of frames right.
fn seal_frames(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (bytes.to_vec(), 0);
    while let Some(header) = out.get(at..at + HEADER_BYTES) {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let end = (at + HEADER_BYTES).saturating_add(length).min(out.len());
        let crc = crc32fast::hash(&out[at + HEADER_BYTES..end]);
        out[at + 24..at + 28].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32fast::hash(&out[at..at + 28]);
        out[at + 28..at + HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
    out
}

/// Reads bytes as what the other side of a handshake says, at the dialer and at the acceptor.
pub fn handshake(bytes: &[u8]) {
    let identity = Identity { job: 1, me: PeerId(1), secret: b"secret".to_vec() };
    let (dialer, _) = Handshake::dial(identity.clone(), [1; 32]);
    hear(dialer, bytes);
    hear(Handshake::accept(identity, [2; 32]), bytes);
}

fn hear(mut side: Handshake, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (heard, rest) = bytes.split_at(side.wants().min(bytes.len()));
        bytes = rest;
        match side.take(heard) {
            Ok(Step::Wait | Step::Send(_)) => {}
            Ok(Step::Proven(_)) => return drop(side.answer(Verdict::Accepted)),
            Ok(Step::Decided(..)) | Err(_) => return,
        }
    }
}

/// Reads bytes as the file of a partition: its index, and every frame of every consumer.
pub fn partition_file(bytes: &[u8]) {
    let id = StoredPartition { job: 1, execution: 2, edge: 3, producer: 4, attempt: 5 };
    read_partition(bytes.to_vec(), &id);
    read_partition(sealed(bytes, &id), &id);
}

fn read_partition(bytes: Vec<u8>, id: &StoredPartition) {
    let Ok(file) = PartitionFile::of(Box::new(bytes), "bytes".into(), id) else { return };
    let mut consumer = 0;
    // Extents may overlap, so that few bytes can hold many frames: a few of each consumer do.
    while let Ok(mut reader) = PartitionReader::new(&file, consumer) {
        for _ in 0..8 {
            if !matches!(reader.next_frame(), Ok(Some(_))) {
                break;
            }
        }
        consumer += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::remote::frame::{bare, with_payload};
    use crate::network::remote::partition_file::{Extent, encode_head, encode_tail};
    use proptest::prelude::*;

    fn data(payload: &[u8]) -> Vec<u8> {
        let mut frame = with_payload(Header::new(Kind::Data, 1, 0), payload);
        let length: [u8; 4] = frame[8..12].try_into().unwrap();
        frame[12..16].copy_from_slice(&length);
        seal_frames(&frame)
    }

    fn stream() -> Vec<u8> {
        let mut records = Vec::new();
        let batch = Batch::new(vec![("text".to_owned(), Some(7u64), vec![true, false]); 10]);
        batch.encode(&mut records).unwrap();
        [&[13][..], &data(&records), &bare(Kind::SuperstepEnd, 1, 2), &bare(Kind::End, 1, 0)].concat()
    }

    fn partition() -> Vec<u8> {
        let id = StoredPartition { job: 1, execution: 2, edge: 3, producer: 4, attempt: 5 };
        let frames = [data(b"some"), data(b"thing")].concat();
        let mut out = encode_head(&id, 2).to_vec();
        let extent = Extent { offset: out.len() as u64, bytes: u32::try_from(frames.len()).unwrap() };
        out.extend_from_slice(&frames);
        let tail = encode_tail(out.len() as u64, &[vec![extent], vec![]]);
        out.extend_from_slice(&tail);
        out
    }

    /// Changes a few bytes, cuts and repeats.
    fn changed(of: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
        (changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(move |(changes, cut, twice)| {
            let mut bytes = of.clone();
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            bytes.truncate(cut.index(3 * of.len()).max(of.len() / 2));
            if twice { bytes.repeat(2) } else { bytes }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn frames_take_anything(bytes in changed(stream())) {
            frames(&bytes);
        }

        #[test]
        fn handshakes_take_anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            handshake(&bytes);
            handshake(&[b"FLKX\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".as_slice(), &bytes].concat());
        }

        #[test]
        fn partitions_take_anything(bytes in changed(partition())) {
            partition_file(&bytes);
        }
    }

    #[test]
    fn what_is_whole_is_read() {
        let id = StoredPartition { job: 1, execution: 2, edge: 3, producer: 4, attempt: 5 };
        let file = PartitionFile::of(Box::new(partition()), "bytes".into(), &id).map_err(|broken| broken.0).unwrap();
        let mut reader = PartitionReader::new(&file, 0).map_err(|broken| broken.0).unwrap();
        let mut payloads = Vec::new();
        while let Some((_, payload)) = reader.next_frame().unwrap() {
            payloads.push(payload.to_vec());
        }
        assert_eq!(payloads, [b"some".to_vec(), b"thing".to_vec()]);
    }
}
