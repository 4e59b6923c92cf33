//! Where an output is written until it has its name, and how processes see that others still need it.

use crate::files::local_path;
use crate::output::WriteMode;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::FileSystem;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file in a hidden folder that its users hold locked.
const LOCK_NAME: &str = ".lock";

/// What stands between the output's name and the job's token in the name of a hidden folder.
const MARK: &str = ".flinkrs-";

/// How the name of a hidden folder ends that nobody needs any more.
const GONE: &str = ".gone";

/// While it lives, nobody takes the hidden folder for that of a dead job. Where locks are unsupported nobody removes
/// what dead jobs left, and that is all.
#[derive(Debug)]
pub(super) struct Hold(#[expect(dead_code, reason = "it is locked until it is closed")] File);

/// The paths of an output, for one job.
pub(super) struct Place<'a> {
    pub(super) files: &'a dyn FileSystem,
    /// The output.
    pub(super) target: PathBuf,
    /// Where it is written.
    pub(super) hidden: PathBuf,
    /// The folder that both lie in.
    folder: PathBuf,
    /// How the names of all hidden folders of this output begin.
    prefix: OsString,
}

/// The output's path on this machine, which has a name.
pub(super) fn target_of(path: &Path) -> Result<PathBuf> {
    let target = local_path(path)?;
    if target.file_name().is_none() {
        return Err(Error::usage(format!("output {} has no name", target.display())));
    }
    Ok(target)
}

impl<'a> Place<'a> {
    pub(super) fn new(files: &'a dyn FileSystem, path: &Path, job: &str) -> Result<Place<'a>> {
        if job.is_empty() || !job.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::internal(format!("a job's token has letters, digits, - and _, not '{job}'")));
        }
        let target = target_of(path)?;
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
        if found.is_dir() {
            let inner = self.files.list(&self.target)?.into_iter().find(|entry| entry.is_dir);
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

    /// What lies where the output will be; links are not followed.
    pub(super) fn found(&self) -> Result<Option<fs::Metadata>> {
        match fs::symlink_metadata(&self.target) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("find", &self.target, error)),
        }
    }

    /// Makes the hidden folder, unless it is there, and holds it.
    pub(super) fn begin(&self) -> Result<Hold> {
        loop {
            self.files.create_dir(&self.hidden)?;
            let lock = self.hidden.join(LOCK_NAME);
            let made = File::options().append(true).create(true).open(&lock);
            if let Err(error) = made.map(drop)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(Error::io("create", &lock, error));
            }
            // Another job may have taken it for that of a dead one just before.
            if let Some(hold) = self.hold()? {
                return Ok(hold);
            }
        }
    }

    /// Holds the hidden folder, if there is one.
    pub(super) fn hold(&self) -> Result<Option<Hold>> {
        let lock = self.hidden.join(LOCK_NAME);
        let locked = locked(&lock, |file| file.lock_shared());
        locked.map(|file| file.map(Hold)).map_err(|e| Error::io("lock", &lock, e))
    }

    /// The one that commits or aborts, if the hidden folder is there; waits for another.
    pub(super) fn turn(&self) -> Result<Option<File>> {
        let path = self.hidden.join(".turn");
        let turn = match File::options().append(true).create(true).open(&path) {
            Ok(_) => locked(&path, File::lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        turn.map_err(|e| Error::io("lock", &path, e))
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
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|e| Error::io("list folder", &self.folder, e))?,
        };
        for entry in entries {
            let hidden = entry.map_err(|e| Error::io("list folder", &self.folder, e))?.path();
            if hidden == self.hidden || !self.is_of_this_output(&hidden) {
                continue;
            }
            if hidden.as_os_str().as_encoded_bytes().ends_with(GONE.as_bytes()) {
                self.files.remove(&hidden)?;
                continue;
            }
            let (target, folder, prefix) = (self.target.clone(), self.folder.clone(), self.prefix.clone());
            let place = Place { files: self.files, target, folder, prefix, hidden };
            // One without a lock is just being made, or its job died before anything was in it.
            let lock = place.hidden.join(LOCK_NAME);
            match File::open(&lock) {
                Ok(file) if file.try_lock().is_ok() && is_same(&file, &lock) => place.end_of_dead()?,
                _ => drop(fs::remove_dir(&place.hidden)),
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

/// Opens a file and locks it, as it is when it has the lock; `None` if there is no such file.
fn locked(path: &Path, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Option<File>> {
    loop {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // See `Hold` for those who have no locks.
        let _ = lock(&file);
        if is_same(&file, path) {
            return Ok(Some(file));
        }
    }
}

/// Whether a file still lies at the path at which it was opened.
fn is_same(file: &File, path: &Path) -> bool {
    let identity = |of: fs::Metadata| (of.dev(), of.ino());
    let opened = file.metadata().map(identity);
    opened.is_ok_and(|opened| fs::metadata(path).map(identity).is_ok_and(|found| found == opened))
}
