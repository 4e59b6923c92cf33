//! Text files, line by line: short lines are copied into their records, long ones share the block they were read with.

use crate::files::{FileInput, FileSplit};
use crate::lines::{Block, LineBlocks, line_statistics, place, trim_return};
use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::source::{InputFormat, SplitReader, Statistics};
use flinkrs_core::types::{Text, TextBuffer};
use std::collections::VecDeque;
use std::sync::Arc;

/// Blocks that a reader remembers in order to fill them again when no record shares them any more.
const BLOCKS_REMEMBERED: usize = 8;

/// A buffer that grew past this for a long line isn't kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Reads the lines of text files.
///
/// A line is what ends in `\n`, without that and without a `\r` before it; the last line of a file needs no `\n`. An
/// empty file has no lines. Text is UTF-8: anything else is an error, unless
/// [`charset_lossy`](TextInput::charset_lossy) is set.
///
/// ```
/// use flinkrs_connectors::TextInput;
/// let input = TextInput::new("logs/*.log.gz").charset_lossy(true);
/// ```
#[derive(Clone, Debug)]
pub struct TextInput {
    files: FileInput,
    lossy: bool,
}

impl TextInput {
    /// Reads the lines of `files`: a path, or a [`FileInput`] for several.
    pub fn new(files: impl Into<FileInput>) -> TextInput {
        TextInput { files: files.into(), lossy: false }
    }

    /// Whether bytes that aren't UTF-8 become `U+FFFD` (�) instead of an error; default false.
    #[must_use]
    pub fn charset_lossy(mut self, lossy: bool) -> TextInput {
        self.lossy = lossy;
        self
    }

    /// The files.
    pub fn files(&self) -> &FileInput {
        &self.files
    }
}

impl InputFormat for TextInput {
    type Item = Text;
    type Split = FileSplit;
    type Reader = TextReader;

    fn splits(&self, wanted: usize) -> Result<Vec<(FileSplit, u64)>> {
        self.files.splits(wanted, 1)
    }

    fn hosts(&self, split: &FileSplit) -> Vec<String> {
        split.hosts.clone()
    }

    fn statistics(&self) -> Result<Statistics> {
        line_statistics(&self.files, |_| None)
    }

    fn open(&self, split: FileSplit) -> Result<TextReader> {
        let blocks = LineBlocks::open(split)?;
        Ok(TextReader { blocks, lossy: self.lossy, block: None, position: 0, used: VecDeque::new() })
    }
}

/// Reads the lines of one split.
pub struct TextReader {
    blocks: LineBlocks,
    lossy: bool,
    block: Option<Arc<TextBuffer>>,
    /// Where the next line starts in `block`.
    position: usize,
    /// Blocks whose lines were handed out, oldest first.
    used: VecDeque<Arc<TextBuffer>>,
}

impl SplitReader<Text> for TextReader {
    fn read(&mut self, records: &mut Vec<Text>) -> Result<bool> {
        let block = match self.block.take() {
            Some(block) => block,
            None => match self.next_block()? {
                Some(block) => block,
                None => return Ok(false),
            },
        };
        self.position = take_lines(&block, self.position, records);
        if self.position < block.as_str().len() {
            self.block = Some(block);
        } else {
            self.remember(block);
        }
        Ok(true)
    }
}

/// Appends lines of `block` from `position` on until the batch is full; returns where the next line starts.
fn take_lines(block: &Arc<TextBuffer>, mut position: usize, records: &mut Vec<Text>) -> usize {
    let bytes = block.as_str().as_bytes();
    let byte_limit = bytes.len().min(position + BATCH_BYTES);
    let room = batch_capacity::<Text>().saturating_sub(records.len()).max(1);
    records.reserve(room);
    for _ in 0..room {
        let rest = &bytes[position..];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = trim_return(&rest[..length]);
        records.push(block.text(position..position + line.len()));
        position = bytes.len().min(position + length + 1);
        if position >= byte_limit {
            break;
        }
    }
    position
}

impl TextReader {
    fn next_block(&mut self) -> Result<Option<Arc<TextBuffer>>> {
        let buffer = self.free_buffer();
        let Some(block) = self.blocks.next(buffer)? else { return Ok(None) };
        self.position = 0;
        let Block { bytes, offset } = block;
        let bytes = if self.lossy { replace_invalid(bytes) } else { bytes };
        TextBuffer::new(bytes).map(Some).map_err(|error| {
            let offset = offset + error.valid_up_to() as u64;
            let place = place(self.blocks.path(), offset);
            Error::data(format!(
                "{place}: byte {offset} of the file is not UTF-8 text; `.charset_lossy(true)` \
                 reads it with \u{fffd} in \
                 place of what is invalid"
            ))
        })
    }

    /// A used block that nobody shares any more, or a new buffer.
    fn free_buffer(&mut self) -> Vec<u8> {
        let free = self.used.iter().position(|block| Arc::strong_count(block) == 1);
        let block = free.and_then(|i| self.used.remove(i));
        block.and_then(TextBuffer::reclaim).filter(|bytes| bytes.capacity() <= KEPT_BYTES_MAX).unwrap_or_default()
    }

    fn remember(&mut self, block: Arc<TextBuffer>) {
        if self.used.len() == BLOCKS_REMEMBERED {
            self.used.pop_front();
        }
        self.used.push_back(block);
    }
}

fn replace_invalid(bytes: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => text.into_bytes(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into_bytes(),
    }
}
