//! Log files of a process: written within limits, and listed and read for those who ask from elsewhere.
//!
//! They lie side by side in one folder. A file that has grown to its limit gets a `.1` behind its name, in place of the
//! one before, and a new one begins: so each takes at most twice the limit.

use flinkrs_core::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Bytes of a log file at most.
pub const FILE_BYTES: u64 = 16 << 20;

/// Files that a list names at most: the newest.
pub const LISTED_MAX: usize = 1024;

/// Bytes of a piece in which a file is read.
const PIECE_BYTES: usize = 256 << 10;

/// What may be logged at once before it is written.
const COPY_BYTES: usize = 8 << 10;

/// A log file as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its name within the folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written last, in milliseconds since 1970 UTC.
    pub modified_ms: u64,
}

/// A log file that begins anew when it is full.
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    written: u64,
    bytes_max: u64,
}

impl RotatingFile {
    /// Opens a file, behind what is in it, that holds `bytes_max` bytes at most.
    ///
    /// Errors when it can't be written.
    pub fn open(path: PathBuf, bytes_max: u64) -> Result<RotatingFile> {
        let opened = || {
            let file = File::options().create(true).append(true).open(&path)?;
            Ok((file.metadata()?.len(), file))
        };
        let (written, file) = opened().map_err(|error: io::Error| Error::io("write", &path, error))?;
        Ok(RotatingFile { path, file, written, bytes_max })
    }

    /// Copies what comes from `from`, until it ends, into the file, and into `beside` as long as that takes it.
    ///
    /// What can't be written is dropped: whoever writes to the other end goes on.
    pub fn copy(mut self, mut from: impl Read, mut beside: Option<File>) {
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => {
                    if beside.as_mut().is_some_and(|beside| beside.write_all(&buffer[..read]).is_err()) {
                        beside = None;
                    }
                    // A full disk mustn't stop who logs.
                    let _ = self.write_all(&buffer[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= self.bytes_max {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            fs::rename(&self.path, old)?;
            self.file = File::options().create(true).append(true).open(&self.path)?;
            self.written = 0;
        }
        let room = (self.bytes_max - self.written).min(bytes.len() as u64) as usize;
        let written = self.file.write(&bytes[..room])?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The log files in a folder, by name; of very many the newest.
pub fn list(folder: &Path) -> Vec<LogFile> {
    let of = |entry: fs::DirEntry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let name = entry.file_name().into_string().ok()?;
        Some(LogFile { name, size: metadata.len(), modified_ms: modified.as_millis() as u64 })
    };
    let mut files: Vec<LogFile> = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(of).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.modified_ms));
    files.truncate(LISTED_MAX);
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// Reads a file of a folder piece by piece, its last `bytes_max` bytes; `put` says whether it wants more.
///
/// Errors when the name is no plain name of a file that lies in the folder itself, or when it can't be read.
pub fn read(folder: &Path, name: &str, bytes_max: u64, mut put: impl FnMut(&[u8]) -> bool) -> Result<()> {
    let missing = || Error::usage(format!("there is no log file '{name}'"));
    let is_plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
    let path = folder.join(name);
    // Neither a folder nor a link to somewhere else.
    if !is_plain || !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
        return Err(missing());
    }
    let failed = |error| Error::io("read", &path, error);
    let mut file = File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(bytes_max))).map_err(failed)?;
    // What is written meanwhile is for the next reader.
    let mut file = file.take(size.min(bytes_max));
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(()),
            read if !put(&piece[..read]) => return Ok(()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(folder: &Path, name: &str, bytes_max: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        read(folder, name, bytes_max, |piece| {
            content.extend(piece);
            true
        })?;
        Ok(content)
    }

    #[test]
    fn a_full_file_makes_room_for_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let log = RotatingFile::open(path.clone(), 10).expect("opens");
        log.copy(&b"0123456789abcdefghijKLMNO"[..], None);
        assert_eq!(fs::read(&path).expect("reads"), b"KLMNO");
        assert_eq!(fs::read(folder.path().join("a.log.1")).expect("reads"), b"abcdefghij");
        let again = RotatingFile::open(path.clone(), 10).expect("opens");
        again.copy(&b"PQ"[..], None);
        assert_eq!(fs::read(&path).expect("reads"), b"KLMNOPQ");
        let names: Vec<String> = list(folder.path()).into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["a.log", "a.log.1"]);
    }

    #[test]
    fn nothing_beside_the_folder_is_read() {
        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("secret"), "s").expect("writes");
        let folder = outside.path().join("logs");
        fs::create_dir_all(folder.join("inner")).expect("creates");
        fs::write(folder.join("a.log"), "0123456789").expect("writes");
        std::os::unix::fs::symlink("../secret", folder.join("link")).expect("links");
        assert_eq!(whole(&folder, "a.log", 100).expect("reads"), b"0123456789");
        assert_eq!(whole(&folder, "a.log", 3).expect("reads"), b"789");
        for name in ["../secret", "link", "inner", "", ".", "..", "/etc/passwd", "inner/../../secret", "a.log\0"] {
            let error = whole(&folder, name, 100).expect_err(name);
            assert!(error.to_string().contains("there is no log file"), "{error}");
        }
        assert_eq!(list(&folder).len(), 1);
    }
}
