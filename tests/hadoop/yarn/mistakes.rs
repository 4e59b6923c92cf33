//! What goes wrong before and while an application runs: one message, one exit code, nothing left.

use crate::support::{block_on, client, folder, hdfs, wait_until};
use crate::yarn::harness::*;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::proto::yarn::*;
use flinkrs_tests::hadoop::Cluster;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// `flinkrs run` with options, of a program that would work.
fn sums<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["run", "-t", "yarn-per-job"], options, &[PROGRAM, "sums"]].concat()
}

/// Refused within a minute, and without a trace.
fn refused(cluster: &Cluster, arguments: &[&str], code: i32, words: &[&str]) -> Said {
    let since = Instant::now();
    let refused = said(cluster, arguments).failed(code, words);
    assert!(since.elapsed() < Duration::from_secs(60), "{arguments:?} took {:?}", since.elapsed());
    nothing_is_left(cluster);
    refused
}

pub(crate) fn impossible_containers_are_refused(cluster: &mut Cluster) {
    make_home(cluster);
    let session = |option| ["yarn-session", "-d", option];
    for arguments in
        [session("-Dtaskmanager.memory.process.size=9gb").to_vec(), sums(&["-Dtaskmanager.memory.process.size=9gb"])]
    {
        refused(
            cluster,
            &arguments,
            4,
            &["TaskExecutor", "9216 MB", "8192 MB at most", "taskmanager.memory.process.size"],
        );
    }
    let options = ["JobManager", "10240 MB", "jobmanager.memory.process.size"];
    refused(cluster, &session("-Djobmanager.memory.process.size=10gb"), 4, &options);
    refused(
        cluster,
        &sums(&["-Dyarn.containers.vcores=5"]),
        4,
        &["5 cores", "4 cores at most", "yarn.containers.vcores"],
    );
    refused(cluster, &session("-Dtaskmanager.memory.process.size=20mb"), 2, &["taskmanager.memory.process.size"]);
    refused(cluster, &session("-Dyarn.no-such-option=1"), 2, &["yarn.no-such-option"]);
    for option in ["security.ssl.internal.enabled", "security.ssl.rest.enabled"] {
        let set = format!("-D{option}=true");
        refused(cluster, &["yarn-session", "-d", &set], 2, &[option, "can't be encrypted"]);
    }
}

pub(crate) fn queues_are_checked(cluster: &mut Cluster) {
    make_home(cluster);
    let there_are = ["'nowhere'", "yarn.application.queue", "default"];
    refused(cluster, &sums(&["-Dyarn.application.queue=nowhere"]), 2, &there_are);
    refused(cluster, &["yarn-session", "-d", "-qu", "stopped"], 4, &["'stopped' is stopped", "yarn.application.queue"]);
    // One that is too small waits, and says for what.
    let waits = ["-Dyarn.application.queue=small", "-Dyarn.application.start-timeout=4s"];
    for arguments in [sums(&waits), [&["yarn-session", "-d"], &waits[..]].concat()] {
        let since = Instant::now();
        let said = refused(cluster, &arguments, 4, &["has not started within 4 s", "yarn.application.start-timeout"]);
        assert!(since.elapsed() >= Duration::from_secs(4));
        let state = report(cluster, said.application()).yarn_application_state();
        assert_eq!(state, YarnApplicationStateProto::Killed, "{said:?}");
    }
}

/// Ctrl-C ends a client that waits in a queue, and its application.
pub(crate) fn waiting_clients_can_be_ended(cluster: &mut Cluster) {
    make_home(cluster);
    let small = "-Dyarn.application.queue=small";
    for arguments in
        [&["yarn-session", small][..], &sums(&[small]), &["run", "-t", "yarn-application", small, PROGRAM, "sums"]]
    {
        let waiting = Running::start(&mut flinkrs(cluster, arguments));
        wait_until("the application", || !applications(cluster).is_empty());
        let id = applications(cluster)[0];
        waiting.signal("INT");
        let ended = waiting.end();
        assert_eq!(ended.code, Some(130), "{arguments:?}: {ended:?}");
        assert_eq!(report(cluster, id).yarn_application_state(), YarnApplicationStateProto::Killed);
        nothing_is_left(cluster);
    }
}

pub(crate) fn missing_daemons_are_named(cluster: &mut Cluster) {
    make_home(cluster);
    let mut command = flinkrs(cluster, &["yarn-session", "-d"]);
    run(command.env_remove("HADOOP_CONF_DIR").env_remove("HADOOP_HOME")).failed(2, &["HADOOP_CONF_DIR"]);
    let mut command = flinkrs(cluster, &["yarn-session", "-d"]);
    run(command.env("HADOOP_CONF_DIR", "/no/such/folder")).failed(3, &["/no/such/folder"]);
    // A cluster of which nobody answers.
    let folder = folder(cluster, "nobody");
    let site = |keys: [(&str, &str); 2]| {
        let properties =
            keys.map(|(key, value)| format!("<property><name>{key}</name><value>{value}</value></property>"));
        format!("<configuration>{}</configuration>", properties.concat())
    };
    let retries = ("yarn.resourcemanager.connect.max-wait.ms", "2000");
    std::fs::write(folder.join("yarn-site.xml"), site([("yarn.resourcemanager.address", "127.0.0.1:9"), retries]))
        .unwrap();
    let core = site([("fs.defaultFS", "hdfs://127.0.0.1:9"), ("x", "y")]);
    std::fs::write(folder.join("core-site.xml"), core).unwrap();
    for arguments in [vec!["yarn-session", "-d"], sums(&[]), vec!["run", "-t", "yarn-application", PROGRAM, "sums"]] {
        let since = Instant::now();
        let mut command = flinkrs(cluster, &arguments);
        run(command.env("HADOOP_CONF_DIR", &folder)).failed(4, &["ResourceManager", "127.0.0.1:9"]);
        assert!(since.elapsed() < Duration::from_secs(30));
    }
    nothing_is_left(cluster);
}

