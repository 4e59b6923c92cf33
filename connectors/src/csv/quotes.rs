//! Quoted fields: a quote opens a field only at its start, and a doubled quote within it stands for one.

use crate::csv::row::Unquoted;

/// The bytes that mean something in a file with quoted fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoting {
    pub(crate) delimiter: u8,
    pub(crate) quote: u8,
    /// Whether blanks around fields don't count.
    pub(crate) trim: bool,
}

/// A field was opened by a quote that nothing closes; the number of its column, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed(pub(crate) usize);

impl Quoting {
    /// Puts the fields of `line` into `out` without their quotes.
    pub(crate) fn unquote(self, line: &[u8], out: &mut Unquoted) -> Result<(), Unclosed> {
        out.bytes.clear();
        out.ends.clear();
        let mut rest = Some(line);
        while let Some(field) = rest {
            let field = self.skip_blanks(field);
            rest = match field.strip_prefix(&[self.quote]) {
                Some(quoted) => self.quoted_field(quoted, out)?,
                None => self.plain_field(field, out),
            };
            out.ends.push(out.bytes.len());
        }
        Ok(())
    }

    /// Where the record at the start of `bytes` ends: at a newline outside of quotes, or at their end.
    pub(crate) fn record_length(self, bytes: &[u8]) -> Result<usize, Unclosed> {
        let mut position = 0;
        for column in 0.. {
            position = bytes.len() - self.skip_blanks(&bytes[position..]).len();
            if bytes.get(position) == Some(&self.quote) {
                position = self.closing_quote(bytes, position + 1).ok_or(Unclosed(column))? + 1;
            }
            match memchr::memchr2(self.delimiter, b'\n', &bytes[position..]) {
                None => return Ok(bytes.len()),
                Some(length) if bytes[position + length] == b'\n' => return Ok(position + length),
                Some(length) => position += length + 1,
            }
        }
        unreachable!("a line has fewer columns than bytes, and its bytes are counted in usize")
    }

    fn closing_quote(self, bytes: &[u8], mut position: usize) -> Option<usize> {
        loop {
            position += memchr::memchr(self.quote, &bytes[position..])?;
            if bytes.get(position + 1) != Some(&self.quote) {
                return Some(position);
            }
            position += 2;
        }
    }

    /// Appends a field whose opening quote is behind; returns what follows its delimiter.
    fn quoted_field<'a>(self, mut rest: &'a [u8], out: &mut Unquoted) -> Result<Option<&'a [u8]>, Unclosed> {
        loop {
            let quote = memchr::memchr(self.quote, rest).ok_or(Unclosed(out.ends.len()))?;
            out.bytes.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(&[self.quote]) {
                Some(after) => {
                    out.bytes.push(self.quote);
                    rest = after;
                }
                None => return Ok(self.plain_field(rest, out)),
            }
        }
    }

    /// Appends what comes before the next delimiter; returns what follows it.
    fn plain_field<'a>(self, rest: &'a [u8], out: &mut Unquoted) -> Option<&'a [u8]> {
        let length = memchr::memchr(self.delimiter, rest);
        let field = &rest[..length.unwrap_or(rest.len())];
        out.bytes.extend_from_slice(if self.trim { field.trim_ascii_end() } else { field });
        length.map(|length| &rest[length + 1..])
    }

    fn skip_blanks(self, field: &[u8]) -> &[u8] {
        if !self.trim {
            return field;
        }
        let blank = |byte: u8| byte != self.delimiter && matches!(byte, b' ' | b'\t');
        let start = field.iter().position(|&byte| !blank(byte)).unwrap_or(field.len());
        &field[start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTING: Quoting = Quoting { delimiter: b',', quote: b'"', trim: false };

    fn unquoted(quoting: Quoting, line: &[u8]) -> Result<Vec<Vec<u8>>, Unclosed> {
        let mut out = Unquoted::default();
        quoting.unquote(line, &mut out)?;
        let starts = std::iter::once(0).chain(out.ends.iter().copied());
        Ok(starts.zip(&out.ends).map(|(start, &end)| out.bytes[start..end].to_vec()).collect())
    }

    fn csv_core(line: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = csv_core::Reader::new();
        let (mut fields, mut ends) = (vec![0; line.len() + 8], vec![0; line.len() + 8]);
        let (_, read, bytes, count) = reader.read_record(line, &mut fields, &mut ends);
        assert_eq!(read, line.len());
        let (_, _, _, more) = reader.read_record(&[], &mut fields[bytes..], &mut ends[count..]);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(&ends[..count + more]).map(|(start, &end)| fields[start..end].to_vec()).collect()
    }

    #[test]
    fn trims_around_quotes_but_not_within() {
        let quoting = Quoting { trim: true, ..QUOTING };
        let fields = unquoted(quoting, b"  a b , \" c \" ,d").expect("closed");
        assert_eq!(fields, [b"a b".to_vec(), b" c ".to_vec(), b"d".to_vec()]);
    }

    #[test]
    fn finds_the_end_of_a_record_over_line_breaks() {
        assert_eq!(QUOTING.record_length(b"a,\"b\nc\",d\nnext"), Ok(9));
        assert_eq!(QUOTING.record_length(b"a,\"b\n"), Err(Unclosed(1)));
        assert_eq!(QUOTING.record_length(b"5\" nail\n"), Ok(7));
    }

    proptest! {
        #[test]
        fn agrees_with_csv_core(line in "[ab,\" ]{1,20}") {
            match unquoted(QUOTING, line.as_bytes()) {
                Ok(fields) => prop_assert_eq!(fields, csv_core(line.as_bytes())),
                // csv-core closes what the line leaves open.
                Err(Unclosed(_)) => {
                    let fields = unquoted(QUOTING, format!("{line}\"").as_bytes());
                    prop_assert_eq!(fields, Ok(csv_core(line.as_bytes())));
                }
            }
        }
    }
}
