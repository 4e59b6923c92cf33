//! HDFS as a file system of the engine: what [`core::fs`](flinkrs_core::fs) asks of one, on top of `hdfs-native`.
//!
//! Sources read from it and sinks write to it; clients of YARN put there what containers are started from. Calls block:
//! what waits for the network runs on two threads of this crate.
//!
//! ```no_run
//! use flinkrs_core::fs::FileSystem;
//! use flinkrs_hadoop::conf::Configuration;
//! use flinkrs_hdfs::{HdfsFileSystem, Upload};
//! use std::path::Path;
//!
//! # fn main() -> flinkrs_core::Result<()> {
//! let conf = Configuration::discover(std::env::vars())?;
//! let hdfs = HdfsFileSystem::new(&conf, "")?;
//! let folder = hdfs.home().join(".flinkrs/job-1");
//! let program = hdfs.upload(Path::new("target/release/wordcount"), &folder.join("wordcount"), &Upload::default())?;
//! println!("{} has {} bytes, of {} ms", program.path.display(), program.bytes, program.modified_ms);
//! hdfs.remove(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `files`, `system` | [`HdfsFileSystem`]: the calls that only HDFS has, and those of every file system |
//! | `staging` | [`Upload`]: local files to HDFS |
//! | `reader`, `direct`, `writer` | the content of files: in pieces, in whole blocks; and how it gets there |
//! | `recovery`, `tail` | a file goes on when its DataNodes die |
//! | `lock`, `trash` | locks by leases; what was overwritten |
//! | `login` | as whom HDFS is asked |
//! | `calls` | which of them are made again when the NameNode was away |
//! | `address`, `failure` | paths and errors, between HDFS and the engine |

mod address;
mod calls;
mod direct;
mod failure;
mod files;
mod lock;
mod login;
mod reader;
mod recovery;
mod runtime;
mod staging;
mod system;
mod tail;
mod trash;
mod writer;

use flinkrs_core::error::Result;
use flinkrs_core::fs::FileSystem;
use flinkrs_hadoop::conf::Configuration;
use std::sync::Arc;

pub use files::{HdfsFileSystem, HdfsStatus};
pub use staging::Upload;

/// Makes [`flinkrs_core::fs::locate`] find paths that begin with `hdfs://`, as the Hadoop configuration of this process
/// describes them.
pub fn register() {
    flinkrs_core::fs::register(address::SCHEME, open);
}

/// An HDFS without a configuration is possible when its NameNode is named.
fn open(authority: &str) -> Result<Arc<dyn FileSystem>> {
    let variables = ["HADOOP_CONF_DIR", "HADOOP_HOME"];
    let is_configured = variables.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let conf = match is_configured || authority.is_empty() {
        true => Configuration::discover(std::env::vars())?,
        false => Configuration::empty(std::env::vars()),
    };
    Ok(Arc::new(HdfsFileSystem::new(&conf, authority)?))
}
