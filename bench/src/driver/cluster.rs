//! The engine's examples in one process and on a cluster of two workers, side by side.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::check::{Lines, content, content_in_order};
use super::process::{Run, measure};
use super::setup::{Setup, remove};
use super::table::{self, median, sorted};
use crate::cli::about;
use crate::loops::input::FOLDER;

/// The names of all jobs.
pub(super) const NAMES: [&str; 6] = ["wordcount", "sort", "components_rmat", "components_grid", "pagerank", "kmeans"];

const TITLES: [&str; 5] = ["job", "embedded s", "cluster s", "cluster/embedded", "min–max"];

/// TaskExecutors, with a slot each.
const WORKERS: &str = "2";

/// Memory of each of them.
const WORKER_MEMORY: &str = "4gb";

/// Runs the jobs that `wanted` names on both sides; returns whether all answers agreed.
pub(super) fn run(setup: &Setup, wanted: &[&str]) -> Result<bool, String> {
    let cluster = Cluster::start(setup)?;
    table::of_jobs(&TITLES, wanted.iter().map(|name| (*name, *name)), |name| compare(setup, &cluster, name))
}

/// Runs a job on both sides in turn, after one run each that isn't measured but whose answers are compared.
fn compare(setup: &Setup, cluster: &Cluster, name: &str) -> Result<Vec<String>, String> {
    let mut pairs = Vec::new();
    for number in 0..=setup.runs {
        let outputs = [setup.output("embedded")?, setup.output("cluster")?];
        let embedded = measure(&mut job(setup, setup.example(&example(name), &setup.threads), name, &outputs[0]))?;
        let submitted = measure(&mut job(setup, cluster.submit(setup, &example(name)), name, &outputs[1]))?;
        if number == 0 {
            check(setup, name, &outputs)?;
            eprintln!("{name}: the answers agree");
        } else {
            eprintln!(
                "{name}: run {number} of {}: embedded {:.3} s, cluster {:.3} s",
                setup.runs, embedded.wall, submitted.wall
            );
            pairs.push((embedded, submitted));
        }
        outputs.iter().try_for_each(|output| remove(output))?;
    }
    Ok(row(name, &pairs))
}

fn row(name: &str, pairs: &[(Run, Run)]) -> Vec<String> {
    let ratios = sorted(pairs.iter().map(|(embedded, cluster)| cluster.wall / embedded.wall));
    let range = ratios.first().zip(ratios.last());
    vec![
        name.to_string(),
        format!("{:.3}", median(pairs.iter().map(|(embedded, _)| embedded.wall))),
        format!("{:.3}", median(pairs.iter().map(|(_, cluster)| cluster.wall))),
        format!("{:.2}", median(ratios.iter().copied())),
        range.map_or_else(String::new, |(least, most)| format!("{least:.2}–{most:.2}")),
    ]
}

/// The example that does a job.
fn example(name: &str) -> String {
    match name {
        "sort" => "terasort",
        "components_rmat" | "components_grid" => "connected_components",
        same => same,
    }
    .to_string()
}

/// Adds a job's arguments to a command that runs its example.
fn job(setup: &Setup, mut command: Command, name: &str, output: &Path) -> Command {
    let data = |file: &str| setup.data.join(file);
    let graph = |file: &str| setup.data.join(FOLDER).join(file);
    match name {
        "wordcount" => command.arg("--input").arg(data("text.txt")),
        "sort" => command.arg("sort").arg("--input").arg(data("records.bin")),
        "components_rmat" => command.arg("--edges").arg(graph("rmat.txt")),
        "components_grid" => command.arg("--edges").arg(graph("grid.txt")),
        "pagerank" => command.arg("--links").arg(graph("rmat.txt")),
        _ => {
            let (points, centers) = (graph("points.csv"), graph("centers.csv"));
            command.arg("--points").arg(points).arg("--centroids").arg(centers).args(["--iterations", "20"])
        }
    };
    command.arg("--output").arg(output);
    command
}

/// Errors unless both sides have written the same answer.
fn check(setup: &Setup, name: &str, [embedded, cluster]: &[PathBuf; 2]) -> Result<(), String> {
    if name == "sort" {
        let input = content(&setup.data.join("records.bin"))?;
        for output in [embedded, cluster] {
            if content_in_order(output)? != input {
                return Err(format!("{} has other records than the input", output.display()));
            }
        }
        return Ok(());
    }
    let (embedded, cluster) = (Lines::read(embedded)?, Lines::read(cluster)?);
    match name {
        "pagerank" | "kmeans" => embedded.same_sorted_numbers(&cluster),
        _ => embedded.same_sorted(&cluster),
    }
}

/// A JobManager and TaskExecutors on this machine; they end when it is dropped.
struct Cluster {
    command: PathBuf,
    /// The JobManager's host and port.
    address: String,
    parallelism: String,
}

impl Cluster {
    fn start(setup: &Setup) -> Result<Cluster, String> {
        let [rpc, rest] = free_ports()?;
        let cluster = Cluster {
            command: setup.command()?,
            address: format!("localhost:{rpc}"),
            parallelism: setup.threads.clone(),
        };
        let logs = setup.temp.join("cluster");
        fs::create_dir_all(&logs).map_err(about(logs.display()))?;
        let mut start = Command::new(&cluster.command);
        start.args(["cluster", "start", "-n", WORKERS, "--logs"]).arg(&logs);
        let slots = setup.threads.parse::<u32>().map_or(1, |threads| threads.div_ceil(2)).to_string();
        let options = [
            ("jobmanager.rpc.port", rpc.to_string()),
            ("rest.port", rest.to_string()),
            ("taskmanager.numberOfTaskSlots", slots),
            ("taskmanager.memory.process.size", WORKER_MEMORY.to_string()),
        ];
        start.args(options.iter().map(|(key, value)| format!("-D{key}={value}"))).stdout(Stdio::null());
        let status = start.status().map_err(about("flinkrs cluster start"))?;
        if status.success() { Ok(cluster) } else { Err(format!("the cluster doesn't start: {status}")) }
    }

    /// A command that submits an example.
    fn submit(&self, setup: &Setup, example: &str) -> Command {
        let mut command = Command::new(&self.command);
        command.args(["run", "-m", &self.address, "-p", &self.parallelism]).arg(setup.example_path(example));
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped =
            Command::new(&self.command).args(["cluster", "stop", "-m", &self.address]).stdout(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("bench: the cluster at {} couldn't be stopped", self.address);
        }
    }
}

/// Ports that nobody listens at now.
fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], String> {
    let bind = || {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| Ok((listener.local_addr()?.port(), listener)))
    };
    let mut held = Vec::new();
    let mut ports = [0; COUNT];
    for port in &mut ports {
        let (free, listener) = bind().map_err(about("a port"))?;
        *port = free;
        held.push(listener);
    }
    Ok(ports)
}
