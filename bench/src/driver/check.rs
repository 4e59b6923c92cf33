//! Comparing outputs: a file, or a folder of numbered files.

use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::cli::about;
use crate::hasher;
use crate::records::{KEY, RECORD};

/// Bytes read at once.
const BUFFER: usize = 1 << 18;
/// How far numbers of two answers may be apart, as a share of them.
const TOLERANCE: f64 = 1e-6;

/// The files of an output in the order of their numbers.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(about(path.display()))? {
        let file = entry.map_err(about(path.display()))?.path();
        let number = file.file_name().and_then(|name| name.to_str()).and_then(number);
        files.push((number.ok_or_else(|| format!("{}: a file without a number", file.display()))?, file));
    }
    files.sort();
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// The number at the end of a file's name.
fn number(name: &str) -> Option<u64> {
    let start = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    name[start..].parse().ok()
}

/// The lines of all files of an output.
#[derive(Debug)]
pub(super) struct Lines {
    text: Vec<u8>,
}

impl Lines {
    /// Reads them.
    pub(super) fn read(path: &Path) -> Result<Lines, String> {
        let mut text = Vec::new();
        for file in files(path)? {
            let mut opened = File::open(&file).map_err(about(file.display()))?;
            opened.read_to_end(&mut text).map_err(about(file.display()))?;
            if text.last().is_some_and(|&byte| byte != b'\n') {
                return Err(format!("{}: the last line has no end", file.display()));
            }
        }
        Ok(Lines { text })
    }

    fn in_order(&self) -> Vec<&[u8]> {
        self.text.split_inclusive(|&byte| byte == b'\n').map(|line| line.trim_ascii_end()).collect()
    }

    fn sorted(&self) -> Vec<&[u8]> {
        let mut lines = self.in_order();
        lines.sort_unstable();
        lines
    }

    /// Errors with the first difference unless both have the same lines in the same order.
    pub(super) fn same(&self, engine: &Lines) -> Result<(), String> {
        same(&self.in_order(), &engine.in_order(), |plain, engine| plain == engine)
    }

    /// Errors with the first difference unless both have the same lines in some order.
    pub(super) fn same_sorted(&self, engine: &Lines) -> Result<(), String> {
        same(&self.sorted(), &engine.sorted(), |plain, engine| plain == engine)
    }

    /// Errors with the first difference unless both have lines of the [same numbers](same_numbers) in some order, the
    /// first field of each being another.
    pub(super) fn same_sorted_numbers(&self, engine: &Lines) -> Result<(), String> {
        same(&self.sorted(), &engine.sorted(), |plain, engine| {
            str::from_utf8(plain)
                .ok()
                .zip(str::from_utf8(engine).ok())
                .is_some_and(|(plain, engine)| same_numbers(plain, engine))
        })
    }
}

fn same(plain: &[&[u8]], engine: &[&[u8]], agree: impl Fn(&[u8], &[u8]) -> bool) -> Result<(), String> {
    if let Some((plain, engine)) = plain.iter().zip(engine).find(|(plain, engine)| !agree(plain, engine)) {
        let (plain, engine) = (plain.escape_ascii(), engine.escape_ascii());
        return Err(format!("the answers differ: `{plain}` (plain), `{engine}` (engine)"));
    }
    match (plain.len(), engine.len()) {
        (0, 0) => Err("both answers are empty".to_string()),
        (plain, engine) if plain != engine => {
            Err(format!("the answers differ: {plain} lines (plain), {engine} lines (engine)"))
        }
        _ => Ok(()),
    }
}

/// Whether two texts have the same words, where numbers that are not both whole may differ in the digits that depend on
/// the order of adding.
pub(super) fn same_numbers(plain: &str, engine: &str) -> bool {
    let words = |text| str::split(text, |c: char| matches!(c, ',' | ':' | '=') || c.is_whitespace());
    let near = |plain: &str, engine: &str| match (plain.parse::<f64>(), engine.parse::<f64>()) {
        _ if plain.parse::<u64>().is_ok() && engine.parse::<u64>().is_ok() => false,
        (Ok(plain), Ok(engine)) => (plain - engine).abs() <= TOLERANCE * plain.abs().max(engine.abs()),
        _ => false,
    };
    let (mut plain, mut engine) = (words(plain), words(engine));
    loop {
        match (plain.next(), engine.next()) {
            (None, None) => return true,
            (Some(plain), Some(engine)) if plain == engine || near(plain, engine) => {}
            _ => return false,
        }
    }
}

