//! What this process writes to standard output and error, kept in files besides.

use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::logs::{FILE_BYTES, RotatingFile};
use rustix::fd::OwnedFd;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{dup2_stderr, dup2_stdout, stderr, stdout};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// Copies into files until it is dropped; then what was written so far is in them.
pub(crate) struct Output {
    log: PathBuf,
    out: OwnedFd,
    err: OwnedFd,
    copies: Vec<JoinHandle<()>>,
}

impl Output {
    /// From now on standard error goes to `NAME.log` in a folder, too, and standard output to `NAME.out`.
    ///
    /// Errors when the folder or the files can't be made.
    pub(crate) fn copy_to(folder: &Path, name: &str) -> Result<Output> {
        fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder, owner).map_err(|error| Error::io("protect", folder, error))?;
        let files = ["out", "log"].map(|what| folder.join(format!("{name}.{what}")));
        let [out_file, err_file] = &files;
        let (out, err) =
            (RotatingFile::open(out_file.clone(), FILE_BYTES)?, RotatingFile::open(err_file.clone(), FILE_BYTES)?);
        let failed = |error: rustix::io::Errno| Error::io("copy", "standard error", error.into());
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        let keep = |fd| fcntl_dupfd_cloexec(fd, 3);
        let ((from_out, to_out), (from_err, to_err)) = (pipe().map_err(failed)?, pipe().map_err(failed)?);
        let output = Output {
            log: files[1].clone(),
            out: keep(stdout()).map_err(failed)?,
            err: keep(stderr()).map_err(failed)?,
            copies: vec![
                spawn(out, from_out, keep(stdout()).map_err(failed)?)?,
                spawn(err, from_err, keep(stderr()).map_err(failed)?)?,
            ],
        };
        dup2_stdout(&to_out).and_then(|()| dup2_stderr(&to_err)).map_err(failed)?;
        Ok(output)
    }

    /// The end of the process, with the error that is its reason; somebody else prints that.
    pub(crate) fn finish(self, error: Option<&Error>) {
        let log = self.log.clone();
        drop(self);
        if let (Some(error), Ok(mut log)) = (error, File::options().append(true).open(log)) {
            let _ = writeln!(log, "error: {error}");
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = std::io::stdout().flush();
        // With these the last writers of the pipes are gone, and the copies end.
        if dup2_stdout(&self.out).and_then(|()| dup2_stderr(&self.err)).is_ok() {
            self.copies.drain(..).for_each(|copy| drop(copy.join()));
        }
    }
}

fn spawn(to: RotatingFile, from: OwnedFd, beside: OwnedFd) -> Result<JoinHandle<()>> {
    let copy = move || to.copy(File::from(from), Some(File::from(beside)));
    let spawned = thread::Builder::new().name("log".to_owned()).spawn(copy);
    spawned.map_err(|error| Error::Resource { message: format!("no thread for logs: {error}") })
}