/// The superuser's tool.
fn admin(cluster: &Cluster, arguments: &[&str]) {
    run(cluster.java("org.apache.hadoop.hdfs.tools.DFSAdmin").args(arguments)).ok();
}

pub(crate) fn staging_that_fails_is_said(cluster: &mut Cluster) {
    make_home(cluster);
    let files = hdfs(cluster);
    files.create_dir(Path::new("/closed")).unwrap();
    files.set_permission(Path::new("/closed"), 0o755).unwrap();
    let words = ["/closed/", "user=ann", "yarn.staging-directory"];
    refused(cluster, &sums(&["-Dyarn.staging-directory=/closed"]), 3, &words);
    admin(cluster, &["-setSpaceQuota", "1m", "/user/ann"]);
    let full = said(cluster, &["yarn-session", "-d"]);
    admin(cluster, &["-clrSpaceQuota", "/user/ann"]);
    admin(cluster, &["-safemode", "enter"]);
    let since = Instant::now();
    let safe = said(cluster, &sums(&[]));
    let took = since.elapsed();
    admin(cluster, &["-safemode", "leave"]);
    full.failed(3, &["/user/ann", "quota"]);
    safe.failed(3, &["safe mode"]);
    assert!(took < Duration::from_secs(60), "{took:?}");
    nothing_is_left(cluster);
}

/// YARN's side ends an application while its client waits.
pub(crate) fn a_killed_application_is_said(cluster: &mut Cluster) {
    make_home(cluster);
    for target in ["yarn-per-job", "yarn-application"] {
        let mut job = Running::start(&mut flinkrs(cluster, &["run", "-t", target, PROGRAM, "hang"]));
        let started = || processes(cluster).iter().any(Process::is_executor);
        wait_until("the TaskExecutor", || started() || job.has_ended());
        let id = applications(cluster)[0];
        while !block_on(client(cluster).kill(id, "by somebody else")).unwrap() {
            std::thread::sleep(Duration::from_millis(20));
        }
        job.end().failed(4, &[&id.to_string(), "was killed", "by somebody else"]);
        nothing_is_left(cluster);
    }
}

pub(crate) fn programs_that_fail_are_said(cluster: &mut Cluster) {
    make_home(cluster);
    let no_program = folder(cluster, "programs").join("text");
    std::fs::write(&no_program, "this is a text").unwrap();
    for target in ["yarn-per-job", "yarn-application"] {
        refused(cluster, &["run", "-t", target, "/no/such/program"], 3, &["/no/such/program"]);
        refused(cluster, &["run", "-t", target, no_program.to_str().unwrap()], 2, &["is no program of flinkrs"]);
        let panics = refused(cluster, &["run", "-t", target, "-p", "2", PROGRAM, "panic"], 1, &["seven is too much"]);
        let report = report(cluster, panics.application());
        assert_eq!(report.final_application_status(), FinalApplicationStatusProto::AppFailed);
        let diagnostics = report.diagnostics();
        assert!(diagnostics.contains("seven is too much") && diagnostics.contains("Map"), "{diagnostics}");
        let nothing = said(cluster, &["run", "-t", target, PROGRAM, "nothing"]);
        assert_eq!(nothing.code, Some(0), "{nothing:?}");
        nothing_is_left(cluster);
    }
    // What isn't valid fails before there is an application.
    let wrong = refused(cluster, &sums(&["--no-such-option"]), 2, &["--no-such-option"]);
    assert_eq!(application_in(&wrong.err), None);
}

/// Somebody else's session is none of ours.
pub(crate) fn sessions_of_others_are_closed(cluster: &mut Cluster) {
    make_home(cluster);
    let id = session(cluster, &[]);
    let mut list = flinkrs(cluster, &["list"]);
    run(list.env("HADOOP_USER_NAME", "eve")).failed(3, &["secret", "eve"]);
    let report = report(cluster, id);
    let address = format!("{}:{}", report.host(), report.rpc_port());
    said(cluster, &["list", "-m", &address]).failed(2, &["demands a secret"]);
    let wrong = folder(cluster, "wrong").join("secret");
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&wrong)
        .unwrap()
        .write_all(b"another")
        .unwrap();
    let wrong = format!("-Dsecurity.cluster-secret-file={}", wrong.display());
    said(cluster, &["list", "-m", &address, &wrong]).failed(2, &["secret"]);
    stop(cluster, id);
}
