//! One line of a CSV file, split only as far as its fields are asked for.

use crate::csv::scan::Delimiters;

/// How the fields of a line are told apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Splitter<'a> {
    /// By a byte.
    Delimiter(u8),
    /// By any run of commas, tabs and spaces.
    Run,
    /// They have been already, because some were quoted.
    Unquoted(&'a Unquoted),
}

/// The fields of a line without their quotes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unquoted {
    /// The fields, one directly after the other.
    pub(crate) bytes: Vec<u8>,
    /// Where each field ends.
    pub(crate) ends: Vec<usize>,
}

impl Unquoted {
    fn field(&self, column: usize) -> Option<&[u8]> {
        let end = *self.ends.get(column)?;
        let start = if column == 0 { 0 } else { self.ends[column - 1] };
        Some(&self.bytes[start..end])
    }
}

/// A line whose fields are taken one after the other, in the order of the wanted columns.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    line: &'a [u8],
    splitter: Splitter<'a>,
    /// The wanted columns, in the order of the record's fields; `None` is all of them.
    columns: Option<&'a [usize]>,
    trim: bool,
    /// How many fields were taken.
    taken: usize,
    /// The column that begins at `position`.
    column: usize,
    /// One past the line's length when no further column begins.
    position: usize,
    /// The delimiters behind `position`.
    delimiters: Delimiters,
    peeked: Option<&'a [u8]>,
}

/// Why there is no next field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoField {
    /// The line is too short.
    Missing,
    /// More fields are asked for than columns were wanted.
    NotWanted,
}

impl<'a> Row<'a> {
    #[inline(always)]
    pub(crate) fn new(line: &'a [u8], splitter: Splitter<'a>, columns: Option<&'a [usize]>, trim: bool) -> Row<'a> {
        let delimiters = Delimiters::default();
        Row { line, splitter, columns, trim, taken: 0, column: 0, position: 0, delimiters, peeked: None }
    }

    /// The next wanted field.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Result<&'a [u8], NoField> {
        if let Some(field) = self.peeked.take() {
            return Ok(field);
        }
        let column = match self.columns {
            None => self.taken,
            Some(columns) => *columns.get(self.taken).ok_or(NoField::NotWanted)?,
        };
        self.taken += 1;
        let field = match self.splitter {
            Splitter::Delimiter(delimiter) => self.delimited(column, delimiter),
            Splitter::Run => self.run(column),
            Splitter::Unquoted(fields) => return fields.field(column).ok_or(NoField::Missing),
        };
        match field {
            Some(field) if self.trim => Ok(field.trim_ascii()),
            Some(field) => Ok(field),
            None => Err(NoField::Missing),
        }
    }

    /// The next wanted field, which [`take`](Row::take) gives again.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Result<&'a [u8], NoField> {
        let field = self.take()?;
        self.peeked = Some(field);
        Ok(field)
    }

    /// Whether another wanted field follows; nothing behind a delimiter at the line's end is none.
    pub(crate) fn has_more(&self) -> bool {
        if let Some(columns) = self.columns {
            return self.taken < columns.len();
        }
        match self.splitter {
            Splitter::Delimiter(_) => self.position < self.line.len(),
            Splitter::Run => self.line[self.position.min(self.line.len())..].iter().any(|&byte| !separates(byte)),
            Splitter::Unquoted(fields) => {
                let last_is_empty = fields.ends.last().copied() == fields.ends.iter().rev().nth(1).copied();
                self.taken < fields.ends.len() - usize::from(last_is_empty && fields.ends.len() > 1)
            }
        }
    }

    /// The number of the column last taken, from 0.
    pub(crate) fn last_column(&self) -> usize {
        let last = self.taken.saturating_sub(1);
        self.columns.map_or(last, |columns| columns.get(last).copied().unwrap_or(last))
    }

    /// The field last taken, if the line has it.
    pub(crate) fn last_field(&self) -> Option<&'a [u8]> {
        let mut again = self.clone();
        again.peeked = None;
        again.taken = self.taken.checked_sub(1)?;
        again.column = 0;
        again.position = 0;
        again.delimiters = Delimiters::default();
        again.take().ok()
    }

    /// How many columns the line has.
    pub(crate) fn count_columns(&self) -> usize {
        let mut all = Row::new(self.line, self.splitter, None, false);
        let mut count = 0;
        while all.has_more() && all.take().is_ok() {
            count += 1;
        }
        count
    }

    #[inline(always)]
    fn delimited(&mut self, column: usize, delimiter: u8) -> Option<&'a [u8]> {
        if column < self.column {
            self.column = 0;
            self.position = 0;
            self.delimiters = Delimiters::default();
        }
        if column > self.column {
            self.position = self.delimiters.pass(self.line, delimiter, column - self.column - 1)? + 1;
        }
        let end = self.delimiters.pass(self.line, delimiter, 0).unwrap_or(self.line.len());
        let field = self.line.get(self.position..end)?;
        self.position = end + 1;
        self.column = column + 1;
        Some(field)
    }

    #[inline]
    fn run(&mut self, column: usize) -> Option<&'a [u8]> {
        if column < self.column {
            self.column = 0;
            self.position = 0;
        }
        loop {
            let rest = self.line.get(self.position..)?;
            let start = rest.iter().position(|&byte| !separates(byte))?;
            let length = rest[start..].iter().position(|&byte| separates(byte)).unwrap_or(rest.len() - start);
            self.position += start + length;
            self.column += 1;
            if self.column > column {
                return Some(&rest[start..start + length]);
            }
        }
    }
}

#[inline(always)]
fn separates(byte: u8) -> bool {
    matches!(byte, b',' | b'\t' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(line: &'a str, splitter: Splitter<'a>, columns: Option<&'a [usize]>) -> Vec<&'a str> {
        let mut row = Row::new(line.as_bytes(), splitter, columns, false);
        let mut fields = Vec::new();
        while row.has_more() {
            match row.take() {
                Ok(field) => fields.push(std::str::from_utf8(field).expect("test lines are text")),
                Err(_) => break,
            }
        }
        fields
    }

    #[test]
    fn splits_at_delimiters_and_at_runs() {
        assert_eq!(fields("1|x||abc|", Splitter::Delimiter(b'|'), None), ["1", "x", "", "abc"]);
        assert_eq!(fields("a", Splitter::Delimiter(b','), None), ["a"]);
        assert_eq!(fields("", Splitter::Delimiter(b','), None), [""; 0]);
        assert_eq!(fields(" 1, 2\t\t3 ,", Splitter::Run, None), ["1", "2", "3"]);
    }

    #[test]
    fn takes_wanted_columns_in_any_order() {
        assert_eq!(fields("a,b,c,d", Splitter::Delimiter(b','), Some(&[2, 0, 0, 3])), ["c", "a", "a", "d"]);
        assert_eq!(fields("a b c d", Splitter::Run, Some(&[3, 1])), ["d", "b"]);
        let mut row = Row::new(b"a,b", Splitter::Delimiter(b','), Some(&[1, 2]), false);
        assert_eq!(row.take(), Ok(b"b".as_slice()));
        assert_eq!(row.take(), Err(NoField::Missing));
        assert_eq!((row.last_column(), row.count_columns()), (2, 2));
        assert_eq!(row.take(), Err(NoField::NotWanted));
    }
}
