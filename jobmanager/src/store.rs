//! What outlives a JobManager: jobs, results, and the executables of jobs.
//!
//! ```text
//! artifacts ─ SHA256                              an executable; on this machine, where it can be run
//!           ─ names ─ SHA256_NAME                 the name that it was uploaded under; empty
//!
//! folder ─ jobs ─ JOB.job                         a job that has not ended
//!               ─ JOB.commit                      its sinks will be committed
//!        ─ outcomes ─ JOB                         how a job has ended
//!        ─ results ─ JOB ─ SINK-SUBTASK-ATTEMPT   records that come back into the program
//!        ─ artifacts ─ SHA256                     the same executable, where the folder is not on this machine
//! ```
//!
//! The folder may be on any file system. A file is written under another name, synced, and renamed. Every stored value
//! begins with a magic and the version of the protocol, and ends with a checksum.

mod upload;

pub(crate) use upload::{Jar, Upload};

use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileSystem, Located, OutputFile, locate, scheme_of};
use flinkrs_core::id::OperatorId;
use flinkrs_protocol::{ExecutionId, JobId};
use flinkrs_rpc::message::ResultBlock;
use flinkrs_rpc::{PROTOCOL, body};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How every stored value begins.
const MAGIC: &[u8; 8] = b"FLKRSTOR";

/// The folder among the executables with the names that some were uploaded under.
const NAMES: &str = "names";

/// Bytes of a block of a result at most.
const BLOCK_BYTES: u64 = 1 << 30;

/// The folder.
#[derive(Clone)]
pub(crate) struct Store {
    files: Arc<dyn FileSystem>,
    folder: PathBuf,
    /// Whether the folder outlives this machine, and files there take their time.
    is_remote: bool,
    artifacts: PathBuf,
    /// Results that are being written, where files take their time.
    open: Arc<Mutex<BTreeMap<(JobId, PathBuf), Box<dyn OutputFile>>>>,
}

impl Store {
    /// Opens or makes the folder, and the one for executables; only their owner may read what is on this machine.
    pub(crate) fn open(folder: &Path, artifacts: &Path) -> Result<Store> {
        let is_remote = scheme_of(folder).is_some_and(|scheme| scheme != "file");
        let Located { files, path: folder } = locate(folder)?;
        for part in ["jobs", "outcomes", "results"] {
            files.create_dir(&folder.join(part))?;
        }
        let names = artifacts.join(NAMES);
        fs::create_dir_all(&names).map_err(|error| Error::io("create", &names, error))?;
        let here = if is_remote { vec![artifacts] } else { vec![folder.as_path(), artifacts] };
        for path in here {
            let owner = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(path, owner).map_err(|error| Error::io("protect", path, error))?;
        }
        Ok(Store { files, folder, is_remote, artifacts: artifacts.to_path_buf(), open: Arc::default() })
    }

    /// Where an executable is, or will be.
    pub(crate) fn artifact(&self, sha256: &str) -> PathBuf {
        self.artifacts.join(sha256)
    }

    /// Takes an executable in that is a file here: as a link to it where that can be, else as a copy.
    pub(crate) fn adopt(&self, sha256: &str, executable: &Path) -> Result<()> {
        let path = self.artifact(sha256);
        if path.exists() || fs::hard_link(executable, &path).is_ok() {
            return Ok(());
        }
        let new = path.with_extension("new");
        let copied = fs::copy(executable, &new).and_then(|_| fs::rename(&new, &path));
        copied.map_err(|error| Error::io("copy to", path, error))
    }

    /// Keeps an executable for a JobManager on another machine.
    pub(crate) fn keep_artifact(&self, sha256: &str) -> Result<()> {
        let there = self.folder.join("artifacts").join(sha256);
        if !self.is_remote || self.files.exists(&there)? {
            return Ok(());
        }
        let here = self.artifact(sha256);
        let mut from = File::open(&here).map_err(|error| Error::io("read", &here, error))?;
        let new = there.with_extension("new");
        let mut to = self.files.create(&new)?;
        let copied = io::copy(&mut from, &mut to).and_then(|_| to.close());
        copied.map_err(|error| Error::io("write", &new, error))?;
        self.files.rename(&new, &there)
    }

    /// Brings an executable here that a JobManager on another machine has kept, unless it is here.
    pub(crate) fn restore_artifact(&self, sha256: &str) -> Result<()> {
        let (here, there) = (self.artifact(sha256), self.folder.join("artifacts").join(sha256));
        if here.exists() || !self.is_remote || !self.files.exists(&there)? {
            return Ok(());
        }
        let mut from = self.files.open(&there, 0)?;
        let new = here.with_extension("new");
        let copied =
            File::create(&new).and_then(|mut to| io::copy(&mut from, &mut to)).and_then(|_| fs::rename(&new, &here));
        copied.map_err(|error| Error::io("copy to", here, error))
    }

