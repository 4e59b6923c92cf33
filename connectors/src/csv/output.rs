//! [`CsvOutput`]: typed records as lines of separated fields.

use crate::csv::ser::{Dialect, write_fields};
use crate::output::{FileOutput, FileWriter, WriteMode};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::sink::{CommitContext, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::types::Data;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Writes each record as a line of fields.
///
/// Tuples, structs and sequences write their fields in order, also where they lie within each other. `None` is an empty
/// field, an enum its variant's name, and a float the shortest text that reads as the same number. Text that holds a
/// delimiter, a quote or a line break is quoted, and quotes within are doubled.
///
/// ```
/// use flinkrs_connectors::CsvOutput;
/// let output = CsvOutput::<(String, u64)>::new("results/words.tsv").delimiter(b'\t');
/// ```
#[derive(Debug)]
pub struct CsvOutput<T> {
    output: FileOutput,
    dialect: Dialect,
    records: PhantomData<fn(T)>,
}

impl<T: Data> CsvOutput<T> {
    /// Writes to `path`: a file, or a folder of files if the sink has several subtasks.
    pub fn new(path: impl AsRef<Path>) -> CsvOutput<T> {
        CsvOutput { output: FileOutput::new(path), dialect: Dialect::new(b',', Some(b'"')), records: PhantomData }
    }

    /// What separates fields; default `,`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> CsvOutput<T> {
        self.dialect = self.dialect.delimiter(delimiter);
        self
    }

    /// What encloses fields that need it; default `"`, and `None` writes every field as it stands.
    #[must_use]
    pub fn quote(mut self, quote: Option<u8>) -> CsvOutput<T> {
        self.dialect = self.dialect.quote(quote);
        self
    }

    /// What happens when the output exists already; by default the job is refused.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> CsvOutput<T> {
        self.output = self.output.mode(mode);
        self
    }

    /// The files, for options that all file outputs have.
    #[must_use]
    pub fn files(mut self, change: impl FnOnce(FileOutput) -> FileOutput) -> CsvOutput<T> {
        self.output = change(self.output);
        self
    }
}

impl<T: Data> OutputFormat<T> for CsvOutput<T> {
    type Writer = CsvWriter<T>;

    fn target(&self) -> Option<PathBuf> {
        self.output.target()
    }

    fn begin(&self, context: &CommitContext<'_>) -> Result<()> {
        self.output.begin(context)
    }

    fn open(&self, context: &WriterContext<'_>) -> Result<CsvWriter<T>> {
        Ok(CsvWriter { file: self.output.open(context)?, dialect: self.dialect.clone(), records: PhantomData })
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
pub struct CsvWriter<T> {
    file: FileWriter,
    dialect: Dialect,
    records: PhantomData<fn(T)>,
}

impl<T: Data> RecordWriter<T> for CsvWriter<T> {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        for record in records.iter() {
            let buffer = self.file.buffer();
            write_fields(record, &self.dialect, buffer).map_err(|error| {
                Error::data(format!("a record of type {} can't be written: {error}", std::any::type_name::<T>()))
            })?;
            buffer.push(b'\n');
            self.file.flush_if_full()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }
}
