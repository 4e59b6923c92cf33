//! The `flinkrs` command against a cluster: as a process, by a user, with what it leaves behind.

use crate::support::{PATIENCE, block_on, client, hdfs, wait_until};
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_tests::hadoop::{Cluster, Daemon};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// The program of tests on clusters.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_clustered");

/// What all applications here are started with: small containers, and little patience.
const CONFIGURATION: &str = r#"
jobmanager.memory.process.size = "256mb"
taskmanager.memory.process.size = "512mb"
yarn.application.start-timeout = "90 s"
restart-strategy.fixed-delay.attempts = 100
restart-strategy.fixed-delay.delay = "100 ms"
"#;

/// How a command has ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// That it has ended well.
    pub(crate) fn ok(self) -> Said {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// The application that it speaks of.
    pub(crate) fn application(&self) -> ApplicationIdProto {
        application_in(&format!("{}{}", self.out, self.err)).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// That it has failed with this code, and one error that has all these words.
    pub(crate) fn failed(self, code: i32, words: &[&str]) -> Said {
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((self.code, errors.len()), (Some(code), 1), "{}{}", self.out, self.err);
        words.iter().for_each(|word| assert!(errors[0].contains(word), "no '{word}' in: {}", self.err));
        self
    }
}

/// The first id of an application in a text.
pub(crate) fn application_in(text: &str) -> Option<ApplicationIdProto> {
    let from = &text[text.find("application_")?..];
    let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
    ApplicationIdProto::parse(&from[..end])
}

/// The folder in which commands run: their configuration and their temporary files.
pub(crate) fn home(cluster: &Cluster) -> PathBuf {
    let folder = cluster.folder().join("tmp/home");
    if !folder.join("flinkrs.toml").exists() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("flinkrs.toml"), CONFIGURATION).unwrap();
    }
    folder
}

/// `flinkrs` with arguments, as user ann.
pub(crate) fn flinkrs(cluster: &Cluster, arguments: &[&str]) -> Command {
    let home = home(cluster);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flinkrs-command"));
    command.args(arguments).current_dir(&home);
    command.env("FLINKRS_CONF_DIR", &home).env("TMPDIR", &home).env("USER", "ann");
    command.env("HADOOP_CONF_DIR", cluster.conf_dir()).env("HADOOP_USER_NAME", "ann");
    command
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    out: thread::JoinHandle<String>,
    err: thread::JoinHandle<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Running { child, out: thread::spawn(|| text_of(out)), err: thread::spawn(|| text_of(err)) }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        drop(self.child.stdin.take());
        let since = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if since.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it doesn't end: {}{}", self.out.join().unwrap(), self.err.join().unwrap());
            }
            thread::sleep(std::time::Duration::from_millis(5));
        };
        Said { code, out: self.out.join().unwrap(), err: self.err.join().unwrap() }
    }
}

fn text_of(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    Running::start(command).end()
}

/// Runs `flinkrs` to its end.
pub(crate) fn said(cluster: &Cluster, arguments: &[&str]) -> Said {
    run(&mut flinkrs(cluster, arguments))
}

/// Starts a session, and returns when it runs.
pub(crate) fn session(cluster: &Cluster, options: &[&str]) -> ApplicationIdProto {
    said(cluster, &[&["yarn-session", "-d"], options].concat()).ok().application()
}

/// Ends a session as a user does.
pub(crate) fn stop(cluster: &Cluster, id: ApplicationIdProto) {
    let mut attached = Running::start(&mut flinkrs(cluster, &["yarn-session", "-id", &id.to_string()]));
    attached.child.stdin.as_mut().unwrap().write_all(b"stop\n").unwrap();
    attached.end().ok();
    assert_eq!(report(cluster, id).final_application_status(), FinalApplicationStatusProto::AppSucceeded);
    nothing_is_left(cluster);
}

pub(crate) fn report(cluster: &Cluster, id: ApplicationIdProto) -> ApplicationReportProto {
    block_on(client(cluster).report(id)).unwrap()
}

/// Applications that haven't ended.
pub(crate) fn applications(cluster: &Cluster) -> Vec<ApplicationIdProto> {
    use YarnApplicationStateProto::{Accepted, Running, Submitted};
    let request = GetApplicationsRequestProto {
        application_states: [Submitted, Accepted, Running].map(|state| state as i32).to_vec(),
        ..GetApplicationsRequestProto::default()
    };
    let found = block_on(client(cluster).applications(request)).unwrap();
    found.iter().filter_map(|application| application.application_id).collect()
}

