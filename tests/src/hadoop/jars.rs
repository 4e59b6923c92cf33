//! Maven and Java, and the jars that Maven collects.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Maven is asked for.
const POM: &str = include_str!("../../hadoop/pom.xml");

/// What to install, as Debian calls it.
const PACKAGES: [&str; 2] = ["maven", "default-jre-headless"];

/// The folder with all jars below `home`, which Maven fills when it is empty or from another `pom.xml`.
///
/// Processes that ask at the same time wait for each other.
pub(super) fn collect(home: &Path) -> Result<PathBuf, String> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let (folder, pom) = (home.join("jars"), home.join("pom.xml"));
    fs::create_dir_all(home).map_err(failed(home))?;
    let lock = File::create(home.join("lock")).map_err(failed(home))?;
    lock.lock().map_err(failed(home))?;
    if find("mvn").is_none() || find("java").is_none() {
        install("Maven and a Java runtime (11 or later) are needed for Hadoop's daemons", &PACKAGES)?;
    }
    let done = home.join("pom.done");
    if fs::read_to_string(&done).is_ok_and(|collected| collected == POM) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed(&folder))?;
    }
    fs::write(&pom, POM).map_err(failed(&pom))?;
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-ntp", "-q", "-f"]).arg(&pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", folder.display()));
    run(&mut maven)?;
    fs::write(&done, POM).map_err(failed(&done))?;
    Ok(folder)
}

/// Installs Debian's packages where that is possible.
///
/// # Errors
/// The one line that says what they are needed for, and what to install.
pub(super) fn install(what: &str, packages: &[&str]) -> Result<(), String> {
    if find("apt-get").is_none() || !is_root() {
        return Err(format!("{what}: apt-get install --no-install-recommends {}", packages.join(" ")));
    }
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// Where a program lies; servers' may be outside of a user's path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Cargo's target folder, in which this program lies.
pub(super) fn target_folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    folder.map(Path::to_path_buf).ok_or_else(|| format!("{} lies in no target folder of cargo", program.display()))
}

/// Whether this process may install packages.
fn is_root() -> bool {
    let mut status = String::new();
    let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    read.is_ok() && status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Runs a command to its end; an error shows what it printed.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} ended with {}:\n{out}{err}", output.status))
}
