//! The folder of one loop's snapshots.

use crate::snapshot::files::{StateFileWriter, measure};
use crate::snapshot::{Manifest, Origin, SnapshotOptions, StateFile, advised};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::FileSystem;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// The newest complete snapshot.
pub(crate) const MANIFEST: &str = "manifest";

/// Where a manifest is written before it takes its place.
const NEW_MANIFEST: &str = "manifest.new";

/// Reads and writes the snapshots of one loop.
pub(crate) struct LoopStore {
    files: Arc<dyn FileSystem>,
    folder: PathBuf,
    pub(crate) origin: Origin,
}

impl LoopStore {
    /// Makes the folder of a loop, the `number`th of its job, and checks that it can be used.
    pub(crate) fn create(options: &SnapshotOptions, number: usize, origin: Origin) -> Result<LoopStore> {
        let folder = options.folder.join(format!("loop-{number}"));
        let store = LoopStore { files: Arc::clone(&options.files), folder, origin };
        store.check().map_err(advised)?;
        let above = [Some(options.folder.as_path()), options.folder.parent()];
        let mut named = above.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty());
        named.try_for_each(|folder| store.files.sync(folder)).map_err(advised)?;
        Ok(store)
    }

    /// Tries to do what a snapshot needs.
    fn check(&self) -> Result<()> {
        let file = self.path(NEW_MANIFEST);
        self.files.create_dir(&self.folder)?;
        let mut written = self.files.create(&file)?;
        written.write_all(b"\n").and_then(|()| written.close()).map_err(|error| Error::io("write", &file, error))?;
        self.files.sync(&file)?;
        self.files.remove(&file)
    }

    /// The newest complete snapshot, every file of it checked, or `None` if there is none; removes all other files if
    /// it `cleans`.
    pub(crate) fn newest(&self, cleans: bool) -> Result<Option<Manifest>> {
        let path = self.path(MANIFEST);
        let manifest = if self.files.exists(&path).map_err(advised)? {
            let mut text = Vec::new();
            let read = self.open(MANIFEST)?.read_to_end(&mut text);
            read.map_err(|error| advised(Error::io("read", &path, error)))?;
            let manifest = Manifest::parse(&text).map_err(|what| self.broken(MANIFEST, &what))?;
            manifest.origin.check(&self.origin).map_err(|what| self.broken(MANIFEST, &what))?;
            if manifest.subtasks.len() != self.origin.parallelism as usize {
                return Err(self.broken(MANIFEST, "doesn't have the files of each subtask"));
            }
            manifest.files().try_for_each(|file| self.verify(file))?;
            Some(manifest)
        } else {
            None
        };
        if !cleans {
            return Ok(manifest);
        }
        let named = manifest.iter().flat_map(Manifest::files).map(|file| self.path(&file.name));
        let kept: BTreeSet<PathBuf> = named.chain([path]).collect();
        for entry in self.files.list(&self.folder).map_err(advised)? {
            if !kept.contains(&entry.path) {
                self.files.remove(&entry.path).map_err(advised)?;
            }
        }
        Ok(manifest)
    }

    fn verify(&self, file: &StateFile) -> Result<()> {
        let path = self.path(&file.name);
        if !self.files.exists(&path).map_err(advised)? {
            return Err(self.broken(&file.name, "is missing"));
        }
        let found = measure(self.open(&file.name)?).map_err(|error| advised(Error::io("read", &path, error)))?;
        if found.0 != file.bytes {
            let what = format!("is damaged: it has {} bytes and should have {}", found.0, file.bytes);
            return Err(self.broken(&file.name, &what));
        }
        if found.1 != file.crc32 {
            return Err(self.broken(&file.name, "is damaged: its checksum doesn't fit its content"));
        }
        Ok(())
    }

    /// Begins the file of a subtask for the snapshot of a superstep.
    pub(crate) fn write(&self, superstep: u32, subtask: usize, what: &str) -> Result<StateFileWriter<'_>> {
        let name = format!("{superstep:010}-{subtask}.{what}");
        let file = self.files.create(&self.path(&name)).map_err(advised)?;
        Ok(StateFileWriter::new(self, name, file))
    }

    pub(crate) fn open(&self, name: &str) -> Result<Box<dyn Read + Send>> {
        self.files.open(&self.path(name), 0).map_err(advised)
    }

    /// Makes what was written to a file outlast a crash of the machine.
    pub(crate) fn sync(&self, file: &StateFile) -> Result<()> {
        self.files.sync(&self.path(&file.name)).map_err(advised)
    }

    /// Puts a manifest, whose files are safe, in place of the one before.
    pub(crate) fn commit(&self, manifest: &Manifest) -> Result<()> {
        let (new, path) = (self.path(NEW_MANIFEST), self.path(MANIFEST));
        let text = manifest.text().map_err(|error| Error::internal(format!("a manifest isn't JSON: {error}")))?;
        let mut file = self.files.create(&new).map_err(advised)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.close());
        written.map_err(|error| advised(Error::io("write", &new, error)))?;
        let in_place = self.files.sync(&new).and_then(|()| self.files.rename(&new, &path));
        in_place.and_then(|()| self.files.sync(&self.folder)).map_err(advised)
    }

    /// Removes a file that no manifest names any more.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.files.remove(&self.path(name)).map_err(advised)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An error that names a file, what is wrong with it, and what to do.
    pub(crate) fn broken(&self, name: &str, what: &str) -> Error {
        let (file, folder) = (self.path(name), self.folder.display());
        Error::data(format!(
            "loop snapshot {} {what}; remove the folder {folder}, or start without --resume to begin anew",
            file.display()
        ))
    }
}
