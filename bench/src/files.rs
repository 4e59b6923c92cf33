//! Files: read-only maps of inputs, cutting them for threads, and writing whole files or none.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::cli::about;

/// The contents of a file, mapped until the process ends.
pub fn map_file(path: impl AsRef<Path>) -> Result<&'static [u8], String> {
    let path = path.as_ref();
    let file = File::open(path).map_err(about(path.display()))?;
    if !file.metadata().map_err(about(path.display()))?.is_file() {
        return Err(format!("{}: not a file", path.display()));
    }
    // SAFETY: the map is read-only, and benchmark inputs are not changed while a program reads them.
    let map = unsafe { Mmap::map(&file) }.map_err(about(path.display()))?;
    // The map lives as long as the process anyway; leaking it lets threads and tables borrow from it freely.
    Ok(Box::leak(Box::new(map)))
}

/// Cuts `data` into at most `parts` pieces of about the same size, each ending just behind a byte that `ends` a unit.
pub fn split_behind(data: &[u8], parts: usize, ends: impl Fn(u8) -> bool) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(parts);
    let mut start = 0;
    for part in 1..=parts {
        let mut end = (data.len() as u128 * part as u128 / parts as u128) as usize;
        end = end.max(start);
        while end > start && end < data.len() && !ends(data[end - 1]) {
            end += 1;
        }
        if end > start {
            pieces.push(&data[start..end]);
        }
        start = end;
    }
    pieces
}

/// A buffered writer to a new file at `path`.
pub fn create(path: impl AsRef<Path>) -> Result<BufWriter<File>, String> {
    let path = path.as_ref();
    let file = File::create(path).map_err(about(path.display()))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

/// Writes a file under a temporary name and renames it when complete; does nothing where the file is already there.
///
/// Returns what `fill` returned (the rows written), or 0.
pub fn write_once<F>(path: PathBuf, fill: F) -> Result<usize, String>
where
    F: FnOnce(&mut BufWriter<File>) -> std::io::Result<usize>,
{
    if path.exists() {
        return Ok(0);
    }
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut writer = create(&temporary)?;
    let written = fill(&mut writer).and_then(|rows| writer.flush().map(|()| rows));
    let renamed = written.and_then(|rows| fs::rename(&temporary, &path).map(|()| rows));
    renamed.map_err(|error| {
        // The first error is the one to report; a leftover temporary file is only untidy.
        let _ = fs::remove_file(&temporary);
        format!("{}: {error}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_behind_units_and_lose_nothing() {
        let data = b"a\nbbbbbbbbbbbbbbbbbbbb\ncc\n\nddd";
        for parts in 1..40 {
            let pieces = split_behind(data, parts, |byte| byte == b'\n');
            assert_eq!(pieces.concat(), data);
            assert!(pieces.len() <= parts);
            assert!(pieces[..pieces.len() - 1].iter().all(|piece| piece.ends_with(b"\n")));
        }
        assert!(split_behind(b"", 3, |_| true).is_empty());
    }
}
