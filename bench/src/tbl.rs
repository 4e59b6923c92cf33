//! Reading `.tbl` files: `|`-separated columns with a trailing `|`, by the positions of the separators.

use std::path::Path;

use crate::files::{map_file, split_behind};
use crate::masks::{self, Class};
use crate::parallel::parallel;

/// About how many bytes of whole lines are looked at together.
const STRETCH: usize = 32 << 10;

/// One line of a table: the text around it, and where each of its columns ends.
#[derive(Clone, Copy, Debug)]
pub struct Row<'d, 'e> {
    data: &'d [u8],
    start: usize,
    ends: &'e [u32],
}

impl<'d> Row<'d, '_> {
    /// The bytes of a column, counted from 0.
    #[inline]
    pub fn column(&self, index: usize) -> &'d [u8] {
        let start = if index == 0 { self.start } else { self.ends[index - 1] as usize + 1 };
        &self.data[start..self.ends[index] as usize]
    }
}

/// Reads a table of `columns` columns with `threads` threads.
///
/// Every thread begins with `T::default()` and sees each of its rows once. `each` returns `None` for a row it cannot
/// read, which ends the reading with an error.
pub fn scan<T, F>(path: &Path, columns: usize, threads: usize, each: F) -> Result<Vec<T>, String>
where
    T: Default + Send,
    F: Fn(&mut T, Row<'static, '_>) -> Option<()> + Sync,
{
    let data = map_file(path)?;
    parallel(split_behind(data, threads, |byte| byte == b'\n'), |piece| {
        let mut state = T::default();
        scan_piece(piece, columns, |row| each(&mut state, row)).map_err(|offset| {
            let offset = piece.as_ptr() as usize - data.as_ptr() as usize + offset;
            format!("{}: cannot read the row at byte {offset}", path.display())
        })?;
        Ok(state)
    })
}

/// Calls `each` for every row of `piece`; returns where the first bad row begins.
fn scan_piece<'d>(
    piece: &'d [u8],
    columns: usize,
    mut each: impl FnMut(Row<'d, '_>) -> Option<()>,
) -> Result<(), usize> {
    let mut ends = Vec::new();
    let mut rest = piece;
    while !rest.is_empty() {
        let (stretch, behind) = rest.split_at(stretch_length(rest));
        let base = piece.len() - rest.len();
        let lines = find_separators(stretch, &mut ends);
        if ends.len() != lines * (columns + 1) {
            return Err(base + first_bad_line(stretch, columns));
        }
        let mut start = 0;
        for ends in ends.chunks_exact(columns + 1) {
            let line_end = ends[columns] as usize;
            let whole =
                stretch.get(line_end).is_none_or(|&byte| byte == b'\n') && ends[columns - 1] + 1 == ends[columns];
            let row = Row { data: stretch, start, ends };
            whole.then(|| each(row)).flatten().ok_or(base + start)?;
            start = line_end + 1;
        }
        rest = behind;
    }
    Ok(())
}

/// The length of the whole lines within about [`STRETCH`] bytes, or of one longer line.
fn stretch_length(data: &[u8]) -> usize {
    if data.len() <= STRETCH {
        return data.len();
    }
    match memchr::memrchr(b'\n', &data[..STRETCH]) {
        Some(at) => at + 1,
        None => memchr::memchr(b'\n', &data[STRETCH..]).map_or(data.len(), |at| STRETCH + at + 1),
    }
}

/// Puts the positions of all separators into `ends` and returns the number of lines; the end of the data ends a line.
fn find_separators(stretch: &[u8], ends: &mut Vec<u32>) -> usize {
    ends.clear();
    let mut buffer = masks::buffer();
    let mut lines = 0;
    for (number, batch) in stretch.chunks(masks::BATCH).enumerate() {
        let base = number * masks::BATCH;
        for (block, mask) in masks::fill(Class::Table, batch, &mut buffer).iter().enumerate() {
            lines += mask.special.count_ones() as usize;
            let base = (base + block * 64) as u32;
            let mut hits = mask.hit;
            ends.reserve(64);
            while hits != 0 {
                ends.push(base + hits.trailing_zeros());
                hits &= hits - 1;
            }
        }
    }
    if stretch.last().is_some_and(|&last| last != b'\n') {
        ends.push(stretch.len() as u32);
        lines += 1;
    }
    lines
}

