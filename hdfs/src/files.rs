//! The calls of a file system, and those that only HDFS has.

use crate::address::{Address, SCHEME};
use crate::calls::Calls;
use crate::failure::{Failure, Meaning};
use crate::reader::HdfsReader;
use crate::runtime::{runtime, wait};
use crate::writer::HdfsWriter;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{FileStatus, FileSystem, OutputFile};
use flinkrs_hadoop::conf::Configuration;
use hdfs_native::{Client, ClientBuilder, WriteOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What others may not do with new files when the configuration doesn't say; Hadoop's default.
const UMASK: u32 = 0o022;

/// One HDFS, as one user. Takes paths with its own authority, with none (`hdfs:///…`), and without scheme.
#[derive(Clone, Debug)]
pub struct HdfsFileSystem {
    client: Client,
    calls: Calls,
    authority: String,
    home: String,
    umask: u32,
}

/// A file or folder, with what HDFS keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HdfsStatus {
    /// Its path, with scheme and NameNode or nameservice.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// When its content last changed, in ms since 1970.
    pub modified_ms: u64,
    /// Its permissions, such as `0o644`.
    pub permission: u16,
    /// Whose it is.
    pub owner: String,
    /// And of which group.
    pub group: String,
    /// How many replicas its blocks should have; 0 for a folder.
    pub replication: u32,
    /// How many bytes its blocks have; 0 for a folder.
    pub block_bytes: u64,
}

/// How a file is created.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Creation {
    pub(crate) replication: Option<u32>,
}

impl HdfsFileSystem {
    /// The file system of `authority`, `HOST:PORT` or a nameservice; that of `fs.defaultFS` if it is empty. Connects
    /// when it is first used.
    ///
    /// # Errors
    /// When the authority is empty and the default is none on HDFS, or a nameservice isn't described.
    pub fn new(conf: &Configuration, authority: &str) -> Result<HdfsFileSystem> {
        let authority = match authority {
            "" => default_authority(conf)?,
            named => named.to_owned(),
        };
        // Says better what is missing than the client would.
        flinkrs_hadoop::name_nodes(conf, &authority)?;
        let user = conf.user()?;
        let mut properties = Vec::new();
        for key in conf.keys() {
            properties.extend(conf.get(key)?.map(|value| (key.to_owned(), value)));
        }
        let prefix = conf.get_or("dfs.user.home.dir.prefix", "/user")?;
        let url = if authority.contains(':') || !conf.list(&format!("dfs.ha.namenodes.{authority}"))?.is_empty() {
            format!("{SCHEME}://{authority}")
        } else {
            format!("{SCHEME}://{}", flinkrs_hadoop::name_nodes(conf, &authority)?.remove(0))
        };
        let builder = ClientBuilder::new().with_url(url).with_config(properties).with_user(user.clone());
        let client = builder.with_io_runtime(runtime()?.handle().clone()).build();
        let client = client.map_err(|error| Error::usage(format!("{SCHEME}://{authority}: {error}")))?;
        let home = format!("{}/{user}", prefix.trim_end_matches('/'));
        Ok(HdfsFileSystem { client, calls: Calls::default(), authority, home, umask: umask(conf)? })
    }

