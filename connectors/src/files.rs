//! Input files: paths, folders and globs become a list of files, and the files become splits.

use crate::compression::Compression;
use crate::glob::{Glob, is_glob};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileBlock, FileStatus, FileSystem, Located, locate};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A piece smaller than this costs more to hand out than to read.
const PIECE_BYTES_MIN: u64 = 1 << 20;

/// A piece larger than this leaves subtasks idle at the end of a job.
const PIECE_BYTES_MAX: u64 = 64 << 20;

/// Each subtask gets about this many pieces, so that a slow one doesn't hold up the others.
const PIECES_PER_SUBTASK: u64 = 4;

/// Which files an input reads: one or more paths, each a file, a folder or a glob.
///
/// A folder stands for the files in it whose names start with neither `.` nor `_`. A glob may hold `*`, `?`, `[a-z]`
/// and `**` (any number of folders), and must match something. A path may name its file system, as `file://…` or
/// `hdfs://…`. Files that end in `.gz`, `.gzip`, `.zst` or `.zstd` are decompressed, and are read by one subtask each.
///
/// ```
/// use flinkrs_connectors::FileInput;
/// let files = FileInput::new("logs/2024-*").and("logs/old").recursive(true);
/// assert_eq!(files.to_string(), "logs/2024-*, logs/old");
/// ```
#[derive(Clone, Debug)]
pub struct FileInput {
    paths: Vec<PathBuf>,
    recursive: bool,
    split_bytes: Option<u64>,
}

/// A part of a file that one subtask reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSplit {
    /// The file.
    pub path: PathBuf,
    /// Where the part begins, in bytes of the file.
    pub offset: u64,
    /// How many bytes of the file it has.
    pub length: u64,
    /// How many bytes the whole file has.
    pub file_bytes: u64,
    /// Hosts that have the part, best first; known where the job is planned.
    #[serde(skip)]
    pub hosts: Vec<String>,
}

impl FileInput {
    /// Reads `path`.
    pub fn new(path: impl AsRef<Path>) -> FileInput {
        FileInput { paths: vec![path.as_ref().to_path_buf()], recursive: false, split_bytes: None }
    }

    /// Reads all of `paths`, one after the other.
    pub fn all<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> FileInput {
        let paths = paths.into_iter().map(|path| path.as_ref().to_path_buf()).collect();
        FileInput { paths, recursive: false, split_bytes: None }
    }

    /// Reads `path` too.
    #[must_use]
    pub fn and(mut self, path: impl AsRef<Path>) -> FileInput {
        self.paths.push(path.as_ref().to_path_buf());
        self
    }

    /// Whether folders inside a folder are read too; default false.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> FileInput {
        self.recursive = recursive;
        self
    }

    /// Cuts files into pieces of about `bytes` bytes; by default the size follows from the files and the parallelism.
    #[must_use]
    pub fn split_bytes(mut self, bytes: u64) -> FileInput {
        self.split_bytes = Some(bytes.max(1));
        self
    }

    /// The files, in the order of the paths, and by name within a folder or glob.
    ///
    /// Fails when a path doesn't exist, a glob matches nothing or a folder can't be listed.
    pub fn files(&self) -> Result<Vec<FileStatus>> {
        if self.paths.is_empty() {
            return Err(Error::usage("the input has no path"));
        }
        let mut files = Vec::new();
        for path in &self.paths {
            self.add_path(path, |_, status| files.push(status))?;
        }
        Ok(files)
    }

    /// The files cut into at least `wanted` splits, if they are large enough, at multiples of `unit` bytes. A split
    /// lies within a block of its file, where the file system knows blocks.
    pub(crate) fn splits(&self, wanted: usize, unit: u64) -> Result<Vec<(FileSplit, u64)>> {
        let mut files = Vec::new();
        for path in &self.paths {
            self.add_path(path, |located, status| files.push((Arc::clone(&located.files), status)))?;
        }
        let total: u64 = files.iter().map(|(_, file)| file.bytes).sum();
        let piece = self.split_bytes.unwrap_or_else(|| piece_bytes(total, wanted));
        let mut splits = Vec::new();
        for (system, file) in &files {
            let whole = Compression::of(&file.path).is_some();
            cut(file, &system.blocks(file)?, if whole { u64::MAX } else { piece }, unit, &mut splits);
        }
        Ok(splits)
    }

    /// Shows the files that a path stands for.
    fn add_path(&self, path: &Path, mut add: impl FnMut(&Located, FileStatus)) -> Result<()> {
        let located = locate(path)?;
        let files = &*located.files;
        let is_pattern = located.path.to_str().is_some_and(is_glob) && !files.exists(&located.path)?;
        if !is_pattern {
            return self.add(files, files.status(&located.path)?, &mut |status| add(&located, status));
        }
        let found = Glob::new(&located.path)?.find(files)?;
        if found.is_empty() {
            return Err(Error::data(format!("no file matches {}", located.path.display())));
        }
        let wants_hidden = is_named(&located.path, b"_");
        let shown = found.into_iter().filter(|status| wants_hidden || !is_hidden(&status.path));
        shown.into_iter().try_for_each(|status| self.add(files, status, &mut |status| add(&located, status)))
    }

    fn add(&self, files: &dyn FileSystem, status: FileStatus, add: &mut dyn FnMut(FileStatus)) -> Result<()> {
        if !status.is_dir {
            add(status);
            return Ok(());
        }
        for entry in files.list(&status.path)? {
            if !is_hidden(&entry.path) && (!entry.is_dir || self.recursive) {
                self.add(files, entry, add)?;
            }
        }
        Ok(())
    }
}

