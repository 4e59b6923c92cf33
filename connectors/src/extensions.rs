//! The short ways to read and write: methods on environments and data sets.

use crate::{CollectionInput, CsvInput, CsvOutput, Decimal, FileInput, SequenceInput, TextInput, TextOutput};
use flinkrs_api::{DataSet, ExecutionEnvironment, Summable};
use flinkrs_core::types::{Data, Text};
use std::fmt::Display;
use std::path::Path;

/// Sources of files, collections and sequences. Options of a format are set on the format itself:
/// `env.create_input(CsvInput::new(path).delimiter(b'|'))`.
///
/// A path is a file, a folder or a pattern; what is wrong with it shows when the program executes.
pub trait EnvironmentSources {
    /// The lines of text files.
    fn read_text(&self, path: impl Into<FileInput>) -> DataSet<Text>;

    /// The lines of CSV files, one record each: a tuple or a struct with the columns in their order.
    fn read_csv<T: Data>(&self, path: impl Into<FileInput>) -> DataSet<T>;

    /// Records of the program.
    #[expect(clippy::wrong_self_convention, reason = "Flink's name")]
    fn from_collection<T: Data>(&self, records: impl IntoIterator<Item = T>) -> DataSet<T>;

    /// The numbers from `from` to `to`, both included.
    fn generate_sequence(&self, from: u64, to: u64) -> DataSet<u64>;
}

impl EnvironmentSources for ExecutionEnvironment {
    fn read_text(&self, path: impl Into<FileInput>) -> DataSet<Text> {
        let files = path.into();
        let name = format!("Text({files})");
        self.create_input(TextInput::new(files)).name(&name)
    }

    fn read_csv<T: Data>(&self, path: impl Into<FileInput>) -> DataSet<T> {
        let files = path.into();
        let name = format!("Csv({files})");
        self.create_input(CsvInput::new(files)).name(&name)
    }

    fn from_collection<T: Data>(&self, records: impl IntoIterator<Item = T>) -> DataSet<T> {
        self.create_input(CollectionInput::new(records)).name("Collection")
    }

    fn generate_sequence(&self, from: u64, to: u64) -> DataSet<u64> {
        self.create_input(SequenceInput { from, to }).name("Sequence")
    }
}

/// File sinks. An output that exists is refused; options are set on the format itself:
/// `data.output(CsvOutput::new(path).mode(WriteMode::Overwrite))`.
///
/// With parallelism 1 the path becomes a file, otherwise a folder with a file per subtask, all at once when the job
/// has succeeded.
pub trait DataSetSinks<T> {
    /// A line per record, as [`Display`] writes it.
    fn write_text(&self, path: impl AsRef<Path>) -> DataSet<T>
    where
        T: Display;

    /// A line per record, fields separated by commas.
    fn write_csv(&self, path: impl AsRef<Path>) -> DataSet<T>;
}

impl<T: Data> DataSetSinks<T> for DataSet<T> {
    fn write_text(&self, path: impl AsRef<Path>) -> DataSet<T>
    where
        T: Display,
    {
        let name = format!("WriteText({})", path.as_ref().display());
        self.output(TextOutput::new(path)).name(&name)
    }

    fn write_csv(&self, path: impl AsRef<Path>) -> DataSet<T> {
        let name = format!("WriteCsv({})", path.as_ref().display());
        self.output(CsvOutput::new(path)).name(&name)
    }
}

impl<const SCALE: u32> Summable for Decimal<SCALE> {
    #[inline(always)]
    fn checked_sum(&self, other: &Self) -> Option<Self> {
        self.checked_add(*other)
    }
}
