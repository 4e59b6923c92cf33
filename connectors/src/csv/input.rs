//! [`CsvInput`]: the options of reading lines as typed records.

use crate::csv::quotes::Quoting;
use crate::csv::reader::{CsvReader, records_of, sample_bytes};
use crate::csv::row::Splitter;
use crate::files::{FileInput, FileSplit};
use crate::lines::{LineBlocks, line_statistics};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::source::{InputFormat, Statistics};
use flinkrs_core::types::Data;
use std::marker::PhantomData;
use std::sync::Arc;

/// Reads the lines of files as records of type `T`, a tuple or struct whose fields are the columns in order.
///
/// Numbers, `bool` (`true`, `false`, `1`, `0`), `char`, `String`, `Text`, `Date`, `Decimal` and enums of plain names
/// take one column each; an `Option` is `None` where the column is empty; tuples and structs within `T` take as many
/// columns as they have fields; a `Vec` at the end takes all that are left. Columns that `T` doesn't reach aren't
/// looked at, nor is a delimiter at the end of the line. Struct fields are matched by position, never by name.
///
/// By default columns are separated by commas and may be quoted with `"`, and a doubled quote within stands for one.
/// A byte order mark at the start of a file is skipped.
///
/// ```
/// use flinkrs_connectors::CsvInput;
/// // Order key and price of TPC-H's lineitem, as dbgen writes it.
/// let lines = CsvInput::<(u64, f64)>::new("lineitem.tbl").delimiter(b'|').quote(None).columns(&[0, 5]);
/// ```
#[derive(Debug)]
pub struct CsvInput<T> {
    files: FileInput,
    options: Arc<CsvOptions>,
    records: PhantomData<fn() -> T>,
}

/// How lines become fields.
#[derive(Clone, Debug)]
pub(crate) struct CsvOptions {
    pub(crate) delimiter: u8,
    pub(crate) quote: Option<u8>,
    pub(crate) any_separator: bool,
    pub(crate) multiline: bool,
    pub(crate) header: bool,
    pub(crate) columns: Option<Vec<usize>>,
    pub(crate) comment: Option<Vec<u8>>,
    pub(crate) skip_empty_lines: bool,
    pub(crate) trim: bool,
    pub(crate) ignore_invalid_lines: bool,
}

impl CsvOptions {
    /// How fields without quotes are told apart.
    pub(crate) fn splitter(&self) -> Splitter<'static> {
        if self.any_separator { Splitter::Run } else { Splitter::Delimiter(self.delimiter) }
    }

    /// How quoted fields are read, if they are.
    pub(crate) fn quoting(&self) -> Option<Quoting> {
        let quote = self.quote.filter(|_| !self.any_separator)?;
        Some(Quoting { delimiter: self.delimiter, quote, trim: self.trim })
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::usage(format!("{what}; any other single byte is allowed")));
        if matches!(self.delimiter, b'\n' | b'\r') {
            return wrong(String::from("the delimiter can't be a line break"));
        }
        match self.quote {
            Some(b'\n' | b'\r') => wrong(String::from("the quote can't be a line break")),
            Some(quote) if quote == self.delimiter => {
                wrong(format!("the delimiter and the quote are both '{}'", char::from(quote)))
            }
            _ => Ok(()),
        }
    }
}

impl<T: Data> CsvInput<T> {
    /// The records of `text` instead of the files: small data that lies in the program.
    pub fn parse(&self, text: &str) -> Result<Vec<T>> {
        records_of(&self.options, text)
    }

    /// Reads `files`: a path, or a [`FileInput`] for several.
    pub fn new(files: impl Into<FileInput>) -> CsvInput<T> {
        let options = CsvOptions {
            delimiter: b',',
            quote: Some(b'"'),
            any_separator: false,
            multiline: false,
            header: false,
            columns: None,
            comment: None,
            skip_empty_lines: false,
            trim: false,
            ignore_invalid_lines: false,
        };
        CsvInput { files: files.into(), options: Arc::new(options), records: PhantomData }
    }

    fn with(mut self, change: impl FnOnce(&mut CsvOptions)) -> CsvInput<T> {
        change(Arc::make_mut(&mut self.options));
        self
    }

    /// What separates columns; default `,`.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> CsvInput<T> {
        self.with(|options| options.delimiter = delimiter)
    }

    /// What encloses columns that hold delimiters; default `"`, and `None` takes every byte as it stands.
    #[must_use]
    pub fn quote(self, quote: Option<u8>) -> CsvInput<T> {
        self.with(|options| options.quote = quote)
    }

    /// Separates columns by any run of commas, tabs and spaces, ignores such a run at the start and the end of a line,
    /// and knows no quotes.
    #[must_use]
    pub fn any_separator(self) -> CsvInput<T> {
        self.with(|options| options.any_separator = true)
    }

    /// Whether quoted columns may hold line breaks; default false. If they may, one subtask reads a whole file.
    #[must_use]
    pub fn multiline(self, multiline: bool) -> CsvInput<T> {
        self.with(|options| options.multiline = multiline)
    }

    /// Whether the first line of each file, comments aside, is skipped; default false.
    #[must_use]
    pub fn header(self, header: bool) -> CsvInput<T> {
        self.with(|options| options.header = header)
    }

    /// The columns, counted from 0, that the fields of `T` are taken from in turn; by default all.
    #[must_use]
    pub fn columns(self, columns: &[usize]) -> CsvInput<T> {
        self.with(|options| options.columns = Some(columns.to_vec()))
    }

    /// Skips lines that begin with `prefix`.
    #[must_use]
    pub fn comment(self, prefix: &str) -> CsvInput<T> {
        self.with(|options| options.comment = Some(prefix.as_bytes().to_vec()).filter(|prefix| !prefix.is_empty()))
    }

    /// Whether empty lines are skipped; by default they are read as one empty column.
    #[must_use]
    pub fn skip_empty_lines(self, skip: bool) -> CsvInput<T> {
        self.with(|options| options.skip_empty_lines = skip)
    }

    /// Whether blanks around columns are left out, though not within quotes; default false.
    #[must_use]
    pub fn trim(self, trim: bool) -> CsvInput<T> {
        self.with(|options| options.trim = trim)
    }

    /// Whether lines that make no record are skipped instead of failing the job; default false.
    #[must_use]
    pub fn ignore_invalid_lines(self, ignore: bool) -> CsvInput<T> {
        self.with(|options| options.ignore_invalid_lines = ignore)
    }
}

impl<T> Clone for CsvInput<T> {
    fn clone(&self) -> CsvInput<T> {
        CsvInput { files: self.files.clone(), options: Arc::clone(&self.options), records: PhantomData }
    }
}

impl<T: Data> InputFormat for CsvInput<T> {
    type Item = T;
    type Split = FileSplit;
    type Reader = CsvReader<T>;

    fn splits(&self, wanted: usize) -> Result<Vec<(FileSplit, u64)>> {
        self.options.check()?;
        let whole_files = self.options.multiline && self.options.quoting().is_some();
        if whole_files { self.files.splits(wanted, u64::MAX) } else { self.files.splits(wanted, 1) }
    }

    fn hosts(&self, split: &FileSplit) -> Vec<String> {
        split.hosts.clone()
    }

    fn statistics(&self) -> Result<Statistics> {
        line_statistics(&self.files, |lines| sample_bytes::<T>(&self.options, lines))
    }

    fn open(&self, split: FileSplit) -> Result<CsvReader<T>> {
        self.options.check()?;
        let file_starts = split.offset == 0;
        Ok(CsvReader::new(LineBlocks::open(split)?, Arc::clone(&self.options), file_starts))
    }
}
