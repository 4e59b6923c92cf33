//! What is wrong with a line, and how the message says it.

use crate::csv::number::NotNumber;
use crate::csv::row::{NoField, Row};
use crate::lines::place;
use flinkrs_core::error::Error;
use serde::de;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Characters of a field or line that a message shows.
const SHOWN_CHARS: usize = 200;

/// Why a record couldn't be made of a line; boxed, so that a record's way out of the parser stays small.
#[derive(Debug)]
pub(crate) struct FieldError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    problem: Problem,
    /// The field of the record, where it has a name.
    name: Option<&'static str>,
}

#[derive(Debug)]
enum Problem {
    /// The field isn't what is expected.
    IsNot(Cow<'static, str>),
    /// The number doesn't fit the type.
    OutOfRange(&'static str),
    /// The line ends before the field.
    Missing(&'static str),
    /// The record has more fields than columns are wanted.
    NotWanted,
    /// Words of the type itself.
    Other(String),
}

impl FieldError {
    fn new(problem: Problem) -> FieldError {
        FieldError(Box::new(Failure { problem, name: None }))
    }

    #[cold]
    pub(crate) fn is_not(expected: impl Into<Cow<'static, str>>) -> FieldError {
        FieldError::new(Problem::IsNot(expected.into()))
    }

    #[cold]
    pub(crate) fn no_field(reason: NoField, expected: &'static str) -> FieldError {
        FieldError::new(match reason {
            NoField::Missing => Problem::Missing(expected),
            NoField::NotWanted => Problem::NotWanted,
        })
    }

    #[cold]
    pub(crate) fn number(reason: NotNumber, expected: &'static str) -> FieldError {
        FieldError::new(match reason {
            NotNumber::Malformed => Problem::IsNot(expected.into()),
            NotNumber::OutOfRange => Problem::OutOfRange(expected),
        })
    }

    /// Adds the name of the record's field, unless a field within it has said its own.
    #[cold]
    pub(crate) fn in_field(mut self, name: &'static str) -> FieldError {
        self.0.name.get_or_insert(name);
        self
    }

    /// What is wrong with which column of the line.
    pub(crate) fn describe(&self, row: &Row<'_>) -> String {
        let column = row.last_column() + 1;
        let name = self.0.name.map(|name| format!(" ({name})")).unwrap_or_default();
        let field = || row.last_field().map(shorten).unwrap_or_default();
        let problem = match &self.0.problem {
            Problem::IsNot(expected) => format!("'{}' is not {expected}", field()),
            Problem::OutOfRange(expected) => format!("'{}' is out of range for {expected}", field()),
            Problem::Missing(expected) => {
                let count = row.count_columns();
                let columns = if count == 1 { "column" } else { "columns" };
                format!("{expected} is expected, but there are only {count} {columns}")
            }
            Problem::NotWanted => return String::from("the record has more fields than `.columns` names"),
            Problem::Other(message) => format!("'{}': {message}", field()),
        };
        format!("column {column}{name}: {problem}")
    }
}

/// The error of a line that starts at byte `offset` of the file.
#[cold]
pub(crate) fn line_error(path: &Path, offset: u64, problem: &str, line: &[u8]) -> Error {
    Error::data(format!("{}, {problem}; the line is: {}", place(path, offset), shorten(line)))
}

fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARS)]);
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.problem {
            Problem::IsNot(expected) => write!(f, "not {expected}"),
            Problem::OutOfRange(expected) => write!(f, "out of range for {expected}"),
            Problem::Missing(expected) => write!(f, "{expected} is missing"),
            Problem::NotWanted => f.write_str("too few columns are wanted"),
            Problem::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for FieldError {}

impl de::Error for FieldError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> FieldError {
        FieldError::new(Problem::Other(message.to_string()))
    }

    #[cold]
    fn invalid_type(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> FieldError {
        FieldError::is_not(expected.to_string())
    }

    #[cold]
    fn invalid_value(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> FieldError {
        FieldError::is_not(expected.to_string())
    }

    #[cold]
    fn unknown_variant(_found: &str, expected: &'static [&'static str]) -> FieldError {
        FieldError::is_not(format!("one of {}", expected.join(", ")))
    }
}
