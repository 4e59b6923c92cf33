//! The file of a result that outlives its producer: what one subtask has for all consumers of one edge.
//!
//! ```text
//! head     magic "FLKPART1" | job u128 | execution, edge, producer, attempt, consumers u32 | crc u32
//! extents  frames as they go over a connection, with slot 0: those of an extent are for one consumer
//! index    per consumer: extents u32, then each extent's offset u64 and bytes u32
//! foot     index_offset u64 | index_bytes u64 | index_crc u32 | crc u32 | magic "FLKPEND1"
//! ```
//!
//! Numbers are little-endian; each checksum is of what stands before it in its part, and frames have their own. The
//! version is in the magics. A file is written under another name and renamed when it is whole, so that a file with
//! this name and a foot is finished; whether its content is still what was written is checked as it is read.

use crate::network::remote::StoredPartition;
use crate::network::remote::frame::{HEADER_BYTES, Header, Kind};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HEAD_MAGIC: [u8; 8] = *b"FLKPART1";
const FOOT_MAGIC: [u8; 8] = *b"FLKPEND1";

/// Bytes of the head.
pub(crate) const HEAD_BYTES: usize = 48;
const FOOT_BYTES: usize = 32;
const EXTENT_BYTES: usize = 12;

/// Read at once from an extent.
const READ_BYTES: usize = 256 << 10;

/// An index is read in one piece; a larger one isn't of this engine.
const INDEX_BYTES_MAX: u64 = 1 << 30;

/// Where some of a consumer's frames lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) bytes: u32,
}

/// What is wrong with a file, as a predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) String);

pub(crate) fn encode_head(id: &StoredPartition, consumers: u32) -> [u8; HEAD_BYTES] {
    let mut out = [0; HEAD_BYTES];
    out[..8].copy_from_slice(&HEAD_MAGIC);
    out[8..24].copy_from_slice(&id.job.to_le_bytes());
    for (to, word) in out[24..44].chunks_exact_mut(4).zip([id.execution, id.edge, id.producer, id.attempt, consumers]) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    seal(&mut out);
    out
}

/// The index and the foot.
pub(crate) fn encode_tail(index_offset: u64, consumers: &[Vec<Extent>]) -> Vec<u8> {
    let mut out = Vec::new();
    for extents in consumers {
        // So many extents have more bytes than a disk.
        out.extend_from_slice(&u32::try_from(extents.len()).unwrap_or(u32::MAX).to_le_bytes());
        for extent in extents {
            out.extend_from_slice(&extent.offset.to_le_bytes());
            out.extend_from_slice(&extent.bytes.to_le_bytes());
        }
    }
    let mut foot = [0; FOOT_BYTES - 8];
    foot[..8].copy_from_slice(&index_offset.to_le_bytes());
    foot[8..16].copy_from_slice(&(out.len() as u64).to_le_bytes());
    foot[16..20].copy_from_slice(&crc32fast::hash(&out).to_le_bytes());
    seal(&mut foot);
    out.extend_from_slice(&foot);
    out.extend_from_slice(&FOOT_MAGIC);
    out
}

/// Puts the checksum of all before it into the last four bytes.
fn seal(part: &mut [u8]) {
    let (content, crc) = part.split_at_mut(part.len() - 4);
    crc.copy_from_slice(&crc32fast::hash(content).to_le_bytes());
}

fn is_sealed(part: &[u8]) -> bool {
    part.split_last_chunk::<4>().is_some_and(|(content, crc)| crc32fast::hash(content) == u32::from_le_bytes(*crc))
}

