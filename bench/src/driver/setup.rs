//! Building the programs, making the inputs, and where all of them are.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Mode, Options};
use crate::cli::about;

/// Everything a mode needs; the folder for outputs is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Setup {
    /// Where the inputs are.
    pub(super) data: PathBuf,
    /// An empty folder for outputs.
    pub(super) temp: PathBuf,
    /// Whether the inputs are the small ones.
    pub(super) small: bool,
    /// Measured runs of each program.
    pub(super) runs: u32,
    /// Threads of the plain programs and parallelism of the engine.
    pub(super) threads: String,
    /// Where the benchmark's programs are.
    programs: PathBuf,
    /// Where the engine's examples are.
    examples: PathBuf,
}

/// The beginning of the names of folders for outputs; the process' number follows.
const TEMP: &str = "temp-";

impl Setup {
    /// Builds what is out of date, and makes the inputs that are missing.
    pub(super) fn new(options: &Options) -> Result<Setup, String> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = bench.parent().ok_or("the benchmark has no workspace around it")?;
        cargo_build(root, &["--examples"])?;
        if options.mode.cluster || options.mode.yarn {
            cargo_build(root, &["--bin", "flinkrs"])?;
        }
        // The jobs of clusters are the examples.
        let programs = if options.mode.cluster || options.mode.yarn { "--bin=generate" } else { "--bins" };
        cargo_build(bench, &[programs])?;
        let size = if options.small { "small" } else { "full" };
        let data = options.data.clone().unwrap_or_else(|| bench.join("data")).join(size);
        let programs = release(bench);
        let Mode { loops, cluster, .. } = options.mode;
        for with_loops in [false, true].into_iter().filter(|with_loops| cluster || *with_loops == loops) {
            let mut generate = Command::new(programs.join("generate"));
            generate.arg(&data).args(options.small.then_some("--small")).args(with_loops.then_some("--loops"));
            succeed(generate.stdout(Stdio::null()), "generate")?;
        }
        remove_stale(&data)?;
        let temp = data.join(format!("{TEMP}{}", std::process::id()));
        fs::create_dir_all(&temp).map_err(about(temp.display()))?;
        Ok(Setup {
            data,
            temp,
            small: options.small,
            runs: options.runs,
            threads: options.threads.to_string(),
            programs,
            examples: release(root).join("examples"),
        })
    }

    /// A program of the benchmark.
    pub(super) fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// An example of the engine, run in `parallelism` subtasks.
    pub(super) fn example(&self, name: &str, parallelism: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(self.example_path(name));
        command.arg("-p").arg(parallelism);
        command
    }

    /// Where an example of the engine is.
    pub(super) fn example_path(&self, name: &str) -> PathBuf {
        self.examples.join(name)
    }

    /// Where the `flinkrs` command is.
    pub(super) fn command(&self) -> Result<PathBuf, String> {
        let folder = self.examples.parent().ok_or("the examples have no folder around them")?;
        Ok(folder.join("flinkrs"))
    }

    /// A path for an output that doesn't exist yet.
    pub(super) fn output(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.temp.join(name);
        remove(&path)?;
        Ok(path)
    }

    /// Removes all outputs.
    pub(super) fn clear(&self) -> Result<(), String> {
        remove(&self.temp)?;
        fs::create_dir_all(&self.temp).map_err(about(self.temp.display()))
    }

    /// The size for small or full inputs.
    pub(super) fn sized(&self, small: u64, full: u64) -> u64 {
        if self.small { small } else { full }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if let Err(message) = remove(&self.temp) {
            eprintln!("bench: {message}");
        }
    }
}

/// Removes a file or a folder, if there is one.
pub(super) fn remove(path: &Path) -> Result<(), String> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.map_err(about(path.display()))
}

/// Removes folders for outputs that killed drivers left.
fn remove_stale(data: &Path) -> Result<(), String> {
    for entry in fs::read_dir(data).map_err(about(data.display()))? {
        let path = entry.map_err(about(data.display()))?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let process = name.strip_prefix(TEMP).and_then(|process| process.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Builds what is out of date of a workspace.
pub(super) fn cargo_build(workspace: &Path, what: &[&str]) -> Result<(), String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--release"]).args(what).arg("--manifest-path").arg(workspace.join("Cargo.toml"));
    succeed(&mut command, &format!("cargo build --release {}", what.join(" ")))
}

/// Runs a command to its end.
pub(super) fn succeed(command: &mut Command, name: &str) -> Result<(), String> {
    let status = command.status().map_err(about(name))?;
    if status.success() { Ok(()) } else { Err(format!("`{name}` failed: {status}")) }
}

/// Where cargo puts the release build of a workspace.
pub(super) fn release(workspace: &Path) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").filter(|target| !target.is_empty());
    target.map_or_else(|| workspace.join("target"), PathBuf::from).join("release")
}