    /// Keeps a job until it has ended.
    pub(crate) fn put_job<T: Serialize>(&self, job: JobId, value: &T) -> Result<()> {
        self.put(&self.job_file(job), value)
    }

    /// The jobs that have not ended, each with what was recorded if its sinks will be committed. Unreadable ones are
    /// named.
    pub(crate) fn jobs<T: DeserializeOwned, C: DeserializeOwned>(&self) -> Result<Vec<(JobId, T, Option<C>)>> {
        let mut jobs = Vec::new();
        for path in self.list("jobs")? {
            let Some(job) = stem(&path).filter(|_| path.extension().is_some_and(|e| e == "job")) else { continue };
            let commit = self.commit_file(job);
            let commit = if self.files.exists(&commit)? { Some(self.get(&commit)?) } else { None };
            jobs.push((job, self.get(&path)?, commit));
        }
        Ok(jobs)
    }

    /// Records that a job's sinks will be committed, and what has to be known then.
    pub(crate) fn put_commit<C: Serialize>(&self, job: JobId, recorded: &C) -> Result<()> {
        self.put(&self.commit_file(job), recorded)
    }

    /// Keeps how a job has ended, and forgets the job.
    pub(crate) fn put_outcome<T: Serialize>(&self, job: JobId, outcome: &T) -> Result<()> {
        self.put(&self.folder.join("outcomes").join(job.to_string()), outcome)?;
        self.files.remove(&self.job_file(job))?;
        self.files.remove(&self.commit_file(job))
    }

    /// How jobs have ended.
    pub(crate) fn outcomes<T: DeserializeOwned>(&self) -> Result<Vec<(JobId, T)>> {
        let paths = self.list("outcomes")?;
        paths
            .iter()
            .filter_map(|path| Some((stem(path)?, path)))
            .map(|(job, path)| Ok((job, self.get(path)?)))
            .collect()
    }

    /// Forgets a job that has ended.
    pub(crate) fn remove_outcome(&self, job: JobId) -> Result<()> {
        self.files.remove(&self.folder.join("outcomes").join(job.to_string()))?;
        self.remove_results(job)
    }

    /// Forgets the records of a job that come back into the program.
    pub(crate) fn remove_results(&self, job: JobId) -> Result<()> {
        self.of_job(job).for_each(drop);
        self.files.remove(&self.results_folder(job))
    }

    /// Makes the records of a job that come back into the program readable: there will be no more.
    pub(crate) fn finish_results(&self, job: JobId) -> Result<()> {
        self.of_job(job).try_for_each(|(path, file)| file.close().map_err(|error| Error::io("write", path, error)))
    }

    /// Takes the files out that are being written for a job.
    fn of_job(&self, job: JobId) -> impl Iterator<Item = (PathBuf, Box<dyn OutputFile>)> + use<> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_job: Vec<_> =
            open.extract_if(.., |(of, _), _| *of == job).map(|((_, path), file)| (path, file)).collect();
        of_job.into_iter()
    }

    /// Adds a block to the records of a sink's subtask.
    pub(crate) fn append_result(
        &self,
        job: JobId,
        sink: OperatorId,
        execution: ExecutionId,
        block: &[u8],
    ) -> Result<()> {
        let name = format!("{}-{}-{}", sink.0, execution.subtask, execution.attempt);
        let path = self.results_folder(job).join(name);
        let failed = |error| Error::io("write", &path, error);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match open.remove(&(job, path.clone())) {
            Some(file) => file,
            None => self.files.append(&path)?,
        };
        let length = (block.len() as u64).to_le_bytes();
        file.write_all(&length).and_then(|()| file.write_all(block)).map_err(failed)?;
        if self.is_remote {
            open.insert((job, path), file);
            return Ok(());
        }
        file.close().map_err(failed)
    }

    /// Shows the records of a sink to `to`, block by block, those of each subtask's newest attempt.
    pub(crate) fn read_result(
        &self,
        job: JobId,
        sink: OperatorId,
        mut to: impl FnMut(ResultBlock) -> Result<()>,
    ) -> Result<()> {
        let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
        for path in self.list(&format!("results/{job}"))? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let numbers: Vec<u32> = name.split('-').filter_map(|part| part.parse().ok()).collect();
            if let [of, subtask, attempt] = numbers[..]
                && of == sink.0
            {
                let newest = newest.entry(subtask).or_default();
                *newest = attempt.max(*newest);
            }
        }
        for (subtask, attempt) in newest {
            let path = self.results_folder(job).join(format!("{}-{subtask}-{attempt}", sink.0));
            let failed = |error| Error::io("read", &path, error);
            let mut left = self.files.status(&path)?.bytes;
            let mut file = BufReader::new(self.files.open(&path, 0)?);
            while left > 0 {
                let mut length = [0; 8];
                file.read_exact(&mut length).map_err(failed)?;
                let length = u64::from_le_bytes(length);
                if length > BLOCK_BYTES || length + 8 > left {
                    return Err(Error::internal(format!("{} is broken", path.display())));
                }
                let mut block = vec![0; length as usize];
                file.read_exact(&mut block).map_err(failed)?;
                left -= 8 + length;
                to(ResultBlock { subtask, attempt, block })?;
            }
        }
        Ok(())
    }

    fn job_file(&self, job: JobId) -> PathBuf {
        self.folder.join("jobs").join(format!("{job}.job"))
    }

    fn commit_file(&self, job: JobId) -> PathBuf {
        self.folder.join("jobs").join(format!("{job}.commit"))
    }

    fn results_folder(&self, job: JobId) -> PathBuf {
        self.folder.join("results").join(job.to_string())
    }

    fn list(&self, part: &str) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join(part);
        if !self.files.exists(&folder)? {
            return Ok(Vec::new());
        }
        Ok(self.files.list(&folder)?.into_iter().map(|status| status.path).collect())
    }

    fn put<T: Serialize>(&self, path: &Path, value: &T) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(PROTOCOL.to_le_bytes());
        bytes.extend(body::encode(value)?);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let new = path.with_extension("new");
        let mut file = self.files.create(&new)?;
        let written = file.write_all(&bytes).and_then(|()| file.close());
        written.map_err(|error| Error::io("write", &new, error))?;
        self.files.sync(&new)?;
        self.files.rename(&new, path)?;
        path.parent().map_or(Ok(()), |folder| self.files.sync(folder))
    }

    fn get<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let mut bytes = Vec::new();
        let read = self.files.open(path, 0)?.read_to_end(&mut bytes);
        read.map_err(|error| Error::io("read", path, error))?;
        let broken = |what: &str| Error::data(format!("{} {what}; remove it to go on without it", path.display()));
        let Some((bytes, crc)) = bytes.split_last_chunk::<4>() else { return Err(broken("is too short")) };
        if crc32fast::hash(bytes) != u32::from_le_bytes(*crc) {
            return Err(broken("is damaged"));
        }
        let value = bytes.strip_prefix(MAGIC).ok_or_else(|| broken("is no file of a JobManager"))?;
        let Some((version, value)) = value.split_first_chunk::<4>() else { return Err(broken("is too short")) };
        match u32::from_le_bytes(*version) {
            PROTOCOL => body::decode(value),
            other => Err(broken(&format!("is of protocol {other}, and this JobManager of {PROTOCOL}"))),
        }
    }
}

