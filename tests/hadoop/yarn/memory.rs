//! Containers keep to the memory that was asked for.

use crate::support::folder;
use crate::yarn::examples;
use crate::yarn::harness::*;
use flinkrs_tests::hadoop::Cluster;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What the container has, in MiB.
const CONTAINER_MIB: u64 = 192;

/// A sort of ten times its container's memory stays within it, at every look; YARN would kill one that doesn't.
pub(crate) fn a_sort_keeps_to_its_container(cluster: &mut Cluster) {
    make_home(cluster);
    let terasort = examples::terasort();
    let (input, output) = (folder(cluster, "tera").join("in"), folder(cluster, "sorted").join("out"));
    // Of 100 bytes each.
    let records = (10 * (CONTAINER_MIB << 20)).div_ceil(100).to_string();
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    run(Command::new(&terasort).args(["generate", "--records", &records, "--output", input])).ok();
    let sort = [terasort.to_str().unwrap(), "sort", "--input", input, "--output", output];
    let size = format!("-Dtaskmanager.memory.process.size={CONTAINER_MIB}mb");
    let options = ["run", "-t", "yarn-per-job", "-p", "2", "-Dtaskmanager.numberOfTaskSlots=2", &size];
    let mut job = Running::start(&mut flinkrs(cluster, &[&options, &sort[..]].concat()));
    let mut most = Sample::default();
    let mut looks = 0;
    while !job.has_ended() {
        for sample in samples(cluster).into_values() {
            looks += 1;
            if sample.total_kib() > most.total_kib() {
                most = sample;
            }
        }
        sleep(LOOK);
    }
    job.end().ok();
    let processes: Vec<String> = most.processes.iter().map(|(_, a, f)| format!("{} + {}", a >> 10, f >> 10)).collect();
    println!("of {looks} looks at {CONTAINER_MIB} MiB the largest: {} MiB", processes.join(", "));
    assert!(looks > 20 && most.total_kib() < CONTAINER_MIB << 10, "{most:?}");
    run(Command::new(&terasort).args(["validate", "--input", output, "--against", input])).ok();
    for path in [input, output] {
        fs::remove_dir_all(path).unwrap();
    }
    nothing_is_left(cluster);
}

/// What the processes of a container have resident, in KiB.
#[derive(Clone, Debug, Default)]
struct Sample {
    /// By command: of memory that no file backs, and of files.
    processes: Vec<(String, u64, u64)>,
}

impl Sample {
    fn total_kib(&self) -> u64 {
        self.processes.iter().map(|(_, anonymous, files)| anonymous + files).sum()
    }
}

/// The containers of TaskExecutors.
fn samples(cluster: &Cluster) -> BTreeMap<PathBuf, Sample> {
    let all = processes(cluster);
    let mut samples: BTreeMap<PathBuf, Sample> = BTreeMap::new();
    let is_executor_s = |process: &&Process| all.iter().any(|of| of.is_executor() && of.place == process.place);
    for process in all.iter().filter(is_executor_s) {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id)).unwrap_or_default();
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let name = process.command.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let files = kib("RssFile:") + kib("RssShmem:");
        samples.entry(process.place.clone()).or_default().processes.push((name, kib("RssAnon:"), files));
    }
    samples
}
