//! One run of a program: time, CPU time, peak memory, and what it printed.

use std::fs;
use std::io::{Error, ErrorKind, Read, Result as IoResult};
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use memmap2::{Advice, MmapMut};

use crate::cli::about;

/// What one run took.
#[derive(Debug)]
pub(super) struct Run {
    /// Seconds from start to end.
    pub(super) wall: f64,
    /// Seconds of CPU time, user and system.
    pub(super) cpu: f64,
    /// Bytes of memory at the peak.
    pub(super) peak: u64,
    /// What it printed.
    pub(super) printed: String,
}

impl Run {
    /// The value behind `NAME=` in the printed result line.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let words = self.printed.split_whitespace();
        words.filter_map(|word| word.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Runs a command to its end; anything but success is an error. Its errors go where the driver's go.
pub(super) fn measure(command: &mut Command) -> Result<Run, String> {
    let name = name(command);
    touch_memory().map_err(about("memory"))?;
    forget_own_peak();
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(about(command_path(command)))?;
    let mut printed = Vec::new();
    let read = child.stdout.take().map_or(Ok(0), |mut out| out.read_to_end(&mut printed));
    let (status, usage) = wait(child).map_err(about(&name))?;
    let wall = start.elapsed().as_secs_f64();
    read.map_err(about(&name))?;
    if !status.success() {
        return Err(format!("{name} failed: {status}"));
    }
    Ok(Run {
        wall,
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak: usage.ru_maxrss as u64 * 1024,
        printed: String::from_utf8_lossy(&printed).into_owned(),
    })
}

/// Memory that every run finds as warm as any other, in bytes: as much of it in large pages as in small ones.
const TOUCHED_BYTES: usize = 1 << 30;

/// Writes to memory and gives it back. A host takes memory away from a virtual machine that hasn't used it for seconds,
/// and to get it back takes ten times as long as to clear it: that would meet whichever program needs more than the one
/// before, or pages of another size.
fn touch_memory() -> IoResult<()> {
    for advice in [Advice::NoHugePage, Advice::HugePage] {
        let mut memory = MmapMut::map_anon(TOUCHED_BYTES)?;
        // A kernel without large pages refuses.
        let _ = memory.advise(advice);
        memory.fill(1);
    }
    Ok(())
}

/// The peak of a process counts from before its program is loaded, when it still is a copy of the driver: so the
/// driver's own peak, from comparing outputs, must not stay. Where this isn't possible, small peaks are too large.
fn forget_own_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn wait(child: Child) -> IoResult<(ExitStatus, libc::rusage)> {
    let pid = child.id() as libc::pid_t;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to local variables of the right types. Nobody else waits for this child.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()) };
        if waited == pid {
            // SAFETY: it was filled, and all zeros are valid, too.
            return Ok((ExitStatus::from_raw(status), unsafe { usage.assume_init() }));
        }
        let error = Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn name(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn command_path(command: &Command) -> String {
    Path::new(command.get_program()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_what_a_program_takes_and_prints() -> Result<(), String> {
        let run = measure(Command::new("sh").args(["-c", "sleep 0.05; echo JOB_S=1 ROWS=7"]))?;
        assert!(run.wall >= 0.05 && run.cpu < run.wall && run.peak > 100_000);
        assert_eq!((run.value("ROWS"), run.value("CHECKSUM")), (Some("7"), None));
        Ok(())
    }

    #[test]
    fn failures_are_errors() {
        let failed = measure(Command::new("sh").args(["-c", "exit 3"]));
        assert!(failed.is_err_and(|message| message.contains("sh failed") && message.contains('3')));
        assert!(measure(&mut Command::new("./no such program")).is_err());
    }
}
