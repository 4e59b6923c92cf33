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
use flinkrs_core::fs::FileSystem;
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
    /// Removes all snapshots of the job: it has succeeded and needs them no more, or it begins anew.
    pub fn remove(&self) -> Result<()> {
        self.remove_all().map_err(advised)
    }

    /// The manifests go first: whatever is left when the process is killed meanwhile, none of them names what is gone.
    fn remove_all(&self) -> Result<()> {
        if self.files.exists(&self.folder)? {
            let folders = self.files.list(&self.folder)?.into_iter().filter(|entry| entry.is_dir);
            folders.into_iter().try_for_each(|folder| self.files.remove(&folder.path.join(MANIFEST)))?;
        }
        self.files.remove(&self.folder)
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
