//! A DataNode that sends what it is told to, and what is read from it.

use super::*;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

/// Bytes that share a checksum.
const CHUNK: usize = 512;

/// Where the part that is asked for begins within the block, and its length.
const OFFSET: usize = 70_000;
const BYTES: usize = 800_001;

/// What the DataNode heard: the request, and the word at the end.
type Heard = (OpReadBlockProto, io::Result<ClientReadStatusProto>);

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 21) as u8).collect()
}

fn sums(checksum: ChecksumTypeProto, data: &[u8]) -> Vec<u8> {
    let sum: fn(&[u8]) -> u32 = match checksum {
        ChecksumTypeProto::ChecksumNull => return Vec::new(),
        ChecksumTypeProto::ChecksumCrc32 => crc32fast::hash,
        ChecksumTypeProto::ChecksumCrc32c => crc32c::crc32c,
    };
    data.chunks(CHUNK).flat_map(|chunk| sum(chunk).to_be_bytes()).collect()
}

/// A packet with these checksums and bytes, which begin at `offset` of the block.
fn packet(offset: usize, sums: &[u8], data: &[u8]) -> Vec<u8> {
    let header = PacketHeaderProto {
        offset_in_block: offset as i64,
        seqno: 0,
        last_packet_in_block: data.is_empty(),
        data_len: data.len() as i32,
        sync_block: None,
    }
    .encode_to_vec();
    let body = (4 + sums.len() + data.len()) as u32;
    [&body.to_be_bytes()[..], &(header.len() as u16).to_be_bytes(), &header, sums, data].concat()
}

/// The packets of the part, of so many bytes, from the start of its first chunk to the end of its last.
fn packets(checksum: ChecksumTypeProto, block: &[u8], bytes: usize) -> Vec<Vec<u8>> {
    let begin = OFFSET / CHUNK * CHUNK;
    let end = ((OFFSET + BYTES).div_ceil(CHUNK) * CHUNK).min(block.len());
    let offsets = (begin..end).step_by(bytes);
    let of = |at: usize| (at, &block[at..(at + bytes).min(end)]);
    let mut packets: Vec<_> = offsets.map(of).map(|(at, data)| packet(at, &sums(checksum, data), data)).collect();
    packets.push(packet(end, &[], &[]));
    packets
}

fn success(checksum: ChecksumTypeProto) -> BlockOpResponseProto {
    let checksum = ChecksumProto { r#type: checksum as i32, bytes_per_checksum: CHUNK as u32 };
    let info = ReadOpChecksumInfoProto { checksum, chunk_offset: (OFFSET / CHUNK * CHUNK) as u64 };
    BlockOpResponseProto { status: Status::Success as i32, read_op_checksum_info: Some(info), ..Default::default() }
}

fn message<M: Message + Default>(stream: &mut TcpStream) -> io::Result<M> {
    let mut length = [0];
    stream.read_exact(&mut length)?;
    assert!(length[0] < 0x80, "a short message");
    let mut message = vec![0; usize::from(length[0])];
    stream.read_exact(&mut message)?;
    Ok(M::decode(message.as_slice()).unwrap())
}

/// Answers one request with `answer` and `sent`.
fn data_node(answer: BlockOpResponseProto, sent: Vec<u8>) -> (DatanodeIdProto, JoinHandle<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let xfer_port = u32::from(listener.local_addr().unwrap().port());
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut begin = [0; 3];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(begin, [0, 28, 81]);
        let request = message(&mut stream).unwrap();
        // A reader that has seen enough goes away.
        let _ = stream.write_all(&answer.encode_length_delimited_to_vec()).and_then(|()| stream.write_all(&sent));
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        (request, message(&mut stream))
    });
    (DatanodeIdProto { ip_addr: "127.0.0.1".to_owned(), xfer_port, ..Default::default() }, serving)
}

fn open(node: &DatanodeIdProto) -> io::Result<BlockReader> {
    let block = ExtendedBlockProto { block_id: 7, ..Default::default() };
    let located = LocatedBlockProto { b: block, ..Default::default() };
    let (offset, bytes) = (OFFSET as u64, BYTES as u64);
    let range = BlockRange { located: &located, node, offset, bytes, reader: "ann", dials_names: false };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(BlockReader::open(range))
}

