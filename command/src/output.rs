//! What this process writes to standard output and error, kept in files besides; each line of the log has its time.

use flinkrs_core::error::{Error, Result};
use flinkrs_rpc::logs::{FILE_BYTES, RotatingFile};
use rustix::fd::OwnedFd;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{dup2_stderr, dup2_stdout, stderr, stdout};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

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
                spawn(out, File::from(from_out), keep(stdout()).map_err(failed)?)?,
                spawn(err, Stamped::new(File::from(from_err)), keep(stderr()).map_err(failed)?)?,
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
            let _ = writeln!(log, "{}error: {error}", stamp());
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = io::stdout().flush();
        // With these the last writers of the pipes are gone, and the copies end.
        if dup2_stdout(&self.out).and_then(|()| dup2_stderr(&self.err)).is_ok() {
            self.copies.drain(..).for_each(|copy| drop(copy.join()));
        }
    }
}

fn spawn(to: RotatingFile, from: impl Read + Send + 'static, beside: OwnedFd) -> Result<JoinHandle<()>> {
    let copy = move || to.copy(from, Some(File::from(beside)));
    let spawned = thread::Builder::new().name("log".to_owned()).spawn(copy);
    spawned.map_err(|error| Error::Resource { message: format!("no thread for logs: {error}") })
}

/// The time now, in UTC, as it stands before a line.
fn stamp() -> String {
    format!("{} ", humantime::format_rfc3339_millis(SystemTime::now()))
}

/// Bytes of a line that are read at once.
const READ_BYTES: usize = 4 << 10;

/// Lines, each behind the time when its first byte was read.
struct Stamped<R> {
    from: R,
    read: Box<[u8; READ_BYTES]>,
    /// What was read and stamped, and is taken from the front.
    ready: Vec<u8>,
    taken: usize,
    is_line_start: bool,
}

impl<R: Read> Stamped<R> {
    fn new(from: R) -> Stamped<R> {
        Stamped { from, read: Box::new([0; READ_BYTES]), ready: Vec::new(), taken: 0, is_line_start: true }
    }
}

impl<R: Read> Read for Stamped<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
            let count = self.from.read(&mut self.read[..])?;
            let stamp = stamp();
            for line in self.read[..count].split_inclusive(|byte| *byte == b'\n') {
                if self.is_line_start {
                    self.ready.extend_from_slice(stamp.as_bytes());
                }
                self.ready.extend_from_slice(line);
                self.is_line_start = line.ends_with(b"\n");
            }
        }
        let count = (&self.ready[self.taken..]).read(into)?;
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has in pieces of some length.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = into.len().min(self.1);
            self.0.read(&mut into[..length])
        }
    }

    #[test]
    fn each_line_has_its_time_however_it_comes() {
        let lines = "one\n\na line that is longer\nand no end";
        for piece in [1, 2, 3, 7, 100] {
            let mut stamped = Stamped::new(Pieces(lines.as_bytes(), piece));
            let mut text = String::new();
            stamped.read_to_string(&mut text).unwrap();
            let rest: Vec<&str> = text
                .split('\n')
                .map(|line| {
                    let (time, rest) = line.split_once(' ').unwrap();
                    humantime::parse_rfc3339(time).unwrap();
                    rest
                })
                .collect();
            assert_eq!(rest.join("\n"), lines);
        }
    }
}
