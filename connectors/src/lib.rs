//! Where records come from and where they go: text, CSV and fixed-size files, collections and generated sequences.
//!
//! Everything here is an [`InputFormat`](flinkrs_core::source::InputFormat) or an
//! [`OutputFormat`](flinkrs_core::sink::OutputFormat) with its options: an input says while the job is planned which
//! splits it has, and reads them in the tasks; an output shows nothing before the job has succeeded.
//!
//! ```
//! use flinkrs_connectors::{CsvInput, Date, Decimal};
//! use flinkrs_core::source::{InputFormat, SplitReader};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("orders.tbl");
//! std::fs::write(&path, "1|O|1996-01-02|173665.47|\n2|F|1996-12-01|46929.18|\n")?;
//!
//! let orders = CsvInput::<(u64, Date, Decimal<2>)>::new(&path).delimiter(b'|').columns(&[0, 2, 3]);
//! let mut records = Vec::new();
//! for (split, _bytes) in orders.splits(1)? {
//!     let mut reader = orders.open(split)?;
//!     while reader.read(&mut records)? {}
//! }
//! assert_eq!(records[1], (2, "1996-12-01".parse()?, "46929.18".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what | read by | written by |
//! |---|---|---|
//! | lines of text | [`TextInput`] | [`TextOutput`] |
//! | lines of separated columns | [`CsvInput`] | [`CsvOutput`] |
//! | records of so many bytes | [`FixedInput`] | [`FixedOutput`] |
//! | numbers, collections, iterators | [`SequenceInput`], [`CollectionInput`], [`IteratorInput`] | |
//!
//! Files are named by [`FileInput`] (folders, globs, compressed files) and [`FileOutput`] (renamed into place);
//! [`Date`] and [`Decimal`] are the column types that Rust lacks.

mod binary;
mod compression;
mod csv;
mod date;
mod decimal;
mod extensions;
mod files;
mod generator;
mod glob;
mod lines;
mod output;
mod text;
mod text_output;

pub use binary::{FixedInput, FixedOutput, FixedReader, FixedWriter, Record};
pub use csv::{CsvInput, CsvOutput, CsvReader, CsvWriter};
pub use date::{Date, ParseDateError};
pub use decimal::{Decimal, ParseDecimalError};
pub use extensions::{DataSetSinks, EnvironmentSources};
pub use files::{FileInput, FileSplit};
pub use generator::{CollectionInput, IteratorInput, IteratorReader, SequenceInput, SequenceNumber, SequenceReader};
pub use output::{FileOutput, FileWriter, WriteMode};
pub use text::{TextInput, TextReader};
pub use text_output::{TextOutput, TextWriter};
