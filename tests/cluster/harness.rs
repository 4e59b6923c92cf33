//! A cluster of processes of its own for each test.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No step of these tests takes this long, on a machine that is busy too.
const HANG: Duration = Duration::from_secs(120);

const COMMAND: &str = env!("CARGO_BIN_EXE_flinkrs-command");
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_clustered");

/// A JobManager and TaskExecutors, ended with the value.
pub(crate) struct Cluster {
    folder: TempDir,
    options: Vec<String>,
    /// What clients have to say beside its address.
    access: Vec<String>,
    pub(crate) address: String,
    pub(crate) jobmanager: Child,
    pub(crate) executors: Vec<Child>,
    /// TaskExecutors that were ever started.
    started: usize,
}

impl Cluster {
    /// `executors` TaskExecutors with one slot each.
    pub(crate) fn start(executors: usize) -> Cluster {
        Cluster::with(executors, &[])
    }

    /// The same with options of the configuration.
    pub(crate) fn with(executors: usize, options: &[&str]) -> Cluster {
        let cluster = Cluster::unchecked(executors, options);
        cluster.wait_for_slots(executors as u32);
        cluster
    }

    /// The same for clients that show who they are by the options that begin with `security`.
    pub(crate) fn secured(executors: usize, options: &[&str]) -> Cluster {
        let mut cluster = Cluster::unchecked(executors, options);
        cluster.access = cluster.options.iter().filter(|option| option.starts_with("-Dsecurity")).cloned().collect();
        cluster.wait_for_slots(executors as u32);
        cluster
    }

    /// The same without waiting for the TaskExecutors.
    pub(crate) fn unchecked(executors: usize, options: &[&str]) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder");
        let options: Vec<String> = options.iter().map(|option| format!("-D{option}")).collect();
        let (jobmanager, address) = start_jobmanager(folder.path(), 0, &options);
        let access = Vec::new();
        let mut cluster = Cluster { folder, options, access, address, jobmanager, executors: Vec::new(), started: 0 };
        (0..executors).for_each(|_| cluster.add_executor());
        cluster
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts another TaskExecutor.
    pub(crate) fn add_executor(&mut self) {
        let folder = self.folder.path().to_owned();
        self.add_executor_at(&folder);
    }

    /// Starts another TaskExecutor with more than one slot.
    pub(crate) fn add_executor_of(&mut self, slots: u32) {
        let folder = self.folder.path().to_owned();
        self.start_executor(&folder, slots);
    }

    /// Starts another TaskExecutor that has its files in a folder.
    pub(crate) fn add_executor_at(&mut self, files: &Path) {
        self.start_executor(files, 1);
    }

    fn start_executor(&mut self, files: &Path, slots: u32) {
        let log = self.folder.path().join(format!("taskexecutor-{}.log", self.started));
        self.started += 1;
        let mut command = Command::new(COMMAND);
        command.args(["taskexecutor", "-m", &self.address]).args(&self.options);
        command.arg(format!("-Dtaskmanager.numberOfTaskSlots={slots}"));
        command.arg("-Dtaskmanager.memory.process.size=256mb").arg(format!("-Dio.tmp.dirs={}", files.display()));
        self.executors.push(spawn(&mut command, &log));
    }

    /// Processes that are started from now on have this option, too.
    pub(crate) fn set(&mut self, option: &str) {
        self.options.push(format!("-D{option}"));
    }

    /// Kills the JobManager and starts another at the same address with the same store.
    pub(crate) fn restart_jobmanager(&mut self) {
        kill(&mut self.jobmanager);
        let port = self.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        self.jobmanager = start_jobmanager(self.folder.path(), port, &self.options).0;
    }

    fn has_slots(&self, slots: u32) -> bool {
        let said = self.flinkrs("cluster", &["status"]);
        String::from_utf8_lossy(&said.stdout).trim_end().ends_with(&format!(", {slots} slots"))
    }

