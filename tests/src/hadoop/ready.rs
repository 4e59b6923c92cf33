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
        Daemon::DataNode => bean(ports.namenode_http, "NameNode,name=FSNamesystemState")
            .map(|bean| bean["NumLiveDataNodes"].as_u64() > Some(0)),
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

/// A JMX bean of the NameNode.
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
