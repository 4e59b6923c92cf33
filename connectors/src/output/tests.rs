//! Processes that die at each step of a commit, and what others make of what they leave.

use crate::output::place::Place;
use crate::output::{FileOutput, WriteMode};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Claim, FileKind, FileLock, FileStatus, FileSystem, LocalFileSystem, Located, OutputFile};
use flinkrs_core::id::Subtask;
use flinkrs_core::sink::{CommitContext, WriterContext};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file system whose process dies after so many changes.
struct Dying(AtomicU32);

impl Dying {
    fn step(&self, path: &Path) -> Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Error::io("live for", path, io::Error::other("dead")))
    }
}

impl FileSystem for Dying {
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
        self.step(path)?;
        let file = LocalFileSystem.create(path)?;
        self.step(path)?;
        Ok(file)
    }
    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        LocalFileSystem.kind(path)
    }
    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        LocalFileSystem.absolute(path)
    }
    fn create_new(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.step(path)?;
        LocalFileSystem.create_new(path)
    }
    fn share(&self, path: &Path) -> Result<Option<FileLock>> {
        LocalFileSystem.share(path)
    }
    fn claim(&self, path: &Path, waits: bool) -> Result<Claim> {
        LocalFileSystem.claim(path, waits)
    }
    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        LocalFileSystem.append(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step(from)?;
        LocalFileSystem.rename(from, to)
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.step(path)?;
        LocalFileSystem.create_dir(path)
    }
    fn sync(&self, path: &Path) -> Result<()> {
        LocalFileSystem.sync(path)
    }
    /// Removes piece by piece.
    fn remove(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a folder") {
                self.step(path)?;
                LocalFileSystem.remove(&entry.expect("readable").path())?;
            }
        }
        self.step(path)?;
        LocalFileSystem.remove(path)
    }
}

/// A folder for an output, with what was there before.
struct World {
    folder: tempfile::TempDir,
    attempts: &'static [u32],
    old: Old,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Nothing,
    File,
    Folder,
}

impl World {
    /// A job whose attempts have all finished, and whose processes have died then.
    fn new(attempts: &'static [u32], old: Old) -> World {
        let world = World { folder: tempfile::tempdir().expect("a folder"), attempts, old };
        match old {
            Old::Nothing => {}
            Old::File => fs::write(world.path(), "old").expect("writes"),
            Old::Folder => {
                fs::create_dir(world.path()).expect("creates");
                ["1", "2", "3"].iter().for_each(|name| fs::write(world.path().join(name), "old").expect("writes"));
            }
        }
        let output = world.output();
        output.begin(&world.context()).expect("begins");
        for (index, last) in (0..).zip(attempts) {
            for attempt in 0..=*last {
                let subtask = Subtask { index, parallelism: 2 };
                let mut file = output.open(&WriterContext { job: "job", subtask, attempt }).expect("opens");
                file.buffer().extend_from_slice(format!("{index}-{attempt}").as_bytes());
                file.finish().expect("writes");
            }
        }
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x")
    }

    fn output(&self) -> FileOutput {
        FileOutput::new(self.path()).mode(WriteMode::Overwrite)
    }

    fn context(&self) -> CommitContext<'static> {
        CommitContext { job: "job", attempts: self.attempts }
    }

    /// A process tries to commit and dies after so many steps; whether it lived through it.
    fn commit_for(&self, steps: u32) -> bool {
        let files = Arc::new(Dying(AtomicU32::new(steps)));
        let place = Place::new(Located { files, path: self.path() }, "job").expect("a place");
        let died = place.commit(WriteMode::Overwrite, self.attempts, None);
        if let Err(error) = &died {
            assert!(error.to_string().ends_with(": dead"), "{error}");
        }
        died.is_ok()
    }

    /// What is seen from outside: `old` or `new`, as a whole, or nothing.
    fn seen(&self) -> &'static str {
        let read = |path: &Path| fs::read_to_string(path).expect("a file");
        let path = self.path();
        if path.is_file() {
            return match (read(&path).as_str(), self.attempts) {
                ("old", _) if self.old == Old::File => "old",
                ("0-1", [1]) => "new",
                (other, _) => panic!("{other}"),
            };
        }
        if !path.exists() {
            return "nothing";
        }
        let mut names: Vec<_> = fs::read_dir(&path).expect("a folder").map(|e| e.expect("readable").path()).collect();
        names.sort();
        let texts: Vec<String> = names.iter().map(|path| read(path)).collect();
        match texts.join(" ").as_str() {
            "old old old" if self.old == Old::Folder => "old",
            "0-1 1-0" if self.attempts == [1, 0] => "new",
            other => panic!("{other}"),
        }
    }

    fn only_the_output_is_left(&self) {
        let left: Vec<_> = fs::read_dir(self.folder.path()).expect("a folder").map(|e| e.expect("readable")).collect();
        assert!(left.iter().all(|entry| entry.file_name() == "x"), "{left:?}");
    }
}

