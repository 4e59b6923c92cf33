//! Loops that go on from snapshots: with the answer of an undisturbed run, or with an error that says why not.

use super::*;
use flinkrs_api::{Executor, JobExecutionResult};
use flinkrs_core::fs::{FileKind, FileStatus, FileSystem, LocalFileSystem, OutputFile};
use flinkrs_core::function::FunctionSource;
use flinkrs_optimizer::{OptimizerOptions, optimize};
use flinkrs_plan::Plan;
use flinkrs_runtime::{Job, LoopReport, RuntimeOptions, SnapshotOptions};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const EVERY: u32 = 5;

/// What a step's function does beside its work: panics in one superstep, and notes in which ones it ran.
#[derive(Clone, Default)]
struct Watch {
    /// Of a loop that is snapshotted every two supersteps: the manifest, which is waited for.
    manifest: Option<PathBuf>,
    fails_in: Arc<AtomicU32>,
    seen: Arc<Mutex<BTreeSet<u32>>>,
}

impl Watch {
    fn fail_in(&self, superstep: u32) {
        self.fails_in.store(superstep, Ordering::Release);
    }

    fn begins(&self, superstep: u32) {
        if let Some(manifest) = self.manifest.as_ref().filter(|_| superstep % 2 == 1 && superstep > 1) {
            let complete = || parsed(manifest).is_some_and(|json| json["superstep"] == superstep - 1);
            (0..2000).take_while(|_| !complete()).for_each(|_| thread::sleep(Duration::from_millis(1)));
            // The file is in place a moment before the next snapshot may begin.
            thread::sleep(Duration::from_millis(5));
        }
        self.seen.lock().expect("nobody panics there").insert(superstep);
    }

    fn works(&self, superstep: u32) {
        assert!(self.fails_in.load(Ordering::Acquire) != superstep, "as planned in superstep {superstep}");
    }

    /// The supersteps that began since it was asked last.
    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.seen.lock().expect("nobody panics there")).into_iter().collect()
    }
}

