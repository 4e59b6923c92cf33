//! What the engine has to do with Hadoop: a client of its RPC and of YARN, written in Rust, without a JVM.
//!
//! It stands at the edge of a job's path: a client submits an ApplicationMaster through it, and the ApplicationMaster
//! gets the containers for its TaskExecutors through it.
//!
//! ```no_run
//! use flinkrs_yarn_am::hadoop::conf::Configuration;
//! use flinkrs_yarn_am::hadoop::ApplicationClient;
//! use flinkrs_yarn_am::hadoop::rpc::{Auth, Options};
//!
//! # async fn nodes() -> flinkrs_yarn_am::Result<()> {
//! let conf = Configuration::discover(std::env::vars())?;
//! let options = Options::from_configuration(&conf)?;
//! let client = ApplicationClient::new(&conf, Auth::Simple { user: "ann".to_owned() }, options)?;
//! for node in client.nodes(&[]).await? {
//!     println!("{} containers on {}", node.num_containers(), node.node_id.unwrap_or_default());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`hadoop`] | RPC, tokens, configuration files, the protocols of YARN |
//! | [`containers`] | which containers to ask for, to give back, and to avoid: decisions |
//! | [`heartbeat`] | between those decisions and YARN's messages |
//! | [`launch`] | what YARN is told to run: applications, and what their containers run |
//! | [`error`] | what can go wrong, and whether it helps to try again |

pub mod containers;
pub mod error;
pub mod hadoop;
pub mod heartbeat;
pub mod launch;

pub use error::{Error, Result};
