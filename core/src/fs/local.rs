//! The machine's own file system.

use crate::error::{Error, Result};
use crate::fs::{Claim, FileKind, FileLock, FileStatus, FileSystem, OutputFile};
use std::fs::{self, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

impl OutputFile for fs::File {
    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
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

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Folder)),
            Ok(found) if found.is_file() || found.is_symlink() => Ok(Some(FileKind::File)),
            Ok(_) => Ok(Some(FileKind::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("find", path, error)),
        }
    }

    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>> {
        let entries = fs::read_dir(folder).map_err(|e| Error::io("list folder", folder, e))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io("list folder", folder, e))?.path();
            match fs::metadata(&path) {
                Ok(found) => files.push(FileStatus { path, bytes: found.len(), is_dir: found.is_dir() }),
                // It has gone meanwhile, or is a link to nothing.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("find", &path, error)),
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        let mut resolved = PathBuf::new();
        for part in path.parent()?.components() {
            match part {
                Component::ParentDir => drop(resolved.pop()),
                part => resolved.push(part),
            }
            resolved = resolved.canonicalize().unwrap_or(resolved);
        }
        Some(resolved.join(path.file_name()?))
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

    fn create_new(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        Ok(Box::new(fs::File::create_new(path).map_err(|e| Error::io("create", path, e))?))
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

    fn share(&self, path: &Path) -> Result<Option<FileLock>> {
        // Where there are no locks everybody has it.
        let locked = locked(path, true, |file| file.lock_shared().map_or(true, |()| true));
        let lock = locked.map_err(|e| Error::io("lock", path, e))?;
        Ok(lock.map(|lock| Box::new(lock) as FileLock))
    }

    fn claim(&self, path: &Path, waits: bool) -> Result<Claim> {
        let mut held = false;
        let locked = locked(path, waits, |file| {
            if waits {
                return file.lock().map_or(true, |()| true);
            }
            held = file.try_lock().is_err();
            !held
        });
        match locked.map_err(|e| Error::io("lock", path, e))? {
            _ if held => Ok(Claim::Held),
            Some(lock) => Ok(Claim::Taken(Box::new(lock))),
            None => Ok(Claim::Gone),
        }
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

/// Opens a file and locks it; `None` if it isn't there and can't be made, or there is no lock. The file is the one that
/// lies there when the lock is had: whoever had it before may have removed it since it was opened.
fn locked(path: &Path, create: bool, mut lock: impl FnMut(&fs::File) -> bool) -> io::Result<Option<fs::File>> {
    loop {
        let file = match fs::File::options().append(true).create(create).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if !lock(&file) {
            return Ok(None);
        }
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
}

/// Whether a file still lies at the path at which it was opened.
fn is_at(file: &fs::File, path: &Path) -> bool {
    let identity = |of: fs::Metadata| (of.dev(), of.ino());
    let opened = file.metadata().map(identity);
    opened.is_ok_and(|opened| fs::metadata(path).map(identity).is_ok_and(|found| found == opened))
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
            if is_at(&file, path) {
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
    fn a_lock_is_shared_or_had_alone() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("the.lock");
        let shared = [(); 2].map(|()| LocalFileSystem.share(&path).expect("possible").expect("the folder is there"));
        assert!(matches!(LocalFileSystem.claim(&path, false), Ok(Claim::Held)));
        drop(shared);
        let Ok(Claim::Taken(alone)) = LocalFileSystem.claim(&path, false) else { panic!("nobody has it") };
        assert!(matches!(LocalFileSystem.claim(&path, false), Ok(Claim::Held)));
        drop(alone);
        assert!(matches!(LocalFileSystem.claim(&path, true), Ok(Claim::Taken(_))));
        let unused = folder.path().join("another.lock");
        assert!(matches!(LocalFileSystem.claim(&unused, false), Ok(Claim::Gone)));
        let gone = folder.path().join("none/the.lock");
        assert!(LocalFileSystem.share(&gone).expect("possible").is_none());
        assert!(matches!(LocalFileSystem.claim(&gone, true), Ok(Claim::Gone)));
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
