//! Runs a program as a process of its own, in a folder of its own, and says what it left behind.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No process of these tests takes this long, on a machine that is busy too: a process that does hangs.
const HANG: Duration = Duration::from_secs(240);

/// A folder with places for spilled data and for output.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a process said and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// As a shell shows it: 128 plus the signal for a process that a signal ended.
    pub(crate) code: i32,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().expect("a folder can be made") };
        fs::create_dir(place.temp()).expect("a folder can be made");
        fs::create_dir(place.sink()).expect("a folder can be made");
        place
    }

    /// The folder of everything.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder for spilled data.
    pub(crate) fn temp(&self) -> PathBuf {
        self.path().join("temp")
    }

    /// The folder in which the output is made.
    pub(crate) fn sink(&self) -> PathBuf {
        self.path().join("sink")
    }

    /// Where the program writes.
    pub(crate) fn output(&self) -> PathBuf {
        self.sink().join("output")
    }

    /// Makes an input file.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// `misbehave CASE` with two subtasks, this place for everything, and what `arguments` say.
    pub(crate) fn misbehave(&self, case: &str, arguments: &[&str]) -> Command {
        self.under(&[], case, arguments)
    }

    /// [`misbehave`](Place::misbehave), started by another program, such as `prlimit`.
    pub(crate) fn under(&self, wrapper: &[&str], case: &str, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_misbehave");
        let words: Vec<&str> = wrapper.iter().copied().chain([program, case]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        if !arguments.contains(&"--parallelism") {
            command.args(["--parallelism", "2"]);
        }
        command.arg("--temp-dir").arg(self.temp()).arg("--output").arg(self.output()).args(arguments);
        command
    }

    /// Nothing was left: no output, no hidden folder beside it, no spilled data.
    pub(crate) fn assert_clean(&self) {
        assert_eq!(entries(&self.sink()), [""; 0], "left where the output would be");
        assert_eq!(entries(&self.temp()), [""; 0], "left in the temp folder");
    }

    /// The output is there, and nothing beside it.
    pub(crate) fn assert_written(&self) {
        assert_eq!(entries(&self.sink()), ["output"]);
        assert_eq!(entries(&self.temp()), [""; 0], "left in the temp folder");
    }

    /// The lines of the output, whether a file or a folder of files, in the order of their subtasks.
    pub(crate) fn lines(&self) -> Vec<String> {
        let output = self.output();
        if output.is_file() {
            return fs::read_to_string(output).expect("readable").lines().map(str::to_owned).collect();
        }
        let files = (1..).map(|i| output.join(i.to_string())).take_while(|file| file.exists());
        let texts: Vec<String> = files.map(|file| fs::read_to_string(file).expect("readable")).collect();
        texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
    }

    /// Runs a case that fails, and checks that nothing is left; the message is all that standard error has.
    pub(crate) fn fails(&self, case: &str, arguments: &[&str], code: i32, message: &str) {
        let outcome = run(&mut self.misbehave(case, arguments));
        outcome.assert_failed(code, message);
        self.assert_clean();
    }
}

impl Outcome {
    /// Standard error is this one message, in which `*` stands for anything, and the process ended with `code`.
    pub(crate) fn assert_failed(&self, code: i32, message: &str) {
        self.assert_plain();
        let errors = self.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one line says what is wrong: {self:?}");
        let said = self.stderr.strip_prefix("error: ").unwrap_or_default().trim_end();
        assert!(matches(message, said), "expected: {message}\n   found: {said}");
        assert_eq!(self.code, code, "{self:?}");
    }

    /// It worked and said nothing on standard error.
    pub(crate) fn assert_done(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
    }

    /// Nothing that only the authors of the engine can read.
    pub(crate) fn assert_plain(&self) {
        for word in ["thread '", "RUST_BACKTRACE", "stack backtrace", "Os {", "Error {", "Some(", "Err(", "Custom {"] {
            assert!(!self.stderr.contains(word), "`{word}` in: {}", self.stderr);
        }
    }

    /// The last number that the process printed.
    pub(crate) fn number(&self) -> u64 {
        let last = self.stdout.lines().last().unwrap_or_default();
        last.parse().unwrap_or_else(|_| panic!("no number: {self:?}"))
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The names in a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    start(command).finish()
}

/// Starts a command whose end [`Running::finish`] waits for.
pub(crate) fn start(command: &mut Command) -> Running {
    let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.spawn().unwrap_or_else(|error| panic!("{command:?} doesn't start: {error}"));
    Running(child)
}

/// A process that may still run; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal can be sent");
    }

    /// Waits until the process has a file open whose path begins with `folder`, unlinked or not.
    pub(crate) fn wait_for_open_file(&mut self, folder: &Path) {
        let links = PathBuf::from(format!("/proc/{}/fd", self.0.id()));
        self.wait_for("it opens a file there", || {
            let files = fs::read_dir(&links).into_iter().flatten().flatten();
            files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.starts_with(folder))
        });
    }

    /// Waits until the process has a thread of that name that sleeps.
    pub(crate) fn wait_for_thread(&mut self, name: &str) {
        let tasks = PathBuf::from(format!("/proc/{}/task", self.0.id()));
        let sleeping = format!("({name}) S ");
        self.wait_for("a thread sleeps", || {
            let threads = fs::read_dir(&tasks).into_iter().flatten().flatten();
            let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
            stats.into_iter().any(|stat| stat.contains(&sleeping))
        });
    }

    /// Waits until `what` happens, while the process runs.
    pub(crate) fn wait_for(&mut self, what: &str, mut happened: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !happened() {
            let ended = self.0.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the process ended before: {what}");
            assert!(begun.elapsed() < HANG, "it never happens: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Outcome {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let readers = (reader(stdout), reader(stderr));
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                break status;
            }
            assert!(begun.elapsed() < HANG, "the process doesn't end");
            thread::sleep(Duration::from_millis(2));
        };
        let text = |reader: thread::JoinHandle<String>| reader.join().expect("it only reads");
        Outcome { code: shell_code(status), stdout: text(readers.0), stderr: text(readers.1) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        assert!(read.is_some_and(|read| read.is_ok()), "the process's output is readable");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn shell_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
