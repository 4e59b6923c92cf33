//! The configuration files of a cluster, for its daemons and for its clients.

use super::cluster::Property;
use super::daemon::Daemon;
use super::kdc::{REALM, Realm};
use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::Path;

/// Where ports are looked for: below what the system hands out by itself, in steps that leave room for one cluster.
const BASES: std::ops::Range<u16> = 21_000..27_000;
const STEP: u16 = 50;

/// The ports of a cluster, all on loopback.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) namenode: u16,
    pub(super) namenode_http: u16,
    /// Data, HTTP and IPC of each DataNode.
    datanodes: [[u16; 3]; 2],
    manager_scheduler: u16,
    manager_tracker: u16,
    manager_client: u16,
    manager_admin: u16,
    pub(super) manager_http: u16,
    nodes: [NodePorts; 2],
}

/// The ports of a NodeManager.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodePorts {
    pub(super) rpc: u16,
    localizer: u16,
    http: u16,
}

impl Ports {
    /// Free ports; the listener keeps them for this process, as long as all clusters are made here.
    pub(super) fn find() -> Result<(TcpListener, u16, Ports), String> {
        for base in BASES.step_by(usize::from(STEP)) {
            let Ok(guard) = TcpListener::bind(("127.0.0.1", base)) else { continue };
            if (base + 1..base + STEP).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Ok((guard, base, Ports::at(base)));
            }
        }
        Err(format!("no {STEP} free ports in a row between {} and {}", BASES.start, BASES.end))
    }

    fn at(base: u16) -> Ports {
        let node = |at| NodePorts { rpc: base + at, localizer: base + at + 1, http: base + at + 2 };
        Ports {
            namenode: base + 1,
            namenode_http: base + 2,
            datanodes: [[base + 3, base + 4, base + 5], [base + 6, base + 7, base + 8]],
            manager_scheduler: base + 10,
            manager_tracker: base + 11,
            manager_client: base + 12,
            manager_admin: base + 13,
            manager_http: base + 14,
            nodes: [node(20), node(30)],
        }
    }

    pub(super) fn datanode_http(&self, daemon: Daemon) -> u16 {
        self.datanodes[usize::from(daemon == Daemon::DataNode2)][1]
    }

    pub(super) fn node(&self, daemon: Daemon) -> NodePorts {
        self.nodes[usize::from(daemon == Daemon::NodeManager2)]
    }
}

/// Writes the files into `folder/conf`, and what differs between the nodes into folders of their names there.
pub(super) fn write(folder: &Path, ports: &Ports, realm: Option<&Realm>, more: &[Property]) -> io::Result<()> {
    let conf = folder.join("conf");
    let of_realm = realm.map(secured).unwrap_or_default();
    let [core, hdfs, yarn] =
        [core(folder, ports), hdfs(folder, ports), yarn(folder, ports)].map(|own| [own, of_realm.clone()].concat());
    site(&conf, "core-site.xml", &core, more)?;
    site(&conf, "hdfs-site.xml", &hdfs, more)?;
    site(&conf, "yarn-site.xml", &yarn, more)?;
    site(&conf, "capacity-scheduler.xml", &scheduler(), more)?;
    for (daemon, ports_of) in [Daemon::DataNode, Daemon::DataNode2].into_iter().zip(ports.datanodes) {
        let properties = [hdfs.clone(), blocks(folder, daemon, ports_of)].concat();
        site(&conf.join(daemon.name()), "hdfs-site.xml", &properties, more)?;
    }
    for daemon in [Daemon::NodeManager1, Daemon::NodeManager2] {
        let properties = [yarn.clone(), node(folder, daemon, ports.node(daemon))].concat();
        site(&conf.join(daemon.name()), "yarn-site.xml", &properties, more)?;
    }
    fs::write(
        conf.join("log4j.properties"),
        "log4j.rootLogger=INFO,console\n\
         log4j.appender.console=org.apache.log4j.ConsoleAppender\n\
         log4j.appender.console.target=System.err\n\
         log4j.appender.console.layout=org.apache.log4j.PatternLayout\n\
         log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n\n",
    )
}

