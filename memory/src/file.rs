//! A file of blocks that has no name: written once, sequentially, and read by any number of readers.

use crate::space::{SpillSizes, SpillSpace};
use flinkrs_core::{Error, Result};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Blocks of bytes on disk, each written as `[length u32][bytes]`.
///
/// The file is unlinked as soon as it is created: its space is free again when the last reader is dropped, however
/// the process ends.
#[derive(Debug)]
pub struct SpillFile {
    content: Arc<Content>,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    written: u64,
}

#[derive(Debug)]
pub(crate) struct Content {
    file: File,
    space: SpillSpace,
}

/// Length prefix of a block.
const HEADER_BYTES: usize = 4;

impl SpillFile {
    /// An empty file with a write buffer of 256 KiB.
    pub fn create(space: &SpillSpace) -> Result<SpillFile> {
        SpillFile::with_buffer(space, SpillSizes::default().buffer_bytes)
    }

    /// An empty file that gathers `buffer_bytes` before it writes.
    pub fn with_buffer(space: &SpillSpace, buffer_bytes: usize) -> Result<SpillFile> {
        let file = tempfile::tempfile_in(space.directory()).map_err(|error| space.write_error(error))?;
        let content = Arc::new(Content { file, space: space.clone() });
        Ok(SpillFile { content, buffer: Vec::new(), buffer_bytes, written: 0 })
    }

    /// Appends a block.
    pub fn append(&mut self, block: &[u8]) -> Result<()> {
        self.append_with(|out| {
            out.extend_from_slice(block);
            Ok(())
        })
        .map(drop)
    }

    /// Appends what `fill` appends to its argument as one block, and returns its length in bytes.
    pub fn append_with(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
        let filled = fill(&mut self.buffer);
        let len = self.buffer.len() - start - HEADER_BYTES;
        let checked = filled.and_then(|()| {
            u32::try_from(len).map_err(|_| Error::Resource {
                message: format!("a block of {len} bytes is too large to be spilled; a record has at most 4 GB"),
            })
        });
        match checked {
            Ok(prefix) => self.buffer[start..start + HEADER_BYTES].copy_from_slice(&prefix.to_le_bytes()),
            Err(error) => {
                self.buffer.truncate(start);
                return Err(error);
            }
        }
        if self.buffer.len() >= self.buffer_bytes {
            self.flush()?;
        }
        Ok(len)
    }

    /// Writes what is gathered; readers see only what was flushed.
    pub fn flush(&mut self) -> Result<()> {
        let space = &self.content.space;
        self.content.file.write_all_at(&self.buffer, self.written).map_err(|error| space.write_error(error))?;
        space.count(self.buffer.len());
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(2 * self.buffer_bytes);
        Ok(())
    }

    /// Where the next block goes, in bytes from the start.
    pub fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Gives the write buffer's memory back; what it held must have been flushed.
    pub(crate) fn release_buffer(&mut self) {
        debug_assert!(self.buffer.is_empty(), "flush comes first");
        self.buffer = Vec::new();
    }

    pub(crate) fn content(&self) -> &Arc<Content> {
        &self.content
    }

    /// Reads the blocks that lie in `range`, whose ends were results of [`SpillFile::end`], `buffer_bytes` at a time.
    pub fn reader(&self, range: Range<u64>, buffer_bytes: usize) -> BlockReader {
        debug_assert!(range.end <= self.written, "readers see only what was flushed");
        BlockReader::new(Arc::clone(&self.content), range, buffer_bytes)
    }
}

/// Reads the blocks of a part of a [`SpillFile`] in order.
#[derive(Debug)]
pub struct BlockReader {
    content: Arc<Content>,
    /// What lies behind the buffer.
    rest: Range<u64>,
    buffer: Vec<u8>,
    /// How much of the buffer was handed out.
    taken: usize,
    buffer_bytes: usize,
}

impl BlockReader {
    pub(crate) fn new(content: Arc<Content>, rest: Range<u64>, buffer_bytes: usize) -> BlockReader {
        BlockReader { content, rest, buffer: Vec::new(), taken: 0, buffer_bytes: buffer_bytes.max(HEADER_BYTES) }
    }

