//! REST: Flink's paths and JSON, over HTTP/1.1, for pages, tools, and clients that don't link this crate.
//!
//! ```text
//!  connection ──▶ server ──▶ guard ──▶ table of routes ──▶ a handler ──▶ cluster (a look, or a message)
//!                                            └──▶ openapi
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `server` | connections, and their limits |
//! | `guard` | who may ask |
//! | `route` | what a route is; calls, answers, faults |
//! | `table` | all routes: what is served is what is described |
//! | `openapi` | the description |
//! | `seen` | what handlers copy out of the cluster |
//! | `shape` | JSON that several answers have in common |
//! | `overview`, `jobs`, `plan`, `exceptions`, `accumulators` | a cluster, its jobs |
//! | `vertices`, `subtasks` | the tasks of a job |
//! | `task_executors`, `processes`, `logs` | the processes |
//! | `jars` | uploaded programs |
//! | `measures`, `metrics`, `prometheus` | what is measured, and its two forms |

mod accumulators;
mod exceptions;
mod guard;
mod jars;
mod jobs;
mod logs;
mod measures;
mod metrics;
mod openapi;
mod overview;
mod plan;
mod processes;
mod prometheus;
mod route;
mod seen;
mod server;
mod shape;
mod subtasks;
mod table;
mod task_executors;
mod vertices;

pub use openapi::reference_page;
pub(crate) use server::{Rest, serve};

use flinkrs_core::config::PortRange;
use flinkrs_rpc::auth::Secret;
use flinkrs_rpc::tls::TlsFiles;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// How a JobManager serves REST and metrics.
#[derive(Clone, Debug)]
pub struct RestOptions {
    /// Where it listens; another address than a loopback one needs the cluster's secret, or certificates of clients.
    pub bind: SocketAddr,
    /// The host by which others reach it.
    pub host: String,
    /// The ports, at the same address, of which the first that is free shows metrics to Prometheus; `None`: none does.
    pub metrics_ports: Option<PortRange>,
    /// The folder of this process's log files.
    pub logs: PathBuf,
    /// The file of the cluster's secret, for programs that are started here.
    pub secret_file: Option<PathBuf>,
    /// The files of the cluster's certificates, for programs that are started here.
    pub tls_files: Option<TlsFiles>,
    /// How it is encrypted, if it is, and whether clients prove themselves.
    pub tls: Option<(Arc<ServerConfig>, bool)>,
    /// Who knows this word may look: requests that only read are answered under `/view/WORD`, without the secret.
    pub view: Option<Secret>,
    /// What is set in the configuration, as keys and values, for pages; holds no secret.
    pub settings: Vec<(String, String)>,
}

impl RestOptions {
    /// `https`, if it is encrypted.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