type Properties = Vec<(&'static str, String)>;

fn site(folder: &Path, name: &str, properties: &Properties, more: &[Property]) -> io::Result<()> {
    let mut text = "<?xml version=\"1.0\"?>\n<configuration>\n".to_owned();
    let more = more.iter().filter(|(file, ..)| *file == name).map(|(_, key, value)| (*key, *value));
    for (key, value) in properties.iter().map(|(key, value)| (*key, value.as_str())).chain(more) {
        text += &format!("  <property><name>{key}</name><value>{value}</value></property>\n");
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name), text + "</configuration>\n")
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn text(properties: &[(&'static str, &str)]) -> Properties {
    properties.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
}

/// What makes a cluster secured. All files have all of it.
fn secured(realm: &Realm) -> Properties {
    let mut properties = text(&[
        ("hadoop.security.authentication", "kerberos"),
        ("hadoop.security.authorization", "true"),
        ("dfs.block.access.token.enable", "true"),
        // DataNodes want a login for blocks, too, and don't mind that anybody might have taken their ports.
        ("dfs.data.transfer.protection", "authentication"),
        ("ignore.secure.ports.for.testing", "true"),
    ]);
    // Clients find the host's name by the address; the DataNode and the NodeManagers would ask for this machine's.
    let services = [
        ("dfs.namenode.kerberos.principal", "dfs.namenode.keytab.file", "nn", "_HOST"),
        ("dfs.datanode.kerberos.principal", "dfs.datanode.keytab.file", "dn", "localhost"),
        ("dfs.web.authentication.kerberos.principal", "dfs.web.authentication.kerberos.keytab", "HTTP", "localhost"),
        ("yarn.resourcemanager.principal", "yarn.resourcemanager.keytab", "rm", "_HOST"),
        ("yarn.nodemanager.principal", "yarn.nodemanager.keytab", "nm", "localhost"),
    ];
    for (principal, keytab, name, host) in services {
        properties.push((principal, format!("{name}/{host}@{REALM}")));
        properties.push((keytab, realm.keytab(name).display().to_string()));
    }
    properties
}

fn core(folder: &Path, ports: &Ports) -> Properties {
    vec![
        ("fs.defaultFS", format!("hdfs://{}", at(ports.namenode))),
        ("hadoop.tmp.dir", folder.join("tmp").display().to_string()),
        // Servers that demand a token let the client choose how the connection is protected.
        ("hadoop.rpc.protection", "authentication,integrity,privacy".to_owned()),
    ]
}

fn hdfs(folder: &Path, ports: &Ports) -> Properties {
    let mut properties = text(&[
        ("dfs.replication", "1"),
        ("dfs.namenode.datanode.registration.ip-hostname-check", "false"),
        // Out of safe mode as soon as there is a DataNode.
        ("dfs.namenode.safemode.min.datanodes", "1"),
        ("dfs.namenode.safemode.extension", "0"),
        // A DataNode counts as dead after 40 s.
        ("dfs.namenode.heartbeat.recheck-interval", "5000"),
        ("dfs.datanode.du.reserved", "0"),
    ]);
    properties.extend([
        ("dfs.namenode.name.dir", format!("file://{}", folder.join("data/name").display())),
        ("dfs.namenode.http-address", at(ports.namenode_http)),
    ]);
    properties
}

/// What differs between the DataNodes.
fn blocks(folder: &Path, daemon: Daemon, [data, http, ipc]: [u16; 3]) -> Properties {
    // They are on one host, and have different names.
    let name = if daemon == Daemon::DataNode { "127.0.0.1" } else { "localhost" };
    vec![
        ("dfs.datanode.hostname", name.to_owned()),
        ("dfs.datanode.data.dir", format!("file://{}", folder.join("data").join(daemon.name()).display())),
        ("dfs.datanode.address", at(data)),
        ("dfs.datanode.http.address", at(http)),
        ("dfs.datanode.ipc.address", at(ipc)),
    ]
}

fn yarn(folder: &Path, ports: &Ports) -> Properties {
    let mut properties = text(&[
        ("yarn.resourcemanager.hostname", "127.0.0.1"),
        ("yarn.resourcemanager.bind-host", "127.0.0.1"),
        ("yarn.nodemanager.hostname", "127.0.0.1"),
        ("yarn.nodemanager.bind-host", "127.0.0.1"),
        // Two nodes on one host are told apart by their ports: a container is asked for on localhost:PORT.
        ("yarn.scheduler.include-port-in-node-name", "true"),
        ("yarn.scheduler.minimum-allocation-mb", "64"),
        ("yarn.nodemanager.resource.memory-mb", "8192"),
        ("yarn.nodemanager.resource.cpu-vcores", "8"),
        ("yarn.nodemanager.pmem-check-enabled", "true"),
        // By default the check is left to cgroups, whether they are used or not.
        ("yarn.nodemanager.resource.memory.enforced", "false"),
        ("yarn.nodemanager.vmem-check-enabled", "false"),
        ("yarn.nodemanager.container-monitor.interval-ms", "500"),
        ("yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage", "100.0"),
        ("yarn.nodemanager.process-kill-wait.ms", "1000"),
        // A node is lost after 20 s of silence, an ApplicationMaster after 60 s; Hadoop waits for ten minutes.
        ("yarn.nm.liveness-monitor.expiry-interval-ms", "20000"),
        ("yarn.am.liveness-monitor.expiry-interval-ms", "60000"),
        ("yarn.resourcemanager.connect.retry-interval.ms", "1000"),
        ("yarn.resourcemanager.connect.max-wait.ms", "120000"),
        // Applications outlive a restart of the ResourceManager.
        ("yarn.resourcemanager.recovery.enabled", "true"),
        (
            "yarn.resourcemanager.store.class",
            "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore",
        ),
        ("yarn.resourcemanager.work-preserving-recovery.scheduling-wait-ms", "1000"),
    ]);
    properties.extend([
        ("yarn.resourcemanager.scheduler.address", at(ports.manager_scheduler)),
        ("yarn.resourcemanager.resource-tracker.address", at(ports.manager_tracker)),
        ("yarn.resourcemanager.address", at(ports.manager_client)),
        ("yarn.resourcemanager.admin.address", at(ports.manager_admin)),
        ("yarn.resourcemanager.webapp.address", at(ports.manager_http)),
        ("yarn.resourcemanager.fs.state-store.uri", format!("file://{}", folder.join("data/manager").display())),
        ("yarn.node-attribute.fs-store.root-dir", format!("file://{}", folder.join("data/attributes").display())),
    ]);
    properties
}

fn node(folder: &Path, daemon: Daemon, ports: NodePorts) -> Properties {
    let data = folder.join("data").join(daemon.name());
    vec![
        ("yarn.nodemanager.address", at(ports.rpc)),
        ("yarn.nodemanager.localizer.address", at(ports.localizer)),
        ("yarn.nodemanager.webapp.address", at(ports.http)),
        ("yarn.nodemanager.local-dirs", data.join("local").display().to_string()),
        ("yarn.nodemanager.log-dirs", data.join("logs").display().to_string()),
    ]
}

fn scheduler() -> Properties {
    text(&[
        ("yarn.scheduler.capacity.root.queues", "default"),
        ("yarn.scheduler.capacity.root.default.capacity", "100"),
        ("yarn.scheduler.capacity.root.default.user-limit-factor", "10"),
        // ApplicationMasters may use all of the cluster; by default it is a tenth.
        ("yarn.scheduler.capacity.maximum-am-resource-percent", "1.0"),
        // Without it only memory counts, and every container is said to have one core.
        (
            "yarn.scheduler.capacity.resource-calculator",
            "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
        ),
    ])
}
