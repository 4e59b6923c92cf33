//! Files, behind a trait: the local file system here, others where they are linked in.

use crate::error::{Error, Result};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A file as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStatus {
    /// Its path, as the file system's other calls take it.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// What sources and sinks need of a file system.
pub trait FileSystem: Send + Sync {
    /// What lies at `path`.
    fn status(&self, path: &Path) -> Result<FileStatus>;
    /// Whether anything lies at `path`.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// The entries of a folder, by name.
    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>>;
    /// Opens a file for reading from `offset`.
    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>>;
    /// Creates or truncates a file, and the folders above it.
    fn create(&self, path: &Path) -> Result<Box<dyn Write + Send>>;
    /// Renames a file or folder in one step, replacing a file.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Creates a folder and those above it.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Makes what was written to a file, or the entries of a folder, outlast a crash of the machine.
    fn sync(&self, path: &Path) -> Result<()>;
    /// Removes a file, or a folder with all it holds; nothing there is no error.
    fn remove(&self, path: &Path) -> Result<()>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalFileSystem;

impl FileSystem for LocalFileSystem {
    fn status(&self, path: &Path) -> Result<FileStatus> {
        let metadata = fs::metadata(path).map_err(|e| Error::io("find", path, e))?;
        Ok(FileStatus { path: path.to_path_buf(), bytes: metadata.len(), is_dir: metadata.is_dir() })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|e| Error::io("find", path, e))
    }

    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>> {
        let entries = fs::read_dir(folder).map_err(|e| Error::io("list folder", folder, e))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| Error::io("list folder", folder, e))?;
            files.push(self.status(&entry.path())?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>> {
        use std::io::Seek;
        let mut file = fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        if offset > 0 {
            file.seek(std::io::SeekFrom::Start(offset)).map_err(|e| Error::io("seek in", path, e))?;
        }
        Ok(Box::new(file))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Write + Send>> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            self.create_dir(folder)?;
        }
        Ok(Box::new(fs::File::create(path).map_err(|e| Error::io("create", path, e))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| Error::io("rename to", to, e))
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).map_err(|e| Error::io("create folder", path, e))
    }

    fn sync(&self, path: &Path) -> Result<()> {
        let synced = fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|e| Error::io("sync", path, e))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let gone = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
            _ => Ok(()),
        }
    }
}
