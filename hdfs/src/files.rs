//! One HDFS: how it is found, and the calls that only HDFS has.

use crate::address::{Address, SCHEME};
use crate::calls::Calls;
use crate::direct::Access;
use crate::failure::Failure;
use crate::login;
use crate::recovery::Output;
use crate::runtime::{runtime, wait};
use crate::tail::Target;
use crate::writer::HdfsWriter;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::OutputFile;
use flinkrs_core::resource::ByteSize;
use flinkrs_hadoop::NameNode;
use flinkrs_hadoop::conf::Configuration;
use flinkrs_hadoop::rpc::Auth;
use flinkrs_hadoop::token::Token;
use hdfs_native::file::FileWriter;
use hdfs_native::{Client, WriteOptions};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What others may not do with new files when the configuration doesn't say; Hadoop's default.
const UMASK: u32 = 0o022;

/// One HDFS, as one user. Takes paths with its own authority, with none (`hdfs:///…`), and without scheme.
#[derive(Clone)]
pub struct HdfsFileSystem {
    client: Client,
    calls: Calls,
    /// Calls that the client doesn't make.
    name_node: Arc<NameNode>,
    /// What the NameNode calls the client when it writes.
    writer_name: Arc<str>,
    settings: Arc<Settings>,
}

/// What a configuration says of an HDFS.
#[derive(Debug)]
struct Settings {
    authority: String,
    user: String,
    home: String,
    umask: u32,
    /// For how long overwritten files can be had back, in minutes.
    trash_minutes: u64,
    /// As the client's configuration has it, if it does.
    block_bytes: Option<u64>,
    replication: Option<u32>,
    /// Whether DataNodes want a login or encryption, which only the client can do.
    seals_blocks: bool,
    /// Whether DataNodes are dialled by name.
    dials_names: bool,
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
    /// Whether a file that is there is replaced; if not, that is an error.
    pub(crate) replaces: bool,
    /// Whether missing folders are made; if not, that is an error.
    pub(crate) makes_folders: bool,
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
        let auth = login::auth(conf, &authority)?;
        let user = auth.user().map_or_else(|| conf.user(), |user| Ok(user.to_owned()))?;
        let client = client(conf, &authority, &auth)?;
        let prefix = conf.get_or("dfs.user.home.dir.prefix", "/user")?;
        let settings = Settings {
            home: format!("{}/{user}", prefix.trim_end_matches('/')),
            umask: umask(conf)?,
            trash_minutes: conf.number("fs.trash.interval", 0)?,
            block_bytes: block_bytes(conf)?,
            replication: conf
                .get("dfs.replication")?
                .map(|_| conf.number("dfs.replication", 3))
                .transpose()?
                .map(|n| n as u32),
            seals_blocks: conf.get("dfs.data.transfer.protection")?.is_some()
                || conf.flag("dfs.encrypt.data.transfer", false)?,
            dials_names: conf.flag("dfs.client.use.datanode.hostname", false)?,
            authority,
            user,
        };
        let name_node = Arc::new(login::name_node(conf, &settings.authority, auth)?);
        let writer_name = login::writer_name(&client)?;
        Ok(HdfsFileSystem { client, calls: Calls::default(), name_node, writer_name, settings: Arc::new(settings) })
    }

    /// The user's folder, to which relative paths refer. It may not exist.
    pub fn home(&self) -> PathBuf {
        PathBuf::from(format!("{SCHEME}://{}{}", self.settings.authority, self.settings.home))
    }

    /// All that HDFS knows of a file or folder.
    pub fn details(&self, path: &Path) -> Result<HdfsStatus> {
        let found = self.find(path)?.map_err(|failure| self.error(failure, "find", path))?;
        Ok(HdfsStatus {
            path: PathBuf::from(format!("{SCHEME}://{}{}", self.settings.authority, found.path)),
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

    /// A token by which others act on this HDFS as this user, as long as `renewer` renews it; `None` if the cluster
    /// isn't secured.
    ///
    /// # Errors
    /// When the NameNode gives none.
    pub fn delegation_token(&self, conf: &Configuration, renewer: &str) -> Result<Option<Token>> {
        let (name_node, renewer) = (self.name_node(), renewer.to_owned());
        let token = wait(async move { name_node.delegation_token(&renewer).await })??;
        let service = flinkrs_hadoop::token_service(conf, &self.settings.authority)?;
        Ok(token.map(|token| Token { service, ..token }))
    }

    /// The NameNode or nameservice.
    pub fn authority(&self) -> &str {
        &self.settings.authority
    }

    /// The user as whom it is asked.
    pub fn user(&self) -> &str {
        &self.settings.user
    }

    /// Sets the permissions of a file or folder, such as `0o644`.
    pub fn set_permission(&self, path: &Path, permission: u16) -> Result<()> {
        let inner = self.inner(path)?;
        self.repeat("set the permissions of", path, move |client| {
            let inner = inner.clone();
            async move { client.set_permission(&inner, u32::from(permission)).await }
        })
    }

    pub(crate) fn create_with(&self, path: &Path, how: &Creation) -> Result<Box<dyn OutputFile>> {
        let inner = self.inner(path)?;
        let options = WriteOptions {
            block_size: self.settings.block_bytes,
            replication: how.replication.or(self.settings.replication),
            permission: 0o666 & !self.settings.umask,
            overwrite: how.replaces,
            create_parent: how.makes_folders,
        };
        let file = self.repeat("create", path, move |client| {
            let (inner, options) = (inner.clone(), options.clone());
            async move { client.create(&inner, &options).await }
        })?;
        self.output(path, file)
    }

    /// A file that was opened for writing.
    pub(crate) fn output(&self, path: &Path, file: FileWriter) -> Result<Box<dyn OutputFile>> {
        let found = self.details(path)?;
        let target = Target {
            name_node: Some(self.name_node()).filter(|_| !self.settings.seals_blocks),
            writer_name: Arc::clone(&self.writer_name),
            path: self.inner(path)?,
            block_bytes: found.block_bytes.max(1),
            dials_names: self.settings.dials_names,
        };
        Ok(Box::new(HdfsWriter::new(runtime()?, Output::new(target, file, found.bytes))))
    }

    /// Creates a folder and those above it.
    pub(crate) fn create_dir_with(&self, path: &Path, permission: u32) -> Result<()> {
        let inner = self.inner(path)?;
        self.repeat("create folder", path, move |client| {
            let inner = inner.clone();
            async move { client.mkdirs(&inner, permission, true).await }
        })
    }

    /// What lies there.
    pub(crate) fn find(&self, path: &Path) -> Result<Result<hdfs_native::client::FileStatus, Failure>> {
        let inner = self.inner(path)?;
        self.try_repeat(move |client| {
            let inner = inner.clone();
            async move { client.get_file_info(&inner).await }
        })
    }

    pub(crate) fn folder_permission(&self) -> u32 {
        0o777 & !self.settings.umask
    }

    pub(crate) fn trash_minutes(&self) -> u64 {
        self.settings.trash_minutes
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn name_node(&self) -> Arc<NameNode> {
        Arc::clone(&self.name_node)
    }

    /// What reads blocks without the client, where that is possible.
    pub(crate) fn direct_access(&self) -> Option<Access> {
        let dials_names = self.settings.dials_names;
        let access = || Access { name_node: self.name_node(), reader: Arc::clone(&self.writer_name), dials_names };
        (!self.settings.seals_blocks).then(access)
    }

    pub(crate) fn writer_name(&self) -> &str {
        &self.writer_name
    }

    /// The path as the NameNode takes it.
    pub(crate) fn inner(&self, path: &Path) -> Result<String> {
        let address = Address::of(path)?;
        if !address.authority.is_empty() && address.authority != self.settings.authority {
            let message = format!("{} isn't on {SCHEME}://{}", path.display(), self.settings.authority);
            return Err(Error::internal(message));
        }
        Ok(if address.path.starts_with('/') {
            address.path
        } else {
            format!("{}/{}", self.settings.home, address.path)
        })
    }

    /// Makes a call, and again when the NameNode was away.
    pub(crate) fn repeat<T, F>(
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

    pub(crate) fn try_repeat<T, F>(
        &self,
        call: impl Fn(Client) -> F + Send + Sync + 'static,
    ) -> Result<Result<T, Failure>>
    where
        T: Send + 'static,
        F: Future<Output = hdfs_native::Result<T>> + Send + 'static,
    {
        let (client, calls) = (self.client.clone(), self.calls.clone());
        wait(async move { calls.repeat(|| call(client.clone())).await })
    }

    pub(crate) fn error(&self, failure: Failure, action: &'static str, path: &Path) -> Error {
        failure.into_error(action, path, &self.settings.authority)
    }
}

impl fmt::Debug for HdfsFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsFileSystem").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The client, which is told all that the configuration says, with variables replaced.
fn client(conf: &Configuration, authority: &str, auth: &Auth) -> Result<Client> {
    let mut properties = Vec::new();
    for key in conf.keys() {
        properties.extend(conf.get(key)?.map(|value| (key.to_owned(), value)));
    }
    let builder = login::client(conf, authority, auth)?.with_config(properties);
    let built = builder.with_io_runtime(runtime()?.handle().clone()).build();
    built.map_err(|error| Error::usage(format!("{SCHEME}://{authority}: {error}")))
}

/// What `dfs.blocksize` says, such as `134217728` or `128m`.
fn block_bytes(conf: &Configuration) -> Result<Option<u64>> {
    let Some(set) = conf.get("dfs.blocksize")? else { return Ok(None) };
    let bytes = set.parse().ok().or_else(|| set.parse::<ByteSize>().ok().map(|size| size.0));
    bytes.filter(|bytes| *bytes > 0).map(Some).ok_or_else(|| {
        Error::usage(format!("dfs.blocksize is '{set}'; it should be a number of bytes, such as 134217728 or 128m"))
    })
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