/// All that comes of a DataNode that sends this, and how it ends.
fn read(sent: Vec<u8>) -> (Vec<u8>, io::Result<()>) {
    let (node, serving) = data_node(success(ChecksumTypeProto::ChecksumCrc32c), sent);
    let mut found = Vec::new();
    let end = open(&node).and_then(|mut reader| reader.read_to_end(&mut found).map(|_| ()));
    drop(serving.join().unwrap());
    (found, end)
}

#[test]
fn a_part_is_read_in_packets_of_any_length_and_with_any_checksum() {
    let all = content(1_000_000);
    for checksum in
        [ChecksumTypeProto::ChecksumCrc32c, ChecksumTypeProto::ChecksumCrc32, ChecksumTypeProto::ChecksumNull]
    {
        // One of them isn't in one piece in the buffer.
        for packet_bytes in [CHUNK, 65_536, 600 * CHUNK] {
            let sent = packets(checksum, &all, packet_bytes).concat();
            let (node, serving) = data_node(success(checksum), sent);
            let mut found = Vec::new();
            open(&node).unwrap().read_to_end(&mut found).unwrap();
            assert!(found == all[OFFSET..OFFSET + BYTES], "{checksum:?}, {packet_bytes}");
            let (request, status) = serving.join().unwrap();
            assert_eq!((request.offset, request.len), (OFFSET as u64, BYTES as u64));
            assert_eq!((request.header.base_header.block.block_id, request.header.client_name.as_str()), (7, "ann"));
            assert_eq!(status.unwrap().status(), Status::ChecksumOk);
        }
    }
}

#[test]
fn checksums_are_those_of_hadoop() {
    let of = |checksum, sum: u32| check(checksum, CHUNK, &sum.to_be_bytes(), b"123456789").is_ok();
    // What java.util.zip.CRC32 and CRC32C say.
    assert!(of(ChecksumTypeProto::ChecksumCrc32, 0xCBF4_3926) && of(ChecksumTypeProto::ChecksumCrc32c, 0xE306_9283));
    assert!(!of(ChecksumTypeProto::ChecksumCrc32, 0xE306_9283) && !of(ChecksumTypeProto::ChecksumCrc32c, 0xCBF4_3926));
}

#[test]
fn bytes_of_a_packet_with_a_wrong_one_arent_handed_out() {
    let all = content(1_000_000);
    let mut sent = packets(ChecksumTypeProto::ChecksumCrc32c, &all, 65_536);
    let last = sent[1].len() - 1;
    sent[1][last] ^= 1;
    let (found, end) = read(sent.concat());
    let begin = OFFSET / CHUNK * CHUNK;
    assert!(found == all[OFFSET..begin + 65_536]);
    assert_eq!(end.unwrap_err().to_string(), "a checksum is wrong");
}

#[test]
fn what_is_no_packet_is_an_error() {
    let all = content(1_000_000);
    let sent = packets(ChecksumTypeProto::ChecksumCrc32c, &all, 65_536);
    let length = |body: u32| [&body.to_be_bytes()[..], &sent[0][4..]].concat();
    let begin = OFFSET / CHUNK * CHUNK;
    let head = &all[begin..begin + 2 * CHUNK];
    let cases = [
        (length(3), "a packet has a length that is none"),
        (length(u32::MAX), "a packet has a length that is none"),
        (length(100), "a packet lacks some of its bytes"),
        (packet(begin, &[0; 4], head), "a packet lacks checksums"),
        (sent[1].clone(), "a packet isn't the one that follows"),
        (packet(begin, &[], &[]), "a packet isn't the one that follows"),
        (sent[0][..sent[0].len() - 1].to_vec(), "it ended in the middle"),
        (Vec::new(), "it ended in the middle"),
    ];
    for (sent, expected) in cases {
        let (found, end) = read(sent);
        assert_eq!((found.len(), end.unwrap_err().to_string().as_str()), (0, expected));
    }
}

#[test]
fn a_data_node_says_why_it_has_nothing() {
    let refused = BlockOpResponseProto {
        status: Status::ErrorAccessToken as i32,
        message: Some("not for ann".to_owned()),
        ..Default::default()
    };
    let (node, serving) = data_node(refused, Vec::new());
    assert_eq!(open(&node).err().unwrap().to_string(), "ERROR_ACCESS_TOKEN not for ann");
    drop(serving.join().unwrap());
}
