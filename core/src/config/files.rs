//! Options of file systems.

use crate::config::option::options;

options! {
    /// What stands before paths that have no scheme: a scheme, with host and port or nameservice if it has them, such
    /// as `hdfs://namenode:8020`, `hdfs:///` (the one of Hadoop's `fs.defaultFS`) or `file:///`. Local paths unless
    /// it is set; clients and TaskExecutors need the same value.
    DEFAULT_SCHEME: Option<String> = "fs.default-scheme", "";
}
