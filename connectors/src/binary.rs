//! Files of records that all have the same number of bytes.

use crate::compression::{Compression, content_bytes, content_end, open, read_action};
use crate::files::{FileInput, FileSplit};
use crate::lines::read_fully;
use crate::output::{FileOutput, FileWriter, WriteMode};
use flinkrs_core::batch::batch_capacity;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::source::{InputFormat, SplitReader, Statistics};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that a reader reads at once, about.
const BLOCK_BYTES: usize = 256 << 10;

/// `N` bytes that belong together; ordered byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record<const N: usize>(pub [u8; N]);

impl<const N: usize> Record<N> {
    /// The first `K` bytes; more than the record has don't compile.
    ///
    /// ```
    /// use flinkrs_connectors::Record;
    /// assert_eq!(Record(*b"key and value").key::<3>(), *b"key");
    /// ```
    #[inline(always)]
    pub fn key<const K: usize>(&self) -> [u8; K] {
        const { assert!(K <= N, "a key is not longer than its record") };
        *self.0.first_chunk().expect("a key is not longer than its record")
    }
}

impl<const N: usize> fmt::Debug for Record<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({})", self.0.escape_ascii())
    }
}

impl<const N: usize> Serialize for Record<N> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Record<N> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record<N>, D::Error> {
        struct RecordVisitor<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for RecordVisitor<N> {
            type Value = Record<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }
            #[inline]
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Record<N>, E> {
                bytes.try_into().map(Record).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Record<N>, A::Error> {
                let mut record = [0; N];
                for (i, byte) in record.iter_mut().enumerate() {
                    *byte = bytes.next_element()?.ok_or_else(|| de::Error::invalid_length(i, &self))?;
                }
                Ok(Record(record))
            }
        }
        deserializer.deserialize_bytes(RecordVisitor)
    }
}

/// Reads files of records of `N` bytes each, without anything between them.
///
/// ```
/// use flinkrs_connectors::FixedInput;
/// let records = FixedInput::<100>::new("terasort/input");
/// ```
#[derive(Clone, Debug)]
pub struct FixedInput<const N: usize> {
    files: FileInput,
}

impl<const N: usize> FixedInput<N> {
    /// Reads `files`: a path, or a [`FileInput`] for several.
    pub fn new(files: impl Into<FileInput>) -> FixedInput<N> {
        const { assert!(N > 0, "a record has at least one byte") };
        FixedInput { files: files.into() }
    }
}

impl<const N: usize> InputFormat for FixedInput<N> {
    type Item = Record<N>;
    type Split = FileSplit;
    type Reader = FixedReader<N>;

    fn splits(&self, wanted: usize) -> Result<Vec<(FileSplit, u64)>> {
        let splits = self.files.splits(wanted, N as u64)?;
        for (split, _) in &splits {
            if Compression::of(&split.path).is_none() && split.file_bytes % N as u64 != 0 {
                return Err(not_whole(&split.path, split.file_bytes, N));
            }
        }
        Ok(splits)
    }

    fn hosts(&self, split: &FileSplit) -> Vec<String> {
        split.hosts.clone()
    }

    fn statistics(&self) -> Result<Statistics> {
        let bytes = self.files.files()?.iter().map(|file| content_bytes(&file.path, file.bytes)).sum::<f64>();
        Ok(Statistics { records: Some(bytes / N as f64), bytes: Some(bytes), record_bytes: Some(N as f64) })
    }

    fn open(&self, split: FileSplit) -> Result<FixedReader<N>> {
        let input = open(&split.path, split.offset, split.length)?;
        Ok(FixedReader {
            input,
            position: split.offset,
            end: content_end(&split),
            path: split.path,
            buffer: Vec::new(),
        })
    }
}

/// Reads the records of one split.
pub struct FixedReader<const N: usize> {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl<const N: usize> SplitReader<Record<N>> for FixedReader<N> {
    fn read(&mut self, records: &mut Vec<Record<N>>) -> Result<bool> {
        let room = batch_capacity::<Record<N>>().saturating_sub(records.len()).max(1);
        let wanted = (BLOCK_BYTES / N).clamp(1, room) * N;
        let wanted = usize::try_from(self.end - self.position).map_or(wanted, |left| wanted.min(left));
        if wanted == 0 {
            return Ok(false);
        }
        self.buffer.resize(wanted, 0);
        let read = read_fully(&mut self.input, &mut self.buffer)
            .map_err(|e| Error::io(read_action(&self.path), &self.path, e))?;
        self.position += read as u64;
        let (whole, rest) = self.buffer[..read].as_chunks::<N>();
        if !rest.is_empty() {
            return Err(not_whole(&self.path, self.position, N));
        }
        records.extend(whole.iter().map(|bytes| Record(*bytes)));
        if read < wanted {
            self.end = self.position;
        }
        Ok(read > 0)
    }
}

fn not_whole(path: &Path, bytes: u64, record_bytes: usize) -> Error {
    let left = bytes % record_bytes as u64;
    Error::data(format!(
        "{}: {bytes} bytes are not a whole number of records of {record_bytes} bytes, {left} are left over",
        path.display()
    ))
}

/// Writes records of `N` bytes each, without anything between them.
#[derive(Debug)]
pub struct FixedOutput<const N: usize> {
    output: FileOutput,
}

impl<const N: usize> FixedOutput<N> {
    /// Writes to `path`: a file, or a folder of files if the sink has several subtasks.
    pub fn new(path: impl AsRef<Path>) -> FixedOutput<N> {
        FixedOutput { output: FileOutput::new(path) }
    }

    /// What happens when the output exists already; by default the job is refused.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> FixedOutput<N> {
        self.output = self.output.mode(mode);
        self
    }

    /// The files, for options that all file outputs have.
    #[must_use]
    pub fn files(mut self, change: impl FnOnce(FileOutput) -> FileOutput) -> FixedOutput<N> {
        self.output = change(self.output);
        self
    }
}

impl<const N: usize> OutputFormat<Record<N>> for FixedOutput<N> {
    type Writer = FixedWriter;

    fn target(&self) -> Option<PathBuf> {
        self.output.target()
    }

    fn begin(&self, context: &CommitContext<'_>) -> Result<()> {
        self.output.begin(context)
    }

    fn open(&self, context: &WriterContext<'_>) -> Result<FixedWriter> {
        Ok(FixedWriter { file: self.output.open(context)? })
    }

    fn commit(&self, context: &CommitContext<'_>) -> Result<()> {
        self.output.commit(context)
    }

    fn abort(&self, context: &CommitContext<'_>) {
        self.output.abort(context);
    }
}

/// Writes the records of one subtask.
#[derive(Debug)]
pub struct FixedWriter {
    file: FileWriter,
}

impl<const N: usize> RecordWriter<Record<N>> for FixedWriter {
    fn write(&mut self, records: &mut Vec<Record<N>>) -> Result<()> {
        for record in records.iter() {
            self.file.buffer().extend_from_slice(&record.0);
            self.file.flush_if_full()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }
}
