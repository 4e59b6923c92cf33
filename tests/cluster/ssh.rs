//! A cluster over ssh, with a real server on loopback.

use crate::harness::{finish, processes_that_name, text, wait_until};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const COMMAND: &str = env!("CARGO_BIN_EXE_flinkrs-command");
const PROGRAM: &str = env!("CARGO_BIN_EXE_clustered");
const SERVER: &str = "/usr/sbin/sshd";

/// An ssh server that lets its own user in, and what its client needs.
struct Server {
    folder: TempDir,
    child: Child,
}

impl Server {
    /// `None`, with a line that says why, where there is no server and none can be installed.
    fn start() -> Option<Server> {
        if !Path::new(SERVER).exists() {
            let mut install = Command::new("apt-get");
            install.args(["install", "-y", "-q", "openssh-server"]).stdout(Stdio::null()).stderr(Stdio::null());
            if !install.status().is_ok_and(|status| status.success()) {
                eprintln!("not tested: there is no {SERVER}, and it can't be installed (package openssh-server)");
                return None;
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.expect("starts").success());
        }
        fs::copy(path("user.pub"), path("authorized_keys")).expect("copies");
        let port = free_port();
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\n",
            path("host"),
            path("authorized_keys"),
            path("pid")
        );
        fs::write(path("sshd_config"), server).expect("writes");
        let client = format!(
            "Port {port}\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking no\n\
             LogLevel ERROR\n",
            path("user"),
            path("known_hosts")
        );
        fs::write(path("ssh_config"), client).expect("writes");
        // It wants a folder that the system makes when it starts the server.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(path("sshd.log")).expect("a log");
        let mut command = Command::new(SERVER);
        command.args(["-D", "-e", "-f", &path("sshd_config")]).stdin(Stdio::null()).stderr(log);
        let server = Server { child: command.spawn().expect("starts"), folder };
        wait_until("the ssh server answers", || {
            let mut ssh = Command::new("ssh");
            ssh.args(["-F", &server.path("ssh_config"), "127.0.0.1", "true"])
                .stdin(Stdio::null())
                .stderr(Stdio::null());
            ssh.status().is_ok_and(|status| status.success())
        });
        Some(server)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs `flinkrs cluster ACTION` with options that these clusters have in common.
    fn cluster(&self, action: &str, port: u16, arguments: &[&str]) -> Output {
        let mut command = Command::new(COMMAND);
        command.args(["cluster", action]).args(arguments).current_dir(self.folder.path());
        command.arg(format!("-Djobmanager.rpc.port={port}"));
        if action == "start" {
            command.arg(format!("-Denv.ssh.opts=-F {}", self.path("ssh_config")));
            command.args(["-Dtaskmanager.numberOfTaskSlots=1", "-Dtaskmanager.memory.process.size=256mb"]);
            command.arg("-Drest.port=0").arg(format!("-Dio.tmp.dirs={}", self.path("a place's folder")));
        }
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts"))
    }

    fn workers(&self, hosts: &str) -> PathBuf {
        let file = self.folder.path().join("workers");
        fs::write(&file, hosts).expect("writes");
        file
    }

    /// Processes of clusters: those that know the folder for temporary files.
    fn left(&self) -> Vec<u32> {
        processes_that_name(&self.path("a place's folder"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_cluster_over_ssh_starts_works_and_ends() {
    let Some(server) = Server::start() else { return };
    fs::create_dir(server.path("a place's folder")).expect("creates");
    let secret = server.path("secret");
    fs::write(&secret, "correct-horse-battery\n").expect("writes");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("sets");
    let secret = format!("-Dsecurity.cluster-secret-file={secret}");
    let (port, workers) = (free_port(), server.workers("127.0.0.1  # by ssh\n\nlocalhost\n"));
    let file = workers.display().to_string();
    let started = server.cluster("start", port, &["--workers", &file, "--logs", "logs", &secret]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    assert!(text(&started.stdout).contains("2 TaskExecutors, 2 slots"), "{}", text(&started.stdout));
    for process in fs::read_dir("/proc").expect("there is /proc").flatten() {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!text(&arguments).contains("correct-horse"), "{}", text(&arguments));
    }
    let mut run = Command::new(COMMAND);
    run.args(["run", "-m", &format!("127.0.0.1:{port}"), "-p", "2", &secret, PROGRAM, "sums"]);
    let ran = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let ran = finish(ran);
    assert!(ran.status.success() && !ran.stdout.is_empty(), "{}", text(&ran.stderr));
    let log = fs::read_to_string(server.path("logs/taskexecutor-1.log")).expect("a log");
    assert!(log.starts_with("process ") && log.contains("registered at"), "{log}");
    assert!(!server.left().is_empty());
    let stopped = server.cluster("stop", port, &[&secret]);
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    wait_until("all processes have ended, there and here", || server.left().is_empty());
    let left = fs::read_dir(server.path("a place's folder")).expect("lists").count();
    assert_eq!(left, 0, "nothing of them is left");
}

#[test]
fn a_host_that_does_not_answer_is_one_error_and_nothing_stays() {
    let Some(server) = Server::start() else { return };
    fs::create_dir(server.path("a place's folder")).expect("creates");
    let start = |hosts: &str, more: &[&str]| {
        let file = server.workers(hosts).display().to_string();
        let output = server.cluster("start", free_port(), &[&["--workers", &file, "--logs", "logs"], more].concat());
        let said = text(&output.stderr);
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
        assert!(server.left().is_empty(), "{said}");
        (output.status.code(), said)
    };
    // Nothing listens at this address: loopback has more of them, and the server has one.
    let (code, said) = start("127.0.0.1\n127.0.0.2\n", &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("taskexecutor-2 on 127.0.0.2 has ended"), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
    let (code, said) = start("somewhere.invalid\n", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("jobmanager.rpc.address is localhost"), "{said}");
    let (code, said) = start("127.0.0.1\n-oProxyCommand=id\n", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("'-oProxyCommand=id' is no host"), "{said}");
}
