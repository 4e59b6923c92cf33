//! What a machine doesn't have: disk, ports, and room for arguments.

use crate::faults::{COMMAND, assert_failed, flinkrs};
use crate::harness::{Cluster, assert_same, embedded, text, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system of a few megabytes, if this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir_all(folder).expect("is made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(SmallDisk(folder.to_owned()));
        }
        eprintln!("SKIPPED: this user may not mount a small disk");
        None
    }

    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).expect("lists").map(|entry| entry.expect("an entry").path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path.display().to_string()) }
            }
        }
        files
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Processes that are being ended may still have files there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

const FEW_RESTARTS: [&str; 2] = ["restart-strategy.fixed-delay.attempts=1", "restart-strategy.fixed-delay.delay=100ms"];

#[test]
fn a_taskexecutor_without_room_for_the_program_says_so() {
    let mut cluster = Cluster::with(0, &FEW_RESTARTS);
    let Some(disk) = SmallDisk::mount(&cluster.path().join("small"), "2m") else { return };
    cluster.add_executor_at(&disk.0);
    cluster.wait_for_slots(1);
    let output = cluster.run(&[], &["sums"]);
    assert_failed(&output, 3, &["on TaskExecutor", "cannot write", "artifacts", "No space left on device"]);
    let of_executable = disk.files().into_iter().filter(|file| file.contains("/artifacts/"));
    assert_eq!(of_executable.collect::<Vec<_>>(), Vec::<String>::new(), "nothing of the executable is left");
    cluster.assert_stopped_without_a_trace(&["small"]);
}

#[test]
fn a_jobmanager_without_room_for_the_program_says_so() {
    let cluster = Cluster::start(1);
    let Some(disk) = SmallDisk::mount(&cluster.path().join("store/artifacts"), "2m") else { return };
    let output = cluster.run(&[], &["sums"]);
    assert_failed(&output, 4, &["the JobManager at", "cannot write", "No space left on device"]);
    assert_eq!(disk.files(), Vec::<String>::new(), "nothing of the executable is left");
    assert_eq!(text(&cluster.flinkrs("list", &["-a"]).stdout), "No jobs.\n");
}

#[test]
fn a_disk_that_fills_up_while_records_are_kept_fails_the_job() {
    let mut cluster = Cluster::with(0, &FEW_RESTARTS);
    let program = fs::metadata(crate::harness::PROGRAM).expect("is there").len() >> 20;
    let room = format!("{}m", 2 * program + 8);
    let Some(disk) = SmallDisk::mount(&cluster.path().join("small"), &room) else { return };
    (0..2).for_each(|_| cluster.add_executor_at(&disk.0));
    cluster.wait_for_slots(2);
    let blocking = "-Dexecution.batch-shuffle-mode=ALL_EXCHANGES_BLOCKING";
    let output = cluster.run(&[blocking], &["sort", "--records", "5000000"]);
    assert_failed(&output, 3, &["No space left on device", &disk.0.display().to_string()]);
    assert!(!disk.files().iter().any(|file| file.contains("/partitions/")), "{:?}", disk.files());
    // Whoever needs less is not disturbed by it.
    let output = cluster.run(&[], &["sums"]);
    assert_same(&text(&output.stdout), &text(&embedded(&["sums"])), "after the disk was full");
    cluster.assert_stopped_without_a_trace(&["small"]);
}

#[test]
fn a_port_that_is_taken_is_named_with_its_option() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = taken.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("-Dhigh-availability.storageDir={}", folder.path().display());
    for option in ["rest.port", "metrics.reporter.prom.port"] {
        let mut arguments = vec!["jobmanager", "-Djobmanager.rpc.port=0", &store];
        let taken = format!("-D{option}={port}");
        arguments.push(&taken);
        if option != "rest.port" {
            arguments.push("-Drest.port=0");
        }
        assert_failed(&flinkrs(&arguments), 4, &["cannot listen", &port.to_string(), option]);
    }
    let (taken, files) =
        (format!("-Dtaskmanager.data.port={port}"), format!("-Dio.tmp.dirs={}", folder.path().display()));
    let output = flinkrs(&["taskexecutor", &taken, &files]);
    assert_failed(&output, 4, &["cannot listen on", &port.to_string(), "taskmanager.data.port"]);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("lists").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("flinkrs-")), "{left:?}");
}

/// A megabyte of arguments reaches the workers.
#[test]
fn a_megabyte_of_arguments_is_carried_along() {
    let cluster = Cluster::start(2);
    let padding: Vec<String> = (0..10).map(|i| format!("--padding={}", i.to_string().repeat(100 << 10))).collect();
    let arguments: Vec<&str> = std::iter::once("sums").chain(padding.iter().map(String::as_str)).collect();
    let output = cluster.run(&[], &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same(&text(&output.stdout), &text(&embedded(&["sums"])), "with a megabyte of arguments");
    cluster.assert_stopped_without_a_trace(&["small"]);
}

/// A JobManager that can't be reached yet is waited for, and that is said once.
#[test]
fn a_taskexecutor_waits_for_its_jobmanager() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let mut command = Command::new(COMMAND);
    command.args(["taskexecutor", "-m", "127.0.0.1:1"]).arg(format!("-Dio.tmp.dirs={}", folder.path().display()));
    let mut child = command.stderr(fs::File::create(&log).expect("a log")).spawn().expect("starts");
    let said = || fs::read_to_string(&log).expect("reads");
    wait_until("it has said so", || said().contains("no JobManager answers at 127.0.0.1:1"));
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let lines = said();
    assert_eq!(lines.lines().filter(|line| line.ends_with("; trying again")).count(), 1, "{lines}");
    assert!(child.try_wait().expect("a child").is_none(), "it goes on trying");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn two_slot_sharing_groups_need_slots_each() {
    let mut cluster = Cluster::with(1, &["slot.request.timeout=2s"]);
    let output = cluster.run(&["-p", "1"], &["groups"]);
    let needs = "needs 2 slots (by slot sharing group: 1 for 'default', 1 for 'makers'), 1 is there";
    assert_failed(&output, 4, &[needs, "slot.request.timeout", "start more TaskExecutors"]);
    cluster.add_executor();
    cluster.wait_for_slots(2);
    let output = cluster.run(&["-p", "1"], &["groups"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_same(&text(&output.stdout), &text(&embedded(&["groups"])), "in two slots");
    cluster.wait_until_idle();
    cluster.assert_stopped_without_a_trace(&[]);
}
