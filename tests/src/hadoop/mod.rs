//! A real Hadoop on loopback: NameNode, DataNode, ResourceManager and two NodeManagers, from Maven Central's jars.
//!
//! [`Cluster::start`] brings the daemons up and returns when they can be used; dropping the cluster ends them. They
//! also end when the process that started them does, however it ends. `docs/hadoop.md` says how to run one by hand.
//!
//! | module | what lives there |
//! |---|---|
//! | [`cluster`] | the daemons together: start, stop, faults |
//! | `daemon` | one daemon's process |
//! | [`kdc`] | a Kerberos realm, for secured clusters |
//! | `jars` | Maven, Java, and the class path |
//! | `ready` | how one sees that a daemon can be used |
//! | `sites` | the configuration files |

pub mod cluster;
mod daemon;
mod jars;
pub mod kdc;
mod ready;
mod sites;

pub use cluster::{Cluster, Property};
pub use daemon::Daemon;
