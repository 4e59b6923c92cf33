//! Sinks: where records leave a job, and how what they wrote becomes visible all at once.

use crate::error::Result;
use crate::id::Subtask;
use crate::types::Data;
use std::path::PathBuf;

/// Which part of which execution a writer writes.
#[derive(Clone, Copy, Debug)]
pub struct WriterContext<'a> {
    /// The execution's token: the same in all of its processes, and no other execution's; letters, digits, `-` and `_`.
    pub job: &'a str,
    /// Which parallel instance of the sink this is.
    pub subtask: Subtask,
    /// How often the subtask was started before; what its earlier attempts wrote is not to be seen.
    pub attempt: u32,
}

/// What of an execution begins or ends at a sink.
#[derive(Clone, Copy, Debug)]
pub struct CommitContext<'a> {
    /// The execution's token, as in [`WriterContext`].
    pub job: &'a str,
    /// By subtask, the attempt that has finished; 0 each while none has.
    pub attempts: &'a [u32],
}

impl CommitContext<'_> {
    /// How many subtasks the sink has.
    pub fn parallelism(&self) -> u32 {
        u32::try_from(self.attempts.len()).expect("a parallelism fits into 32 bits")
    }
}

/// A place to write records to: one writer per subtask, made visible together when the job has succeeded.
///
/// [`begin`](OutputFormat::begin), [`commit`](OutputFormat::commit) and [`abort`](OutputFormat::abort) run once per
/// execution, in one process; the writers run in the tasks, which may be in other processes. A process may die at any
/// point: then another one repeats the call, and a subtask is started again as its next attempt, perhaps while the one
/// before it still writes.
pub trait OutputFormat<T: Data>: Send + Sync + 'static {
    /// What writes the records of one subtask.
    type Writer: RecordWriter<T>;

    /// Where the output will be, if it is files: no other sink of a plan may write there.
    fn target(&self) -> Option<PathBuf> {
        None
    }

    /// Checks that the output can be made before any task runs, and clears what an earlier failed run left.
    ///
    /// Repeated by another process, it keeps what the execution's writers have written.
    fn begin(&self, _context: &CommitContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Opens the writer of one attempt of one subtask.
    fn open(&self, context: &WriterContext<'_>) -> Result<Self::Writer>;

    /// Makes what the finished attempts wrote visible, and nothing else; a writer of each subtask has finished.
    ///
    /// Repeated, by this or another process, it completes what was begun, and does nothing after that.
    fn commit(&self, _context: &CommitContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Removes what was written; the job has failed or was cancelled. Repeated, it does nothing.
    fn abort(&self, _context: &CommitContext<'_>) {}
}

/// Writes the records of one attempt of a subtask.
pub trait RecordWriter<T>: Send + 'static {
    /// Writes a batch; takes the records out or leaves them, whichever is cheaper.
    fn write(&mut self, records: &mut Vec<T>) -> Result<()>;

    /// Writes what is buffered and closes.
    fn finish(&mut self) -> Result<()>;
}

/// The untyped part of an [`OutputFormat`]: what runs once per execution.
pub trait Committer: Send + Sync {
    /// See [`OutputFormat::target`].
    fn target(&self) -> Option<PathBuf>;
    /// See [`OutputFormat::begin`].
    fn begin(&self, context: &CommitContext<'_>) -> Result<()>;
    /// See [`OutputFormat::commit`].
    fn commit(&self, context: &CommitContext<'_>) -> Result<()>;
    /// See [`OutputFormat::abort`].
    fn abort(&self, context: &CommitContext<'_>);
}

/// The records of a sink that come back into the program, which may run in another process than the sink's writers.
///
/// A process that ran writers [reads](ResultSink::read) what they left there, and the program's process
/// [puts](ResultSink::put) it where the program finds it. The newest attempt of a subtask counts, whatever order they
/// come in, and all of it.
pub trait ResultSink: Send + Sync {
    /// Shows `to` the attempt and the encoded blocks of what is here of a subtask, in their order; at least one, which
    /// may hold no records. It stays here, so that it can be read again.
    ///
    /// Errors when no writer of the subtask has finished here, and when `to` does. Holds one block in memory.
    fn read(&self, subtask: u32, to: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()>;

    /// Adds a block that was read in another process; those of one attempt come in their order, and once.
    ///
    /// Errors when the records of all subtasks take more than the result may.
    fn put(&self, subtask: u32, attempt: u32, block: &[u8]) -> Result<()>;

    /// Forgets all records, of this process and of others.
    fn reset(&self);
}