/// Where the first line begins that has not `columns` separators; 0 if there is none.
fn first_bad_line(stretch: &[u8], columns: usize) -> usize {
    let mut start = 0;
    for line in stretch.split_inclusive(|&byte| byte == b'\n') {
        if memchr::memchr_iter(b'|', line).count() != columns {
            return start;
        }
        start += line.len();
    }
    0
}

/// A decimal number without a sign.
#[inline]
pub fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() || field.len() > 18 {
        return None;
    }
    let mut value = 0;
    for byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// An amount with exactly two decimals, in hundredths.
#[inline]
pub fn hundredths(field: &[u8]) -> Option<i64> {
    let (negative, field) = match field {
        [b'-', field @ ..] => (true, field),
        field => (false, field),
    };
    let (whole, [b'.', tenths, hundredths]) = field.split_last_chunk::<3>()? else { return None };
    if whole.len() > 12 {
        return None;
    }
    let amount = (number(whole)? * 100 + number(&[*tenths, *hundredths])?) as i64;
    Some(if negative { -amount } else { amount })
}

/// A date `yyyy-mm-dd` as the number `yyyymmdd`, which orders as the dates do.
#[inline]
pub fn date(field: &[u8]) -> Option<u32> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = field else { return None };
    let digits = [y0, y1, y2, y3, m0, m1, d0, d1];
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(piece: &[u8], columns: usize) -> Result<Vec<Vec<u8>>, usize> {
        let mut seen = Vec::new();
        scan_piece(piece, columns, |row| {
            seen.push((0..columns).map(|i| row.column(i)).collect::<Vec<_>>().join(&b','));
            Some(())
        })?;
        Ok(seen)
    }

    #[test]
    fn reads_rows_of_any_length() {
        let long = "x".repeat(40_000);
        let text = format!("1|a||\n2|{long}|b|\n{}3|c|d|", "7|seven|y|\n".repeat(9_000));
        let rows = rows(text.as_bytes(), 3).expect("all rows are good");
        assert_eq!(rows.len(), 9_003);
        assert_eq!(rows[0], b"1,a,");
        assert_eq!(rows[1], format!("2,{long},b").as_bytes());
        assert_eq!(rows[9_002], b"3,c,d");
    }

    #[test]
    fn finds_bad_rows() {
        assert_eq!(rows(b"1|a|\n2|\n3|b|\n", 2), Err(5));
        assert_eq!(rows(b"1|a|\n2|\n3|b|c|\n", 2), Err(5));
        assert_eq!(rows(b"1|a|\n\n3|b|\n", 2), Err(5));
        assert_eq!(rows(b"1|a|\n3|b\n", 2), Err(5));
        assert_eq!(rows(b"1|a|x\n", 2), Err(0));
        assert_eq!(rows(b"1|a|\n3|b", 2), Err(5));
    }

    #[test]
    fn reads_fields() {
        assert_eq!(number(b"155190"), Some(155_190));
        assert_eq!((number(b""), number(b"1x"), number(b"1234567890123456789")), (None, None, None));
        assert_eq!((hundredths(b"21168.23"), hundredths(b"-0.05")), (Some(2_116_823), Some(-5)));
        assert_eq!((hundredths(b"1.2"), hundredths(b".22"), hundredths(b"12")), (None, None, None));
        assert_eq!((date(b"1995-03-15"), date(b"1995-3-15"), date(b"1995/03/15")), (Some(19950315), None, None));
    }
}