/// Does `check` with a world whose committer has died after each possible number of steps.
fn at_each_step(check: impl Fn(&World, &'static str)) {
    for attempts in [&[1][..], &[1, 0][..]] {
        for old in [Old::Nothing, Old::File, Old::Folder] {
            let before = if old == Old::Nothing { "nothing" } else { "old" };
            let gap = old == Old::Folder || (old == Old::File && attempts.len() > 1);
            let mut steps = 0;
            loop {
                let world = World::new(attempts, old);
                let lived = world.commit_for(steps);
                let seen = world.seen();
                assert!(seen == before || seen == "new" || (gap && seen == "nothing"), "{old:?} {steps}: {seen}");
                check(&world, before);
                world.only_the_output_is_left();
                if lived {
                    assert_eq!(seen, "new");
                    break;
                }
                steps += 1;
            }
            assert!(steps > 5, "{steps}");
        }
    }
}

#[test]
fn a_job_that_begins_anew_writes_the_same_attempts_again() {
    let world = World::new(&[1, 0], Old::Nothing);
    let hidden = world.folder.path().join(".x.flinkrs-job");
    assert!(hidden.join("1-1").exists());
    let output = world.output();
    output.begin(&world.context()).expect("begins");
    assert!(!hidden.join("1-1").exists());
    for index in 0..2 {
        let subtask = Subtask { index, parallelism: 2 };
        let mut file = output.open(&WriterContext { job: "job", subtask, attempt: 0 }).expect("no such file is there");
        file.finish().expect("writes");
    }
    output.commit(&CommitContext { job: "job", attempts: &[0, 0] }).expect("commits");
    world.only_the_output_is_left();
}

#[test]
fn another_process_completes_a_commit_from_each_step() {
    at_each_step(|world, _| {
        world.output().commit(&world.context()).expect("commits");
        assert_eq!(world.seen(), "new");
        world.output().commit(&world.context()).expect("commits again");
        assert_eq!(world.seen(), "new");
    });
}

#[test]
fn processes_that_die_one_after_the_other_complete_a_commit() {
    at_each_step(|world, _| {
        let mut steps = 1;
        while !world.commit_for(steps) {
            steps += 1;
        }
        assert_eq!(world.seen(), "new");
    });
}

#[test]
fn the_next_job_completes_what_was_decided_and_removes_the_rest() {
    at_each_step(|world, before| {
        let decided = world.folder.path().join(".x.flinkrs-job/.decided").exists() || world.seen() == "new";
        let next = world.output();
        let context = CommitContext { job: "next", ..world.context() };
        next.begin(&context).expect("begins");
        assert_eq!(world.seen(), if decided { "new" } else { before });
        next.abort(&context);
        assert_eq!(world.seen(), if decided { "new" } else { before });
    });
}

#[test]
fn an_abort_at_each_step_leaves_the_old_or_the_new_output() {
    at_each_step(|world, before| {
        let placed = world.seen() == "new";
        for _ in 0..2 {
            world.output().abort(&world.context());
            assert_eq!(world.seen(), if placed { "new" } else { before });
        }
    });
}

#[test]
fn processes_that_commit_at_the_same_time_do_it_once() {
    for _ in 0..20 {
        let world = World::new(&[1, 0], Old::Folder);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| world.output().commit(&world.context()).expect("commits"));
            }
        });
        assert_eq!(world.seen(), "new");
        world.only_the_output_is_left();
    }
}

#[test]
fn what_stands_in_the_way_of_a_decided_commit_is_not_replaced() {
    let world = World::new(&[1], Old::Nothing);
    let files = Arc::new(Dying(AtomicU32::new(3)));
    let place = Place::new(Located { files, path: world.path() }, "job").expect("a place");
    place.commit(WriteMode::NoOverwrite, world.attempts, None).expect_err("dies");
    assert!(place.hidden.join(".decided").exists());
    fs::write(world.path(), "other").expect("writes");
    let context = CommitContext { job: "next", ..world.context() };
    world.output().begin(&context).expect("begins");
    let error = FileOutput::new(world.path()).commit(&world.context()).expect_err("it exists").to_string();
    assert!(error.contains("exists; `.mode(WriteMode::Overwrite)` replaces it"), "{error}");
    assert_eq!(fs::read_to_string(world.path()).expect("there"), "other");
}
