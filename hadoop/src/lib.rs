//! A Hadoop client without a JVM: its configuration files, its RPC, its tokens, and the protocols on top of that.
//!
//! It stands at the edge of a job's path: what talks to YARN or to HDFS's NameNode does so through it.
//!
//! ```no_run
//! use flinkrs_hadoop::ApplicationClient;
//! use flinkrs_hadoop::conf::Configuration;
//! use flinkrs_hadoop::rpc::{Auth, Options};
//!
//! # async fn nodes() -> flinkrs_hadoop::Result<()> {
//! let conf = Configuration::discover(std::env::vars())?;
//! let options = Options::from_configuration(&conf)?;
//! let client = ApplicationClient::new(&conf, Auth::of(&conf)?, options)?;
//! for node in client.nodes(&[]).await? {
//!     println!("{} containers on {}", node.num_containers(), node.node_id.unwrap_or_default());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`conf`] | `core-site.xml`, `hdfs-site.xml` and `yarn-site.xml`, and who the user is |
//! | [`rpc`] | calls to the active one of several servers |
//! | [`kerberos`] | as whom secured clusters are asked |
//! | [`token`] | tokens, and the files that they come in |
//! | [`ApplicationClient`], [`ApplicationMaster`], [`ContainerManager`] | YARN's protocols |
//! | [`NameNode`], [`datanode`] | what HDFS's NameNode says about blocks; writing one to DataNodes, and reading one |
//! | [`proto`] | the messages of all of them |
//! | [`error`] | what can go wrong, and whether it helps to try again |

mod client;
pub mod conf;
pub mod datanode;
mod digest;
pub mod error;
mod generated;
mod ids;
pub mod kerberos;
mod manager;
mod master;
mod namenode;
pub mod rpc;
pub mod token;
mod writable;

pub use client::{ApplicationClient, renewer};
pub use digest::Protection;
pub use error::{Error, Result};
pub use generated::hadoop as proto;
pub use manager::{ContainerFailure, ContainerManager};
pub use master::ApplicationMaster;
pub use namenode::{NameNode, name_nodes, token_service};
