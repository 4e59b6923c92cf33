//! The files that containers are started from, on HDFS.
//!
//! ```text
//! staging ─ cache ─ SHA256                an executable, of all applications that run it
//!         ─ application_… ─ secret        only its owner may read it
//!                         ─ submission    the first job
//!                         ─ files ─ NAME  what is shipped
//! ```

use flinkrs_core::config::{Configuration, yarn};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileStatus, FileSystem};
use flinkrs_hadoop::proto::yarn::ApplicationIdProto;
use flinkrs_hdfs::{HdfsFileSystem, HdfsStatus, Upload};
use flinkrs_yarn_am::spec::StagedFile;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The folder in the user's own, unless an option names another.
const FOLDER: &str = ".flinkrs";

/// The permissions of an executable that every user's NodeManager may keep.
const SHARED: u16 = 0o755;

/// The permissions of what is an application's alone.
const OWN: u16 = 0o600;

/// The folder.
#[derive(Clone)]
pub(super) struct Staging {
    hdfs: HdfsFileSystem,
    root: PathBuf,
    replication: Option<u32>,
}

impl Staging {
    pub(super) fn new(hdfs: &HdfsFileSystem, config: &Configuration) -> Staging {
        let root = config.get(&yarn::STAGING_DIRECTORY).map_or_else(|| hdfs.home().join(FOLDER), PathBuf::from);
        let replication = config.get(&yarn::FILE_REPLICATION).map(std::num::NonZeroU32::get);
        Staging { hdfs: hdfs.clone(), root, replication }
    }

    /// The folder of an application.
    pub(super) fn of(&self, id: ApplicationIdProto) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Makes the folder of an application, which is its user's alone.
    ///
    /// Errors when this user may not.
    pub(super) fn make(&self, id: ApplicationIdProto) -> Result<()> {
        let folder = self.of(id);
        let made = self.hdfs.create_dir(&folder).and_then(|()| self.hdfs.set_permission(&folder, 0o700));
        made.map_err(|error| match error {
            Error::Io { action, path, source } => {
                let what = format!("{source} (option yarn.staging-directory)");
                Error::Io { action, path, source: std::io::Error::new(source.kind(), what) }
            }
            other => other,
        })
    }

    /// An executable, uploaded unless it is there, as a file of a container.
    pub(super) fn executable(&self, local: &Path, sha256: &str, name: &str) -> Result<StagedFile> {
        let path = self.root.join("cache").join(sha256);
        let there = match self.hdfs.details(&path) {
            Ok(there) => there,
            Err(_) => self.share(local, &path)?,
        };
        let is_public = self.is_open(&path, &there)?;
        Ok(staged(name, &there, is_public))
    }

    /// Uploads under another name first: others may do the same at the same time.
    fn share(&self, local: &Path, path: &Path) -> Result<HdfsStatus> {
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let how = Upload { replication: self.replication, permission: Some(SHARED) };
        self.hdfs.upload(local, &new, &how)?;
        match self.hdfs.rename(&new, path) {
            Ok(()) => {}
            // Somebody else was faster, perhaps.
            Err(error) => {
                let removed = self.hdfs.remove(&new);
                self.hdfs.details(path).and(removed).map_err(|_| error)?;
            }
        }
        self.hdfs.details(path)
    }

    /// Whether every user may read a file: only then nodes keep it for all.
    fn is_open(&self, path: &Path, status: &HdfsStatus) -> Result<bool> {
        if status.permission & 0o005 != 0o005 {
            return Ok(false);
        }
        let inner = path.to_string_lossy();
        let root = inner.find("://").and_then(|at| inner[at + 3..].find('/').map(|end| at + 3 + end)).unwrap_or(0);
        for above in path.ancestors().skip(1).take_while(|above| above.as_os_str().len() > root) {
            if self.hdfs.details(above)?.permission & 0o001 == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts a local file into an application's folder.
    pub(super) fn ship(&self, id: ApplicationIdProto, local: &Path) -> Result<StagedFile> {
        let name = local.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            Error::usage(format!("{} can't be shipped: it has no name (yarn.ship-files)", local.display()))
        })?;
        let how = Upload { replication: self.replication, permission: Some(0o700) };
        let status = self.hdfs.upload(local, &self.of(id).join("files").join(name), &how)?;
        Ok(staged(name, &status, false))
    }

    /// Writes a file into an application's folder that only its owner may read.
    pub(super) fn write(&self, id: ApplicationIdProto, name: &str, content: &[u8]) -> Result<StagedFile> {
        let path = self.of(id).join(name);
        let failed = |error| Error::io("write", &path, error);
        let empty = self.hdfs.create(&path)?;
        // It is empty as long as others might read it.
        self.hdfs.set_permission(&path, OWN)?;
        let mut file = empty;
        file.write_all(content).map_err(failed)?;
        file.close().map_err(failed)?;
        Ok(staged(name, &self.hdfs.details(&path)?, false))
    }

    /// The content of a small file in an application's folder.
    pub(super) fn read(&self, id: ApplicationIdProto, name: &str) -> Result<Vec<u8>> {
        let path = self.of(id).join(name);
        let mut content = Vec::new();
        let read = self.hdfs.open(&path, 0)?.take(1 << 20).read_to_end(&mut content);
        read.map_err(|error| Error::io("read", &path, error))?;
        Ok(content)
    }

    /// The applications that have a folder.
    pub(super) fn applications(&self) -> Result<Vec<ApplicationIdProto>> {
        let id = |status: FileStatus| ApplicationIdProto::parse(status.path.file_name()?.to_str()?);
        Ok(self.hdfs.list(&self.root)?.into_iter().filter_map(id).collect())
    }

    /// Removes an application's folder.
    pub(super) fn remove(&self, id: ApplicationIdProto) -> Result<()> {
        self.hdfs.remove(&self.of(id))
    }
}

fn staged(name: &str, status: &HdfsStatus, is_public: bool) -> StagedFile {
    StagedFile {
        name: name.to_owned(),
        url: status.path.display().to_string(),
        bytes: status.bytes,
        modified_ms: status.modified_ms,
        is_public,
    }
}
