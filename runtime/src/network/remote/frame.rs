//! The unit on the wire: a header of 32 bytes, then a payload whose length and checksum the header gives.
//!
//! ```text
//! kind u8 | flags u8 | zero u16 | slot u32 | payload_bytes u32 | extra u32 | value u64 | payload_crc u32 | crc u32
//! ```
//!
//! Numbers are little-endian. The slot is the number that the consumer's side gave the channel when it requested it;
//! the same number stands in frames of both directions. The last checksum is of the 28 bytes before it, so that
//! nothing is done, and nothing allocated, on the word of a header that isn't whole.

use crate::network::remote::BufferPool;
use std::fmt;
use std::io::{self, IoSliceMut, Read};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 32;

/// Bytes of a payload at most: one record may be that large, encoded.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Bytes of the payload of anything but data and messages at most.
const SMALL_BYTES_MAX: usize = 4 << 10;

/// Bytes of a message between workers at most.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a frame with such a payload counts in a window: tiny frames aren't free.
pub(crate) const fn cost(payload_bytes: usize) -> usize {
    HEADER_BYTES + payload_bytes
}

/// A payload is read into a buffer that grows by at most so much at a time: a length alone costs its sender something.
const GROWTH_BYTES: usize = 1 << 20;

const COMPRESSED: u8 = 1;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Records, encoded; `extra` is their length before compression.
    Data = 1,
    /// The end of superstep `value`.
    SuperstepEnd = 2,
    /// The watermark `value`.
    Watermark = 3,
    /// The barrier of checkpoint `value`.
    Barrier = 4,
    /// Nothing follows in this channel.
    End = 5,
    /// The consumer's side wants a channel, which the payload names: its number is the slot, `value` the first window.
    /// `extra` is 1 when it is to come from a finished partition's file, else 0.
    Request = 6,
    /// `value` bytes of the channel have been taken, and so many more as `extra` says may be on their way.
    Credit = 7,
    /// The consumer reads no further.
    Abandon = 8,
    /// A message between workers.
    Message = 9,
    /// The producer's side has no such partition, or a broken one: the payload says which and why.
    Refused = 10,
    /// The connection is about to be closed on purpose.
    Bye = 11,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        use Kind::{Abandon, Barrier, Bye, Credit, Data, End, Message, Refused, Request, SuperstepEnd, Watermark};
        let all = [Data, SuperstepEnd, Watermark, Barrier, End, Request, Credit, Abandon, Message, Refused, Bye];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    fn payload_bytes_max(self) -> usize {
        match self {
            Kind::Data => PAYLOAD_BYTES_MAX,
            Kind::Message => MESSAGE_BYTES_MAX,
            Kind::Request | Kind::Refused => SMALL_BYTES_MAX,
            _ => 0,
        }
    }
}

/// Why bytes are not what the other side should have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, malformed.0)
    }
}

/// What stands in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) compressed: bool,
    pub(crate) slot: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) extra: u32,
    pub(crate) value: u64,
    pub(crate) payload_crc: u32,
}

impl Header {
    /// A header without a payload.
    pub(crate) fn new(kind: Kind, slot: u32, value: u64) -> Header {
        Header { kind, compressed: false, slot, payload_bytes: 0, extra: 0, value, payload_crc: 0 }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0] = self.kind as u8;
        out[1] = if self.compressed { COMPRESSED } else { 0 };
        out[4..8].copy_from_slice(&self.slot.to_le_bytes());
        out[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.extra.to_le_bytes());
        out[16..24].copy_from_slice(&self.value.to_le_bytes());
        out[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[..28]);
        out[28..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header and checks all that can be checked without the payload.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, Malformed> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if crc32fast::hash(&bytes[..28]) != word(28) {
            return Err(Malformed("the checksum of a frame's header is wrong".to_owned()));
        }
        let kind = Kind::of(bytes[0]).ok_or_else(|| Malformed(format!("a frame of unknown kind {}", bytes[0])))?;
        let header = Header {
            kind,
            compressed: bytes[1] == COMPRESSED,
            slot: word(4),
            payload_bytes: word(8),
            extra: word(12),
            value: u64::from(word(16)) | u64::from(word(20)) << 32,
            payload_crc: word(24),
        };
        let most = kind.payload_bytes_max();
        if header.payload_bytes as usize > most {
            let message = format!("a {kind:?} frame with a payload of {} bytes; at most {most}", header.payload_bytes);
            return Err(Malformed(message));
        }
        let flags_fit = bytes[1] == 0 || (header.compressed && kind == Kind::Data);
        if !flags_fit || bytes[2..4] != [0, 0] {
            return Err(Malformed(format!("a {kind:?} frame with unknown flags")));
        }
        header.check_length()?;
        Ok(header)
    }

