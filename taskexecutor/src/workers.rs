//! Worker processes: started with a file that says what they are, and watched.

use crate::agent::{Event, Events};
use crate::logs;
use flinkrs_control::task_executor::{TaskExecutorEvent, WorkerExit};
use flinkrs_core::error::{Error, Result};
use flinkrs_protocol::{ApplicationId, WorkerId};
use flinkrs_rpc::body;
use flinkrs_rpc::message::WorkerSpec;
use flinkrs_rpc::roles;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Processes that run, by application and worker: the first of each one's process group.
type Running = Arc<Mutex<BTreeMap<(ApplicationId, WorkerId), Pid>>>;

/// All workers of a TaskExecutor.
pub(crate) struct Workers {
    folder: PathBuf,
    logs: PathBuf,
    /// The folder in which programs run; that of their client, where it is here as well, if there is none.
    directory: Option<PathBuf>,
    environment: Vec<(&'static str, String)>,
    events: Events,
    running: Running,
}

impl Workers {
    pub(crate) fn new(
        folder: PathBuf,
        logs: PathBuf,
        directory: Option<PathBuf>,
        environment: Vec<(&'static str, String)>,
        events: Events,
    ) -> Workers {
        Workers { folder, logs, directory, environment, events, running: Running::default() }
    }

    /// Starts a process. It ends when this one does: it watches its standard input, whose other end is held here.
    pub(crate) fn start(&self, executable: &Path, spec: &WorkerSpec) -> Result<()> {
        let (application, worker) = (spec.program.application, spec.worker);
        let spec_file = SpecFile(self.folder.join("specs").join(format!("{application}-{}", worker.0)));
        spec_file.write(&body::encode(spec)?)?;
        let [out, err] = logs::of_worker(&self.logs, application, worker)?;
        // On another machine there may be no such folder.
        let of_client = Some(Path::new(&spec.program.directory)).filter(|path| path.is_dir()).unwrap_or(&self.folder);
        let directory = self.directory.as_deref().unwrap_or(of_client);
        let mut command = Command::new(executable);
        command
            .args(&spec.program.arguments)
            .env(roles::ROLE, roles::WORKER)
            .env(roles::WORKER_SPEC, &spec_file.0)
            .envs(self.environment.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().map_err(|error| Error::io("start program", executable, error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let pid = Pid::from_child(&child);
        self.running().insert((application, worker), pid);
        let (running, events, report) = (Arc::clone(&self.running), self.events.clone(), PathBuf::from(&spec.report));
        let watch = move || {
            // Held until the process has ended.
            let (_stdin, _spec_file) = (child.stdin.take(), spec_file);
            let exit = match child.wait() {
                Ok(status) => exit_of(status),
                Err(_) => WorkerExit::Code(-1),
            };
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&(application, worker));
            // What the program has started goes with it.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = std::fs::remove_file(&report);
            let event = TaskExecutorEvent::WorkerExited { application, worker, exit };
            let _ = events.blocking_send(Event::Decide(event));
        };
        thread("worker", watch)?;
        // What it prints is copied until it has ended, and everybody that it has started.
        thread("out", move || stdout.map_or((), |from| out.copy(from, None)))?;
        thread("err", move || stderr.map_or((), |from| err.copy(from, None)))
    }

    /// Ends a process at once.
    pub(crate) fn kill(&self, application: ApplicationId, worker: WorkerId) {
        if let Some(pid) = self.running().get(&(application, worker)) {
            // It may have ended just now.
            let _ = kill_process_group(*pid, Signal::KILL);
        }
    }

    /// Ends all processes at once.
    pub(crate) fn kill_all(&self) {
        for pid in self.running().values() {
            let _ = kill_process_group(*pid, Signal::KILL);
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ApplicationId, WorkerId), Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map(|_| ()).map_err(|error| Error::Resource { message: format!("no thread to watch a worker: {error}") })
}

fn exit_of(status: ExitStatus) -> WorkerExit {
    match (status.code(), status.signal()) {
        (Some(code), _) => WorkerExit::Code(code),
        (None, signal) => WorkerExit::Signal(signal.unwrap_or(0)),
    }
}

/// What a worker is told, secrets among it: a file that nobody else may read, and that is gone when the worker is. One
/// that starts removes it itself.
struct SpecFile(PathBuf);

impl SpecFile {
    fn write(&self, bytes: &[u8]) -> Result<()> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(&self.0);
        file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Error::io("write", &self.0, error))
    }
}

impl Drop for SpecFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