/// Cuts a file into pieces of nearly the same size, of at most about `piece` bytes and each within one of its blocks.
///
/// One that stays whole is near to its first block.
fn cut(file: &FileStatus, blocks: &[FileBlock], piece: u64, unit: u64, splits: &mut Vec<(FileSplit, u64)>) {
    let hosts = blocks.first().map(|block| block.hosts.clone()).unwrap_or_default();
    let whole = [FileBlock { offset: 0, bytes: file.bytes, hosts }];
    let blocks = if blocks.is_empty() || piece >= file.bytes { &whole } else { blocks };
    let aligned = |offset: u64| offset.checked_next_multiple_of(unit).map_or(file.bytes, |at| at.min(file.bytes));
    for block in blocks {
        let (start, end) = (aligned(block.offset), aligned(block.offset + block.bytes));
        let units = (end - start).div_ceil(unit);
        let pieces = (end - start).div_ceil(piece).min(units);
        for i in 0..pieces {
            let bound = |i: u64| {
                let units_before = u128::from(units) * u128::from(i) / u128::from(pieces);
                u64::try_from(units_before).map_or(end, |units| (start + units * unit).min(end))
            };
            let (offset, length) = (bound(i), bound(i + 1) - bound(i));
            let (path, hosts) = (file.path.clone(), block.hosts.clone());
            splits.push((FileSplit { path, offset, length, file_bytes: file.bytes, hosts }, length));
        }
    }
}

fn piece_bytes(total: u64, wanted: usize) -> u64 {
    let pieces = (wanted.max(1) as u64).saturating_mul(PIECES_PER_SUBTASK);
    (total / pieces).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX)
}

impl<P: AsRef<Path>> From<P> for FileInput {
    fn from(path: P) -> FileInput {
        FileInput::new(path)
    }
}

impl std::fmt::Display for FileInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, path) in self.paths.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, path.display())?;
        }
        Ok(())
    }
}

fn is_hidden(path: &Path) -> bool {
    is_named(path, b".") || is_named(path, b"_")
}

