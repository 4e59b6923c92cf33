//! What the processes of a cluster say to each other.
//!
//! ```text
//!  client ──Dispatcher──▶ JobManager ◀──TaskExecutorGateway── TaskExecutor
//!                              ▲─────────WorkerGateway──────── worker
//! ```
//!
//! Connections are gRPC. What a service takes is protobuf on the outside, so that versions can be told apart, and the
//! engine's own codec inside: both ends are of the same version, which the first call of a connection checks. A
//! TaskExecutor and a worker hold one stream each way for as long as they live; its end is their loss.
//!
//! | module | what lives there |
//! |---|---|
//! | [`proto`] | the services, generated from `proto/` |
//! | [`message`] | what is inside: messages of workers, TaskExecutors and clients |
//! | [`auth`] | the cluster's secret, and proofs that a caller has it |
//! | [`tls`] | certificates by which processes prove themselves, and encrypt |
//! | [`connect`] | connections, and errors of calls in the user's words |
//! | [`body`] | messages as bytes |
//! | [`program`] | what a program says of itself before it is run: its note, and the GLIBC it needs |
//! | [`roles`] | how a program is told what it is |
//! | [`logs`] | log files, within limits, and read for others |
//! | [`metrics`] | what is measured, and Prometheus's text |

pub mod auth;
pub mod body;
pub mod connect;
pub mod logs;
pub mod message;
pub mod metrics;
pub mod program;
pub mod roles;
pub mod tls;

#[rustfmt::skip]
mod generated;

pub use generated::flinkrs::v1 as proto;

/// The version of everything that crosses a wire; both ends of a connection have to have the same.
pub const PROTOCOL: u32 = 1;

/// The version of the package, for people.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes of a message at most: a JobGraph with very many splits is the largest.
pub const MESSAGE_BYTES: usize = 256 << 20;