fn environment(parallelism: u32, folder: &Path, resume: bool) -> ExecutionEnvironment {
    let local = LocalEnvironment::new().parallelism(parallelism).memory(ByteSize(32 << 20));
    local.loop_snapshot(folder, EVERY).resume(resume).create().expect("an environment")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

/// A bulk iteration in which everything matters that a snapshot has: the records, the superstep and the aggregates.
fn bulk(env: &ExecutionEnvironment, watch: &Watch, supersteps: u32) -> DataSet<(u64, u64)> {
    let watch = watch.clone();
    let weights = env.generate_sequence(0, 1999).map(|n| (n, bits(n) % 7));
    let step = env.generate_sequence(0, 1999).map(|n| (n, n)).iterate(supersteps);
    let grown = step.map_rich(move |context| {
        let superstep = context.superstep();
        watch.begins(superstep);
        let before = match context.previous_aggregate("sum") {
            Some(AccumulatorValue::Long(sum)) => sum as u64,
            _ => 0,
        };
        let (watch, sum) = (watch.clone(), context.long_aggregator("sum")?);
        Ok(move |(key, n): (u64, u64)| {
            watch.works(superstep);
            let next = (n * 3 + u64::from(superstep) + before) % 1_000_003;
            sum.add(next as i64);
            (bits(key) % 2000, next)
        })
    });
    let joined = grown.join(&weights).on(f0, f0).map(|(key, n), (_, weight)| (*key, n + weight));
    let next = joined.group_by(f0).reduce(|sum, next| sum.1 = sum.1.max(next.1));
    step.close_with(&next).name("Bulk")
}

/// Distances from vertex 0 on a path with a few bridges; texts in the solution set, another type in the workset.
fn delta(env: &ExecutionEnvironment, watch: &Watch, supersteps: u32) -> DataSet<(u64, String)> {
    let watch = watch.clone();
    let edges = env.generate_sequence(0, 59).flat_map(|n, out| {
        out.collect((n, n + 1, 1u32));
        out.collect((n, (n * 7) % 61, 20 + (n % 5) as u32));
    });
    let solution = env.generate_sequence(0, 60).map(|n| (n, if n == 0 { "0".to_owned() } else { "far".to_owned() }));
    let step = solution.iterate_delta(&env.from_collection(vec![(0u64, 0u32)]), f0, supersteps);
    let begun = step.workset().map_rich(move |context| {
        let superstep = context.superstep();
        watch.begins(superstep);
        let watch = watch.clone();
        Ok(move |record: (u64, u32)| {
            watch.works(superstep);
            record
        })
    });
    let offers = begun.join(&edges).on(f0, f0).map(|(_, d), (_, to, weight)| (*to, d + weight)).group_by(f0).min(f1);
    let closer = offers.join(step.solution_set()).on(f0, f0).flat_map(|offer, known, out| {
        if known.1.parse::<u32>().is_err() || known.1.parse::<u32>().is_ok_and(|known| offer.1 < known) {
            out.collect(*offer);
        }
    });
    let changes = closer.map(|(vertex, distance)| (vertex, distance.to_string()));
    step.close_with(&changes, &closer).name("Delta")
}

/// The content of a manifest.
fn parsed(manifest: &Path) -> Option<serde_json::Value> {
    serde_json::from_str(fs::read_to_string(manifest).ok()?.split_once('\n')?.1).ok()
}

/// The superstep of the newest snapshot, as its manifest has it.
fn newest(folder: &Path) -> u32 {
    let json = parsed(&folder.join("flinkrs-job-1/loop-1/manifest")).expect("there is a snapshot");
    json["superstep"].as_u64().expect("a number") as u32
}

/// The files of the first loop of the first job.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("flinkrs-job-1/loop-1")).expect("readable");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// Lets a loop fail in some supersteps, one run after the other, each going on from the one before, and compares the
/// answer of the last with that of an undisturbed run.
fn check<T: Data + Ord + std::fmt::Debug>(
    make: impl Fn(&ExecutionEnvironment, &Watch, u32) -> DataSet<T>,
    supersteps: u32,
    failures: &[u32],
) {
    for parallelism in PARALLELISMS {
        let (folder, watch) = (folder(), Watch::default());
        let expected = sorted(&make(&env(parallelism), &watch, supersteps));
        let all = watch.take();
        let mut begin = 1;
        for (run, failure) in failures.iter().enumerate() {
            watch.fail_in(*failure);
            let failed = make(&environment(parallelism, folder.path(), run > 0), &watch, supersteps).collect();
            let message = failed.expect_err("it panics").to_string();
            assert!(message.contains(&format!("as planned in superstep {failure}")), "{message}");
            assert_eq!(watch.take(), (begin..=*failure).collect::<Vec<_>>());
            let last = newest(folder.path());
            assert!(last.is_multiple_of(EVERY) && last < *failure && last + 1 >= begin, "{last}");
            begin = last + 1;
        }
        watch.fail_in(0);
        let result = sorted(&make(&environment(parallelism, folder.path(), true), &watch, supersteps));
        assert!(result == expected, "{result:?}\n{expected:?}");
        assert_eq!(watch.take(), all[begin as usize - 1..], "it goes on, and has no superstep more than it should");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "a job that has succeeded needs nothing");
    }
}

#[test]
fn a_bulk_iteration_goes_on_where_it_was() {
    check(bulk, 33, &[6, 17, 32]);
    check(bulk, 21, &[21]);
}

#[test]
fn a_delta_iteration_goes_on_where_it_was() {
    check(delta, 1000, &[6, 14, 27]);
    check(delta, 20, &[19]);
}

