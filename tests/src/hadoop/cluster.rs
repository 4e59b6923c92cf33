//! The daemons of a cluster together.

use super::daemon::{Daemon, Process, java};
use super::kdc::Realm;
use super::sites::{self, Ports};
use super::{jars, ready};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a daemon may take to start, on a machine that does much else.
const START_MAX: Duration = Duration::from_secs(240);

/// A property beside the cluster's own: file, key, value. The file is `core-site.xml` or the like.
pub type Property = (&'static str, &'static str, &'static str);

/// A cluster that runs. Dropping it ends its daemons and their containers.
pub struct Cluster {
    folder: PathBuf,
    jars: PathBuf,
    ports: Ports,
    /// The realm in which all have to prove who they are; without one nobody has to.
    realm: Option<Realm>,
    processes: BTreeMap<Daemon, Process>,
    /// Keeps other clusters away from these ports.
    _guard: TcpListener,
}

impl Cluster {
    /// Starts daemons and waits until they can be used. The first start on a machine fetches the jars, about 90 MB.
    ///
    /// Files lie in `hadoop` in cargo's target folder; those of earlier clusters on the same ports are removed.
    pub fn start(daemons: &[Daemon], more: &[Property]) -> Result<Cluster, String> {
        Cluster::start_in(daemons, more, None)
    }

    /// Starts a secured cluster: all of it is in a realm, and nothing is done for who can't prove who he is.
    pub fn start_secured(daemons: &[Daemon], more: &[Property], realm: &Realm) -> Result<Cluster, String> {
        Cluster::start_in(daemons, more, Some(realm.clone()))
    }

    fn start_in(daemons: &[Daemon], more: &[Property], realm: Option<Realm>) -> Result<Cluster, String> {
        let home = jars::target_folder()?.join("hadoop");
        let jars = jars::collect(&home)?;
        let (guard, base, ports) = Ports::find()?;
        let folder = home.join(format!("cluster-{base}"));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        // HDFS's daemons ask for folders of pages that only Hadoop's own packages have.
        for name in ["logs", "tmp", "web/webapps/hdfs", "web/webapps/datanode"] {
            fs::create_dir_all(folder.join(name)).map_err(failed)?;
        }
        sites::write(&folder, &ports, realm.as_ref(), more).map_err(failed)?;
        let mut cluster = Cluster { folder, jars, ports, realm, processes: BTreeMap::new(), _guard: guard };
        if daemons.contains(&Daemon::NameNode) {
            let format = ["-format", "-nonInteractive", "-clusterId", "CID-test"];
            jars::run(cluster.java(Daemon::NameNode.class()).args(format))?;
        }
        for daemon in daemons {
            let process = cluster.launch(*daemon)?;
            cluster.processes.insert(*daemon, process);
        }
        daemons.iter().try_for_each(|daemon| cluster.wait_for(*daemon))?;
        Ok(cluster)
    }

    /// The folder with `core-site.xml` and the others: what `HADOOP_CONF_DIR` is set to.
    pub fn conf_dir(&self) -> PathBuf {
        self.folder.join("conf")
    }

    /// The folder with `logs` and `data` of the daemons.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names by which containers are asked for on the two nodes.
    pub fn node_names(&self) -> [String; 2] {
        [Daemon::NodeManager1, Daemon::NodeManager2].map(|node| format!("localhost:{}", self.ports.node(node).rpc))
    }

    /// A Java command with the cluster's jars and configuration.
    pub fn java(&self, class: &str) -> Command {
        self.java_of(None, 256, class)
    }

    fn java_of(&self, daemon: Option<Daemon>, heap_mb: u32, class: &str) -> Command {
        let mut command = java(&self.class_path_of(daemon), heap_mb);
        if let Some(realm) = &self.realm {
            command.arg(format!("-Djava.security.krb5.conf={}", realm.config().display()));
        }
        command.arg(class).current_dir(&self.folder);
        command
    }

    /// Starts a daemon (again) and waits until it can be used.
    pub fn start_daemon(&mut self, daemon: Daemon) -> Result<(), String> {
        let process = self.launch(daemon)?;
        self.processes.insert(daemon, process);
        self.wait_for(daemon)
    }

    /// Ends a daemon at once, as a crash does. Containers of a NodeManager go on.
    pub fn kill(&mut self, daemon: Daemon) -> Result<(), String> {
        let process = self.processes.remove(&daemon).ok_or_else(|| format!("{} doesn't run", daemon.name()))?;
        process.kill()
    }

    /// Sends a signal to a daemon, such as `STOP` or `CONT`.
    pub fn signal(&self, daemon: Daemon, name: &str) -> Result<(), String> {
        let process = self.processes.get(&daemon).ok_or_else(|| format!("{} doesn't run", daemon.name()))?;
        process.signal(name)
    }

    /// Ends a NodeManager and its containers at once, as the loss of a machine does.
    pub fn kill_node(&mut self, node: Daemon) -> Result<(), String> {
        self.kill(node)?;
        // A process that has ended meanwhile can't be.
        self.containers(Some(node)).into_iter().for_each(|id| drop(self.kill_process(id)));
        Ok(())
    }

    /// Ends a process of a container at once.
    pub fn kill_process(&self, id: u32) -> Result<(), String> {
        jars::run(Command::new("sh").arg("-c").arg(format!("kill -KILL {id}")))
    }

    /// The processes of containers, of one node or of both, by the token files that they were given.
    pub fn containers(&self, node: Option<Daemon>) -> Vec<u32> {
        let data = self.folder.join("data").join(node.map_or("", Daemon::name));
        let mine = format!("HADOOP_TOKEN_FILE_LOCATION={}/", data.display().to_string().trim_end_matches('/'));
        let is_mine = |id: &u32| {
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mine.as_bytes()))
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok());
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_mine).collect()
    }

    /// Ends all daemons, the nodes first, since they end their containers. Returns the processes of containers that
    /// were left and had to be killed.
    pub fn stop(&mut self) -> Vec<u32> {
        for nodes_only in [true, false] {
            let is_node = |daemon: &Daemon| matches!(daemon, Daemon::NodeManager1 | Daemon::NodeManager2);
            let of_turn = self.processes.extract_if(.., |daemon, _| is_node(daemon) == nodes_only);
            let mut ending: Vec<Process> = of_turn.map(|(_, process)| process).collect();
            ending.iter_mut().for_each(Process::begin_end);
        }
        let left = self.containers(None);
        left.iter().for_each(|id| drop(self.kill_process(*id)));
        left
    }

    /// The class path of Hadoop's own clients.
    pub fn class_path(&self) -> String {
        self.class_path_of(None)
    }

    fn class_path_of(&self, daemon: Option<Daemon>) -> String {
        let own = daemon.map(|daemon| format!("{}:", self.conf_dir().join(daemon.name()).display()));
        let (conf, web) = (self.conf_dir(), self.folder.join("web"));
        let own = own.unwrap_or_default();
        format!("{own}{}:{}:{}/*", conf.display(), web.display(), self.jars.display())
    }

    fn launch(&self, daemon: Daemon) -> Result<Process, String> {
        let log = self.folder.join("logs").join(daemon.name()).with_extension("log");
        Process::start(daemon.name(), &log, &self.java_of(Some(daemon), daemon.heap_mb(), daemon.class()))
    }

    /// Waits until a daemon can be used.
    pub fn wait_for(&self, daemon: Daemon) -> Result<(), String> {
        let since = Instant::now();
        while !ready::is_ready(daemon, &self.ports) {
            let alive = self.processes.get(&daemon).is_some_and(Process::is_alive);
            if !alive || since.elapsed() > START_MAX {
                let what =
                    if alive { format!("isn't ready after {START_MAX:?}") } else { "died at its start".to_owned() };
                return Err(format!("{} {what}: {}", daemon.name(), self.last_lines(daemon)));
            }
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn last_lines(&self, daemon: Daemon) -> String {
        let path = self.folder.join("logs").join(daemon.name()).with_extension("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n{}", path.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}
