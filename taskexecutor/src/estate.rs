//! What outlives a TaskExecutor: finished partitions, which the next one on the same machine takes over.
//!
//! A folder belongs to whoever holds the lock of a file in it, and nobody holds the lock of a process that was killed.
//! Partitions are of use to the JobManager only in whose time they were written: one that starts again runs its jobs
//! from the start.

use flinkrs_core::error::{Error, Result};
use flinkrs_runtime::Exchange;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file that is locked.
const LOCK: &str = "lock";

/// The file that says to which JobManager the partitions belong.
const SESSION: &str = "session";

/// The folder of this TaskExecutor.
pub(crate) struct Estate {
    folder: PathBuf,
    /// Locked until the process ends, however it does.
    _lock: File,
}

impl Estate {
    /// Takes possession of a folder, which is there.
    ///
    /// Errors when the file can't be made or locked.
    pub(crate) fn own(folder: &Path) -> Result<Estate> {
        let (new, path) = (folder.join("lock.new"), folder.join(LOCK));
        // It has its name when it is locked: without a lock it would be an heirless folder's.
        let locked = File::create(&new).and_then(|file| {
            file.lock()?;
            fs::rename(&new, &path).map(|()| file)
        });
        let lock = locked.map_err(|error| Error::io("lock", &path, error))?;
        Ok(Estate { folder: folder.to_owned(), _lock: lock })
    }

    /// Where partitions lie.
    pub(crate) fn partitions(&self) -> PathBuf {
        self.folder.join("partitions")
    }

    /// Leaves in the folder what was written in the time of the JobManager with this secret, takes over what killed
    /// TaskExecutors have left of it on this machine, and removes all else of them. `server` serves the folder, and
    /// nobody writes to it.
    ///
    /// Errors when this TaskExecutor's own folder can't be read or written.
    pub(crate) fn settle(&self, data_secret: &[u8], server: &Exchange) -> Result<()> {
        let session: String = Sha256::digest(data_secret).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = self.folder.join(SESSION);
        if !is_of(&self.folder, &session) {
            server.remove_partitions(|_| true)?;
            fs::write(&file, &session).map_err(|error| Error::io("write", &file, error))?;
        }
        server.remove_unfinished()?;
        for (dead, _lock) in self.heirless() {
            let partitions = dead.join("partitions");
            // Where that fails the partitions are lost, as if the machine were.
            let taken = is_of(&dead, &session).then(|| server.take_partitions(&partitions));
            if let Some(Err(error)) = taken {
                eprintln!("{error}");
            }
            let _ = fs::remove_dir_all(dead);
        }
        Ok(())
    }

    /// Folders beside this one of TaskExecutors that don't live any more, each with its lock, which keeps others away.
    fn heirless(&self) -> Vec<(PathBuf, File)> {
        let (Some(place), Some(name)) = (self.folder.parent(), self.folder.file_name().and_then(|name| name.to_str()))
        else {
            return Vec::new();
        };
        // Names end in numbers of processes or containers.
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let beside = fs::read_dir(place).into_iter().flatten().flatten().filter(|entry| {
            let found = entry.file_name();
            let number = found.to_str().and_then(|found| found.strip_prefix(kind));
            number.is_some_and(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
        });
        let claimed = beside.filter(|entry| entry.path() != self.folder).filter_map(|entry| {
            let lock = File::open(entry.path().join(LOCK)).ok()?;
            lock.try_lock().ok().map(|()| (entry.path(), lock))
        });
        claimed.collect()
    }
}

/// Whether what lies in a folder was written in a session.
fn is_of(folder: &Path, session: &str) -> bool {
    fs::read_to_string(folder.join(SESSION)).is_ok_and(|found| found == session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_runtime::{Compression, ExchangeOptions, PeerId, StoredPartition};
    use std::net::{Ipv4Addr, SocketAddr};

    /// A TaskExecutor's folder, and who serves it.
    fn living(place: &Path, name: &str) -> (Estate, Exchange) {
        let folder = place.join(name);
        fs::create_dir_all(folder.join("partitions")).unwrap();
        let estate = Estate::own(&folder).unwrap();
        let options = ExchangeOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            job: 0,
            me: PeerId::of_task_executor(&name.into()),
            secret: b"secret".to_vec(),
            memory_bytes: 1 << 20,
            compression: Compression::None,
            folder: Some(estate.partitions()),
            tls: None,
        };
        (estate, Exchange::start(options).unwrap())
    }

    fn write(estate: &Estate, name: &str) {
        fs::write(estate.partitions().join(name), "records").unwrap();
    }

    fn producers(server: &Exchange) -> Vec<u32> {
        let mut found: Vec<u32> = server.partitions().unwrap().iter().map(|of: &StoredPartition| of.producer).collect();
        found.sort_unstable();
        found
    }

    const FIRST: &str = "0000000000000000000000000000000a-0-0-1-0.partition";
    const SECOND: &str = "0000000000000000000000000000000a-0-0-2-0.partition";
    const UNFINISHED: &str = "0000000000000000000000000000000a-0-0-3-0.unfinished";

    #[test]
    fn partitions_of_the_dead_are_taken_over_and_those_of_the_living_are_not() {
        let place = tempfile::tempdir().unwrap();
        let (dead, server) = living(place.path(), "te-1");
        dead.settle(b"now", &server).unwrap();
        write(&dead, FIRST);
        write(&dead, UNFINISHED);
        drop((dead, server));
        let (alive, of_alive) = living(place.path(), "te-2");
        alive.settle(b"before", &of_alive).unwrap();
        assert!(producers(&of_alive).is_empty(), "they are of another JobManager");
        assert!(!place.path().join("te-1").exists());

        write(&alive, SECOND);
        alive.settle(b"before", &of_alive).unwrap();
        assert_eq!(producers(&of_alive), [2], "it has registered again");
        let (next, of_next) = living(place.path(), "te-3");
        next.settle(b"before", &of_next).unwrap();
        assert!(producers(&of_next).is_empty());
        write(&alive, UNFINISHED);
        drop((alive, of_alive));
        next.settle(b"before", &of_next).unwrap();
        assert_eq!(producers(&of_next), [2]);
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["te-3"]);
        next.settle(b"later", &of_next).unwrap();
        assert!(producers(&of_next).is_empty());
    }
}