/// What a run has written of the solution set isn't written again by the run that goes on.
#[test]
fn a_loop_that_goes_on_writes_only_what_changes() {
    let (folder, watch) = (folder(), Watch::default());
    for (resume, failure) in [(false, EVERY + 2), (true, 2 * EVERY + 2)] {
        let manifest = folder.path().join("flinkrs-job-1/loop-1/manifest");
        let step = environment(1, folder.path(), resume).generate_sequence(0, 999).map(|n| (n, n));
        let step = step.iterate_delta(&step, f0, 100);
        let watch = watch.clone();
        let next = step.workset().map_rich(move |context| {
            let superstep = context.superstep();
            if superstep == failure {
                let due = || parsed(&manifest).is_some_and(|json| json["superstep"] == failure - 2);
                (0..2000).take_while(|_| !due()).for_each(|_| thread::sleep(Duration::from_millis(1)));
            }
            watch.fail_in(failure);
            let watch = watch.clone();
            Ok(move |(key, n): (u64, u64)| {
                watch.works(superstep);
                (key, n + 1)
            })
        });
        let few = next.filter(|(key, _)| *key < 10);
        step.close_with(&few, &next).collect().expect_err("it panics");
    }
    let json = parsed(&folder.path().join("flinkrs-job-1/loop-1/manifest")).expect("there is a snapshot");
    let solution = &json["subtasks"][0]["solution"];
    let names: Vec<&str> = (0..).map_while(|file| solution[file]["name"].as_str()).collect();
    assert_eq!(names, ["0000000005-0.solution", "0000000010-0.solution"]);
}

/// The second loop begins with what the first one makes; each has snapshots of its own.
#[test]
fn two_loops_of_a_job_go_on_each_where_it_was() {
    let two = |env: &ExecutionEnvironment, watch: &Watch, supersteps| {
        let first = bulk(env, &Watch::default(), 12);
        let watch = watch.clone();
        let step = first.iterate(supersteps);
        let next = step.map_rich(move |context| {
            let superstep = context.superstep();
            watch.begins(superstep);
            let watch = watch.clone();
            Ok(move |(key, n): (u64, u64)| {
                watch.works(superstep);
                (key, bits(n) % 1000)
            })
        });
        step.close_with(&next).name("Second")
    };
    for parallelism in PARALLELISMS {
        let (folder, watch) = (folder(), Watch::default());
        let expected = sorted(&two(&env(parallelism), &watch, 20));
        watch.fail_in(9);
        assert!(two(&environment(parallelism, folder.path(), false), &watch, 20).collect().is_err());
        assert!(folder.path().join("flinkrs-job-1/loop-2/manifest").exists());
        watch.fail_in(0);
        watch.take();
        assert!(sorted(&two(&environment(parallelism, folder.path(), true), &watch, 20)) == expected);
        assert_eq!(watch.take(), (6..=20).collect::<Vec<_>>());
    }
}

#[test]
fn the_result_counts_the_supersteps_of_all_runs() {
    let (folder, watch) = (folder(), Watch::default());
    let output = folder.path().join("output");
    let run = |resume: bool| {
        let env = environment(2, &folder.path().join("snapshots"), resume);
        bulk(&env, &watch, 30).write_csv(&output);
        env.execute("counted")
    };
    watch.fail_in(17);
    run(false).expect_err("it panics");
    watch.fail_in(0);
    let result = run(true).expect("the job runs");
    assert_eq!((result.loops[0].supersteps, result.loops[0].converged), (30, false));
}

#[test]
fn without_resume_a_program_begins_anew() {
    let (folder, watch) = (folder(), Watch::default());
    watch.fail_in(9);
    bulk(&environment(2, folder.path(), false), &watch, 20).collect().expect_err("it panics");
    assert_eq!(newest(folder.path()), 5);
    watch.take();
    watch.fail_in(3);
    bulk(&environment(2, folder.path(), false), &watch, 20).collect().expect_err("it panics");
    assert_eq!(watch.take(), [1, 2, 3]);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "the old snapshot isn't one of this run");
    watch.fail_in(0);
    let result = sorted(&bulk(&environment(2, folder.path(), true), &watch, 20));
    assert_eq!(watch.take(), (1..=20).collect::<Vec<_>>(), "there is nothing to go on from");
    assert!(result == sorted(&bulk(&env(2), &watch, 20)));
}

