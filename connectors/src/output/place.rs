//! Where an output is written before it has its name: a hidden folder beside it, which its users hold.

use crate::output::WriteMode;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Claim, FileKind, FileLock, FileSystem, Located, locate};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in a hidden folder that its users hold locked.
const LOCK_NAME: &str = ".lock";

/// What stands between the output's name and the job's token in the name of a hidden folder.
const MARK: &str = ".flinkrs-";

/// How the name of a hidden folder ends that nobody needs any more.
const GONE: &str = ".gone";

/// The paths of an output, for one job.
pub(super) struct Place {
    pub(super) files: Arc<dyn FileSystem>,
    /// The output.
    pub(super) target: PathBuf,
    /// Where it is written.
    pub(super) hidden: PathBuf,
    /// The folder that both lie in.
    folder: PathBuf,
    /// How the names of all hidden folders of this output begin.
    prefix: OsString,
}

/// The output's path, which has a name, and its file system.
pub(super) fn target_of(path: &Path) -> Result<Located> {
    let target = locate(path)?;
    // A folder below the root has one above it.
    if target.path.file_name().is_none() || target.files.absolute(&target.path).is_none() {
        return Err(Error::usage(format!("output {} has no name", path.display())));
    }
    Ok(target)
}

impl Place {
    pub(super) fn new(target: Located, job: &str) -> Result<Place> {
        if job.is_empty() || !job.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::internal(format!("a job's token has letters, digits, - and _, not '{job}'")));
        }
        let Located { files, path: target } = target;
        let mut prefix = OsString::from(".");
        prefix.push(target.file_name().unwrap_or_default());
        prefix.push(MARK);
        let mut hidden = prefix.clone();
        hidden.push(job);
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Place { files, hidden: folder.join(hidden), prefix, folder, target })
    }

    /// The file of one attempt of a subtask.
    pub(super) fn attempt(&self, subtask: u32, attempt: u32) -> PathBuf {
        self.hidden.join(format!("{}-{attempt}", subtask + 1))
    }

    /// The name of the hidden folder while it is removed.
    fn gone(&self) -> PathBuf {
        let mut gone = self.hidden.clone().into_os_string();
        gone.push(GONE);
        gone.into()
    }

    /// Refuses an output that may not be made here.
    pub(super) fn check(&self, mode: WriteMode) -> Result<()> {
        let shown = self.target.display();
        let Some(found) = self.found()? else { return Ok(()) };
        if mode == WriteMode::NoOverwrite {
            return Err(Error::data(format!("output {shown} exists; `.mode(WriteMode::Overwrite)` replaces it")));
        }
        match found {
            FileKind::File => Ok(()),
            FileKind::Folder => match self.files.list(&self.target)?.into_iter().find(|entry| entry.is_dir) {
                Some(inner) => Err(Error::data(format!(
                    "output {shown} is a folder that holds folders, such as {}; it \
                     was not made by a job and is not replaced",
                    inner.path.display()
                ))),
                None => Ok(()),
            },
            FileKind::Other => {
                Err(Error::data(format!("output {shown} is neither a file nor a folder and is not replaced")))
            }
        }
    }

    /// What lies where the output will be; links are not followed.
    pub(super) fn found(&self) -> Result<Option<FileKind>> {
        self.files.kind(&self.target)
    }

    /// Makes the hidden folder, and holds it.
    pub(super) fn begin(&self) -> Result<FileLock> {
        loop {
            self.files.create_dir(&self.hidden)?;
            // Another job may have taken it for that of a dead one just before.
            if let Some(hold) = self.hold()? {
                return Ok(hold);
            }
        }
    }

    /// Holds the hidden folder, if there is one. While it is held, nobody takes it for that of a dead job. Where locks
    /// are unsupported nobody removes what dead jobs left, and that is all.
    pub(super) fn hold(&self) -> Result<Option<FileLock>> {
        self.files.share(&self.hidden.join(LOCK_NAME))
    }

    /// The one that commits or aborts, if the hidden folder is there; waits for another.
    pub(super) fn turn(&self) -> Result<Option<FileLock>> {
        match self.files.claim(&self.hidden.join(".turn"), true)? {
            Claim::Taken(turn) => Ok(Some(turn)),
            Claim::Held | Claim::Gone => Ok(None),
        }
    }

    /// Removes the hidden folder and all in it; attempts that still write to it see nothing of that.
    pub(super) fn discard(&self) -> Result<()> {
        let gone = self.gone();
        self.files.remove(&gone)?;
        if self.files.exists(&self.hidden)? {
            self.files.rename(&self.hidden, &gone)?;
        }
        self.files.remove(&gone)
    }

    /// Ends what jobs that have died left of this output: hidden folders that nobody holds.
    ///
    /// What is decided is completed, if it can be; the rest is removed.
    pub(super) fn tidy(&self) -> Result<()> {
        if !self.files.exists(&self.folder)? {
            return Ok(());
        }
        for entry in self.files.list(&self.folder)? {
            let hidden = entry.path;
            if hidden == self.hidden || !self.is_of_this_output(&hidden) {
                continue;
            }
            if hidden.as_os_str().as_encoded_bytes().ends_with(GONE.as_bytes()) {
                self.files.remove(&hidden)?;
                continue;
            }
            let (target, folder, prefix) = (self.target.clone(), self.folder.clone(), self.prefix.clone());
            let place = Place { files: Arc::clone(&self.files), target, folder, prefix, hidden };
            match self.files.claim(&place.hidden.join(LOCK_NAME), false)? {
                Claim::Taken(_alone) => place.end_of_dead()?,
                // Just being made, or its job died before anything was in it.
                Claim::Gone if self.files.list(&place.hidden).is_ok_and(|entries| entries.is_empty()) => {
                    self.files.remove(&place.hidden)?;
                }
                Claim::Gone | Claim::Held => {}
            }
        }
        Ok(())
    }

    /// Whether a folder is one that a job writes this output in, and not that of an output `NAME.flinkrs-OTHER`.
    fn is_of_this_output(&self, hidden: &Path) -> bool {
        let name = hidden.file_name().unwrap_or_default().as_encoded_bytes();
        let token = name.strip_prefix(self.prefix.as_encoded_bytes());
        token.is_some_and(|token| !token.windows(MARK.len()).any(|part| part == MARK.as_bytes()))
    }
}