    /// The user's folder, to which relative paths refer. It may not exist.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(format!("{SCHEME}://{}{}", self.authority, self.home))
    }

    /// All that HDFS knows of a file or folder.
    pub fn details(&self, path: &Path) -> Result<HdfsStatus> {
        let inner = self.inner(path)?;
        let found = self.repeat("find", path, move |client| {
            let inner = inner.clone();
            async move { client.get_file_info(&inner).await }
        })?;
        Ok(HdfsStatus {
            path: PathBuf::from(format!("{SCHEME}://{}{}", self.authority, found.path)),
            bytes: found.length as u64,
            is_dir: found.isdir,
            modified_ms: found.modification_time,
            permission: found.permission,
            owner: found.owner,
            group: found.group,
            replication: found.replication.unwrap_or_default(),
            block_bytes: found.blocksize.unwrap_or_default(),
        })
    }

    /// Sets the permissions of a file or folder, such as `0o644`.
    pub fn set_permission(&self, path: &Path, permission: u16) -> Result<()> {
        let inner = self.inner(path)?;
        self.repeat("set the permissions of", path, move |client| {
            let inner = inner.clone();
            async move { client.set_permission(&inner, u32::from(permission)).await }
        })
    }

    /// Creates or truncates a file, and the folders above it.
    pub(crate) fn create_with(&self, path: &Path, how: &Creation) -> Result<Box<dyn OutputFile>> {
        let inner = self.inner(path)?;
        let options = WriteOptions {
            replication: how.replication,
            permission: 0o666 & !self.umask,
            overwrite: true,
            ..WriteOptions::default()
        };
        let file = self.repeat("create", path, move |client| {
            let (inner, options) = (inner.clone(), options.clone());
            async move { client.create(&inner, options).await }
        })?;
        Ok(Box::new(HdfsWriter::new(file)))
    }

    /// The path as the NameNode takes it.
    fn inner(&self, path: &Path) -> Result<String> {
        let address = Address::of(path)?;
        if !address.authority.is_empty() && address.authority != self.authority {
            let message = format!("{} isn't on {SCHEME}://{}", path.display(), self.authority);
            return Err(Error::internal(message));
        }
        Ok(if address.path.starts_with('/') { address.path } else { format!("{}/{}", self.home, address.path) })
    }

    /// Makes a call, and again when the NameNode was away.
    fn repeat<T, F>(
        &self,
        action: &'static str,
        path: &Path,
        call: impl Fn(Client) -> F + Send + Sync + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = hdfs_native::Result<T>> + Send + 'static,
    {
        self.try_repeat(call)?.map_err(|failure| self.error(failure, action, path))
    }

    fn try_repeat<T, F>(&self, call: impl Fn(Client) -> F + Send + Sync + 'static) -> Result<Result<T, Failure>>
    where
        T: Send + 'static,
        F: Future<Output = hdfs_native::Result<T>> + Send + 'static,
    {
        let (client, calls) = (self.client.clone(), self.calls.clone());
        wait(async move { calls.repeat(|| call(client.clone())).await })
    }

    fn error(&self, failure: Failure, action: &'static str, path: &Path) -> Error {
        failure.into_error(action, path, &self.authority)
    }
}

impl FileSystem for HdfsFileSystem {
    fn status(&self, path: &Path) -> Result<FileStatus> {
        let found = self.details(path)?;
        Ok(FileStatus { path: path.to_path_buf(), bytes: found.bytes, is_dir: found.is_dir })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let inner = self.inner(path)?;
        let found = self.try_repeat(move |client| {
            let inner = inner.clone();
            async move { client.get_file_info(&inner).await }
        })?;
        match found {
            Ok(_) => Ok(true),
            Err(failure) if failure.meaning() == Meaning::Missing => Ok(false),
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

    fn open(&self, path: &Path, offset: u64) -> Result<Box<dyn Read + Send>> {
        let inner = self.inner(path)?;
        let file = self.repeat("open", path, move |client| {
            let inner = inner.clone();
            async move { client.read(&inner).await }
        })?;
        Ok(Box::new(HdfsReader::start(runtime()?, file, offset as usize)))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        self.create_with(path, &Creation::default())
    }

    fn append(&self, path: &Path) -> Result<Box<dyn OutputFile>> {
        let inner = self.inner(path)?;
        let opened = self.try_repeat(move |client| {
            let inner = inner.clone();
            async move { client.append(&inner).await }
        })?;
        match opened {
            Ok(file) => Ok(Box::new(HdfsWriter::new(file))),
            Err(failure) if failure.meaning() == Meaning::Missing => self.create(path),
            Err(failure) => Err(self.error(failure, "append to", path)),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (source, target) = (self.inner(from)?, self.inner(to)?);
        self.repeat("rename to", to, move |client| {
            let (source, target) = (source.clone(), target.clone());
            async move { client.rename(&source, &target, true).await }
        })
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        let (inner, permission) = (self.inner(path)?, 0o777 & !self.umask);
        self.repeat("create folder", path, move |client| {
            let inner = inner.clone();
            async move { client.mkdirs(&inner, permission, true).await }
        })
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
}

/// What `fs.defaultFS` says.
fn default_authority(conf: &Configuration) -> Result<String> {
    let set = conf.get_or("fs.defaultFS", "file:///")?;
    let authority = set.strip_prefix("hdfs://").map(|rest| rest.trim_end_matches('/'));
    authority.filter(|authority| !authority.is_empty()).map(str::to_owned).ok_or_else(|| {
        Error::usage(format!(
            "fs.defaultFS is '{set}' in {}, which names no HDFS; set it to hdfs://HOST:PORT or hdfs://NAMESERVICE, or \
             name one in the path",
            conf.folder().join("core-site.xml").display()
        ))
    })
}

/// What `fs.permissions.umask-mode` says: octal digits.
fn umask(conf: &Configuration) -> Result<u32> {
    let Some(set) = conf.get("fs.permissions.umask-mode")? else { return Ok(UMASK) };
    u32::from_str_radix(&set, 8).ok().filter(|umask| *umask <= 0o777).ok_or_else(|| {
        Error::usage(format!("fs.permissions.umask-mode is '{set}'; it should be three octal digits, such as 022"))
    })
}
