//! Locks by leases: a file that is being created is its writer's, and the NameNode takes it away from one that is gone.
//!
//! A process that has a lock keeps a file open, of no bytes and so without DataNodes; its client renews the lease. When
//! the process dies, anybody may take the file over after HDFS's soft limit, a minute. A lock that several share is a
//! file per process, `NAME-WRITER`, beside the one of whoever has it alone:
//!
//! | who | does | then looks for |
//! |---|---|---|
//! | shares | creates `NAME-WRITER` | `NAME`; if somebody has that, goes back and waits |
//! | claims | takes `NAME` | each `NAME-…`; if somebody has one, goes back |

use crate::failure::Failure;
use crate::failure::Meaning;
use crate::files::HdfsFileSystem;
use crate::runtime::wait;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Claim, FileLock, FileSystem};
use hdfs_native::file::FileWriter;
use hdfs_native::{HdfsError, WriteOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at a lock that somebody else has.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a lock is waited for. Whoever has one works on a few names, or is dead for a minute at most.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Numbers the locks of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file that is kept open; with it, when it is dropped, others go that stand beside it.
struct Lease {
    hdfs: HdfsFileSystem,
    file: Option<Box<FileWriter>>,
    removed: Vec<PathBuf>,
}

/// What came of opening a file for its lease.
enum Opened {
    Taken(Box<FileWriter>),
    Held,
    NoFolder,
}

impl HdfsFileSystem {
    /// Has the lock at `path` alone, or fails and says who has it.
    pub(crate) fn lock_alone(&self, path: &Path) -> Result<FileLock> {
        if let Some(folder) = path.parent() {
            self.create_dir(folder)?;
        }
        let holder = with_ending(path, ".holder");
        let Opened::Taken(file) = self.lease(path)? else {
            let mut name = String::new();
            let read = self
                .open(&holder, 0)
                .and_then(|mut file| file.read_to_string(&mut name).map_err(|error| Error::io("read", &holder, error)));
            let name = read.map_or("another process", |_| name.as_str());
            let said = format!("{name} has locked it; HDFS frees the lock a minute after that process has ended");
            return Err(Error::io("lock", path, io::Error::new(io::ErrorKind::WouldBlock, said)));
        };
        let lease = Lease { hdfs: self.clone(), file: Some(file), removed: vec![holder.clone(), path.to_path_buf()] };
        let mut written = self.create(&holder)?;
        let name = format!("process {} of {} on {}", std::process::id(), self.user(), host());
        let done = written.write_all(name.as_bytes()).and_then(|()| written.close());
        done.map_err(|error| Error::io("write", &holder, error))?;
        Ok(Box::new(lease))
    }

    /// Has the lock at `path` with others.
    pub(crate) fn lock_shared(&self, path: &Path) -> Result<Option<FileLock>> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mine = with_ending(path, &format!("-{}-{number}", self.writer_name()));
        let started = Instant::now();
        loop {
            match self.lease(&mine)? {
                Opened::Taken(file) => {
                    let lease = Lease { hdfs: self.clone(), file: Some(file), removed: vec![mine.clone()] };
                    if !self.exists(path)? {
                        return Ok(Some(Box::new(lease)));
                    }
                }
                // The name is this process's own: the answer to a first try was lost.
                Opened::Held => self.remove(&mine)?,
                Opened::NoFolder => return Ok(None),
            }
            // Whoever has it alone may be dead, and then it is nobody's.
            if let Opened::Taken(file) = self.lease(path)? {
                drop(Lease { hdfs: self.clone(), file: Some(file), removed: vec![path.to_path_buf()] });
            } else if started.elapsed() > WAIT_MAX {
                return Err(late(path));
            } else {
                sleep(PAUSE);
            }
        }
    }

    /// Has the lock at `path` alone, if nobody shares it.
    pub(crate) fn lock_claimed(&self, path: &Path, waits: bool) -> Result<Claim> {
        let started = Instant::now();
        if !waits && !self.exists(path)? && self.shares(path)?.is_empty() {
            return Ok(Claim::Gone);
        }
        loop {
            match self.lease(path)? {
                Opened::Taken(file) => {
                    let lease = Lease { hdfs: self.clone(), file: Some(file), removed: vec![path.to_path_buf()] };
                    if !self.is_shared(path)? {
                        return Ok(Claim::Taken(Box::new(lease)));
                    }
                }
                Opened::Held => {}
                Opened::NoFolder => return Ok(Claim::Gone),
            }
            if !waits {
                return Ok(Claim::Held);
            }
            if started.elapsed() > WAIT_MAX {
                return Err(late(path));
            }
            sleep(PAUSE);
        }
    }

    /// Whether somebody who lives shares the lock; what the dead have left is removed.
    fn is_shared(&self, path: &Path) -> Result<bool> {
        for share in self.shares(path)? {
            match self.lease(&share)? {
                Opened::Held => return Ok(true),
                Opened::Taken(file) => {
                    drop(Lease { hdfs: self.clone(), file: Some(file), removed: vec![share] });
                }
                Opened::NoFolder => {}
            }
        }
        Ok(false)
    }

    /// The files of those who share the lock.
    fn shares(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let folder = path.parent().unwrap_or(path);
        if !self.exists(folder)? {
            return Ok(Vec::new());
        }
        let start = format!("{}-", path.file_name().unwrap_or_default().to_string_lossy());
        let is_share = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
        Ok(self.list(folder)?.into_iter().map(|entry| entry.path).filter(is_share).collect())
    }

    /// Opens a file so that it is ours alone: a new one, or one that nobody has open any more.
    fn lease(&self, path: &Path) -> Result<Opened> {
        let inner = self.inner(path)?;
        let options = WriteOptions { permission: 0o644, create_parent: false, ..WriteOptions::default() };
        loop {
            let (created, options) = (inner.clone(), options.clone());
            let file = self.try_repeat(move |client| {
                let (inner, options) = (created.clone(), options.clone());
                async move { client.create(&inner, &options).await }
            })?;
            match file {
                Ok(file) => return Ok(Opened::Taken(Box::new(file))),
                Err(failure) if failure.meaning() == Meaning::Missing => return Ok(Opened::NoFolder),
                Err(failure) if failure.meaning() == Meaning::Exists => {}
                Err(failure) => return Err(self.error(failure, "lock", path)),
            }
            let appended = inner.clone();
            let file = self.try_repeat(move |client| {
                let inner = appended.clone();
                async move { client.append(&inner).await }
            })?;
            match file {
                Ok(file) => return Ok(Opened::Taken(Box::new(file))),
                // It has gone since.
                Err(failure) if failure.meaning() == Meaning::Missing => {}
                Err(failure) if failure.meaning() == Meaning::Exists || is_recovering(&failure) => {
                    return Ok(Opened::Held);
                }
                Err(failure) => return Err(self.error(failure, "lock", path)),
            }
        }
    }
}

/// Whether the NameNode is just about to take the file from one that is gone.
fn is_recovering(failure: &Failure) -> bool {
    matches!(failure, Failure::Hdfs(HdfsError::RPCError(class, _)) if class.ends_with("RecoveryInProgressException"))
}

fn late(path: &Path) -> Error {
    let said = format!("others have had it for {} s", WAIT_MAX.as_secs());
    Error::io("lock", path, io::Error::new(io::ErrorKind::TimedOut, said))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Removed while it is open, so that nobody finds it closed; what can't be removed is freed after a minute.
        for path in &self.removed {
            let _ = self.hdfs.remove(path);
        }
        // Dropping it ends the renewal of its lease, and belongs on the client's own threads.
        let file = self.file.take();
        let _ = wait(async move { drop(file) });
    }
}
