//! Output files: written under a hidden name, and renamed into place all at once when the job has succeeded.

use crate::files::local_path;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileSystem, LocalFileSystem};
use flinkrs_core::id::Subtask;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes that a writer collects before it writes them.
const BUFFER_BYTES: usize = 256 << 10;

/// The file in a hidden folder that its job keeps locked, so that other jobs see that it is in use.
const LOCK_NAME: &str = ".lock";

/// What happens when the output exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// The job is refused.
    #[default]
    NoOverwrite,
    /// The old output is replaced when the job succeeds, and stays when it fails.
    Overwrite,
}

/// The files that one sink writes.
///
/// With parallelism 1 the output is a file, with more it is a folder with the files `1`, `2`, … one per subtask. Until
/// the job has succeeded they lie in a hidden folder next to it, `.NAME.flinkrs-PID-N`; missing folders above are made.
#[derive(Debug)]
pub struct FileOutput {
    path: PathBuf,
    mode: WriteMode,
    token: String,
    lock: Mutex<Option<File>>,
}

impl FileOutput {
    /// Writes to `path`, which must not exist unless [`mode`](FileOutput::mode) says so.
    pub fn new(path: impl AsRef<Path>) -> FileOutput {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let token = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        FileOutput { path: path.as_ref().to_path_buf(), mode: WriteMode::default(), token, lock: Mutex::new(None) }
    }

    /// What happens when the output exists already; by default the job is refused.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> FileOutput {
        self.mode = mode;
        self
    }

    /// Replaces `PID-N` in the name of the hidden folder, which must be the same in all processes of a job.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> FileOutput {
        self.token = token.into();
        self
    }

    /// Where the output will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// [`path`](FileOutput::path) as it is the same however it is written: absolute, and without links on the way.
    ///
    /// `None` if there is no such path; [`begin`](FileOutput::begin) says why.
    pub fn target(&self) -> Option<PathBuf> {
        let target = std::path::absolute(self.place().ok()?.target).ok()?;
        let mut resolved = PathBuf::new();
        for part in target.parent()?.components() {
            match part {
                Component::ParentDir => drop(resolved.pop()),
                part => resolved.push(part),
            }
            resolved = resolved.canonicalize().unwrap_or(resolved);
        }
        Some(resolved.join(target.file_name()?))
    }

    /// Checks that the output may be made, removes what dead jobs left beside it and makes the hidden folder.
    pub fn begin(&self) -> Result<()> {
        let place = self.place()?;
        self.check_target(&place.target)?;
        LocalFileSystem.create_dir(&place.folder)?;
        place.remove_stale()?;
        LocalFileSystem.remove(&place.hidden)?;
        LocalFileSystem.create_dir(&place.hidden)?;
        let lock = place.hidden.join(LOCK_NAME);
        let file = File::create(&lock).map_err(|e| Error::io("create", &lock, e))?;
        // Where locks are unsupported nobody removes what dead jobs left, and that is all.
        let _ = file.try_lock();
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// Opens the file of one subtask.
    pub fn open(&self, subtask: Subtask) -> Result<FileWriter> {
        let place = self.place()?;
        LocalFileSystem.create_dir(&place.hidden)?;
        FileWriter::create(place.hidden.join((subtask.index + 1).to_string()))
    }

    /// Gives the output its name; every writer has finished.
    pub fn commit(&self, parallelism: u32) -> Result<()> {
        let place = self.place()?;
        for file in 1..=parallelism {
            let path = place.hidden.join(file.to_string());
            if !LocalFileSystem.exists(&path)? {
                return Err(Error::internal(format!("output file {} was not written", path.display())));
            }
        }
        self.check_target(&place.target)?;
        self.unlock();
        LocalFileSystem.remove(&place.hidden.join(LOCK_NAME))?;
        if parallelism == 1 {
            place.replace(&place.hidden.join("1"))?;
            LocalFileSystem.remove(&place.hidden)
        } else {
            place.replace(&place.hidden)
        }
    }

    /// Removes what was written.
    pub fn abort(&self) {
        self.unlock();
        if let Ok(place) = self.place() {
            // The job fails for another reason already, and the next one removes what is left.
            let _ = LocalFileSystem.remove(&place.hidden);
        }
    }

    fn unlock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn check_target(&self, target: &Path) -> Result<()> {
        let shown = target.display();
        let found = match fs::symlink_metadata(target) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("find", target, error)),
        };
        if self.mode == WriteMode::NoOverwrite {
            return Err(Error::data(format!("output {shown} exists; `.mode(WriteMode::Overwrite)` replaces it")));
        }
        if found.is_dir() {
            let inner = LocalFileSystem.list(target)?.into_iter().find(|entry| entry.is_dir);
            return match inner {
                Some(inner) => Err(Error::data(format!(
                    "output {shown} is a folder that holds folders, such as {}; it \
                     was not made by a job and is not replaced",
                    inner.path.display()
                ))),
                None => Ok(()),
            };
        }
        if found.is_file() || found.is_symlink() {
            return Ok(());
        }
        Err(Error::data(format!("output {shown} is neither a file nor a folder and is not replaced")))
    }

    fn place(&self) -> Result<Place> {
        let target = local_path(&self.path)?;
        let Some(name) = target.file_name() else {
            return Err(Error::usage(format!("output {} has no name", target.display())));
        };
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".flinkrs-");
        let mut hidden = prefix.clone();
        hidden.push(&self.token);
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Place { hidden: folder.join(hidden), prefix, folder, target })
    }
}