/// Whenever a job ends, its folder has the files of the manifest, and after the next start nothing else.
#[test]
fn files_that_no_manifest_names_go() {
    let (folder, watch) = (folder(), Watch::default());
    watch.fail_in(25);
    delta(&environment(2, folder.path(), false), &watch, 1000).collect().expect_err("it panics");
    let kept = files(folder.path());
    let stray = folder.path().join("flinkrs-job-1/loop-1/0000000099-0.feedback");
    fs::write(&stray, "left by a run that was killed").expect("writable");
    watch.fail_in(1 + newest(folder.path()));
    delta(&environment(2, folder.path(), true), &watch, 1000).collect().expect_err("it panics");
    assert_eq!(files(folder.path()), kept);
}

/// A snapshot, made by a run that failed.
struct Broken {
    folder: TempDir,
    watch: Watch,
}

impl Broken {
    fn new() -> Broken {
        let broken = Broken { folder: folder(), watch: Watch::default() };
        broken.watch.fail_in(14);
        delta(&environment(2, broken.folder.path(), false), &broken.watch, 1000).collect().expect_err("it panics");
        broken.watch.fail_in(0);
        broken.watch.take();
        broken
    }

    fn file(&self, end: &str) -> PathBuf {
        files(self.folder.path()).into_iter().find(|file| file.to_string_lossy().ends_with(end)).expect("it is there")
    }

    /// Changes a file, checks what a run says that would go on, and puts the file back.
    fn changed(&self, end: &str, change: impl FnOnce(&mut Vec<u8>), what: &str) {
        let file = self.file(end);
        let content = fs::read(&file).expect("readable");
        let mut changed = content.clone();
        change(&mut changed);
        fs::write(&file, changed).expect("writable");
        self.refused(&file, what);
        fs::write(&file, content).expect("writable");
    }

    fn refused(&self, file: &Path, what: &str) {
        let result = delta(&environment(2, self.folder.path(), true), &self.watch, 1000).collect();
        self.says(result.expect_err("the snapshot is broken"), file, what);
    }

    fn says(&self, error: Error, file: &Path, what: &str) {
        let folder = self.folder.path().join("flinkrs-job-1/loop-1");
        let advice = format!("; remove the folder {}, or start without --resume to begin anew", folder.display());
        assert_eq!(error.to_string(), format!("loop snapshot {} {what}{advice}", file.display()));
        assert_eq!(error.exit_code(), 3);
        assert_eq!(self.watch.take(), [0; 0], "nothing has run");
    }
}

