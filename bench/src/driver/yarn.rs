//! Jobs on YARN with their files on HDFS: whole commands, on the daemons of the tests.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use flinkrs_tests::hadoop::{Cluster, Daemon};

use super::check::Lines;
use super::process::measure;
use super::setup::{Setup, succeed};
use super::table::{self, median, sorted};
use crate::cli::about;
use crate::loops::input::grid_lines;

/// Where the inputs and outputs are.
const FOLDER: &str = "/bench";

/// Vertices of a row of the grid.
const SIDE: u32 = 300;

/// What every container is started with.
const MEMORY: [&str; 2] = ["-Djobmanager.memory.process.size=256mb", "-Dtaskmanager.memory.process.size=2gb"];

/// A job, with one input.
struct Job {
    name: &'static str,
    example: &'static str,
    option: &'static str,
    input: PathBuf,
}

/// Seconds of each run, by what was run.
type Seconds = Vec<(String, Vec<f64>)>;

/// Prints a row per kind of command; errors when an answer isn't that of the same job in one process.
pub(super) fn run(setup: &Setup) -> Result<bool, String> {
    let line = setup.temp.join("line.txt");
    fs::write(&line, "to be or not to be\n").map_err(about(line.display()))?;
    let grid = setup.temp.join("grid.txt");
    let side = setup.sized(30, u64::from(SIDE)) as u32;
    let mut out = BufWriter::new(File::create(&grid).map_err(about(grid.display()))?);
    grid_lines(&mut out, side).and_then(|_| out.flush()).map_err(about(grid.display()))?;
    let job = |name, example, option, input| Job { name, example, option, input };
    let one = job("one line", "wordcount", "--input", line);
    let text = job("word count", "wordcount", "--input", setup.data.join("text.txt"));
    let grid = job("components of the grid", "connected_components", "--edges", grid);
    let yarn = Yarn::start(setup)?;
    [&one, &text, &grid].into_iter().try_for_each(|job| yarn.put(&job.input))?;

    let mut seconds = Seconds::new();
    for number in 0..=setup.runs {
        eprintln!("yarn: run {number} of {}", setup.runs);
        let names = ["session: start", "session: its first job", "session: its second job"];
        let mut took: Vec<_> = names.map(str::to_owned).into_iter().zip(yarn.session(&one, number)?).collect();
        for (place, job) in [&one, &text, &grid].into_iter().enumerate() {
            let output = format!("{FOLDER}/output-{number}-{place}");
            let wall = measure(&mut yarn.job(job, &["-t", "yarn-per-job"], &output))?.wall;
            if number == 0 {
                yarn.check(job, &output)?;
            }
            took.push((format!("per job: {}", job.name), wall));
        }
        // The first run warms up the daemons, and stages what later ones share.
        if number > 0 {
            took.into_iter().for_each(|(name, wall)| add(&mut seconds, name, wall));
        }
    }
    let row = |(name, walls): (String, Vec<f64>)| {
        let walls = sorted(walls);
        let bound = |wall: Option<&f64>| wall.map_or_else(String::new, |wall| format!("{wall:.2}"));
        let range = format!("{}–{}", bound(walls.first()), bound(walls.last()));
        vec![name, format!("{:.2}", median(walls)), range]
    };
    let rows: Vec<Vec<String>> = seconds.into_iter().map(row).collect();
    table::print(&["command to exit", "s", "min–max"], &rows);
    Ok(true)
}

fn add(seconds: &mut Seconds, name: String, wall: f64) {
    match seconds.iter_mut().find(|(known, _)| *known == name) {
        Some((_, walls)) => walls.push(wall),
        None => seconds.push((name, vec![wall])),
    }
}

struct Yarn<'a> {
    setup: &'a Setup,
    cluster: Cluster,
    command: PathBuf,
}

impl<'a> Yarn<'a> {
    fn start(setup: &'a Setup) -> Result<Yarn<'a>, String> {
        let cluster = Cluster::start(&Daemon::ALL, &[])?;
        let yarn = Yarn { setup, cluster, command: setup.command()? };
        yarn.files(&["-mkdir", "-p", FOLDER, "/user/bench"])?;
        yarn.files(&["-chmod", "777", FOLDER, "/user/bench"])?;
        Ok(yarn)
    }

    /// Hadoop's own client for files.
    fn files(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = self.cluster.java("org.apache.hadoop.fs.FsShell");
        succeed(command.args(arguments).env("HADOOP_CONF_DIR", self.cluster.conf_dir()), arguments[0])
    }

    fn put(&self, file: &Path) -> Result<(), String> {
        let text = file.to_str().ok_or_else(|| format!("{} is no text", file.display()))?;
        self.files(&["-put", "-f", text, FOLDER])
    }

    fn flinkrs(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command);
        command.args(arguments).arg(format!("-Dyarn.properties-file.location={}", self.setup.temp.display()));
        command.env("HADOOP_CONF_DIR", self.cluster.conf_dir()).env("HADOOP_USER_NAME", "bench");
        command
    }

    /// A command that runs a job, from and to HDFS.
    fn job(&self, job: &Job, target: &[&str], output: &str) -> Command {
        let mut command = self.flinkrs(&["run", "-p", "2"]);
        command.args(target).args(MEMORY).arg(self.setup.example_path(job.example));
        let name = job.input.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        command.args([job.option, &format!("hdfs://{FOLDER}/{name}"), "--output", &format!("hdfs://{output}")]);
        command
    }

    /// Seconds of the start of a session, of the first job in it, which waits for containers, and of the second.
    fn session(&self, job: &Job, number: u32) -> Result<[f64; 3], String> {
        let since = Instant::now();
        let started = self.flinkrs(&["yarn-session", "-d"]).args(MEMORY).output().map_err(about("yarn-session"))?;
        let start = since.elapsed().as_secs_f64();
        let said = [started.stdout, started.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let id = said.split(word).find(|word| word.starts_with("application_")).ok_or_else(|| said.to_string())?;
        let run = |place: u32| {
            let output = format!("{FOLDER}/session-{number}-{place}");
            measure(&mut self.job(job, &["-t", "yarn-session"], &output)).map(|run| run.wall)
        };
        let walls = [start, run(1)?, run(2)?];
        let mut attached = self.flinkrs(&["yarn-session", "-id", id]);
        attached.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut attached = attached.spawn().map_err(about("yarn-session"))?;
        if let Some(mut input) = attached.stdin.take() {
            input.write_all(b"stop\n").map_err(about("yarn-session"))?;
        }
        match attached.wait().map_err(about("yarn-session"))? {
            status if status.success() => Ok(walls),
            status => Err(format!("the session couldn't be stopped: {status}")),
        }
    }

    /// Errors unless an output on HDFS has the lines that one process writes.
    fn check(&self, job: &Job, output: &str) -> Result<(), String> {
        let [here, there] = [self.setup.output("embedded")?, self.setup.output("yarn")?];
        let mut command = self.setup.example(job.example, "2");
        measure(command.arg(job.option).arg(&job.input).arg("--output").arg(&here))?;
        let text = there.to_str().ok_or_else(|| format!("{} is no text", there.display()))?;
        self.files(&["-get", output, text])?;
        Lines::read(&here)?.same_sorted(&Lines::read(&there)?)?;
        eprintln!("{}: the answers agree", job.name);
        Ok(())
    }
}