    /// Panics with the logs when they don't come.
    pub(crate) fn wait_for_slots(&self, slots: u32) {
        let begun = Instant::now();
        while !self.has_slots(slots) {
            assert!(begun.elapsed() < HANG, "{slots} slots never came: {}", self.logs());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What all processes have said so far.
    pub(crate) fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in fs::read_dir(self.path()).expect("lists").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let said = fs::read_to_string(entry.path()).unwrap_or_default();
                logs += &format!("\n{}:\n{said}", entry.path().display());
            }
        }
        logs
    }

    /// Kills a TaskExecutor, and waits until it is gone.
    pub(crate) fn kill_executor(&mut self, which: usize) {
        kill(&mut self.executors.remove(which));
    }

    /// What REST answers to a GET.
    pub(crate) fn rest(&self, path: &str) -> String {
        let said = fs::read_to_string(self.path().join("jobmanager.log")).expect("a log");
        let at =
            said.lines().filter_map(|line| line.split_once("REST listens on http://")).next_back().map(|(_, at)| at);
        let at = at.expect("REST listens");
        http_get(at, path)
    }

    /// The JSON that REST answers to a GET.
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.rest(path);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("GET {path}: {error}: {answer}"))
    }

    /// The vertices of the cluster's job, if it has one: the path of each, and its state.
    pub(crate) fn vertices(&self) -> Vec<(String, String)> {
        let jobs = self.json("/jobs");
        let Some(job) = jobs["jobs"][0]["id"].as_str() else { return Vec::new() };
        let job = format!("/jobs/{job}");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let of =
            |vertex: &serde_json::Value| (format!("{job}/vertices/{}", text(&vertex["id"])), text(&vertex["status"]));
        self.json(&job)["vertices"].as_array().expect("vertices").iter().map(of).collect()
    }

    /// How many attempts the subtasks of a vertex have had beyond their first.
    pub(crate) fn repeated(&self, vertex: &str) -> u64 {
        let found = self.json(vertex);
        let subtasks = found["subtasks"].as_array().expect("subtasks").iter();
        subtasks.map(|subtask| subtask["attempt"].as_u64().expect("a number")).sum()
    }

    /// Waits until all TaskExecutors are there and none of their slots is in use, no worker runs, and nothing is kept
    /// of jobs but logs.
    pub(crate) fn wait_until_idle(&self) {
        let begun = Instant::now();
        loop {
            let left = self.left_of_jobs();
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < HANG, "there is still {left:?}: {}", self.logs());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn left_of_jobs(&self) -> Vec<String> {
        let overview = self.rest("/overview");
        let number = |key: &str| {
            let (_, behind) = overview.split_once(&format!("\"{key}\":"))?;
            behind.split([',', '}']).next()?.parse::<u32>().ok()
        };
        // A killed TaskExecutor may count for a moment in place of the new one.
        let members = self.rest("/taskmanagers");
        let all_there = self.executors.iter().all(|executor| members.contains(&format!(":{}-", executor.id())));
        let free = all_there && number("slots-available") == Some(self.executors.len() as u32);
        let mut left: Vec<String> = if free { Vec::new() } else { vec![format!("a slot too few: {overview}")] };
        left.extend(self.workers().iter().map(|id| format!("worker {id}")));
        for folder in self.entries().iter().filter(|path| path.display().to_string().contains("flinkrs-taskexecutor-"))
        {
            for part in ["partitions", "specs"] {
                let files = fs::read_dir(folder.join(part)).into_iter().flatten().flatten();
                left.extend(files.map(|file| file.path().display().to_string()));
            }
        }
        left
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path()).expect("lists").map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Runs `flinkrs ACTION ... ` against the cluster to its end.
    pub(crate) fn flinkrs(&self, action: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(COMMAND);
        command.arg(action);
        if action == "cluster" {
            command.args(arguments).args(["-m", &self.address]).args(&self.access);
        } else {
            command.args(["-m", &self.address]).args(&self.access).args(arguments);
        }
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"))
    }

    /// Starts the program of these tests on the cluster.
    pub(crate) fn begin(&self, options: &[&str], arguments: &[&str]) -> Child {
        let mut command = Command::new(COMMAND);
        command.args(["run", "-m", &self.address]).args(&self.access).args(options).arg(PROGRAM).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    }

    /// Runs any file on the cluster to its end.
    pub(crate) fn run_file(&self, file: &Path, arguments: &[&str]) -> Output {
        let file = file.to_str().expect("UTF-8");
        self.flinkrs("run", &[&[file], arguments].concat())
    }

    /// Runs the program of these tests on the cluster to its end.
    pub(crate) fn run(&self, options: &[&str], arguments: &[&str]) -> Output {
        finish(self.begin(options, arguments))
    }

    /// Worker processes of the cluster's TaskExecutors.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let parents: Vec<u32> = self.executors.iter().map(Child::id).collect();
        children_of(&parents)
    }

    /// Waits until a worker runs, and kills it; unless the job has ended first.
    pub(crate) fn kill_a_worker(&self, which: usize, has_ended: impl Fn() -> bool) {
        let mut workers = Vec::new();
        wait_until("a worker runs", || {
            workers = self.workers();
            !workers.is_empty() || has_ended()
        });
        if !workers.is_empty() {
            kill_process(workers[which % workers.len()]);
        }
    }

    /// Ends the cluster: no process of it is left, and in its folder nothing but logs, the store, and `outputs`.
    pub(crate) fn assert_stopped_without_a_trace(mut self, outputs: &[&str]) {
        let said = self.flinkrs("cluster", &["stop"]);
        assert!(said.status.success(), "{said:?}");
        let jobmanager = std::mem::replace(&mut self.jobmanager, nobody());
        assert!(finish(jobmanager).status.success(), "{}", self.logs());
        let executors: Vec<Child> = self.executors.drain(..).collect();
        executors.into_iter().for_each(|executor| drop(finish(executor)));
        let folder = self.path().display().to_string();
        wait_until("all processes have ended", || processes_that_name(&folder).is_empty());
        let names = self.entries().into_iter().map(|path| path.display().to_string());
        let names: Vec<String> = names.filter_map(|path| Some(path.rsplit('/').next()?.to_owned())).collect();
        let expected = |name: &String| {
            ["address", "store"].contains(&name.as_str()) || name.ends_with(".log") || outputs.contains(&name.as_str())
        };
        let left: Vec<&String> = names.iter().filter(|name| !expected(name)).collect();
        assert!(left.is_empty(), "{left:?}: {}", self.logs());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.executors.iter_mut().for_each(kill);
        kill(&mut self.jobmanager);
    }
}