#[test]
fn a_broken_snapshot_is_an_error_that_names_the_file() {
    let broken = Broken::new();
    for end in ["-0.feedback", "-1.feedback", "-0.solution", "-1.solution"] {
        let file = broken.file(end);
        let bytes = fs::metadata(&file).expect("it is there").len() as usize;
        let cut = format!("is damaged: it has {} bytes and should have {bytes}", bytes / 2);
        broken.changed(end, |content| content.truncate(bytes / 2), &cut);
        let longer = format!("is damaged: it has {} bytes and should have {bytes}", bytes + 1);
        broken.changed(end, |content| content.push(0), &longer);
        let flipped = "is damaged: its checksum doesn't fit its content";
        if bytes > 0 {
            broken.changed(end, |content| content[bytes / 2] ^= 4, flipped);
        }
        let aside = file.with_extension("aside");
        let kept = fs::read(&file).expect("readable");
        fs::rename(&file, &aside).expect("a file can be renamed");
        broken.refused(&file, "is missing");
        fs::write(&file, kept).expect("writable");
    }
    broken.changed("manifest", |content| content[200] ^= 1, "is damaged: its checksum doesn't fit its content");
    broken.changed("manifest", Vec::clear, "is not the manifest of a loop snapshot");
    let newer = |content: &mut Vec<u8>| {
        let text = String::from_utf8(std::mem::take(content)).expect("a text");
        *content = text.replacen("format 1", "format 7", 1).into_bytes();
    };
    broken.changed("manifest", newer, "is of format 7, and this program reads format 1");
    let result = delta(&environment(2, broken.folder.path(), true), &broken.watch, 1000);
    let expected = delta(&env(2), &Watch::default(), 1000);
    assert_eq!(sorted(&result), sorted(&expected), "to be refused does the snapshot no harm");
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let broken = Broken::new();
    let manifest = broken.file("manifest");
    let env = |parallelism| environment(parallelism, broken.folder.path(), true);
    let none = Watch::default();

    let error = delta(&env(3), &broken.watch, 1000).collect().expect_err("another parallelism");
    broken.says(error, &manifest, "is of a loop of parallelism 2, and this is 3 (option --parallelism)");
    let error = bulk(&env(2), &broken.watch, 1000).collect().expect_err("another loop");
    broken.says(error, &manifest, "is of loop 'Delta', and this is 'Bulk'");
    let error = delta(&env(2), &broken.watch, 1000).count().expect_err("another job");
    broken.says(error, &manifest, "is of job 'collect', and this is 'count'");
    let newest = newest(broken.folder.path());
    let error = delta(&env(2), &broken.watch, newest).collect().expect_err("fewer supersteps");
    broken.says(error, &manifest, &format!("is of superstep {newest}, and this loop has at most {newest}"));
    let more = delta(&env(2), &broken.watch, 1000).map(|record| record).collect();
    let advice = "the program has changed, or the optimizer has chosen otherwise for other inputs or memory";
    broken.says(more.expect_err("another plan"), &manifest, &format!("is of another plan than this one: {advice}"));

    let env = env(2);
    let solution = env.from_collection(vec![(0u64, "0".to_owned())]);
    let step = solution.iterate_delta(&env.from_collection(vec![(0u64, 0u64)]), f0, 20);
    let changes = step.workset().map(|(n, _)| (n, "1".to_owned()));
    let same = step.workset().map(|record| record);
    let other = step.close_with(&changes, &same).name("Delta");
    let types = "is of a loop that feeds back (u64, u32) of 16 bytes as ( u64 u32 ), and this is (u64, u64) of 16 \
                 bytes as ( u64 u64 )";
    broken.says(other.collect().expect_err("another type"), &manifest, types);

    delta(&environment(2, broken.folder.path(), true), &none, 2000).collect().expect("more supersteps are no mistake");
}