/// The paths of an output.
struct Place {
    /// The output.
    target: PathBuf,
    /// The folder it lies in.
    folder: PathBuf,
    /// Where it is written.
    hidden: PathBuf,
    /// How the names of all hidden folders of this output begin.
    prefix: std::ffi::OsString,
}

impl Place {
    /// Renames `from` to the output's name; an old output is there until the new one is.
    fn replace(&self, from: &Path) -> Result<()> {
        let old = fs::symlink_metadata(&self.target);
        let folder_involved = from.is_dir() || old.as_ref().is_ok_and(fs::Metadata::is_dir);
        if old.is_err() || !folder_involved {
            return LocalFileSystem.rename(from, &self.target);
        }
        let mut aside = self.hidden.clone().into_os_string();
        aside.push("-old");
        let aside = PathBuf::from(aside);
        LocalFileSystem.rename(&self.target, &aside)?;
        if let Err(error) = LocalFileSystem.rename(from, &self.target) {
            LocalFileSystem.rename(&aside, &self.target)?;
            return Err(error);
        }
        LocalFileSystem.remove(&aside)
    }

    /// Removes hidden folders of this output whose jobs have died: those with a lock that nobody holds.
    fn remove_stale(&self) -> Result<()> {
        for entry in fs::read_dir(&self.folder).map_err(|e| Error::io("list folder", &self.folder, e))? {
            let entry = entry.map_err(|e| Error::io("list folder", &self.folder, e))?;
            if !entry.file_name().as_encoded_bytes().starts_with(self.prefix.as_encoded_bytes()) {
                continue;
            }
            let Ok(lock) = File::open(entry.path().join(LOCK_NAME)) else { continue };
            if lock.try_lock().is_ok() {
                LocalFileSystem.remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A buffered output file whose errors name it.
#[derive(Debug)]
pub struct FileWriter {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl FileWriter {
    fn create(path: PathBuf) -> Result<FileWriter> {
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(FileWriter { file, path, buffer: Vec::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8) })
    }

    /// What will be written next; append to it, then call [`flush_if_full`](FileWriter::flush_if_full).
    #[inline(always)]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer once it has enough.
    #[inline(always)]
    pub fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the buffer.
    #[cold]
    pub fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer).map_err(|e| Error::io("write", &self.path, e))?;
        self.buffer.clear();
        Ok(())
    }
}
