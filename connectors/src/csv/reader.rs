//! Reads one split of a CSV file: finds its lines and makes records of them, straight from the block they lie in.

use crate::csv::de::record;
use crate::csv::error::line_error;
use crate::csv::input::CsvOptions;
use crate::csv::quotes::{Quoting, Unclosed};
use crate::csv::row::{Row, Splitter, Unquoted};
use crate::lines::{Block, LineBlocks, trim_return};
use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::source::SplitReader;
use flinkrs_core::types::{Data, heap_bytes};
use std::marker::PhantomData;
use std::sync::Arc;

/// A record of several lines that is longer than this lacks a closing quote.
const RECORD_BYTES_MAX: usize = 64 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the records of one split.
pub struct CsvReader<T> {
    blocks: LineBlocks,
    options: Arc<CsvOptions>,
    block: Block,
    /// Where the next line starts in the block.
    position: usize,
    /// How the lines of the block are unquoted; `None` if it has no quote.
    quoting: Option<Quoting>,
    unquoted: Unquoted,
    /// Whether the header is still to come.
    header: bool,
    records: PhantomData<fn() -> T>,
}

impl<T: Data> SplitReader<T> for CsvReader<T> {
    fn read(&mut self, records: &mut Vec<T>) -> Result<bool> {
        if self.position >= self.block.bytes.len() && !self.next_block()? {
            return Ok(false);
        }
        let room = batch_capacity::<T>().saturating_sub(records.len()).max(1);
        records.reserve(room);
        let full = records.len() + room;
        let mut consumed = 0;
        while records.len() < full && consumed < BATCH_BYTES && self.position < self.block.bytes.len() {
            let Some(length) = self.line_length()? else { continue };
            let start = self.position;
            self.position = start + length + 1;
            consumed += length + 1;
            let line = trim_return(&self.block.bytes[start..start + length]);
            let options = &*self.options;
            if skipped(options, line) || std::mem::take(&mut self.header) {
                continue;
            }
            match parse(options, self.quoting, line, &mut self.unquoted) {
                Ok(record) => records.push(record),
                Err(_) if options.ignore_invalid_lines => {}
                Err(problem) => {
                    let offset = self.block.offset + start as u64;
                    return Err(line_error(self.blocks.path(), offset, &problem, line));
                }
            }
        }
        Ok(true)
    }
}

impl<T: Data> CsvReader<T> {
    /// Reads the lines of `blocks`, the first of which is a header if the options say so and the file starts here.
    pub(crate) fn new(blocks: LineBlocks, options: Arc<CsvOptions>, file_starts: bool) -> CsvReader<T> {
        CsvReader {
            header: options.header && file_starts,
            blocks,
            options,
            block: Block { bytes: Vec::new(), offset: 0 },
            position: 0,
            quoting: None,
            unquoted: Unquoted::default(),
            records: PhantomData,
        }
    }

    fn next_block(&mut self) -> Result<bool> {
        let Some(block) = self.blocks.next(std::mem::take(&mut self.block.bytes))? else { return Ok(false) };
        self.start_block(block);
        Ok(true)
    }

    fn start_block(&mut self, block: Block) {
        self.position =
            if block.offset == 0 && block.bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        self.quoting = self.options.quoting().filter(|quoting| memchr::memchr(quoting.quote, &block.bytes).is_some());
        self.block = block;
    }

    /// The length of the next line, or of several if quotes hold them together; `None` when more of them had to be
    /// read.
    #[inline(always)]
    fn line_length(&mut self) -> Result<Option<usize>> {
        let rest = &self.block.bytes[self.position..];
        match self.quoting.filter(|_| self.options.multiline) {
            None => Ok(Some(memchr::memchr(b'\n', rest).unwrap_or(rest.len()))),
            Some(quoting) => self.record_length(quoting),
        }
    }