/// The bytes of a partition's file with the checksums of head, index and foot made right, and the id, for fuzzers.
pub(crate) fn sealed(bytes: &[u8], id: &StoredPartition) -> Vec<u8> {
    let mut out = bytes.to_vec();
    if out.len() < HEAD_BYTES + FOOT_BYTES {
        return out;
    }
    let head = encode_head(id, u32_at(&out, 40));
    out[..HEAD_BYTES].copy_from_slice(&head);
    let foot = out.len() - FOOT_BYTES;
    let index = usize::try_from(u64_at(&out, foot)).unwrap_or(usize::MAX).min(foot);
    let crc = crc32fast::hash(&out[index..foot]);
    out[foot + 16..foot + 20].copy_from_slice(&crc.to_le_bytes());
    seal(&mut out[foot..foot + FOOT_BYTES - 8]);
    out
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Anything that can be read at an offset: a file, or bytes.
pub(crate) trait ReadAt: Send + Sync {
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
    fn bytes(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, into, offset)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let ends = io::Error::from(io::ErrorKind::UnexpectedEof);
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let found = self.get(at..).and_then(|rest| rest.get(..into.len())).ok_or(ends)?;
        into.copy_from_slice(found);
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// Reads head, foot and index of a partition, and the extents of each consumer.
pub(crate) fn read_index(file: &dyn ReadAt, id: &StoredPartition) -> Result<Vec<Vec<Extent>>, Broken> {
    let unreadable = |error: io::Error| Broken(format!("can't be read: {error}"));
    let broken = |what: &str| Err(Broken(format!("is broken: {what}")));
    let bytes = file.bytes().map_err(unreadable)?;
    if bytes < (HEAD_BYTES + FOOT_BYTES) as u64 {
        return broken("it ends too early");
    }
    let (mut head, mut foot) = ([0; HEAD_BYTES], [0; FOOT_BYTES]);
    file.read_exact_at(&mut head, 0).map_err(unreadable)?;
    let foot_offset = bytes - FOOT_BYTES as u64;
    file.read_exact_at(&mut foot, foot_offset).map_err(unreadable)?;
    if head[..8] != HEAD_MAGIC || foot[FOOT_BYTES - 8..] != FOOT_MAGIC {
        return broken("it isn't a finished partition of this version");
    }
    if !is_sealed(&head) || !is_sealed(&foot[..FOOT_BYTES - 8]) {
        return broken("the checksum of its head or foot is wrong");
    }
    let consumers = u32_at(&head, 40);
    if head != encode_head(id, consumers) {
        return broken("it is another partition");
    }
    let (index_offset, index_bytes) = (u64_at(&foot, 0), u64_at(&foot, 8));
    let fits = index_offset >= HEAD_BYTES as u64 && index_offset.checked_add(index_bytes) == Some(foot_offset);
    if !fits || index_bytes > INDEX_BYTES_MAX || u64::from(consumers) * 4 > index_bytes {
        return broken("its foot doesn't fit its length");
    }
    let mut index = vec![0; usize::try_from(index_bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut index, index_offset).map_err(unreadable)?;
    if crc32fast::hash(&index) != u32_at(&foot, 16) {
        return broken("the checksum of its index is wrong");
    }
    parse_index(&index, consumers, index_offset)
}

fn parse_index(mut index: &[u8], consumers: u32, index_offset: u64) -> Result<Vec<Vec<Extent>>, Broken> {
    let broken = || Broken("is broken: its index doesn't fit its length".to_owned());
    let mut out = Vec::new();
    for _ in 0..consumers {
        let (count, rest) = index.split_first_chunk::<4>().ok_or_else(broken)?;
        let bytes = (u32::from_le_bytes(*count) as usize).checked_mul(EXTENT_BYTES).ok_or_else(broken)?;
        let (extents, rest) = rest.split_at_checked(bytes).ok_or_else(broken)?;
        index = rest;
        let extents = extents.chunks_exact(EXTENT_BYTES);
        let extents: Vec<Extent> =
            extents.map(|extent| Extent { offset: u64_at(extent, 0), bytes: u32_at(extent, 8) }).collect();
        let lies_inside = |extent: &Extent| {
            let end = extent.offset.checked_add(u64::from(extent.bytes));
            extent.offset >= HEAD_BYTES as u64 && end.is_some_and(|end| end <= index_offset)
        };
        if !extents.iter().all(lies_inside) {
            return Err(broken());
        }
        out.push(extents);
    }
    if index.is_empty() { Ok(out) } else { Err(broken()) }
}

/// A finished partition that can be read by any number of readers.
pub(crate) struct PartitionFile {
    file: Box<dyn ReadAt>,
    path: PathBuf,
    consumers: Vec<Vec<Extent>>,
}

impl PartitionFile {
    pub(crate) fn open(folder: &Path, id: &StoredPartition) -> Result<Arc<PartitionFile>, Broken> {
        let path = folder.join(id.file_name());
        let located = |broken: Broken| Broken(format!("{} ({})", broken.0, path.display()));
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => located(Broken("is missing".to_owned())),
            _ => located(Broken(format!("can't be opened: {error}"))),
        })?;
        PartitionFile::of(Box::new(file), path.clone(), id).map_err(located)
    }

    /// A partition that lies in `file`, which is called `path` in errors.
    pub(crate) fn of(file: Box<dyn ReadAt>, path: PathBuf, id: &StoredPartition) -> Result<Arc<PartitionFile>, Broken> {
        let consumers = read_index(&*file, id)?;
        Ok(Arc::new(PartitionFile { file, path, consumers }))
    }
}

/// Reads the frames of one consumer in order.
pub(crate) struct PartitionReader {
    partition: Arc<PartitionFile>,
    consumer: usize,
    /// The extents that have been read to their ends.
    done: usize,
    /// Bytes of the current extent that have been read into `buffer`.
    read: u32,
    buffer: Vec<u8>,
    shown: usize,
}

impl PartitionReader {
    pub(crate) fn new(partition: &Arc<PartitionFile>, consumer: u32) -> Result<PartitionReader, Broken> {
        let (partition, consumer) = (Arc::clone(partition), consumer as usize);
        if consumer >= partition.consumers.len() {
            let of = partition.consumers.len();
            return Err(Broken(format!("has nothing for consumer {consumer}, only for {of}")));
        }
        Ok(PartitionReader { partition, consumer, done: 0, read: 0, buffer: Vec::new(), shown: 0 })
    }

    /// The next frame's header and payload, checked, or `None` at the end.
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Header, &[u8])>, Broken> {
        while self.shown == self.buffer.len() {
            let Some(extent) = self.partition.consumers[self.consumer].get(self.done) else { return Ok(None) };
            if self.read < extent.bytes {
                break;
            }
            (self.done, self.read) = (self.done + 1, 0);
        }
        self.fill(HEADER_BYTES)?;
        let header = match self.buffer[self.shown..].first_chunk::<HEADER_BYTES>() {
            Some(header) => Header::decode(header).map_err(|malformed| self.broken(&malformed.0))?,
            None => return Err(self.broken("a frame ends too early")),
        };
        if header.kind != Kind::Data {
            return Err(self.broken("a frame that isn't of records"));
        }
        let bytes = HEADER_BYTES + header.payload_bytes as usize;
        self.fill(bytes)?;
        let payload = self.shown + HEADER_BYTES..self.shown + bytes;
        self.shown += bytes;
        header.check(&self.buffer[payload.clone()]).map_err(|malformed| self.broken(&malformed.0))?;
        Ok(Some((header, &self.buffer[payload])))
    }

    /// Makes sure that so many bytes that were not shown are in the buffer.
    fn fill(&mut self, wanted: usize) -> Result<(), Broken> {
        let have = self.buffer.len() - self.shown;
        if have >= wanted {
            return Ok(());
        }
        let extent = self.partition.consumers[self.consumer][self.done];
        let left = (extent.bytes - self.read) as usize;
        if have + left < wanted {
            return Err(self.broken("a frame ends too early"));
        }
        let more = (wanted.max(READ_BYTES) - have).min(left);
        self.buffer.drain(..self.shown);
        self.shown = 0;
        self.buffer.resize(have + more, 0);
        let offset = extent.offset + u64::from(self.read);
        self.partition
            .file
            .read_exact_at(&mut self.buffer[have..], offset)
            .map_err(|error| self.broken(&format!("it can't be read: {error}")))?;
        // At most what is left of the extent, which is a u32.
        self.read += u32::try_from(more).unwrap_or(u32::MAX);
        Ok(())
    }

    fn broken(&self, what: &str) -> Broken {
        Broken(format!("is broken: {what} ({})", self.partition.path.display()))
    }
}