    /// The length that the records have before compression must be a possible one.
    fn check_length(&self) -> Result<(), Malformed> {
        if self.kind != Kind::Data {
            return Ok(());
        }
        let (wire, plain) = (self.payload_bytes as usize, self.extra as usize);
        let possible = if self.compressed { plain > wire && plain <= PAYLOAD_BYTES_MAX } else { plain == wire };
        // LZ4 shrinks to a 255th at most.
        if possible && plain <= 255 * wire + 64 {
            return Ok(());
        }
        Err(Malformed(format!("a frame of {wire} bytes that would hold {plain}")))
    }

    /// Checks a payload against the header's checksum.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), Malformed> {
        if crc32fast::hash(payload) == self.payload_crc {
            return Ok(());
        }
        Err(Malformed(format!("the checksum of a {:?} frame of {} bytes is wrong", self.kind, payload.len())))
    }
}

/// A frame without a payload.
pub(crate) fn bare(kind: Kind, slot: u32, value: u64) -> Vec<u8> {
    Header::new(kind, slot, value).encode().to_vec()
}

/// A frame with a small payload.
pub(crate) fn with_payload(header: Header, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= header.kind.payload_bytes_max(), "callers keep to what a kind of frame may hold");
    let payload_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let header = Header { payload_bytes, payload_crc: crc32fast::hash(payload), ..header };
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&header.encode());
    frame.extend_from_slice(payload);
    frame
}

/// The frame by which the consumer's side learns that there is no such partition, or a broken one.
pub(crate) fn refusal(slot: u32, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(SMALL_BYTES_MAX)];
    with_payload(Header::new(Kind::Refused, slot, 0), reason)
}

/// Cuts a stream of bytes into frames, whatever the pieces that it comes in.
pub(crate) struct FrameReader {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that have come.
    have: usize,
    payload: Option<Payload>,
}

struct Payload {
    header: Header,
    bytes: Vec<u8>,
    have: usize,
}

impl Payload {
    /// Where the next bytes go; at most `GROWTH_BYTES` more than have come are allocated.
    fn room(&mut self) -> &mut [u8] {
        let want = (self.header.payload_bytes as usize).min(self.have + GROWTH_BYTES);
        if self.bytes.len() < want {
            self.bytes.resize(want, 0);
        }
        &mut self.bytes[self.have..want]
    }

    fn is_complete(&self) -> bool {
        self.have == self.header.payload_bytes as usize
    }
}

impl FrameReader {
    pub(crate) fn new() -> FrameReader {
        FrameReader { header: [0; HEADER_BYTES], have: 0, payload: None }
    }

