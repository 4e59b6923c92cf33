//! How one sees over HTTP that a daemon can be used.

use super::daemon::Daemon;
use super::sites::Ports;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// For connecting, and for each piece of an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a daemon takes work.
pub(super) fn is_ready(daemon: Daemon, ports: &Ports) -> bool {
    let ready = match daemon {
        Daemon::NameNode => bean(ports.namenode_http, "NameNode,name=NameNodeInfo").map(|bean| bean["Safemode"] == ""),
        // The NameNode counts one as live for a while that is dead; the new process is there when it answers itself.
        Daemon::DataNode | Daemon::DataNode2 => {
            let http = ports.datanode_http(daemon);
            bean(http, "DataNode,name=DataNodeInfo").map(|bean| is_registered(&bean))
        }
        Daemon::ResourceManager => {
            json(ports.manager_http, "/ws/v1/cluster/info").map(|info| info["clusterInfo"]["state"] == "STARTED")
        }
        Daemon::NodeManager1 | Daemon::NodeManager2 => json(ports.manager_http, "/ws/v1/cluster/nodes").map(|nodes| {
            let name = format!("localhost:{}", ports.node(daemon).rpc);
            let nodes = nodes["nodes"]["node"].as_array().cloned().unwrap_or_default();
            nodes.iter().any(|node| node["id"] == name && node["state"] == "RUNNING")
        }),
    };
    ready.unwrap_or(false)
}

/// Whether a DataNode knows its NameNode, and has told it of itself.
fn is_registered(bean: &Value) -> bool {
    let actors: Option<Value> = bean["BPServiceActorInfo"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let actor = actors.and_then(|actors| actors.get(0).cloned()).unwrap_or_default();
    actor["ActorState"] == "RUNNING" && actor["LastHeartbeat"].as_str().is_some_and(|age| age.len() < 6)
}

/// A JMX bean of a daemon.
fn bean(port: u16, name: &str) -> Option<Value> {
    let answer = json(port, &format!("/jmx?qry=Hadoop:service={name}"))?;
    answer["beans"].get(0).cloned()
}

fn json(port: u16, path: &str) -> Option<Value> {
    serde_json::from_str(&get(port, path)?).ok()
}

/// The body of an answer, or `None` when there is none.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split_whitespace().nth(1).filter(|status| *status == "200")?;
    Some(body.to_owned())
}
