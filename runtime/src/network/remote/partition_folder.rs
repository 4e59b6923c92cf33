//! The folder of an exchange with finished partitions: what is there, what comes from another folder, what goes.

use crate::network::remote::{Exchange, FINISHED, StoredPartition};
use flinkrs_core::{Error, Result};
use std::fs::{self, DirEntry};
use std::path::Path;

impl Exchange {
    /// The finished partitions in the exchange's folder.
    ///
    /// Errors when the folder can't be read.
    pub fn partitions(&self) -> Result<Vec<StoredPartition>> {
        let Some((folder, _)) = &self.service.shared.files else { return Ok(Vec::new()) };
        Ok(entries(folder)?.into_iter().filter(|(entry, _)| is_finished(entry)).map(|(_, id)| id).collect())
    }

    /// Moves the finished partitions of another exchange's folder into this one's, of the same file system; those who
    /// wrote and served them have ended.
    ///
    /// Errors when a folder can't be read or written.
    pub fn take_partitions(&self, from: &Path) -> Result<()> {
        let Some((folder, _)) = &self.service.shared.files else { return Ok(()) };
        for (entry, _) in entries(from)?.into_iter().filter(|(entry, _)| is_finished(entry)) {
            let to = folder.join(entry.file_name());
            fs::rename(entry.path(), &to).map_err(|error| Error::io("move a partition to", &to, error))?;
        }
        Ok(())
    }

    /// Deletes the partitions in the exchange's folder that `is_over` picks: of a finished job, or of an attempt that
    /// has a successor; with them what killed processes haven't finished. Those that are being read stay readable.
    ///
    /// Errors when the folder can't be read or a file can't be deleted.
    pub fn remove_partitions(&self, is_over: impl Fn(&StoredPartition) -> bool) -> Result<()> {
        let Some((folder, _)) = &self.service.shared.files else { return Ok(()) };
        for (entry, id) in entries(folder)? {
            if is_over(&id) {
                fs::remove_file(entry.path()).map_err(|error| Error::io("remove", entry.path(), error))?;
            }
        }
        Ok(())
    }

    /// Deletes what processes that have ended have begun to write into the exchange's folder.
    ///
    /// Errors as [`Exchange::remove_partitions`].
    pub fn remove_unfinished(&self) -> Result<()> {
        let Some((folder, _)) = &self.service.shared.files else { return Ok(()) };
        for (entry, _) in entries(folder)?.iter().filter(|(entry, _)| !is_finished(entry)) {
            fs::remove_file(entry.path()).map_err(|error| Error::io("remove", entry.path(), error))?;
        }
        Ok(())
    }
}

/// The files of partitions, finished or not.
fn entries(folder: &Path) -> Result<Vec<(DirEntry, StoredPartition)>> {
    let failed = |error| Error::io("read the folder", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let id = entry.file_name().to_str().and_then(StoredPartition::of_file_name);
        found.extend(id.map(|id| (entry, id)));
    }
    Ok(found)
}

fn is_finished(entry: &DirEntry) -> bool {
    entry.path().extension().is_some_and(|extension| extension == FINISHED)
}
