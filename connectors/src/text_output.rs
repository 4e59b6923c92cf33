//! Text output: the records as they display themselves, one a line.

use crate::output::{FileOutput, FileWriter, WriteMode};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::types::Data;
use std::fmt::{self, Display, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Writes each record as a line of text, as its `Display` says.
///
/// ```
/// use flinkrs_connectors::{TextOutput, WriteMode};
/// let output = TextOutput::<u64>::new("results/numbers").mode(WriteMode::Overwrite);
/// ```
#[derive(Debug)]
pub struct TextOutput<T> {
    output: FileOutput,
    records: PhantomData<fn(T)>,
}

impl<T: Data + Display> TextOutput<T> {
    /// Writes to `path`: a file, or a folder of files if the sink has several subtasks.
    pub fn new(path: impl AsRef<Path>) -> TextOutput<T> {
        TextOutput { output: FileOutput::new(path), records: PhantomData }
    }

    /// What happens when the output exists already; by default the job is refused.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> TextOutput<T> {
        self.output = self.output.mode(mode);
        self
    }

    /// The files, for options that all file outputs have.
    #[must_use]
    pub fn files(mut self, change: impl FnOnce(FileOutput) -> FileOutput) -> TextOutput<T> {
        self.output = change(self.output);
        self
    }
}

impl<T: Data + Display> OutputFormat<T> for TextOutput<T> {
    type Writer = TextWriter<T>;

    fn target(&self) -> Option<PathBuf> {
        self.output.target()
    }

    fn begin(&self, context: &CommitContext<'_>) -> Result<()> {
        self.output.begin(context)
    }

    fn open(&self, context: &WriterContext<'_>) -> Result<TextWriter<T>> {
        Ok(TextWriter { file: self.output.open(context)?, records: PhantomData })
    }

    fn commit(&self, context: &CommitContext<'_>) -> Result<()> {
        self.output.commit(context)
    }

    fn abort(&self, context: &CommitContext<'_>) {
        self.output.abort(context);
    }
}

/// Writes the lines of one subtask.
#[derive(Debug)]
pub struct TextWriter<T> {
    file: FileWriter,
    records: PhantomData<fn(T)>,
}

impl<T: Data + Display> RecordWriter<T> for TextWriter<T> {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        for record in records.iter() {
            let buffer = self.file.buffer();
            if write!(Utf8(buffer), "{record}").is_err() {
                return Err(Error::function(format!(
                    "a record of type {} can't be displayed",
                    std::any::type_name::<T>()
                )));
            }
            buffer.push(b'\n');
            self.file.flush_if_full()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }
}

/// Formats straight into bytes.
pub(crate) struct Utf8<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for Utf8<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
