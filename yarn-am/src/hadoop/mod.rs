//! The Hadoop client: its RPC, its tokens, its configuration files, and YARN's protocols.

mod client;
pub mod conf;
mod digest;
mod generated;
mod ids;
mod manager;
mod master;
pub mod rpc;
pub mod token;
mod writable;

pub use client::ApplicationClient;
pub use digest::Protection;
pub use generated::hadoop as proto;
pub use manager::{ContainerFailure, ContainerManager};
pub use master::ApplicationMaster;
