//! Programs at the limits of memory, disk, threads and sizes, as processes that the kernel holds to them.

#[allow(dead_code, reason = "other tests use more of it")]
mod faults_process;

use faults_process::{Place, entries, run};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of 4 MB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at `folder`; `None` where mounting isn't permitted.
    fn mount(folder: &Path) -> Option<SmallDisk> {
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder).output();
        status.is_ok_and(|output| output.status.success()).then(|| SmallDisk(folder.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

/// Starts a program that can't write more than 4 MB into a file; the signal that comes with it is ignored.
const SMALL_FILES: [&str; 5] = ["prlimit", "--fsize=4194304", "sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];

/// Runs a case with `full` as the folder that can't take what is written, and checks that it says so.
fn fills(place: &Place, full: &Path, case: &str, arguments: &[&str], message: &str) {
    let disk = SmallDisk::mount(full);
    let wrapper: &[&str] = if disk.is_some() { &[] } else { &SMALL_FILES };
    let reason = if disk.is_some() { "No space left on device (os error 28)" } else { "File too large (os error 27)" };
    let outcome = run(&mut place.under(wrapper, case, arguments));
    outcome.assert_failed(3, &message.replace("REASON", reason));
    place.assert_clean();
}

#[test]
fn a_disk_that_is_full_of_spilled_data_is_named() {
    for case in ["sort", "group", "join"] {
        let place = Place::new();
        let temp = place.temp();
        let advice = "free space there, or choose another folder with --temp-dir";
        let message = format!("operator '*' (subtask */2): cannot spill to {}: REASON; {advice}", temp.display());
        fills(&place, &temp, case, &["--records", "1500000", "--memory", "32mb"], &message);
    }
}

#[test]
fn a_disk_that_is_full_of_output_is_named() {
    let place = Place::new();
    let sink = place.sink();
    let hidden = format!("{}/.output.flinkrs-*", sink.display());
    let message = format!("operator 'Write' (subtask */2): cannot write {hidden}: REASON");
    fills(&place, &sink, "numbers", &["--records", "3000000"], &message);
}

const RECORDS: u64 = 2_400_000;

/// A case over about ten times the memory that it may use, with a limit of the kernel's on what it maps to write to.
fn spills(place: &Place, case: &str) {
    let records = RECORDS.to_string();
    let arguments = ["--records", &records, "--memory", "32mb", "--peak"];
    let mut command = place.under(&["prlimit", "--data=167772160"], case, &arguments);
    // Otherwise the allocator maps a gigabyte in advance, whether it is used or not.
    let outcome = run(command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0"));
    outcome.assert_done();
    place.assert_written();
    let peak = outcome.number();
    assert!((1..64 << 10).contains(&peak), "{case} took {peak} KB with 32 MB");
}

#[test]
fn a_sort_of_ten_times_the_memory_is_complete() {
    let place = Place::new();
    spills(&place, "sort");
    let mut before = 0;
    let (mut count, mut sum) = (0u64, 0u64);
    for line in place.lines() {
        let (key, filler) = line.split_once(',').expect("two columns");
        let key: u64 = key.parse().expect("a number");
        assert!(before <= key, "{key} after {before}");
        before = key;
        count += 1;
        sum += filler.trim_start_matches('0').parse::<u64>().expect("a number");
    }
    assert_eq!((count, sum), (RECORDS, RECORDS * (RECORDS + 1) / 2));
}

#[test]
fn groups_of_ten_times_the_memory_are_complete() {
    let place = Place::new();
    spills(&place, "group");
    let rows: Vec<Vec<u64>> = place.lines().iter().map(|line| numbers(line)).collect();
    assert_eq!(rows.iter().map(|row| row[1]).sum::<u64>(), RECORDS);
    assert_eq!(rows.iter().map(|row| row[2]).sum::<u64>(), RECORDS * 100);
    let mut keys: Vec<u64> = rows.iter().map(|row| row[0]).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "each group is one row");
}

#[test]
fn a_join_of_ten_times_the_memory_is_complete() {
    let place = Place::new();
    spills(&place, "join");
    let lines = place.lines();
    assert_eq!(lines.len() as u64, RECORDS);
    assert!(lines.iter().all(|line| numbers(line)[1] == 200));
}

/// Without the kernel's limit, and so with the allocator as every program has it.
#[test]
fn the_allocator_keeps_to_the_memory_too() {
    let place = Place::new();
    let arguments = ["--records", "2400000", "--memory", "32mb", "--peak"];
    let outcome = run(&mut place.misbehave("sort", &arguments));
    outcome.assert_done();
    assert!(outcome.number() < 96 << 10, "{} KB with 32 MB", outcome.number());
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(',').map(|text| text.parse().expect("a number")).collect()
}

#[test]
fn one_key_for_all_records() {
    let place = Place::new();
    let outcome = run(&mut place.misbehave("one-key", &["--records", "3000000", "--memory", "64mb", "--peak"]));
    outcome.assert_done();
    let all = 3_000_000u64;
    assert_eq!(place.lines(), [format!("7,{}", all * (all + 1) / 2 - 1)]);
    assert!(outcome.number() < 112 << 10, "{} KB", outcome.number());
}

#[test]
fn ten_thousand_operators_behind_each_other() {
    let place = Place::new();
    let outcome = run(&mut place.misbehave("chain", &["--records", "10000", "--peak"]));
    outcome.assert_done();
    let mut values: Vec<u64> = place.lines().iter().map(|line| numbers(line)[0]).collect();
    values.sort_unstable();
    assert!(values.iter().copied().eq(10_001..=11_000));
    assert!(outcome.number() < 500 << 10, "{} KB", outcome.number());
}

#[test]
fn a_thousand_subtasks() {
    let place = Place::new();
    let outcome = run(&mut place.misbehave("wide", &["--parallelism", "1000", "--records", "20000", "--peak"]));
    outcome.assert_done();
    let lines = place.lines();
    assert_eq!(lines.len(), 20_000);
    let rows: Vec<Vec<u64>> = lines.iter().map(|line| numbers(line)).collect();
    assert!(rows.iter().enumerate().all(|(i, row)| row[0] == i as u64 + 1), "sorted over all partitions");
    assert!(outcome.number() < 1500 << 10, "{} KB", outcome.number());
}

#[test]
fn a_thousand_subtasks_that_block() {
    let place = Place::new();
    let outcome = run(&mut place.misbehave("pulling", &["--parallelism", "1000", "--records", "50000", "--peak"]));
    outcome.assert_done();
    assert_eq!(place.lines(), ["50000"]);
    assert!(outcome.number() < 1500 << 10, "{} KB", outcome.number());
}

/// The limit counts the processes of a user, so it holds for somebody who has no others, and not for root.
#[test]
fn a_system_without_threads_is_named() {
    if !Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
        eprintln!("left out: only root can become a user without other processes");
        return;
    }
    let place = Place::new();
    let program = place.path().join("misbehave");
    fs::copy(env!("CARGO_BIN_EXE_misbehave"), &program).expect("programs can be copied");
    let open = Command::new("chmod").arg("-R").arg("a+rwx").arg(place.path()).status();
    assert!(open.is_ok_and(|status| status.success()));
    let problem = "the system refuses another thread: Resource temporarily unavailable (os error 11); raise its limit \
                   (`ulimit -u`), or lower --parallelism";
    // Queues hold a small part of the records: functions that pull find them empty again and again, and block.
    for (threads, message) in [("1", problem.to_owned()), ("8", format!("operator '*' (subtask */40): {problem}"))] {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=64321", "--regid=64321", "--clear-groups", "prlimit", &format!("--nproc={threads}")]);
        command.arg(&program).args(["pulling", "--parallelism", "40", "--records", "20000000"]);
        command.arg("--output").arg(place.output());
        run(&mut command).assert_failed(4, &message);
        assert_eq!(entries(&place.sink()), [""; 0]);
    }
}

const LONG_LINE: usize = 64 << 20;

/// Lines of 64 MB, that begin with different numbers.
fn long_lines(place: &Place, count: usize) -> PathBuf {
    let path = place.path().join("long");
    let mut file = BufWriter::new(File::create(&path).expect("a file can be made"));
    for i in 0..count {
        writeln!(file, "{:08}{}", (i * 7919) % 1000, "x".repeat(LONG_LINE - 8)).expect("there is space");
    }
    file.flush().expect("there is space");
    path
}

#[test]
fn records_of_64_mb_are_sorted_and_joined() {
    let place = Place::new();
    let input = long_lines(&place, 4);
    for case in ["sort-lines", "join-lines"] {
        let arguments = ["--input", input.to_str().expect("UTF-8"), "--memory", "256mb", "--overwrite"];
        run(&mut place.misbehave(case, &arguments)).assert_done();
        place.assert_written();
        let lines = place.lines();
        assert!(lines.iter().all(|line| line.len() == LONG_LINE && line.ends_with('x')));
        let mut keys: Vec<&str> = lines.iter().map(|line| &line[..8]).collect();
        if case == "join-lines" {
            keys.sort_unstable();
        }
        assert_eq!(keys, ["00000000", "00000757", "00000838", "00000919"], "{case}");
    }
}
