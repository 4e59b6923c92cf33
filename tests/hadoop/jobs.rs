//! Jobs that read from HDFS and write to it, as processes of their own: this program, with other arguments.

use crate::files::{read, write};
use crate::support::{folder, hdfs, hdfs_as, wait_until};
use flinkrs::prelude::*;
use flinkrs_core::fs::{FileSystem, locate};
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{CommitContext, WriterContext};
use flinkrs_tests::hadoop::Cluster;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The first argument of such a process.
pub(crate) const CHILD: &str = "--child";

/// What such a process does.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["count", input, output, parallelism, mode] => count(input, output, parallelism.parse().unwrap(), mode),
        ["lock", path] => lock(path),
        ["begin", output] => begin(output),
        _ => panic!("{words:?}"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn count(input: &str, output: &str, parallelism: u32, mode: &str) -> Result<()> {
    let env = LocalEnvironment::new().parallelism(parallelism).create()?;
    let mode = if mode == "overwrite" { WriteMode::Overwrite } else { WriteMode::NoOverwrite };
    let lines = env.read_text(FileInput::new(input).split_bytes(100_000));
    let tokens = lines.flat_map(|line, out| words(&line).for_each(|word| out.collect((word, 1u64))));
    tokens.group_by(f0).sum(f1).output(CsvOutput::new(output).mode(mode));
    env.execute("count").map(|_| ())
}

/// Keeps a lock until it is killed.
fn lock(path: &str) -> Result<()> {
    // Makes hdfs:// known.
    LocalEnvironment::new().create()?;
    let located = locate(Path::new(path))?;
    let _lock = located.files.lock(&located.path)?;
    say("locked");
    std::thread::park();
    Ok(())
}

/// Begins an output and never ends it.
fn begin(output: &str) -> Result<()> {
    LocalEnvironment::new().create()?;
    let output = FileOutput::new(output);
    output.begin(&CommitContext { job: "dead", attempts: &[] })?;
    let subtask = Subtask { index: 0, parallelism: 1 };
    let mut writer = output.open(&WriterContext { job: "dead", subtask, attempt: 0 })?;
    writer.buffer().extend_from_slice(b"half");
    say("begun");
    std::thread::park();
    Ok(())
}

fn say(word: &str) {
    println!("{word}");
}

fn command(cluster: &Cluster, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(CHILD).args(arguments).env("HADOOP_CONF_DIR", cluster.conf_dir()).env_remove("HADOOP_USER_NAME");
    command
}

fn run(cluster: &Cluster, arguments: &[&str]) -> Output {
    command(cluster, arguments).output().unwrap()
}

fn succeed(cluster: &Cluster, arguments: &[&str]) {
    let output = run(cluster, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts a process, and waits until it has said its word.
fn start(cluster: &Cluster, arguments: &[&str], word: &str) -> Child {
    let mut child = command(cluster, arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), word);
    child
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The lines of all files of an output, sorted.
fn lines(files: &dyn FileSystem, output: &Path) -> Vec<String> {
    let status = files.status(output).unwrap();
    let parts = if status.is_dir { files.list(output).unwrap() } else { vec![status] };
    let text: Vec<u8> = parts.iter().flat_map(|part| read(files, &part.path, 0)).collect();
    let mut lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Word count from and to HDFS is that of local files, in all ways to name its inputs and outputs.
pub(crate) fn a_job_reads_and_writes(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    files.remove(Path::new("/jobs")).unwrap();
    let local = folder(cluster, "jobs");
    std::fs::create_dir_all(local.join("in/sub")).unwrap();
    for name in ["in/a.txt", "in/b.txt", "in/sub/c.txt", "in/_hidden", "in/d.log"] {
        let word = |i: usize| format!("word{} of {name}\n", i * i % 977);
        let text: String = (0..20_000).map(word).collect();
        std::fs::write(local.join(name), &text).unwrap();
        write(&files, &Path::new("/jobs").join(name), text.as_bytes());
    }
    let address = files.absolute(Path::new("/jobs")).unwrap().display().to_string();
    let cases = [("in", "1"), ("in/*.txt", "2"), ("in/**/*.txt", "2"), ("in/[ab].*", "3")];
    for (i, (input, parallelism)) in cases.into_iter().enumerate() {
        let expected = local.join(format!("out-{i}"));
        let at = |path: &str| local.join(path).display().to_string();
        succeed(cluster, &["count", &at(input), &at(&format!("out-{i}")), parallelism, "new"]);
        let base = if i % 2 == 0 { "hdfs:///jobs" } else { address.as_str() };
        let output = format!("{base}/out/{i}");
        succeed(cluster, &["count", &format!("{base}/{input}"), &output, parallelism, "new"]);
        let found = lines(&files, Path::new(&output));
        assert!(found.len() > 480, "{}", found.len());
        assert!(found == lines(&flinkrs_core::fs::LocalFileSystem, &expected), "{input}");
    }
    // Nothing but the outputs, and an output that is there is refused.
    assert_eq!(files.list(Path::new("/jobs/out")).unwrap().len(), cases.len());
    let refused = run(cluster, &["count", "hdfs:///jobs/in", "hdfs:///jobs/out/0", "1", "new"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("hdfs:///jobs/out/0 exists") && refused.status.code() == Some(3), "{said}");
    let missing = run(cluster, &["count", "hdfs:///jobs/none", "hdfs:///jobs/out/9", "1", "new"]);
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("cannot find hdfs:///jobs/none: there is no such file or folder"), "{said}");
    let unknown =
        command(cluster, &["count", "hdfs:///a", "hdfs:///b", "1", "new"]).env_remove("HADOOP_CONF_DIR").output();
    let said = String::from_utf8_lossy(&unknown.unwrap().stderr).into_owned();
    assert!(said.contains("no Hadoop configuration: set HADOOP_CONF_DIR"), "{said}");
}

/// With `fs.trash.interval` an output that is replaced goes to the user's trash; the umask is the configuration's.
pub(crate) fn replaced_outputs_can_be_had_back(_: &mut Cluster) {
    use flinkrs_tests::hadoop::Daemon;
    let more = [("core-site.xml", "fs.trash.interval", "60"), ("core-site.xml", "fs.permissions.umask-mode", "027")];
    let cluster = Cluster::start(&[Daemon::NameNode, Daemon::DataNode], &more).unwrap();
    let files = hdfs(&cluster);
    for (i, text) in ["one", "two two", "three"].iter().enumerate() {
        let input = PathBuf::from(format!("/trash/in-{i}"));
        write(&files, &input, text.as_bytes());
        succeed(&cluster, &["count", &format!("hdfs://{}", input.display()), "hdfs:///trash/out", "1", "overwrite"]);
    }
    succeed(&cluster, &["count", "hdfs:///trash/in-2", "hdfs:///trash/out", "2", "overwrite"]);
    assert!(files.status(Path::new("/trash/out")).unwrap().is_dir);
    assert_eq!(lines(&files, Path::new("/trash/out")), ["three,1"]);
    assert_eq!(files.list(Path::new("/trash")).unwrap().len(), 4);
    let mut old: Vec<String> = Vec::new();
    for entry in files.list(&files.home().join(".Trash/Current/trash")).unwrap() {
        assert!(entry.path.file_name().unwrap().to_string_lossy().starts_with("out"));
        old.extend(lines(&files, &entry.path));
    }
    old.sort();
    assert_eq!(old, ["one,1", "three,1", "two,2"]);
    let permission = |path: &str| files.details(Path::new(path)).unwrap().permission;
    assert_eq!(
        (permission("/trash/out"), permission("/trash/out/1"), permission("/trash/in-0")),
        (0o750, 0o640, 0o640)
    );
}

/// What a killed job has left is removed by the next one, once HDFS has seen that it is dead; until then it stays.
pub(crate) fn what_dead_jobs_left_is_removed(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    files.remove(Path::new("/dead")).unwrap();
    write(&files, Path::new("/dead/in"), b"a b a");
    let job = start(cluster, &["begin", "hdfs:///dead/out"], "begun");
    let locked = start(cluster, &["lock", "hdfs:///dead/locks/the.lock"], "locked");
    let hidden = Path::new("/dead/.out.flinkrs-dead");
    assert!(files.exists(hidden).unwrap());
    // Both live.
    succeed(cluster, &["count", "hdfs:///dead/in", "hdfs:///dead/out", "1", "overwrite"]);
    assert!(files.exists(hidden).unwrap());
    let the_lock = Path::new("/dead/locks/the.lock");
    let said = hdfs_as(cluster, "root").lock(the_lock).err().unwrap().to_string();
    let holder = format!("process {} of ", locked.id());
    assert!(said.contains(&holder) && said.contains("HDFS frees the lock a minute after"), "{said}");
    end(job);
    end(locked);
    // Nothing of the dead says that they are; a minute later the NameNode gives their leases away.
    wait_until("the end of the dead job's lock", || files.lock(the_lock).is_ok());
    assert!(!files.exists(the_lock).unwrap());
    succeed(cluster, &["count", "hdfs:///dead/in", "hdfs:///dead/out", "1", "overwrite"]);
    assert!(!files.exists(hidden).unwrap());
    assert_eq!(lines(&files, Path::new("/dead/out")), ["a,2", "b,1"]);
    let lock = files.lock(the_lock).unwrap();
    assert!(files.lock(the_lock).is_err());
    drop(lock);
    assert_eq!(files.list(Path::new("/dead/locks")).unwrap(), []);
}

/// Quotas and safe mode are said, and what helps.
pub(crate) fn limits_of_the_cluster_are_said(cluster: &mut Cluster) {
    let files = hdfs(cluster);
    let admin = |arguments: &[&str]| {
        let output = cluster.java("org.apache.hadoop.hdfs.tools.DFSAdmin").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    files.create_dir(Path::new("/limits/names")).unwrap();
    files.create_dir(Path::new("/limits/space")).unwrap();
    admin(&["-setQuota", "2", "/limits/names"]);
    admin(&["-setSpaceQuota", "1m", "/limits/space"]);
    write(&files, Path::new("/limits/names/1"), b"");
    let names = files.create(Path::new("/limits/names/2")).err().unwrap();
    assert!(names.exit_code() == 4 && names.to_string().contains("`hdfs dfsadmin -setQuota`"), "{names}");
    let mut file = files.create(Path::new("/limits/space/1")).unwrap();
    let space = std::io::Write::write_all(&mut file, b"a").and_then(|()| file.close()).unwrap_err().to_string();
    assert!(space.contains("quota"), "{space}");
    admin(&["-safemode", "enter"]);
    let safe = files.create_dir(Path::new("/limits/more")).unwrap_err().to_string();
    admin(&["-safemode", "leave"]);
    assert!(safe.contains("the NameNode is in safe mode") && safe.contains("/limits/more"), "{safe}");
    files.remove(Path::new("/limits")).unwrap();
}
