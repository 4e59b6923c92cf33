//! Puts local files where containers are started from.

use crate::files::{Creation, HdfsFileSystem, HdfsStatus};
use flinkrs_core::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// Bytes that are copied at once.
const BUFFER_BYTES: usize = 1 << 20;

/// How a local file is put on HDFS. Replication and permissions are the user's defaults unless they are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// How many replicas its blocks have.
    pub replication: Option<u32>,
    /// Its permissions, such as `0o644`, whatever the umask.
    pub permission: Option<u16>,
}

impl HdfsFileSystem {
    /// Copies a local file to `to`, replacing a file and making the folders above, and says what is there then: its
    /// length and time are what a YARN resource is checked by.
    pub fn upload(&self, from: &Path, to: &Path, how: &Upload) -> Result<HdfsStatus> {
        let mut source = File::open(from).map_err(|error| Error::io("open", from, error))?;
        let failed = |error| Error::io("write", to, error);
        let mut target =
            self.create_with(to, &Creation { replication: how.replication, replaces: true, makes_folders: true })?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = source.read(&mut buffer).map_err(|error| Error::io("read", from, error))?;
            if count == 0 {
                break;
            }
            target.write_all(&buffer[..count]).map_err(failed)?;
        }
        target.close().map_err(failed)?;
        if let Some(permission) = how.permission {
            self.set_permission(to, permission)?;
        }
        self.details(to)
    }
}