    /// The next block, or `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<&[u8]>> {
        if self.taken == self.buffer.len() && self.rest.is_empty() {
            self.buffer = Vec::new();
            self.taken = 0;
            return Ok(None);
        }
        self.fill(HEADER_BYTES)?;
        let header = &self.buffer[self.taken..self.taken + HEADER_BYTES];
        let len = u32::from_le_bytes(header.try_into().expect("the slice has 4 bytes")) as usize;
        self.fill(HEADER_BYTES + len)?;
        let start = self.taken + HEADER_BYTES;
        self.taken = start + len;
        Ok(Some(&self.buffer[start..start + len]))
    }

    /// Makes sure that `wanted` bytes that were not handed out are in the buffer.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let have = self.buffer.len() - self.taken;
        if have >= wanted {
            return Ok(());
        }
        self.content.space.check_cancelled()?;
        let left = self.rest.end - self.rest.start;
        let more = (wanted.max(self.buffer_bytes) - have).min(usize::try_from(left).unwrap_or(usize::MAX));
        if have + more < wanted {
            return Err(Error::internal(format!("a spilled block of {wanted} bytes ends after {}", have + more)));
        }
        self.make_room(have + more);
        let (file, space) = (&self.content.file, &self.content.space);
        file.read_exact_at(&mut self.buffer[have..], self.rest.start).map_err(|error| space.read_error(error))?;
        self.rest.start += more as u64;
        Ok(())
    }

    /// Moves what was not handed out to the start of a buffer of `len` bytes.
    fn make_room(&mut self, len: usize) {
        let have = self.buffer.len() - self.taken;
        if self.buffer.capacity() < len || self.buffer.capacity() > 2 * len.max(self.buffer_bytes) {
            let mut buffer = Vec::with_capacity(len);
            buffer.extend_from_slice(&self.buffer[self.taken..]);
            self.buffer = buffer;
        } else {
            self.buffer.copy_within(self.taken.., 0);
            self.buffer.truncate(have);
        }
        self.taken = 0;
        self.buffer.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn space() -> SpillSpace {
        SpillSpace::new(&std::env::temp_dir())
    }

    fn read_all(mut reader: BlockReader) -> Vec<Vec<u8>> {
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block().expect("the file is readable") {
            blocks.push(block.to_vec());
        }
        blocks
    }

    proptest! {
        #[test]
        fn gives_blocks_back_with_buffers_of_any_size(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..50),
            write_bytes in 1usize..2000,
            read_bytes in 1usize..2000,
        ) {
            let mut file = SpillFile::with_buffer(&space(), write_bytes).expect("the folder is writable");
            for block in &blocks {
                file.append(block).expect("there is space");
            }
            file.flush().expect("there is space");
            prop_assert_eq!(read_all(file.reader(0..file.end(), read_bytes)), blocks);
        }
    }

    #[test]
    fn several_readers_share_a_file() {
        let mut file = SpillFile::create(&space()).expect("the folder is writable");
        file.append(b"first").expect("there is space");
        let middle = file.end();
        file.append(&vec![7; 5 << 20]).expect("there is space");
        file.append(b"last").expect("there is space");
        file.flush().expect("there is space");
        let (mut a, mut b) = (file.reader(0..file.end(), 64), file.reader(middle..file.end(), 64 << 10));
        assert_eq!(a.next_block().expect("readable"), Some(b"first".as_slice()));
        assert_eq!(b.next_block().expect("readable").map(<[u8]>::len), Some(5 << 20));
        assert_eq!(a.next_block().expect("readable").map(<[u8]>::len), Some(5 << 20));
        assert_eq!(b.next_block().expect("readable"), Some(b"last".as_slice()));
        assert_eq!(b.next_block().expect("readable"), None);
        assert_eq!(file.content.space.spilled_bytes(), file.end());
    }

    #[test]
    fn leaves_nothing_in_the_folder() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut file = SpillFile::create(&SpillSpace::new(folder.path())).expect("the folder is writable");
        file.append(b"something").expect("there is space");
        file.flush().expect("there is space");
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }

    #[test]
    fn an_error_names_the_folder_and_the_option() {
        let space = SpillSpace::new(std::path::Path::new("/nowhere/spill"));
        let message = SpillFile::create(&space).expect_err("there is no such folder").to_string();
        assert!(message.starts_with("cannot spill to /nowhere/spill: "), "{message}");
        assert!(message.ends_with("--temp-dir"), "{message}");
    }

    /// A full disk as the file sees it: `/dev/full` takes every open and refuses every write.
    #[test]
    fn a_full_disk_is_an_error_that_says_so() {
        let full = File::options().read(true).write(true).open("/dev/full").expect("Linux has /dev/full");
        let content = Arc::new(Content { file: full, space: space() });
        let mut file = SpillFile { content, buffer: Vec::new(), buffer_bytes: 4, written: 0 };
        let error = file.append(b"does not fit").expect_err("the disk is full");
        assert!(error.to_string().contains("No space left on device"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}