/// The job that a file is named after.
fn stem(path: &Path) -> Option<JobId> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::id::VertexId;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), &folder.path().join("artifacts")).expect("opens");
        (folder, store)
    }

    #[test]
    fn a_job_is_there_until_its_outcome_is() {
        let (_folder, store) = store();
        let job = JobId(7);
        store.put_job(job, &"graph").expect("writes");
        assert_eq!(store.jobs::<String, u32>().expect("reads"), [(job, "graph".to_owned(), None)]);
        store.put_commit(job, &5u32).expect("writes");
        assert_eq!(store.jobs::<String, u32>().expect("reads")[0].2, Some(5));
        store.put_outcome(job, &1u32).expect("writes");
        assert!(store.jobs::<String, u32>().expect("reads").is_empty());
        assert_eq!(store.outcomes::<u32>().expect("reads"), [(job, 1)]);
        store.remove_outcome(job).expect("removes");
        assert!(store.outcomes::<u32>().expect("reads").is_empty());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let (folder, store) = store();
        store.put_job(JobId(7), &"graph").expect("writes");
        let path = folder.path().join(format!("jobs/{}.job", JobId(7)));
        let mut bytes = fs::read(&path).expect("reads");
        bytes[14] ^= 1;
        fs::write(&path, bytes).expect("writes");
        let error = store.jobs::<String, u32>().expect_err("is damaged").to_string();
        assert!(error.contains(".job is damaged; remove it"), "{error}");
    }

    #[test]
    fn results_are_those_of_the_newest_attempts() {
        let (_folder, store) = store();
        let (job, sink) = (JobId(1), OperatorId(3));
        let put = |subtask, attempt, block: &[u8]| {
            let execution = ExecutionId { vertex: VertexId(0), subtask, attempt };
            store.append_result(job, sink, execution, block).expect("writes");
        };
        put(1, 0, b"b");
        put(0, 0, b"old");
        put(0, 1, b"a1");
        put(0, 1, b"a2");
        let mut read = Vec::new();
        let keep = |block: ResultBlock| {
            read.push((block.subtask, block.block));
            Ok(())
        };
        store.read_result(job, sink, keep).expect("reads");
        assert_eq!(read, [(0, b"a1".to_vec()), (0, b"a2".to_vec()), (1, b"b".to_vec())]);
        store.read_result(job, OperatorId(4), |_| panic!("another sink")).expect("reads");
        store.remove_results(job).expect("removes");
        store.remove_results(job).expect("there are none");
        store.read_result(job, sink, |_| panic!("they are gone")).expect("reads");
    }
}