/// Ends all applications from YARN's side.
pub(crate) fn kill_all(cluster: &Cluster) {
    for id in applications(cluster) {
        wait_until("the end of an application", || block_on(client(cluster).kill(id, "its test has failed")).unwrap());
        hdfs(cluster).remove(&PathBuf::from(format!("/user/ann/.flinkrs/{id}"))).unwrap();
    }
}

/// The containers that the ResourceManager has ever given to an application, its ApplicationMaster's among them.
pub(crate) fn containers_given(cluster: &Cluster, id: ApplicationIdProto) -> usize {
    let log = fs::read_to_string(cluster.folder().join("logs/resourcemanager.log")).unwrap();
    let number = id.to_string().replace("application", "container");
    log.lines().filter(|line| line.contains(&number) && line.ends_with("from NEW to ALLOCATED")).count()
}

/// The processes that run in containers: the roles of the command, and workers; with their parents.
pub(crate) fn processes(cluster: &Cluster) -> Vec<Process> {
    let data = cluster.folder().join("data");
    let nodes = [Daemon::NodeManager1, Daemon::NodeManager2].map(|node| data.join(node.name()));
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let process = |id: u32| {
        let place = fs::read_link(format!("/proc/{id}/cwd")).ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut fields = stat.rsplit(") ").next()?.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
        let arguments = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let command = String::from_utf8_lossy(&arguments).replace('\0', " ");
        let is_there = state != "Z" && nodes.iter().any(|node| place.starts_with(node));
        is_there.then_some(Process { id, parent, command, place })
    };
    entries.filter_map(process).collect()
}

/// The processes of clients, which run in their home.
pub(crate) fn clients(cluster: &Cluster) -> Vec<u32> {
    let home = home(cluster);
    let is_there = |id: &u32| fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|place| place == home);
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    entries.filter(is_there).collect()
}

/// A process in a container.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    pub(crate) command: String,
    /// The container's folder.
    pub(crate) place: PathBuf,
}

impl Process {
    pub(crate) fn is_master(&self) -> bool {
        self.command.starts_with("./flinkrs yarn-master")
    }

    pub(crate) fn is_executor(&self) -> bool {
        self.command.starts_with("./flinkrs yarn-taskexecutor")
    }

    pub(crate) fn is_worker(&self, all: &[Process]) -> bool {
        all.iter().any(|of| of.is_executor() && of.id == self.parent)
    }
}

/// No process of a container is left, no file in the folders that applications had, on HDFS or on nodes.
pub(crate) fn nothing_is_left(cluster: &Cluster) {
    wait_until("the end of all processes", || processes(cluster).is_empty());
    assert_eq!(staged(cluster), Vec::<PathBuf>::new());
    wait_until("the removal of local files", || local_files(cluster).is_empty());
}

/// What is staged besides executables that may be used again.
pub(crate) fn staged(cluster: &Cluster) -> Vec<PathBuf> {
    let hdfs = hdfs(cluster);
    let folder = Path::new("/user/ann/.flinkrs");
    if !hdfs.exists(folder).unwrap() {
        return Vec::new();
    }
    hdfs.list(folder).unwrap().into_iter().map(|file| file.path).filter(|path| !path.ends_with("cache")).collect()
}

/// The folders of applications on nodes.
fn local_files(cluster: &Cluster) -> Vec<PathBuf> {
    let nodes = [Daemon::NodeManager1, Daemon::NodeManager2].map(Daemon::name);
    let folders = nodes.map(|node| cluster.folder().join("data").join(node).join("local/usercache/ann/appcache"));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).collect()
}

/// The status and the body of an answer over HTTP.
pub(crate) fn http(address: &str, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = if method == "GET" { "" } else { "Content-Length: 0\r\n" };
    let request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{length}{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let answer = text_of(stream);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("{method} {path}: {answer}")), body.to_owned())
}

/// The address of a daemon's web server, by the key that it is configured under.
pub(crate) fn web(cluster: &Cluster, key: &str) -> String {
    crate::support::conf(cluster).get(key).unwrap().unwrap()
}

/// The user's folder, which the superuser makes.
pub(crate) fn make_home(cluster: &Cluster) {
    let namenode = web(cluster, "dfs.namenode.http-address");
    for (op, path) in [("MKDIRS", "/user/ann"), ("SETOWNER&owner=ann", "/user/ann")] {
        let superuser = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
        let (status, body) = http(&namenode, "PUT", &format!("/webhdfs/v1{path}?op={op}&user.name={superuser}"), "");
        assert_eq!(status, 200, "{body}");
    }
}

/// The sorted lines of all files in a folder.
pub(crate) fn text_lines(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let mut lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}
