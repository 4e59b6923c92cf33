//! The file systems that a program knows besides the machine's own.

#[cfg(not(feature = "hdfs"))]
use flinkrs_core::{error::Error, fs};

/// Makes paths with schemes known; before any path is looked at.
pub(crate) fn register() {
    #[cfg(feature = "hdfs")]
    flinkrs_hdfs::register();
    #[cfg(not(feature = "hdfs"))]
    fs::register("hdfs", |_| {
        Err(Error::usage("this program was built without HDFS; the feature `hdfs` of the package flinkrs adds it"))
    });
}
