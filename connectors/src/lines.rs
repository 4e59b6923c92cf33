//! The lines of a split: blocks that end where a line ends, and where a line stands in its file.

use crate::compression::{content_bytes, content_end, open, read_action};
use crate::files::{FileInput, FileSplit};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::source::Statistics;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Bytes of a block: large enough that a read costs little, small enough to stay in the second-level cache.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// Bytes of the piece that is read at once in search of the end of a split's last line.
const TAIL_BYTES: usize = 16 << 10;

/// Bytes at the start of a file that are looked at for statistics.
const SAMPLE_BYTES: usize = 64 << 10;

/// Whole lines of a file.
pub(crate) struct Block {
    /// The lines; the last one of a file may lack its newline.
    pub(crate) bytes: Vec<u8>,
    /// Where they begin in the file's content.
    pub(crate) offset: u64,
}

/// Reads the lines that start in a split, as blocks.
///
/// A line belongs to the split in which its first byte lies: a split skips to the first newline at or after the byte
/// before it, and reads past its end to finish its last line.
pub(crate) struct LineBlocks {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    /// Where the next byte of `input` stands in the content.
    position: u64,
    /// Lines that start here or later belong to other splits.
    end: u64,
    /// The start of a line, read with the last block.
    carry: Vec<u8>,
    done: bool,
}

impl LineBlocks {
    /// Opens a split and skips the line that belongs to the split before it.
    pub(crate) fn open(split: FileSplit) -> Result<LineBlocks> {
        let end = content_end(&split);
        let position = split.offset.saturating_sub(1);
        // The last line goes on behind the split.
        let bytes = split.offset + split.length - position + TAIL_BYTES as u64;
        let input = open(&split.path, position, bytes)?;
        let mut blocks = LineBlocks { input, path: split.path, position, end, carry: Vec::new(), done: false };
        if split.offset > 0 {
            blocks.skip_line()?;
        }
        Ok(blocks)
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next lines, in `buffer` or a larger one; `None` at the end of the split.
    pub(crate) fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>> {
        if self.done {
            return Ok(None);
        }
        let mut bytes = buffer;
        let offset = self.position - self.carry.len() as u64;
        let mut filled = self.carry.len();
        if bytes.len() < filled {
            bytes.resize(filled, 0);
        }
        bytes[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let mut searched = filled;
        let mut target = BLOCK_BYTES.max(filled * 2);
        while self.position < self.end {
            let wanted = target.saturating_sub(filled);
            let wanted = usize::try_from(self.end - self.position).map_or(wanted, |left| wanted.min(left));
            let read = self.fill(&mut bytes, filled, wanted)?;
            filled += read;
            if read < wanted {
                self.done = true;
                break;
            }
            if self.position < self.end {
                if let Some(newline) = memchr::memrchr(b'\n', &bytes[searched..filled]) {
                    let cut = searched + newline + 1;
                    self.carry.extend_from_slice(&bytes[cut..filled]);
                    bytes.truncate(cut);
                    return Ok(Some(Block { bytes, offset }));
                }
                searched = filled;
                target = filled * 2;
            }
        }
        bytes.truncate(filled);
        if !self.done {
            self.finish_line(&mut bytes)?;
            self.done = true;
        }
        Ok((!bytes.is_empty()).then_some(Block { bytes, offset }))
    }

    /// Reads up to and including the next newline, unless `bytes` end with one.
    fn finish_line(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let mut piece = TAIL_BYTES;
        while bytes.last().is_some_and(|&byte| byte != b'\n') {
            let before = bytes.len();
            let read = self.fill(bytes, before, piece)?;
            bytes.truncate(before + read);
            match memchr::memchr(b'\n', &bytes[before..]) {
                Some(newline) => bytes.truncate(before + newline + 1),
                None if read < piece => return Ok(()),
                None => piece = bytes.len(),
            }
        }
        Ok(())
    }

    /// Skips to the start of the first line of this split.
    fn skip_line(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        while self.position < self.end {
            let wanted = usize::try_from(self.end - self.position).map_or(TAIL_BYTES, |left| left.min(TAIL_BYTES));
            let read = self.fill(&mut bytes, 0, wanted)?;
            if let Some(newline) = memchr::memchr(b'\n', &bytes[..read]) {
                self.carry.extend_from_slice(&bytes[newline + 1..read]);
                return Ok(());
            }
            if read < wanted {
                break;
            }
        }
        self.done = true;
        Ok(())
    }

    /// Reads `wanted` bytes of the input, fewer only at its end, to place `at`; what lies in `bytes` behind stays
    /// there, so that a buffer in use isn't zeroed again and again.
    fn fill(&mut self, bytes: &mut Vec<u8>, at: usize, wanted: usize) -> Result<usize> {
        if bytes.len() < at + wanted {
            bytes.resize(at + wanted, 0);
        }
        let read = read_fully(&mut self.input, &mut bytes[at..at + wanted])
            .map_err(|e| Error::io(read_action(&self.path), &self.path, e))?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Reads until `buffer` is full or the input ends.
pub(crate) fn read_fully(input: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The line without a carriage return at its end.
#[inline(always)]
pub(crate) fn trim_return(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r'] => rest,
        _ => line,
    }
}

/// The number of the line, counted from 1, that holds byte `offset` of the file's content.
///
/// Reads the file again up to there: for error messages only. `None` if that fails.
pub(crate) fn line_number(path: &Path, offset: u64) -> Option<u64> {
    let mut input = open(path, 0, offset).ok()?.take(offset);
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut line = 1;
    loop {
        match read_fully(&mut input, &mut buffer).ok()? {
            0 => return Some(line),
            read => line += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
        }
    }
}

/// `path, line n`, or with the byte if the line can't be found out.
pub(crate) fn place(path: &Path, offset: u64) -> String {
    match line_number(path, offset) {
        Some(line) => format!("{}, line {line}", path.display()),
        None => format!("{}, byte {offset}", path.display()),
    }
}

/// What the sizes of the files and a look into one of them say about their lines.
///
/// `record_bytes` gets whole lines and says how many bytes a record of them takes on average.
pub(crate) fn line_statistics(
    input: &FileInput,
    record_bytes: impl FnOnce(&[u8]) -> Option<f64>,
) -> Result<Statistics> {
    let files = input.files()?;
    let content: f64 = files.iter().map(|file| content_bytes(&file.path, file.bytes)).sum();
    let Some(largest) = files.iter().filter(|file| file.bytes > 0).max_by_key(|file| file.bytes) else {
        return Ok(Statistics { records: Some(0.0), bytes: Some(0.0), record_bytes: None });
    };
    let mut sample = vec![0; SAMPLE_BYTES];
    let read = read_fully(&mut open(&largest.path, 0, SAMPLE_BYTES as u64)?, &mut sample)
        .map_err(|e| Error::io(read_action(&largest.path), &largest.path, e))?;
    sample.truncate(read);
    if let Some(newline) = memchr::memrchr(b'\n', &sample) {
        sample.truncate(newline + 1);
    }
    let newlines = memchr::memchr_iter(b'\n', &sample).count();
    let lines = newlines + usize::from(sample.last().is_some_and(|&byte| byte != b'\n'));
    let records = content * lines as f64 / sample.len().max(1) as f64;
    let record_bytes = record_bytes(&sample).unwrap_or(sample.len() as f64 / lines.max(1) as f64);
    Ok(Statistics { records: Some(records), bytes: Some(records * record_bytes), record_bytes: Some(record_bytes) })
}
