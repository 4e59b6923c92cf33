//! Lines of separated fields, read as and written from typed records.

mod de;
mod error;
mod input;
mod number;
mod output;
mod quotes;
mod reader;
mod row;
mod scan;
mod ser;

pub(crate) use de::FIELD_NEWTYPE;
pub use input::CsvInput;
pub(crate) use number::digits;
pub use output::{CsvOutput, CsvWriter};
pub use reader::CsvReader;
