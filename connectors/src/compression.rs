//! Opening input files, decompressed by the ending of their names.

use crate::files::FileSplit;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::locate;
use std::io::{BufReader, Read};
use std::path::Path;

/// How many times longer than its compressed form text usually is; for estimates only.
const RATIO: f64 = 4.0;

/// Compressed bytes that are read at once.
const COMPRESSED_BYTES: usize = 128 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// gzip, of one or more members.
    Gzip,
    /// Zstandard, of one or more frames.
    Zstd,
}

impl Compression {
    /// What the ending of the name says.
    pub(crate) fn of(path: &Path) -> Option<Compression> {
        let ending = path.extension()?.to_str()?;
        match ending.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Compression::Gzip),
            "zst" | "zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// About how many bytes the content of a file has.
pub(crate) fn content_bytes(path: &Path, file_bytes: u64) -> f64 {
    match Compression::of(path) {
        Some(Compression::Gzip | Compression::Zstd) => file_bytes as f64 * RATIO,
        None => file_bytes as f64,
    }
}

/// Opens the content of a file at `offset`, which is 0 if the file is compressed, to read about `bytes` of the file.
pub(crate) fn open(path: &Path, offset: u64, bytes: u64) -> Result<Box<dyn Read + Send>> {
    let located = locate(path)?;
    let file = located.files.open_part(&located.path, offset, bytes)?;
    let Some(compression) = Compression::of(path) else { return Ok(file) };
    debug_assert_eq!(offset, 0, "a compressed file is read from its start");
    let file = BufReader::with_capacity(COMPRESSED_BYTES, file);
    match compression {
        Compression::Gzip => Ok(Box::new(Gunzip(Some(flate2::bufread::MultiGzDecoder::new(file))))),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(file).map_err(|e| Error::io("decompress", path, e))?;
            Ok(Box::new(decoder))
        }
    }
}

/// The first offset of the content at which none of the split's records starts.
pub(crate) fn content_end(split: &FileSplit) -> u64 {
    if Compression::of(&split.path).is_some() { u64::MAX } else { split.offset + split.length }
}

/// The verb for an error of reading `path`.
pub(crate) fn read_action(path: &Path) -> &'static str {
    if Compression::of(path).is_some() { "decompress" } else { "read" }
}

/// A gzip reader that stays at its end, where the decoder would look for another member again.
struct Gunzip<R>(Option<flate2::bufread::MultiGzDecoder<R>>);

impl<R: std::io::BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(decoder) = &mut self.0 else { return Ok(0) };
        let bytes = decoder.read(buffer)?;
        if bytes == 0 && !buffer.is_empty() {
            self.0 = None;
        }
        Ok(bytes)
    }
}
