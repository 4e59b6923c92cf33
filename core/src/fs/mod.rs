//! Files, behind a trait: the machine's own file system here, others where they are linked in.
//!
//! A path says by its scheme where it lies (`hdfs://namenode/logs`, `file:///tmp`), and [`locate`] finds the file
//! system. Programs register those that they know, once, before they look at paths.

mod local;
mod schemes;

pub use local::LocalFileSystem;
pub use schemes::{Located, OpenFileSystem, locate, register, scheme_of, set_default_scheme};

use crate::error::Result;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Keeps others from what a file stands for until it is dropped or the process ends, however that ends.
pub type FileLock = Box<dyn Send + Sync>;

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

/// A part of a file that lies on some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileBlock {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The hosts that have it, by name and by address, best first.
    pub hosts: Vec<String>,
}

/// What lies at a path; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file, or a link.
    File,
    /// A folder.
    Folder,
    /// A device or the like.
    Other,
}

/// What came of trying to have a lock alone.
pub enum Claim {
    /// It is had.
    Taken(FileLock),
    /// Somebody else has it.
    Held,
    /// The folder that the file is in isn't there; or nobody has had the lock yet, and it isn't waited for.
    Gone,
}

/// A file that is written.
pub trait OutputFile: Write + Send {
    /// Makes what was written complete, and others see it. A file that is dropped without may be incomplete, and
    /// nobody says so.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// What sources and sinks need of a file system.
pub trait FileSystem: Send + Sync {
    /// What lies at `path`.
    fn status(&self, path: &Path) -> Result<FileStatus>;
    /// Whether anything lies at `path`.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// What kind of thing lies at `path`, if any.
    fn kind(&self, path: &Path) -> Result<Option<FileKind>>;
    /// The entries of a folder, by name; links to nothing are left out.
    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>>;
    /// The parts of a file that `status` describes, in order; none if there is nothing to be said.
    fn blocks(&self, _status: &FileStatus) -> Result<Vec<FileBlock>> {
        Ok(Vec::new())
    }
    /// The path as it is the same however it is written: absolute, without links on the way. `None` if it is no path
    /// of a file.
    fn absolute(&self, path: &Path) -> Option<PathBuf>;
    /// Opens a file for reading from `offset`.
    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>>;
    /// Opens a file for reading from `offset`, of which about `bytes` will be read; more can be.
    fn open_part(&self, path: &Path, offset: u64, _bytes: u64) -> Result<Box<dyn Read + Send>> {
        self.open(path, offset)
    }
    /// Creates or truncates a file, and the folders above it.
    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>>;
    /// Creates a file that isn't there yet, in a folder that is.
    fn create_new(&self, path: &Path) -> Result<Box<dyn OutputFile>>;
    /// Opens a file for writing behind what it has; creates it, and the folders above it, when it isn't there.
    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>>;
    /// Renames a file or folder in one step, replacing a file.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Creates a folder and those above it.
    fn create_dir(&self, path: &Path) -> Result<()>;
    /// Makes what was written to a file, or the entries of a folder, outlast a crash of the machine.
    fn sync(&self, path: &Path) -> Result<()>;
    /// Removes a file, or a folder with all it holds; nothing there is no error.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Whether [`dispose`](FileSystem::dispose) keeps for a while what it takes away.
    fn keeps_trash(&self) -> Result<bool> {
        Ok(false)
    }
    /// Takes away what a user may want back: what lies at `path` and lay at `original` before.
    fn dispose(&self, path: &Path, _original: &Path) -> Result<()> {
        self.remove(path)
    }
    /// Takes the lock that the file at `path` stands for, or fails at once and says who has it; the file is made, with
    /// the folders above it, and is gone when the lock is dropped. A file system without locks keeps nobody off.
    fn lock(&self, _path: &Path) -> Result<FileLock> {
        Ok(Box::new(()))
    }
    /// Has the lock at `path` together with others that share it, and waits for one who has it alone; `None` if the
    /// folder isn't there. The file stays.
    fn share(&self, _path: &Path) -> Result<Option<FileLock>> {
        Ok(Some(Box::new(())))
    }
    /// Has the lock at `path` alone; the file stays. Says at once that others have it, unless it `waits`. In a file
    /// system without locks others may have it.
    fn claim(&self, _path: &Path, waits: bool) -> Result<Claim> {
        Ok(if waits { Claim::Taken(Box::new(())) } else { Claim::Held })
    }
}