/// The number of lines in a file.
pub(super) fn count_lines(path: &Path) -> Result<u64, String> {
    let mut input = BufReader::with_capacity(BUFFER, File::open(path).map_err(about(path.display()))?);
    let mut lines = 0;
    loop {
        let block = input.fill_buf().map_err(about(path.display()))?;
        if block.is_empty() {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', block).count() as u64;
        let read = block.len();
        input.consume(read);
    }
}

/// How many records there are, and a checksum that doesn't depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    records: u64,
    checksum: u64,
}

/// The content of all files of an input.
pub(super) fn content(path: &Path) -> Result<Content, String> {
    scan(path, |_, _| true)
}

/// The content of all files of an output; errors unless it is in order over all of them.
pub(super) fn content_in_order(path: &Path) -> Result<Content, String> {
    scan(path, |last, next| last <= next)
}

fn scan(path: &Path, in_order: impl Fn(&[u8; KEY], &[u8; KEY]) -> bool) -> Result<Content, String> {
    let hasher = hasher();
    let (mut content, mut last, mut record) = (Content::default(), [0; KEY], [0; RECORD]);
    for file in files(path)? {
        let opened = File::open(&file).map_err(about(file.display()))?;
        let bytes = opened.metadata().map_err(about(file.display()))?.len();
        if bytes % RECORD as u64 != 0 {
            return Err(format!("{}: {bytes} bytes are not whole records", file.display()));
        }
        let mut input = BufReader::with_capacity(BUFFER, opened);
        for _ in 0..bytes / RECORD as u64 {
            input.read_exact(&mut record).map_err(about(file.display()))?;
            let mut key = [0; KEY];
            key.copy_from_slice(&record[..KEY]);
            if !in_order(&last, &key) {
                return Err(format!("{}: record {} is out of order", file.display(), content.records));
            }
            last = key;
            content.records += 1;
            content.checksum = content.checksum.wrapping_add(hasher.hash_one(record));
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        Lines { text: text.as_bytes().to_vec() }
    }

    #[test]
    fn lines_agree_or_the_difference_is_told() {
        let text = lines("b,1\na,2\n");
        assert_eq!(text.same(&lines("b,1\na,2\n")), Ok(()));
        assert_eq!(text.same_sorted(&lines("a,2\nb,1\n")), Ok(()));
        assert!(text.same(&lines("a,2\nb,1\n")).is_err_and(|message| message.contains("`b,1`")));
        assert!(text.same_sorted(&lines("a,2\nb,1\nc,1\n")).is_err_and(|message| message.contains("3 lines")));
        assert!(lines("").same(&lines("")).is_err());
    }

    #[test]
    fn numbers_may_differ_in_their_last_digits_only() {
        assert!(same_numbers("SUM=1.25 TOP=7:5.0e-4,8:4.0e-4", "SUM=1.2500001 TOP=7:5.0000001e-4,8:0.0004"));
        for other in ["SUM=1.25 TOP=7:5.0e-4", "SUM=1.26 TOP=7:5.0e-4,8:4.0e-4", "SUM=1.25 TOP=9:5.0e-4,8:4.0e-4"] {
            assert!(!same_numbers("SUM=1.25 TOP=7:5.0e-4,8:4.0e-4", other), "{other}");
        }
        assert!(!same_numbers("LABELS=253879147659", "LABELS=253879147658"));
        assert_eq!(lines("2,0.5\n1,3\n").same_sorted_numbers(&lines("1,3\n2,0.50000001\n")), Ok(()));
        assert!(lines("2,0.5\n1,3\n").same_sorted_numbers(&lines("1,3\n2,0.51\n")).is_err());
    }

    #[test]
    fn files_follow_each_other_by_number() -> Result<(), String> {
        let folder = std::env::temp_dir().join(format!("flinkrs-bench-check-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(about("make"))?;
        let record = |key: u8| [key; RECORD].to_vec();
        let write = |name: &str, bytes: Vec<u8>| fs::write(folder.join(name), bytes).map_err(about("write"));
        write("2", [record(1), record(2)].concat())?;
        write("10", record(3))?;
        let sorted = content_in_order(&folder)?;
        assert_eq!((sorted.records, content(&folder)?), (3, sorted));
        write("1", record(2))?;
        assert!(content_in_order(&folder).is_err_and(|message| message.contains("out of order")));
        assert_ne!(content(&folder)?, sorted);
        write("1", vec![0; 99])?;
        assert!(content(&folder).is_err());
        fs::remove_dir_all(&folder).map_err(about("remove"))
    }
}
