//! HDFS as what the engine asks of a file system.

use crate::address::{Address, SCHEME};
use crate::failure::Meaning;
use crate::files::{Creation, HdfsFileSystem};
use crate::reader::{HdfsReader, Source};
use crate::runtime::{runtime, wait};
use flinkrs_core::error::Result;
use flinkrs_core::fs::{Claim, FileBlock, FileKind, FileLock, FileStatus, FileSystem, OutputFile};
use flinkrs_hadoop::proto::hdfs::LocatedBlockProto;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

impl FileSystem for HdfsFileSystem {
    fn status(&self, path: &Path) -> Result<FileStatus> {
        let found = self.details(path)?;
        Ok(FileStatus { path: path.to_path_buf(), bytes: found.bytes, is_dir: found.is_dir })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.kind(path)?.is_some())
    }

    fn kind(&self, path: &Path) -> Result<Option<FileKind>> {
        match self.find(path)? {
            Ok(found) if found.isdir => Ok(Some(FileKind::Folder)),
            Ok(_) => Ok(Some(FileKind::File)),
            Err(failure) if failure.meaning() == Meaning::Missing => Ok(None),
            Err(failure) => Err(self.error(failure, "find", path)),
        }
    }

    fn list(&self, folder: &Path) -> Result<Vec<FileStatus>> {
        let (address, inner) = (Address::of(folder)?, self.inner(folder)?);
        let entries = self.repeat("list folder", folder, move |client| {
            let inner = inner.clone();
            async move { client.list_status(&inner, false).await }
        })?;
        let status = |entry: hdfs_native::client::FileStatus| FileStatus {
            path: address.sibling(&entry.path),
            bytes: entry.length as u64,
            is_dir: entry.isdir,
        };
        let mut files: Vec<FileStatus> = entries.into_iter().map(status).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Where DataNodes have the file's blocks. Nothing is known when the NameNode can't be asked: readers go on, and
    /// farther than they might.
    fn blocks(&self, status: &FileStatus) -> Result<Vec<FileBlock>> {
        let (name_node, inner) = (self.name_node(), self.inner(&status.path)?);
        let bytes = status.bytes;
        let found = wait(async move { name_node.block_locations(&inner, 0, bytes).await })?;
        let blocks = found.ok().flatten().map(|found| found.blocks).unwrap_or_default();
        Ok(blocks.into_iter().map(block).collect())
    }

    fn absolute(&self, path: &Path) -> Option<PathBuf> {
        let inner = self.inner(path).ok().filter(|inner| inner != "/")?;
        Some(PathBuf::from(format!("{SCHEME}://{}{inner}", self.authority())))
    }

    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>> {
        self.open_part(path, offset, u64::MAX)
    }

    fn open_part(&self, path: &Path, offset: u64, bytes: u64) -> Result<Box<dyn Read + Send>> {
        let source = Source {
            client: self.client().clone(),
            calls: self.calls().clone(),
            direct: self.direct_access(),
            path: self.inner(path)?,
        };
        let opened = wait(HdfsReader::open(runtime()?, source, offset, bytes))?;
        let reader = opened.map_err(|failure| self.error(failure, "open", path))?;
        Ok(Box::new(reader))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create_with(path, &Creation { replaces: true, makes_folders: true, ..Creation::default() })
    }

    fn create_new(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create_with(path, &Creation::default())
    }

    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        let inner = self.inner(path)?;
        let opened = self.try_repeat(move |client| {
            let inner = inner.clone();
            async move { client.append(&inner).await }
        })?;
        match opened {
            Ok(file) => self.output(path, file),
            Err(failure) if failure.meaning() == Meaning::Missing => self.create(path),
            Err(failure) => Err(self.error(failure, "append to", path)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (source, target) = (self.inner(from)?, self.inner(to)?);
        let tries = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tries);
        let renamed = self.try_repeat(move |client| {
            count.fetch_add(1, Ordering::Relaxed);
            let (source, target) = (source.clone(), target.clone());
            async move { client.rename(&source, &target, true).await }
        })?;
        match renamed {
            Ok(()) => Ok(()),
            // An earlier try has done it, and its answer was lost.
            Err(failure)
                if failure.meaning() == Meaning::Missing && tries.load(Ordering::Relaxed) > 1 && self.exists(to)? =>
            {
                Ok(())
            }
            Err(failure) => Err(self.error(failure, "rename to", to)),
        }
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        self.create_dir_with(path, self.folder_permission())
    }

    /// A closed file is safe already: its DataNodes have synced each block, and the NameNode its name.
    fn sync(&self, path: &Path) -> Result<()> {
        self.details(path).map(|_| ())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let inner = self.inner(path)?;
        self.repeat("remove", path, move |client| {
            let inner = inner.clone();
            async move { client.delete(&inner, true).await.map(|_| ()) }
        })
    }

    /// As the NameNode says, or else `fs.trash.interval` of the configuration here.
    fn keeps_trash(&self) -> Result<bool> {
        let name_node = self.name_node();
        let defaults = wait(async move { name_node.server_defaults().await })?;
        let of_server = defaults.map(|defaults| defaults.trash_interval()).unwrap_or_default();
        Ok(of_server > 0 || self.trash_minutes() > 0)
    }

    fn dispose(&self, path: &Path, original: &Path) -> Result<()> {
        if self.keeps_trash()? { self.move_to_trash(path, original) } else { self.remove(path) }
    }

    fn lock(&self, path: &Path) -> Result<FileLock> {
        self.lock_alone(path)
    }

    fn share(&self, path: &Path) -> Result<Option<FileLock>> {
        self.lock_shared(path)
    }

    fn claim(&self, path: &Path, waits: bool) -> Result<Claim> {
        self.lock_claimed(path, waits)
    }
}

/// A block as the engine names it. TaskExecutors may be known by the names of their hosts or by addresses.
fn block(located: LocatedBlockProto) -> FileBlock {
    let mut hosts: Vec<String> = Vec::new();
    for node in located.locs {
        for host in [node.id.host_name, node.id.ip_addr] {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    }
    FileBlock { offset: located.offset, bytes: located.b.num_bytes(), hosts }
}