/// Whether the name begins like that.
fn is_named(path: &Path, start: &[u8]) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(input: &FileInput, root: &Path) -> Vec<String> {
        let files = input.files().expect("the files are there");
        files.iter().map(|f| f.path.strip_prefix(root).expect("below root").display().to_string()).collect()
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder for the test");
        for name in ["a/1.txt", "a/2.csv", "a/.hidden", "a/_SUCCESS", "a/b/3.txt", "a/b/c/4.txt", "d.txt"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
            fs::write(path, name).expect("writes");
        }
        root
    }

    #[test]
    fn a_folder_is_its_visible_files_and_those_below_when_recursive() {
        let root = tree();
        let folder = FileInput::new(root.path().join("a"));
        assert_eq!(names(&folder, root.path()), ["a/1.txt", "a/2.csv"]);
        assert_eq!(names(&folder.recursive(true), root.path()), ["a/1.txt", "a/2.csv", "a/b/3.txt", "a/b/c/4.txt"]);
    }

    #[test]
    fn globs_schemes_and_several_paths() {
        let root = tree();
        let at = |name: &str| root.path().join(name);
        assert_eq!(names(&FileInput::new(at("a/*.txt")), root.path()), ["a/1.txt"]);
        assert_eq!(names(&FileInput::new(at("a/?.[ct]*")), root.path()), ["a/1.txt", "a/2.csv"]);
        assert_eq!(names(&FileInput::new(at("a/**/*.txt")), root.path()), ["a/1.txt", "a/b/3.txt", "a/b/c/4.txt"]);
        assert_eq!(names(&FileInput::new(at("a/_S*")), root.path()), ["a/_SUCCESS"]);
        let url = format!("file://{}", at("d.txt").display());
        assert_eq!(names(&FileInput::new(url).and(at("a/2.csv")), root.path()), ["d.txt", "a/2.csv"]);
        assert_eq!(names(&FileInput::all([at("a"), at("d.txt")]), root.path()), ["a/1.txt", "a/2.csv", "d.txt"]);
    }

    #[test]
    fn errors_name_the_path() {
        let root = tree();
        let message = |path: PathBuf| FileInput::new(path).files().expect_err("fails").to_string();
        let missing = root.path().join("no.txt");
        assert_eq!(
            message(missing.clone()),
            format!("cannot find {}: No such file or directory (os error 2)", missing.display())
        );
        let glob = root.path().join("*.zip");
        assert_eq!(message(glob.clone()), format!("no file matches {}", glob.display()));
        assert_eq!(
            message("s3://host/x".into()),
            "s3://host/x: there is no file system for s3://; local paths and file:// are known"
        );
    }

    #[test]
    fn splits_cover_each_file_once_at_multiples_of_the_unit() {
        let root = tempfile::tempdir().expect("a folder for the test");
        fs::write(root.path().join("x"), vec![b'x'; 1000]).expect("writes");
        fs::write(root.path().join("y.gz"), vec![b'x'; 1000]).expect("writes");
        fs::write(root.path().join("empty"), "").expect("writes");
        let splits = FileInput::new(root.path()).split_bytes(300).splits(1, 7).expect("splits");
        let bounds: Vec<_> = splits.iter().map(|(s, _)| (s.offset, s.length, s.file_bytes)).collect();
        assert_eq!(bounds, [(0, 245, 1000), (245, 252, 1000), (497, 252, 1000), (749, 251, 1000), (0, 1000, 1000)]);
    }

    #[test]
    fn splits_lie_within_blocks_and_know_their_hosts() {
        let file = FileStatus { path: "f".into(), bytes: 1000, is_dir: false };
        let block = |offset, bytes, host: &str| FileBlock { offset, bytes, hosts: vec![host.to_owned()] };
        let blocks = [block(0, 400, "a"), block(400, 400, "b"), block(800, 200, "c")];
        let bounds = |piece, unit| {
            let mut splits = Vec::new();
            cut(&file, &blocks, piece, unit, &mut splits);
            let shown = splits.iter().map(|(s, _)| (s.offset, s.length, s.hosts.join("")));
            shown.map(|(offset, length, host)| format!("{offset}+{length}{host}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(bounds(300, 1), "0+200a 200+200a 400+200b 600+200b 800+200c");
        assert_eq!(bounds(500, 1), "0+400a 400+400b 800+200c");
        // A record that crosses a block's end is read where it begins.
        assert_eq!(bounds(500, 7), "0+406a 406+399b 805+195c");
        assert_eq!(bounds(1000, 1), "0+1000a");
    }

    #[test]
    fn piece_sizes_follow_total_and_parallelism() {
        assert_eq!(piece_bytes(10, 8), 1 << 20);
        assert_eq!(piece_bytes(1 << 30, 8), 32 << 20);
        assert_eq!(piece_bytes(1 << 40, 8), 64 << 20);
    }
}