/// The result of the program in one process.
pub(crate) fn embedded(arguments: &[&str]) -> Vec<u8> {
    let output = finish(
        Command::new(PROGRAM)
            .args(arguments)
            .args(["--parallelism", "2", "--memory", "128mb"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts"),
    );
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The whole answer to a GET; empty when nobody answers.
pub(crate) fn http_get(at: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(at) else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
    text(&answer)
}

/// Panics with what differs first; whole results would be long.
pub(crate) fn assert_same(found: &str, expected: &str, what: &str) {
    let (found, expected): (Vec<&str>, Vec<&str>) = (found.lines().collect(), expected.lines().collect());
    let at = found.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    let (counts, lines) = ((found.len(), expected.len()), (found.get(at), expected.get(at)));
    assert!(lines == (None, None), "{what}: line {at} is {:?}, not {:?} ({counts:?} lines)", lines.0, lines.1);
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for the end of a process, and fails when it hangs.
pub(crate) fn finish(child: Child) -> Output {
    let watch = thread::spawn(move || child.wait_with_output().expect("ends"));
    wait_until("the process ends", || watch.is_finished());
    watch.join().expect("no panic")
}

pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < HANG, "waited {HANG:?} until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn kill_process(id: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-9", &id.to_string()]).stderr(Stdio::null()).status();
}

fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A process that has ended, to take the place of one that is waited for.
fn nobody() -> Child {
    Command::new("true").stdout(Stdio::null()).spawn().expect("starts")
}

fn children_of(parents: &[u32]) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?.parse::<u32>().ok()?);
        (state != "Z" && parents.contains(&parent)).then_some(id)
    });
    processes.collect()
}

/// Processes in whose arguments or environment a text stands.
pub(crate) fn processes_that_name(text: &str) -> Vec<u32> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| {
        let entry = entry.ok()?;
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        let names = |file: &str| {
            let content = fs::read(entry.path().join(file)).unwrap_or_default();
            content.windows(text.len()).any(|part| part == text.as_bytes())
        };
        (id != own && (names("cmdline") || names("environ"))).then_some(id)
    });
    processes.collect()
}

fn start_jobmanager(folder: &Path, port: u16, options: &[String]) -> (Child, String) {
    let file: PathBuf = folder.join("address");
    let _ = fs::remove_file(&file);
    let mut command = Command::new(COMMAND);
    command.arg("jobmanager").args(options).arg("--address-file").arg(&file);
    command.arg(format!("-Djobmanager.rpc.port={port}")).arg("-Drest.port=0");
    command.arg(format!("-Dhigh-availability.storageDir={}", folder.join("store").display()));
    let mut child = spawn(&mut command, &folder.join("jobmanager.log"));
    wait_until("the JobManager listens", || {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "{:?}",
            fs::read_to_string(folder.join("jobmanager.log"))
        );
        file.exists()
    });
    (child, fs::read_to_string(file).expect("an address"))
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(log).expect("a log");
    let both = log.try_clone().expect("a handle");
    command.stdin(Stdio::null()).stdout(both).stderr(log).spawn().expect("starts")
}
