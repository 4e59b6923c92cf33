//! Files, behind a trait: the local file system here, others where they are linked in.

use crate::error::{Error, Result};
use std::fs::{self, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
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

/// A file that is written.
pub trait OutputFile: Write + Send {
    /// Makes what was written complete, and others see it. A file that is dropped without may be incomplete, and
    /// nobody says so.
    fn close(self: Box<Self>) -> io::Result<()>;
}

impl OutputFile for fs::File {
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
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
    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>>;
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
    /// Takes the lock that the file at `path` stands for, or fails at once and says who has it; the file is made, with
    /// the folders above it, and is gone when the lock is dropped. A file system without locks keeps nobody off.
    fn lock(&self, _path: &Path) -> Result<FileLock> {
        Ok(Box::new(()))
    }
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
        use io::Seek;
        let mut file = fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        if offset > 0 {
            file.seek(io::SeekFrom::Start(offset)).map_err(|e| Error::io("seek in", path, e))?;
        }
        Ok(Box::new(file))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create_parent(path)?;
        Ok(Box::new(fs::File::create(path).map_err(|e| Error::io("create", path, e))?))
    }

    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create_parent(path)?;
        let opened = fs::File::options().append(true).create(true).open(path);
        Ok(Box::new(opened.map_err(|e| Error::io("append to", path, e))?))
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
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
            _ => Ok(()),
        }
    }

    fn lock(&self, path: &Path) -> Result<FileLock> {
        self.create_parent(path)?;
        LocalLock::take(path).map(|lock| Box::new(lock) as FileLock).map_err(|e| Error::io("lock", path, e))
    }
}

impl LocalFileSystem {
    fn create_parent(&self, path: &Path) -> Result<()> {
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => self.create_dir(folder),
            None => Ok(()),
        }
    }
}

/// A file that the system keeps locked until it is closed; it has the number of its process.
struct LocalLock {
    file: fs::File,
    path: PathBuf,
}

impl LocalLock {
    fn take(path: &Path) -> io::Result<LocalLock> {
        loop {
            let mut file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LocalLock::taken(file)),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had the lock before may have removed the file since it was opened.
            if fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|locked| locked.ino() == there.ino())) {
                file.set_len(0)?;
                file.write_all(std::process::id().to_string().as_bytes())?;
                return Ok(LocalLock { file, path: path.to_path_buf() });
            }
        }
    }

    /// The error that says who has the lock.
    fn taken(mut file: fs::File) -> io::Error {
        let mut holder = String::new();
        let found = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
        let holder = if found { format!("process {holder}") } else { "another process".to_owned() };
        io::Error::new(io::ErrorKind::WouldBlock, format!("{holder} has locked it"))
    }
}

impl Drop for LocalLock {
    fn drop(&mut self) {
        // Removed first: from then on nobody opens this file any more. What can't be removed is unlocked all the same.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_once_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("above/the.lock");
        let lock = LocalFileSystem.lock(&path).expect("it is free");
        let error = LocalFileSystem.lock(&path).err().expect("it is taken").to_string();
        let said = format!("cannot lock {}: process {} has locked it", path.display(), std::process::id());
        assert_eq!(error, said);
        drop(lock);
        assert!(!path.exists());
        fs::write(&path, "4294967295").expect("writable");
        LocalFileSystem.lock(&path).map(drop).expect("a file that nobody has locked keeps nobody off");
    }

    #[test]
    fn one_of_many_has_a_lock_at_a_time() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (path, inside, taken) = (folder.path().join("the.lock"), AtomicU32::new(0), AtomicU32::new(0));
        let take = || {
            for _ in 0..300 {
                if let Ok(_lock) = LocalFileSystem.lock(&path) {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    taken.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(take))));
        assert!(taken.into_inner() > 0);
    }
}