#[test]
fn the_folder_is_checked_before_anything_runs() {
    let (folder, watch) = (folder(), Watch::default());
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("writable");
    let error = bulk(&environment(2, &file, false), &watch, 20).collect().expect_err("it is a file");
    let advice = "check the folder of loop snapshots, or choose another one with --loop-snapshot";
    assert!(error.to_string().ends_with(advice), "{error}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    assert_eq!((error.exit_code(), watch.take()), (3, Vec::new()));
}

/// A run that has the folder keeps others off, which touch nothing; once it has failed, nothing keeps them off.
#[test]
fn two_runs_do_not_share_a_folder() {
    let folder = folder();
    let found = Arc::new(Mutex::new(Vec::new()));
    let (others, path) = (Arc::clone(&found), folder.path().to_path_buf());
    let step = environment(1, folder.path(), false).from_collection([0u64]).iterate(20);
    let next = step.map_rich(move |context| {
        let (others, path, superstep) = (Arc::clone(&others), path.clone(), context.superstep());
        Ok(move |n: u64| {
            if superstep == EVERY + 2 {
                let manifest = path.join("flinkrs-job-1/loop-1/manifest");
                (0..2000).take_while(|_| !manifest.exists()).for_each(|_| thread::sleep(Duration::from_millis(1)));
                for resume in [false, true] {
                    let other = environment(1, &path, resume).from_collection([1u64]).iterate(3);
                    let next = other.map(|n| n + 1);
                    let error = other.close_with(&next).collect().expect_err("the folder is taken");
                    others.lock().expect("nobody panics there").push(error.to_string());
                }
                panic!("as planned");
            }
            n
        })
    });
    let error = step.close_with(&next).collect().expect_err("it panics");
    assert!(error.to_string().contains("as planned"), "{error}");
    let lock = folder.path().join("flinkrs-job-1.lock");
    let advice = "check the folder of loop snapshots, or choose another one with --loop-snapshot";
    let process = std::process::id();
    let said = format!("cannot lock {}: process {process} has locked it; {advice}", lock.display());
    assert_eq!(*found.lock().expect("nobody panics there"), [said.clone(), said]);
    assert!(!lock.exists());
    assert_eq!(newest(folder.path()), EVERY);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let message = |local: LocalEnvironment| local.create().err().map(|error| error.to_string()).unwrap_or_default();
    let never = message(LocalEnvironment::new().loop_snapshot(Path::new("snapshots"), 0));
    assert_eq!(never, "a snapshot every 0 supersteps isn't possible; it has to be 1 or more (option --every)");
    let nothing = message(LocalEnvironment::new().resume(true));
    assert_eq!(nothing, "there is nothing to go on from; name the folder of snapshots (option --loop-snapshot)");
}

#[test]
fn the_codecs_name_is_that_of_the_version_in_use() {
    let manifest = flinkrs_tests::files::read(Path::new("Cargo.toml"));
    let version = manifest.split_once("bitcode = { version = \"").map(|(_, rest)| rest).expect("it is used");
    let (name, named) = flinkrs_core::types::codec::NAME.split_once(' ').expect("a name and a version");
    assert_eq!(name, "bitcode");
    assert!(version.starts_with(&format!("{named}.")), "snapshots say {named}");
}

/// What a file system does that isn't as it should be.
enum Trouble {
    /// `sync` does nothing, so that it takes no time.
    Unsynced,
    /// `sync` waits until the loop is in that superstep.
    Slow(u32, Arc<(Mutex<u32>, Condvar)>),
    /// Files that end so can't be synced.
    NoSync(&'static str),
    /// The disk is full after so many bytes in a file.
    Full(usize),
}

struct Troubled(Trouble);

struct SmallFile(Box<dyn OutputFile>, usize);

impl Write for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1 = self.1.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl OutputFile for SmallFile {
    fn close(self: Box<Self>) -> std::io::Result<()> {
        self.0.close()
    }
}

impl FileSystem for Troubled {
    fn status(&self, path: &Path) -> Result<FileStatus> {
        LocalFileSystem.status(path)
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        LocalFileSystem.exists(path)
    }
    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>> {
        LocalFileSystem.list(folder)
    }
    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>> {
        LocalFileSystem.open(path, offset)
    }
    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        let file = LocalFileSystem.create(path)?;
        Ok(match self.0 {
            Trouble::Full(bytes) => Box::new(SmallFile(file, bytes)),
            _ => file,
        })
    }
    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        LocalFileSystem.kind(path)
    }
    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        LocalFileSystem.absolute(path)
    }
    fn create_new(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create(path)
    }
    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        LocalFileSystem.append(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        LocalFileSystem.rename(from, to)
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        LocalFileSystem.create_dir(path)
    }
    fn sync(&self, path: &Path) -> Result<()> {
        match &self.0 {
            Trouble::Unsynced => return Ok(()),
            Trouble::Slow(until, now) if path.extension().is_some_and(|end| end == "feedback") => {
                let reached = now.0.lock().expect("nobody panics there");
                drop(now.1.wait_while(reached, |reached| *reached < *until).expect("nobody panics there"));
            }
            Trouble::NoSync(end) if path.to_string_lossy().ends_with(end) => {
                return Err(Error::io("sync", path, std::io::ErrorKind::StorageFull.into()));
            }
            _ => {}
        }
        LocalFileSystem.sync(path)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        LocalFileSystem.remove(path)
    }
}

/// Runs jobs with a file system of its own for snapshots, every two supersteps, and keeps the report of the loop.
struct Direct {
    snapshots: SnapshotOptions,
    report: Mutex<LoopReport>,
}

