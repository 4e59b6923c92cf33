//! Snapshots of loops: files with what a loop is after a superstep, and a manifest that says which they are.
//!
//! ```text
//! folder of the job ─ loop-1 ─ manifest                  the newest complete snapshot
//!                            ─ 0000000020-0.feedback     what subtask 0 fed back at the end of superstep 20
//!                            ─ 0000000010-0.solution     its part of the solution set then, whole
//!                            ─ 0000000020-0.solution     what of it has changed since superstep 10
//! ```
//!
//! The tail's subtasks write their files at the end of a superstep. A thread makes them last and then puts the new
//! manifest in place of the old one, in one step; only then files go that the new one doesn't name. So whenever the
//! process ends, the manifest that is there names files that are complete.

mod files;
mod manifest;
mod store;
mod thread;

pub(crate) use files::StateFiles;
pub(crate) use manifest::{Manifest, Origin, StateFile, SubtaskState};
pub(crate) use store::{LoopStore, MANIFEST};
pub(crate) use thread::{Pending, Progress, SnapshotThread};

use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileLock, FileStatus, FileSystem};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a job's loops are snapshotted, how often, and whether they go on from what is there.
#[derive(Clone)]
pub struct SnapshotOptions {
    /// The file system of the folder.
    pub files: Arc<dyn FileSystem>,
    /// The folder of this job and of no other; the job makes it, and removes what another run has left there unless it
    /// goes on from that.
    pub folder: PathBuf,
    /// Supersteps from one snapshot to the next; at least 1.
    pub every: u32,
    /// Whether each loop goes on from its newest snapshot, if it has one.
    pub resume: bool,
}

impl SnapshotOptions {
    /// Removes all snapshots of the job, which has succeeded and needs them no more, unless another run has begun to
    /// use them.
    pub fn remove(&self) -> Result<()> {
        self.lock().and_then(|_lock| self.remove_all())
    }

    /// Keeps other runs from the folder.
    pub(crate) fn lock(&self) -> Result<FileLock> {
        let name = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.files.lock(&self.folder.with_file_name(format!("{name}.lock"))).map_err(advised)
    }

    /// Removes all snapshots of the job, of which the lock is had.
    ///
    /// The manifests go first: whatever is left when the process is killed meanwhile, none of them names what is gone.
    pub(crate) fn remove_all(&self) -> Result<()> {
        let manifests = |entries: Vec<FileStatus>| {
            let folders = entries.into_iter().filter(|entry| entry.is_dir);
            folders.into_iter().try_for_each(|folder| self.files.remove(&folder.path.join(MANIFEST)))
        };
        let there = self.files.exists(&self.folder).map_err(advised)?;
        let listed = if there { self.files.list(&self.folder) } else { Ok(Vec::new()) };
        listed.and_then(manifests).and_then(|()| self.files.remove(&self.folder)).map_err(advised)
    }
}

impl fmt::Debug for SnapshotOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SnapshotOptions");
        shown.field("folder", &self.folder).field("every", &self.every).field("resume", &self.resume);
        shown.finish_non_exhaustive()
    }
}

/// Adds to an error of the file system which option has led there.
fn advised(error: Error) -> Error {
    let advice = "check the folder of loop snapshots, or choose another one with --loop-snapshot";
    match error {
        Error::Io { action, path, source } => {
            Error::io(action, path, std::io::Error::new(source.kind(), format!("{source}; {advice}")))
        }
        other => other,
    }
}
