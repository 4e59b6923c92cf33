//! One daemon: a process, mostly a JVM, that ends when whoever started it does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Starts a daemon, prints its process id, and ends it when standard input does: gently first, then by force. While it
/// sleeps, the shell also collects the daemon's exit.
const GUARD: &str = r#"
log=$1; shift
"$@" < /dev/null >> "$log" 2>&1 &
echo $!
read -r _
kill -TERM $! 2> /dev/null
for _ in $(seq 50); do kill -0 $! 2> /dev/null || exit 0; sleep 0.1; done
kill -KILL $! 2> /dev/null
wait
"#;

/// What the JVMs share: small, quick to start, and open to what Hadoop does by reflection.
const JVM: &[&str] = &[
    "-Xms32m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:MaxMetaspaceSize=128m",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
];

/// The daemons of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// HDFS's names.
    NameNode,
    /// HDFS's blocks.
    DataNode,
    /// Blocks on a second node, for tests that need one.
    DataNode2,
    /// YARN's scheduler.
    ResourceManager,
    /// YARN's first node.
    NodeManager1,
    /// YARN's second node.
    NodeManager2,
}

impl Daemon {
    /// Those of a usual cluster, in the order in which they are started.
    pub const ALL: [Daemon; 5] =
        [Daemon::NameNode, Daemon::DataNode, Daemon::ResourceManager, Daemon::NodeManager1, Daemon::NodeManager2];

    /// What its files are called.
    pub fn name(self) -> &'static str {
        match self {
            Daemon::NameNode => "namenode",
            Daemon::DataNode => "datanode",
            Daemon::DataNode2 => "datanode2",
            Daemon::ResourceManager => "resourcemanager",
            Daemon::NodeManager1 => "nodemanager1",
            Daemon::NodeManager2 => "nodemanager2",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Daemon::NameNode => "org.apache.hadoop.hdfs.server.namenode.NameNode",
            Daemon::DataNode | Daemon::DataNode2 => "org.apache.hadoop.hdfs.server.datanode.DataNode",
            Daemon::ResourceManager => "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
            Daemon::NodeManager1 | Daemon::NodeManager2 => "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
        }
    }

    pub(super) fn heap_mb(self) -> u32 {
        if self == Daemon::ResourceManager { 384 } else { 256 }
    }
}

/// A Java command with a class path, before the main class.
pub(super) fn java(class_path: &str, heap_mb: u32) -> Command {
    let mut command = Command::new("java");
    command.args(JVM).arg(format!("-Xmx{heap_mb}m")).args(["-cp", class_path]);
    command.env_remove("CLASSPATH").env_remove("HADOOP_CONF_DIR").env_remove("HADOOP_HOME");
    command
}

/// A daemon's process. Dropping it ends it.
pub(super) struct Process {
    guard: Child,
    id: u32,
}

impl Process {
    /// Starts a command, whose output goes to `log`, in its own folder and with its own environment.
    pub(super) fn start(name: &str, log: &Path, command: &Command) -> Result<Process, String> {
        let failed = |error: std::io::Error| format!("{name}: {error}");
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "sh"]).arg(log).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guard.current_dir(folder);
        }
        // Out of reach of the terminal's Ctrl-C: the guard ends the daemon in its own time.
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut guard = guard.spawn().map_err(failed)?;
        let mut line = String::new();
        let printed = guard.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        printed.transpose().map_err(failed)?;
        let id = line.trim().parse().map_err(|_| format!("{name}: the shell printed '{line}'"))?;
        Ok(Process { guard, id })
    }

    /// Whether it runs.
    pub(super) fn is_alive(&self) -> bool {
        state(self.id).is_some_and(|state| state != 'Z')
    }

    /// Sends a signal, such as `KILL` or `STOP`.
    pub(super) fn signal(&self, name: &str) -> Result<(), String> {
        super::jars::run(Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id)))
    }

    /// Ends it at once, and waits until it is gone.
    pub(super) fn kill(mut self) -> Result<(), String> {
        self.signal("KILL")?;
        let since = Instant::now();
        while self.is_alive() && since.elapsed() < Duration::from_secs(30) {
            sleep(Duration::from_millis(10));
        }
        self.end();
        Ok(())
    }

    /// Tells the guard to end it.
    pub(super) fn begin_end(&mut self) {
        drop(self.guard.stdin.take());
    }

    fn end(&mut self) {
        self.begin_end();
        // The guard ends by itself within seconds, and there is nothing to do if it can't be waited for.
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The state of a process, such as `S` or `Z`; `None` when there is none.
fn state(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