    /// Whether the stream may end here.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.have == 0 && self.payload.is_none()
    }

    /// Reads once from `source`, straight into the payload that is under way and what follows into `staging`, and shows
    /// every frame that is complete; returns how many bytes were read. Payloads' buffers are taken from `pool`.
    pub(crate) fn read(
        &mut self,
        source: &mut impl Read,
        staging: &mut [u8],
        pool: &BufferPool,
        show: &mut impl FnMut(Header, Vec<u8>) -> Result<(), Malformed>,
    ) -> io::Result<usize> {
        let target = match &mut self.payload {
            Some(payload) => payload.room(),
            None => &mut [],
        };
        let direct = target.len();
        let count = source.read_vectored(&mut [IoSliceMut::new(target), IoSliceMut::new(staging)])?;
        if let Some(payload) = &mut self.payload {
            payload.have += count.min(direct);
            self.finish(show)?;
        }
        self.feed(&staging[..count.saturating_sub(direct)], pool, show)?;
        Ok(count)
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        pool: &BufferPool,
        show: &mut impl FnMut(Header, Vec<u8>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let room = match &mut self.payload {
                Some(payload) => payload.room(),
                None => &mut self.header[self.have..],
            };
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            match &mut self.payload {
                Some(payload) => payload.have += count,
                None => {
                    self.have += count;
                    if self.have == HEADER_BYTES {
                        let header = Header::decode(&self.header)?;
                        let bytes = pool.take(header.payload_bytes as usize);
                        self.payload = Some(Payload { header, bytes, have: 0 });
                        self.have = 0;
                    }
                }
            }
            self.finish(show)?;
        }
        Ok(())
    }

    fn finish(&mut self, show: &mut impl FnMut(Header, Vec<u8>) -> Result<(), Malformed>) -> Result<(), Malformed> {
        match self.payload.take() {
            Some(mut payload) if payload.is_complete() => {
                payload.bytes.truncate(payload.have);
                payload.header.check(&payload.bytes)?;
                show(payload.header, payload.bytes)
            }
            unfinished => {
                self.payload = unfinished;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        (1u8..=11, any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(kind, slot, extra, value)| {
            let kind = Kind::of(kind).unwrap();
            let extra = if kind == Kind::Data { 0 } else { extra };
            Header { extra, ..Header::new(kind, slot, value) }
        })
    }

    type Frames = Vec<(Header, Vec<u8>)>;

    fn frames(pieces: &[&[u8]]) -> Result<Frames, Malformed> {
        let (mut reader, pool, mut out) = (FrameReader::new(), BufferPool::new(1 << 20), Vec::new());
        for piece in pieces {
            reader.feed(piece, &pool, &mut |header, payload| {
                out.push((header, payload));
                Ok(())
            })?;
        }
        Ok(out)
    }

    fn data(payload: &[u8]) -> Vec<u8> {
        let bytes = u32::try_from(payload.len()).unwrap();
        let crc = crc32fast::hash(payload);
        let header = Header { payload_bytes: bytes, extra: bytes, payload_crc: crc, ..Header::new(Kind::Data, 7, 0) };
        [&header.encode()[..], payload].concat()
    }

    proptest! {
        #[test]
        fn a_header_comes_back(header in header()) {
            prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn frames_come_back_from_any_pieces(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
            piece in 1usize..100,
        ) {
            let wire: Vec<u8> = payloads.iter().flat_map(|payload| data(payload)).collect();
            let read = frames(&wire.chunks(piece).collect::<Vec<_>>()).unwrap();
            prop_assert!(read.iter().map(|(_, payload)| payload).eq(&payloads));
            // The same through a reader that scatters.
            let (mut reader, pool, mut out) = (FrameReader::new(), BufferPool::new(1 << 20), Vec::new());
            let (mut source, mut staging) = (&wire[..], vec![0; piece]);
            while !source.is_empty() {
                reader.read(&mut source, &mut staging, &pool, &mut |_, payload| { out.push(payload); Ok(()) }).unwrap();
            }
            prop_assert_eq!(out, payloads);
            prop_assert!(reader.is_between_frames());
        }

        #[test]
        fn a_changed_bit_is_found(
            payload in prop::collection::vec(any::<u8>(), 1..100),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut wire = data(&payload);
            let at = at.index(wire.len());
            wire[at] ^= 1 << bit;
            prop_assert!(frames(&[&wire]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = frames(&[&bytes]);
        }
    }

    #[test]
    fn a_length_is_checked_before_it_is_allocated() {
        let huge = Header { payload_bytes: u32::MAX, extra: u32::MAX, ..Header::new(Kind::Data, 1, 0) };
        assert!(frames(&[&huge.encode()]).unwrap_err().0.contains("at most 1073741824"));
        let control = Header { payload_bytes: 1, ..Header::new(Kind::End, 1, 0) };
        assert!(frames(&[&control.encode()]).is_err());
        let bomb = Header { payload_bytes: 10, extra: 1 << 29, compressed: true, ..Header::new(Kind::Data, 1, 0) };
        assert!(frames(&[&bomb.encode()]).unwrap_err().0.contains("would hold"));
    }

    #[test]
    fn a_large_payload_is_allocated_as_it_comes() {
        let bytes = u32::try_from(PAYLOAD_BYTES_MAX).unwrap();
        let header = Header { payload_bytes: bytes, extra: bytes, ..Header::new(Kind::Data, 1, 0) };
        let (mut reader, pool) = (FrameReader::new(), BufferPool::new(1 << 20));
        reader.feed(&header.encode(), &pool, &mut |_, _| Ok(())).unwrap();
        reader.feed(&[0; 100], &pool, &mut |_, _| Ok(())).unwrap();
        assert!(reader.payload.unwrap().bytes.len() <= 100 + GROWTH_BYTES);
    }
}