    #[cold]
    fn record_length(&mut self, quoting: Quoting) -> Result<Option<usize>> {
        let rest = &self.block.bytes[self.position..];
        let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        if skipped(&self.options, trim_return(&rest[..line])) {
            return Ok(Some(line));
        }
        match quoting.record_length(rest) {
            Ok(length) => Ok(Some(length)),
            Err(Unclosed(_)) if rest.len() < RECORD_BYTES_MAX && self.extend_block()? => Ok(None),
            Err(Unclosed(_)) => Ok(Some(line)),
        }
    }

    /// Reads on until what is left of the block has doubled; false if nothing follows.
    fn extend_block(&mut self) -> Result<bool> {
        let mut bytes = self.block.bytes[self.position..].to_vec();
        let (offset, before) = (self.block.offset + self.position as u64, bytes.len());
        while bytes.len() < 2 * before {
            match self.blocks.next(Vec::new())? {
                Some(more) => bytes.extend_from_slice(&more.bytes),
                None => break,
            }
        }
        if bytes.len() == before {
            return Ok(false);
        }
        self.start_block(Block { bytes, offset });
        Ok(true)
    }
}

#[inline(always)]
fn skipped(options: &CsvOptions, line: &[u8]) -> bool {
    (options.skip_empty_lines && (line.is_empty() || options.trim && line.trim_ascii().is_empty()))
        || options.comment.as_ref().is_some_and(|prefix| line.starts_with(prefix))
}

#[inline(always)]
fn parse<T: Data>(
    options: &CsvOptions,
    quoting: Option<Quoting>,
    line: &[u8],
    unquoted: &mut Unquoted,
) -> Result<T, String> {
    let splitter = match quoting {
        Some(quoting) if memchr::memchr(quoting.quote, line).is_some() => {
            quoting.unquote(line, unquoted).map_err(unclosed)?;
            Splitter::Unquoted(unquoted)
        }
        _ => options.splitter(),
    };
    let mut row = Row::new(line, splitter, options.columns.as_deref(), options.trim);
    record(&mut row).map_err(|error| {
        let row = row.clone();
        if options.ignore_invalid_lines { String::new() } else { error.describe(&row) }
    })
}

#[cold]
fn unclosed(Unclosed(column): Unclosed) -> String {
    format!(
        "column {}: a quote opens the field and none closes it (`.multiline(true)` allows line breaks within quotes)",
        column + 1
    )
}

/// The records of `text`; the first malformed line is an error.
pub(crate) fn records_of<T: Data>(options: &CsvOptions, text: &str) -> Result<Vec<T>> {
    let mut unquoted = Unquoted::default();
    let lines = text.as_bytes().split(|&byte| byte == b'\n').map(trim_return);
    let mut records = Vec::new();
    for (number, line) in lines.enumerate() {
        if line.is_empty() || skipped(options, line) || (options.header && number == 0) {
            continue;
        }
        match parse(options, options.quoting(), line, &mut unquoted) {
            Ok(record) => records.push(record),
            Err(_) if options.ignore_invalid_lines => {}
            Err(problem) => {
                let line = String::from_utf8_lossy(line);
                return Err(Error::data(format!("line {}, {problem}; the line is: {line}", number + 1)));
            }
        }
    }
    Ok(records)
}

/// The memory that a record of the lines in `sample` takes on average, as far as they make records.
pub(crate) fn sample_bytes<T: Data>(options: &CsvOptions, sample: &[u8]) -> Option<f64> {
    let mut unquoted = Unquoted::default();
    let (mut records, mut bytes) = (0usize, 0usize);
    for line in sample.split(|&byte| byte == b'\n').map(trim_return) {
        if line.is_empty() || skipped(options, line) {
            continue;
        }
        if let Ok(record) = parse::<T>(options, options.quoting(), line, &mut unquoted) {
            records += 1;
            bytes += size_of::<T>() + heap_bytes(&record, usize::MAX);
        }
    }
    (records > 0).then(|| bytes as f64 / records as f64)
}
