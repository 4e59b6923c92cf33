//! Output files: written under a hidden name, and renamed into place all at once when the job has succeeded.

mod commit;
mod place;
#[cfg(test)]
mod tests;

use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileLock, OutputFile};
use flinkrs_core::sink::{CommitContext, WriterContext};
use place::{Place, target_of};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that a writer collects before it writes them.
const BUFFER_BYTES: usize = 256 << 10;

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
/// the job has succeeded they lie in a hidden folder next to it, `.NAME.flinkrs-JOB`, one per attempt of a subtask;
/// missing folders above are made. All processes of a job have to see the same folder.
///
/// Whoever began and every open writer hold a lock in the hidden folder; the next job that writes there removes the
/// folders that nobody holds. One whose commit was decided when its job died is completed instead.
pub struct FileOutput {
    path: PathBuf,
    mode: WriteMode,
    begun: Mutex<Begun>,
}

/// What this process did with an execution's output.
enum Begun {
    /// Nothing, or it has ended.
    Elsewhere,
    /// It has begun here, and the hidden folder is held.
    Here(FileLock),
    /// It was removed here.
    Aborted,
}

impl FileOutput {
    /// Writes to `path`, which must not exist unless [`mode`](FileOutput::mode) says so.
    pub fn new(path: impl AsRef<Path>) -> FileOutput {
        let path = path.as_ref().to_path_buf();
        FileOutput { path, mode: WriteMode::default(), begun: Mutex::new(Begun::Elsewhere) }
    }

    /// What happens when the output exists already; by default the job is refused.
    #[must_use]
    pub fn mode(mut self, mode: WriteMode) -> FileOutput {
        self.mode = mode;
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
        let target = target_of(&self.path).ok()?;
        target.files.absolute(&target.path)
    }

    /// Checks that the output may be made, tidies up after dead jobs beside it and makes the hidden folder. What an
    /// earlier start of the job has written there, of which a lost JobManager knew, is removed.
    pub fn begin(&self, context: &CommitContext<'_>) -> Result<()> {
        let place = self.place(context.job)?;
        // First without a trace: a refused job makes no folders.
        place.check(self.mode)?;
        place.tidy()?;
        place.check(self.mode)?;
        place.discard()?;
        *self.begun() = Begun::Here(place.begin()?);
        Ok(())
    }

    /// Opens the file of one attempt of a subtask.
    ///
    /// Errors when nobody has begun, or when the output has been committed or removed.
    pub fn open(&self, context: &WriterContext<'_>) -> Result<FileWriter> {
        let place = self.place(context.job)?;
        let Some(hold) = place.hold()? else {
            let missing = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "the output has ended, or this machine doesn't see the folder it is written to",
            );
            return Err(Error::io("write to", &place.hidden, missing));
        };
        FileWriter::create(&place, place.attempt(context.subtask.index, context.attempt), hold)
    }

    /// Gives the output its name; a writer of each subtask has finished.
    pub fn commit(&self, context: &CommitContext<'_>) -> Result<()> {
        let place = self.place(context.job)?;
        let mut begun = self.begun();
        if matches!(*begun, Begun::Aborted) {
            return Err(Error::internal(format!("output {} was removed before its commit", self.path.display())));
        }
        let held = match std::mem::replace(&mut *begun, Begun::Elsewhere) {
            Begun::Here(hold) => Some(hold),
            _ => None,
        };
        place.commit(self.mode, context.attempts, held)
    }

    /// Removes what was written.
    pub fn abort(&self, context: &CommitContext<'_>) {
        *self.begun() = Begun::Aborted;
        if let Ok(place) = self.place(context.job) {
            // The job fails for another reason already, and the next one removes what is left.
            let _ = place.abort();
        }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, job: &str) -> Result<Place> {
        Place::new(target_of(&self.path)?, job)
    }
}

impl fmt::Debug for FileOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileOutput").field("path", &self.path).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A buffered output file whose errors name it.
pub struct FileWriter {
    /// Until it is finished.
    file: Option<Box<dyn OutputFile>>,
    path: PathBuf,
    buffer: Vec<u8>,
    _hold: FileLock,
}

impl FileWriter {
    fn create(place: &Place, path: PathBuf, hold: FileLock) -> Result<FileWriter> {
        // An attempt runs once, so that its file is new.
        let file = Some(place.files.create_new(&path)?);
        Ok(FileWriter { file, path, buffer: Vec::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8), _hold: hold })
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
    fn flush(&mut self) -> Result<()> {
        let file = self.file.as_mut().ok_or_else(|| Error::internal("an output file is written after its end"))?;
        file.write_all(&self.buffer).map_err(|e| Error::io("write", &self.path, e))?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left, and makes the file complete.
    pub fn finish(&mut self) -> Result<()> {
        self.flush()?;
        self.file.take().map_or(Ok(()), |file| file.close().map_err(|e| Error::io("write", &self.path, e)))
    }
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter").field("path", &self.path).finish_non_exhaustive()
    }
}