impl Direct {
    fn new(trouble: Trouble, folder: &Path, resume: bool) -> Arc<Direct> {
        let files = Arc::new(Troubled(trouble));
        let snapshots = SnapshotOptions { files, folder: folder.to_path_buf(), every: 2, resume };
        Arc::new(Direct { snapshots, report: Mutex::default() })
    }

    fn environment(self: &Arc<Direct>) -> ExecutionEnvironment {
        ExecutionEnvironment::new(2, Arc::clone(self) as Arc<dyn Executor>)
    }
}

impl Executor for Direct {
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        let graph = optimize(&plan, &OptimizerOptions::default())?.job_graph()?;
        let snapshots = Some(self.snapshots.clone());
        let (job, temp_dir) = (Arc::from("test"), std::env::temp_dir());
        let options = RuntimeOptions { job, threads: 2, memory_bytes: 32 << 20, temp_dir, snapshots };
        let result = Job::start(&graph, &*program, &options)?.finish()?;
        *self.report.lock().expect("nobody panics there") = result.loops[0].clone();
        Ok(JobExecutionResult::default())
    }
}

#[test]
fn a_solution_set_comes_back_from_the_whole_and_its_changes() {
    let (folder, manifest) = (folder(), "loop-1/manifest");
    let mut watch = Watch { manifest: Some(folder.path().join(manifest)), ..Watch::default() };
    watch.fail_in(15);
    let direct = Direct::new(Trouble::Unsynced, folder.path(), false);
    delta(&direct.environment(), &watch, 1000).collect().expect_err("it panics");
    let json = parsed(&folder.path().join(manifest)).expect("there is a snapshot");
    let files =
        json["subtasks"].as_array().into_iter().flatten().map(|of| of["solution"].as_array().map_or(0, Vec::len));
    assert!(files.max() > Some(2), "the whole, and changes more than once: {json:#}");
    watch.fail_in(0);
    watch.manifest = None;
    let direct = Direct::new(Trouble::Unsynced, folder.path(), true);
    let result = sorted(&delta(&direct.environment(), &watch, 1000));
    assert!(result == sorted(&delta(&env(2), &Watch::default(), 1000)));
    assert_eq!(direct.report.lock().expect("nobody panics there").resumed_after, 14);
}

#[test]
fn a_snapshot_that_falls_due_while_another_is_written_is_left_out_and_counted() {
    let (folder, now) = (folder(), Arc::<(Mutex<u32>, Condvar)>::default());
    let direct = Direct::new(Trouble::Slow(11, Arc::clone(&now)), folder.path(), false);
    let step = direct.environment().from_collection((0..100u64).collect::<Vec<_>>()).iterate(11);
    let next = step.map_rich(move |context| {
        *now.0.lock().expect("nobody panics there") = context.superstep();
        now.1.notify_all();
        Ok(|n: u64| n + 1)
    });
    assert_eq!(sorted(&step.close_with(&next)), (11..111).collect::<Vec<_>>());
    let report = direct.report.lock().expect("nobody panics there").clone();
    assert_eq!((report.supersteps.len(), report.skipped_snapshots), (11, 4), "those of 4, 6, 8 and 10");
    assert!(report.snapshots <= 1, "that of 2, if the job's end has let it");
}

#[test]
fn a_full_disk_fails_the_job_with_a_word_on_the_folder() {
    for (trouble, action) in [
        (Trouble::Full(400), "cannot write "),
        (Trouble::NoSync("0.feedback"), "cannot sync "),
        (Trouble::NoSync("manifest.new"), "cannot sync "),
    ] {
        let folder = folder();
        let direct = Direct::new(trouble, folder.path(), false);
        // It converges only when the job is stopped.
        let step = direct.environment().generate_sequence(0, 999).iterate(u32::MAX);
        let next = step.map(bits);
        let error = step.close_with(&next).collect().expect_err("the disk is full").to_string();
        assert!(error.contains(action) && error.contains(&folder.path().display().to_string()), "{error}");
        assert!(error.ends_with("or choose another one with --loop-snapshot"), "{error}");
    }
}
