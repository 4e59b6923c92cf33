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
//! | `files` | [`HdfsFileSystem`]: the calls |
//! | `staging` | [`Upload`]: local files to HDFS |
//! | `reader`, `writer` | the content of files |
//! | `calls` | which of them are made again when the NameNode was away |
//! | `address`, `failure` | paths and errors, between HDFS and the engine |

mod address;
mod calls;
mod failure;
mod files;
mod reader;
mod runtime;
mod staging;
mod writer;

pub use files::{HdfsFileSystem, HdfsStatus};
pub use staging::Upload;
