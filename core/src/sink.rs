//! Sinks: where records leave a job, and how what they wrote becomes visible all at once.

use crate::error::Result;
use crate::id::Subtask;
use crate::types::Data;
use std::path::PathBuf;

/// A place to write records to: one writer per subtask, made visible together when the job has succeeded.
///
/// [`begin`](OutputFormat::begin), [`commit`](OutputFormat::commit) and [`abort`](OutputFormat::abort) run once per
/// execution, where the job was started; the writers run in the tasks.
pub trait OutputFormat<T: Data>: Send + Sync + 'static {
    /// What writes the records of one subtask.
    type Writer: RecordWriter<T>;

    /// Where the output will be, if it is files: no other sink of a plan may write there.
    fn target(&self) -> Option<PathBuf> {
        None
    }

    /// Checks that the output can be made before any task runs, and clears what an earlier failed run left.
    fn begin(&self, _parallelism: u32) -> Result<()> {
        Ok(())
    }

    /// Opens the writer of one subtask.
    fn open(&self, subtask: Subtask) -> Result<Self::Writer>;

    /// Makes all that was written visible; every writer has finished.
    fn commit(&self, _parallelism: u32) -> Result<()> {
        Ok(())
    }

    /// Removes what was written; the job has failed or was cancelled.
    fn abort(&self) {}
}

/// Writes the records of one subtask.
pub trait RecordWriter<T>: Send + 'static {
    /// Writes a batch; takes the records out or leaves them, whichever is cheaper.
    fn write(&mut self, records: &mut Vec<T>) -> Result<()>;

    /// Writes what is buffered and closes.
    fn finish(&mut self) -> Result<()>;
}

/// The untyped part of an [`OutputFormat`]: what runs where the job was started.
pub trait Committer: Send + Sync {
    /// See [`OutputFormat::target`].
    fn target(&self) -> Option<PathBuf>;
    /// See [`OutputFormat::begin`].
    fn begin(&self, parallelism: u32) -> Result<()>;
    /// See [`OutputFormat::commit`].
    fn commit(&self, parallelism: u32) -> Result<()>;
    /// See [`OutputFormat::abort`].
    fn abort(&self);
}
