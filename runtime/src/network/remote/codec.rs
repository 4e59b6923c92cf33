//! Turns batches into frames of a wanted size, in the task that sends them, and back, in the task that takes them.

use crate::network::remote::frame::{HEADER_BYTES, Header, Kind, PAYLOAD_BYTES_MAX};
use crate::network::remote::{BufferPool, Compression};
use flinkrs_core::{Batch, Error, Result};
use std::cell::RefCell;
use std::sync::Arc;

/// Smaller frames aren't compressed: there is nothing to gain.
const COMPRESSED_BYTES_MIN: usize = 512;

/// A larger buffer for decompression isn't kept.
const PLAIN_BYTES_KEPT: usize = 1 << 20;

thread_local! {
    /// Where this thread decompresses.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The records of a frame, of the type of `like`.
pub(crate) fn decode(like: &Batch, header: &Header, payload: &[u8]) -> Result<Batch> {
    if !header.compressed {
        return like.decode_like(payload);
    }
    PLAIN.with_borrow_mut(|plain| {
        let bytes = header.extra as usize;
        if plain.len() < bytes {
            plain.resize(bytes, 0);
        }
        let count = lz4_flex::block::decompress_into(payload, &mut plain[..bytes])
            .map_err(|error| Error::internal(format!("records can't be decompressed: {error}")))?;
        if count != bytes {
            return Err(Error::internal(format!("records are {count} bytes, not {bytes}, when decompressed")));
        }
        let batch = like.decode_like(&plain[..bytes]);
        if plain.len() > PLAIN_BYTES_KEPT {
            *plain = Vec::new();
        }
        batch
    })
}

/// Encodes the batches of one channel.
pub(crate) struct Encoder {
    compression: Compression,
    pool: Arc<BufferPool>,
    /// Encoded bytes of a record, as the last batch had it.
    record_bytes: usize,
}

impl Encoder {
    pub(crate) fn new(compression: Compression, pool: &Arc<BufferPool>) -> Encoder {
        Encoder { compression, pool: Arc::clone(pool), record_bytes: 0 }
    }

    /// A frame, whose first bytes are room for its header, of the first records of `batch`, which keeps the others: of
    /// about as many as fit `bytes_max`, and of one if that is larger. `None` if they were larger than expected: then
    /// `batch` keeps all, and the next call takes fewer.
    pub(crate) fn encode_some(&mut self, batch: &mut Batch, bytes_max: usize) -> Result<Option<(Header, Vec<u8>)>> {
        let fit = (bytes_max / self.record_bytes.max(1)).max(1);
        let mut rest = if fit < batch.len() { batch.split_off(fit) } else { batch.empty_like() };
        let frame = self.encode(batch, bytes_max)?;
        if frame.is_none() {
            batch.append(&mut rest);
        } else if rest.is_empty() {
            batch.clear();
        } else {
            *batch = rest;
        }
        Ok(frame)
    }

    /// Gives a frame's buffer back.
    pub(crate) fn recycle(&self, frame: Vec<u8>) {
        self.pool.give(frame);
    }

    fn encode(&mut self, batch: &Batch, bytes_max: usize) -> Result<Option<(Header, Vec<u8>)>> {
        let mut bytes = self.pool.take_empty();
        bytes.resize(HEADER_BYTES, 0);
        batch.encode(&mut bytes)?;
        let plain = bytes.len() - HEADER_BYTES;
        self.record_bytes = plain.div_ceil(batch.len());
        if plain > bytes_max && batch.len() > 1 {
            self.pool.give(bytes);
            return Ok(None);
        }
        if plain > PAYLOAD_BYTES_MAX {
            let message = format!("a record of {plain} bytes is too large to be sent; at most {PAYLOAD_BYTES_MAX}");
            return Err(Error::Resource { message });
        }
        let is_worth_it = self.compression == Compression::Lz4 && plain >= COMPRESSED_BYTES_MIN;
        let shrunk = if is_worth_it { self.compress(&bytes) } else { None };
        let compressed = shrunk.is_some();
        if let Some(shrunk) = shrunk {
            self.pool.give(std::mem::replace(&mut bytes, shrunk));
        }
        let bytes = self.pool.fit(bytes);
        let payload = &bytes[HEADER_BYTES..];
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let (payload_bytes, payload_crc) = (length(payload.len()), crc32fast::hash(payload));
        let header = Header::new(Kind::Data, 0, 0);
        let header = Header { compressed, payload_bytes, extra: length(plain), payload_crc, ..header };
        Ok(Some((header, bytes)))
    }

    /// The frame compressed, if that makes it smaller.
    fn compress(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let plain = &frame[HEADER_BYTES..];
        let most = HEADER_BYTES + lz4_flex::block::get_maximum_output_size(plain.len());
        let mut out = self.pool.take(most);
        if out.len() < most {
            out.resize(most, 0);
        }
        match lz4_flex::block::compress_into(plain, &mut out[HEADER_BYTES..]) {
            Ok(count) if count < plain.len() => {
                out.truncate(HEADER_BYTES + count);
                Some(out)
            }
            _ => {
                self.pool.give(out);
                None
            }
        }
    }
}
