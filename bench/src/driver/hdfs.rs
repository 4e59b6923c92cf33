//! Reading and writing on HDFS, against Hadoop's own client: both as whole processes, on the daemons of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flinkrs_tests::hadoop::{Cluster, Daemon};

use super::Options;
use super::process::{Run, measure};
use super::setup::{cargo_build, release, succeed};
use super::table::{self, median};
use crate::cli::about;

/// Where the files are.
const FOLDER: &str = "/bench";

/// Both clients.
struct Clients {
    engine: PathBuf,
    class_path: String,
    conf: PathBuf,
}

/// Runs of one operation of both clients.
#[derive(Default)]
struct Runs {
    java: Vec<Run>,
    engine: Vec<Run>,
}

/// Prints a row per size, number of streams, and operation; whether all content was right.
pub(super) fn run(options: &Options) -> Result<bool, String> {
    let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo_build(bench, &["--bin=engine_hdfs"])?;
    let cluster = Cluster::start(&[Daemon::NameNode, Daemon::DataNode], &[])?;
    let classes = cluster.folder().join("classes");
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(cluster.class_path()).arg("-d").arg(&classes).arg(bench.join("hdfs/HdfsIo.java"));
    succeed(&mut javac, "javac (of a JDK, such as default-jdk-headless)")?;
    // Hadoop's client complains about libraries that it doesn't need.
    fs::write(classes.join("log4j.properties"), "log4j.rootLogger=OFF\n").map_err(about(classes.display()))?;
    let clients = Clients {
        engine: release(bench).join("engine_hdfs"),
        class_path: format!("{}:{}", classes.display(), cluster.class_path()),
        conf: cluster.conf_dir(),
    };
    let sizes = if options.small { [8, 32] } else { [256, 2048] };
    let mut rows = Vec::new();
    for mib in sizes {
        for streams in [1, 2] {
            let (mut writes, mut reads) = (Runs::default(), Runs::default());
            for number in 0..=options.runs {
                eprintln!("hdfs: {mib} MiB, {streams} streams: run {number} of {}", options.runs);
                let pair = clients.pair(mib, streams)?;
                // The first run warms up the daemons.
                if number > 0 {
                    pair.into_iter().zip([&mut writes, &mut reads]).for_each(|((java, engine), runs)| {
                        runs.java.push(java);
                        runs.engine.push(engine);
                    });
                }
            }
            rows.push(row(mib, streams, "write", &writes));
            rows.push(row(mib, streams, "read", &reads));
        }
    }
    let titles = [
        "MiB",
        "streams",
        "what",
        "Java MB/s",
        "engine MB/s",
        "engine/Java",
        "Java CPU s",
        "engine CPU s",
        "engine/Java",
        "engine peak MB",
    ];
    table::print(&titles, &rows);
    Ok(true)
}

impl Clients {
    /// Each client writes its files and reads those of the other; then every byte is checked.
    fn pair(&self, mib: u64, streams: u32) -> Result<[(Run, Run); 2], String> {
        let folder = |client: &str| format!("{FOLDER}/{client}");
        let (java, engine) = (folder("java"), folder("engine"));
        let java_writes = measure(&mut self.java(["write", &java], mib, streams))?;
        let engine_writes = measure(&mut self.engine(["write", &engine], mib, streams))?;
        let java_reads = measure(&mut self.java(["read", &engine], mib, streams))?;
        let engine_reads = measure(&mut self.engine(["read", &java], mib, streams))?;
        for written in [&java, &engine] {
            measure(&mut self.engine(["check", written], mib, streams))?;
        }
        // Of the checksums that the DataNodes keep, as Hadoop's client adds them up.
        let sums: Result<Vec<String>, String> =
            [&java, &engine].into_iter().map(|folder| self.checksum(folder)).collect();
        match sums?.as_slice() {
            [a, b] if a == b && !a.is_empty() => {}
            other => return Err(format!("the files have different checksums: {other:?}")),
        }
        Ok([(java_writes, engine_writes), (java_reads, engine_reads)])
    }

    fn checksum(&self, folder: &str) -> Result<String, String> {
        let mut command = self.hadoop();
        let run = measure(command.arg("checksum").arg(format!("{folder}/file-0")))?;
        Ok(run.value("checksum").unwrap_or_default().to_owned())
    }

    fn java(&self, what: [&str; 2], mib: u64, streams: u32) -> Command {
        let mut command = self.hadoop();
        command.args(what).arg(mib.to_string()).arg(streams.to_string());
        command
    }

    /// As `hadoop CLASS` runs it: a JVM with its usual compilers.
    fn hadoop(&self) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx512m", "-cp", &self.class_path, "HdfsIo"]);
        command
    }

    fn engine(&self, what: [&str; 2], mib: u64, streams: u32) -> Command {
        let mut command = Command::new(&self.engine);
        command.args(what).arg(mib.to_string()).arg(streams.to_string()).env("HADOOP_CONF_DIR", &self.conf);
        command
    }
}

fn row(mib: u64, streams: u32, what: &str, runs: &Runs) -> Vec<String> {
    let megabytes = (mib * u64::from(streams)) as f64 * 1.048_576;
    let rate = |run: &Run| megabytes / run.value("seconds").and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    let of = |runs: &[Run], value: &dyn Fn(&Run) -> f64| median(runs.iter().map(value));
    let (java, engine) = (of(&runs.java, &rate), of(&runs.engine, &rate));
    let (java_cpu, engine_cpu) = (of(&runs.java, &|run| run.cpu), of(&runs.engine, &|run| run.cpu));
    let peak = of(&runs.engine, &|run| run.peak as f64 / 1e6);
    vec![
        mib.to_string(),
        streams.to_string(),
        what.to_owned(),
        format!("{java:.0}"),
        format!("{engine:.0}"),
        format!("{:.2}", engine / java),
        format!("{java_cpu:.2}"),
        format!("{engine_cpu:.2}"),
        format!("{:.2}", engine_cpu / java_cpu),
        format!("{peak:.0}"),
    ]
}
