//! The examples with inputs of their own, and what they give in one process.

use crate::support::{folder, hdfs_as};
use crate::yarn::harness::{run, text_lines};
use flinkrs_core::fs::{FileStatus, FileSystem};
use flinkrs_hdfs::Upload;
use flinkrs_tests::files;
use flinkrs_tests::hadoop::Cluster;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// An example, and which option names which input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Example {
    pub(crate) name: &'static str,
    inputs: &'static [(&'static str, &'static str)],
    more: &'static [&'static str],
}

pub(crate) const WORDCOUNT: Example = Example { name: "wordcount", inputs: &[("--input", "text")], more: &[] };

pub(crate) const ALL: [Example; 4] = [
    WORDCOUNT,
    Example { name: "kmeans", inputs: &[("--points", "points"), ("--centroids", "centroids")], more: &[] },
    Example { name: "pagerank", inputs: &[("--links", "links")], more: &["--iterations", "10"] },
    Example { name: "connected_components", inputs: &[("--edges", "links")], more: &[] },
];

impl Example {
    /// Its executable.
    pub(crate) fn path(self) -> PathBuf {
        built().join(self.name)
    }

    /// Its arguments, with inputs in one folder and the output in another.
    pub(crate) fn arguments(self, inputs: &str, output: &str) -> Vec<String> {
        let inputs = self.inputs.iter().flat_map(|(option, name)| [(*option).to_owned(), format!("{inputs}/{name}")]);
        let output = ["--output", output].map(str::to_owned);
        inputs.chain(output).chain(self.more.iter().map(|more| (*more).to_owned())).collect()
    }

    /// What it writes when one process runs it.
    pub(crate) fn expected(self, cluster: &Cluster) -> Vec<String> {
        let inputs = inputs(cluster).display().to_string();
        let output = folder(cluster, "embedded").join("output");
        let mut command = Command::new(self.path());
        run(command.args(self.arguments(&inputs, output.to_str().unwrap())).args(["--memory", "128mb"])).ok();
        written(&output)
    }
}

/// The sorted lines of all files of an output. Sums of fractions depend on their order in the last digits.
pub(crate) fn written(output: &Path) -> Vec<String> {
    let mut lines: Vec<String> = text_lines(output).iter().map(|line| rounded(line)).collect();
    lines.sort();
    lines
}

fn rounded(line: &str) -> String {
    let field = |field: &str| match field.parse::<f64>() {
        Ok(number) if field.contains('.') => format!("{number:.9}"),
        _ => field.to_owned(),
    };
    line.split(',').map(field).collect::<Vec<_>>().join(",")
}

/// The example that sorts records of 100 bytes.
pub(crate) fn terasort() -> PathBuf {
    built().join("terasort")
}

/// The folder of the examples, which are built where they are missing or old.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // With the tests' package, so that dependencies have the features with which they were built for these.
    cargo.args(["build", "--package", "flinkrs-tests", "--package", "flinkrs-examples", "--example", "terasort"]);
    cargo.args(ALL.iter().flat_map(|example| ["--example", example.name]));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // However long that takes.
    let built = cargo.current_dir(files::root()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // Beside the tests' own programs, which lie in the profile's folder.
    Path::new(crate::yarn::harness::PROGRAM).with_file_name("examples")
}

/// The same lines of an output on HDFS, where ann has written it.
pub(crate) fn written_on_hdfs(cluster: &Cluster, output: &Path) -> Vec<String> {
    let hdfs = hdfs_as(cluster, "ann");
    let files = hdfs.list(output).unwrap_or_else(|error| panic!("{error}"));
    let text = |file: FileStatus| {
        let mut text = String::new();
        hdfs.open(&file.path, 0).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let texts: Vec<String> = files.into_iter().map(text).collect();
    let mut lines: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(rounded).collect();
    lines.sort();
    lines
}

/// The inputs on HDFS.
pub(crate) fn inputs_on_hdfs(cluster: &Cluster) -> &'static str {
    let (hdfs, folder) = (hdfs_as(cluster, "ann"), "hdfs:///user/ann/inputs");
    for file in fs::read_dir(inputs(cluster)).unwrap() {
        let file = file.unwrap();
        let there = Path::new(folder).join(file.file_name());
        if !hdfs.exists(&there).unwrap() {
            hdfs.upload(&file.path(), &there, &Upload::default()).unwrap();
        }
    }
    folder
}

/// A folder with the inputs of all examples.
pub(crate) fn inputs(cluster: &Cluster) -> PathBuf {
    let inputs = cluster.folder().join("tmp/inputs");
    if !inputs.exists() {
        let new = folder(cluster, "inputs.new");
        let write = |name: &str, count: u64, line: &dyn Fn(u64) -> String| {
            let text: String = (0..count).map(|n| line(n) + "\n").collect();
            fs::write(new.join(name), text).unwrap();
        };
        let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        write("text", 20_000, &|n| format!("word{} and word{} or else", scattered(n) % 500, scattered(n + 7) % 90));
        let place = |n: u64| format!("{}.5 {}.25", scattered(n) % 100, scattered(n * 3) % 100);
        write("points", 5_000, &place);
        write("centroids", 5, &|n| format!("{n} {}", place(n * 77)));
        write("links", 6_000, &|n| format!("{} {}", n % 1500, (n % 1500) / 9 * 9 + scattered(n) % 9));
        fs::rename(new, &inputs).unwrap();
    }
    inputs
}
