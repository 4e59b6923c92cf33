//! The JobManager: one process that accepts jobs, gives them slots, deploys them and follows them to their end.
//!
//! ```text
//!  clients ──▶ service ──▶ ┌──────────── cluster ─────────────┐ ──▶ service ──▶ TaskExecutors, workers
//!                          │ Dispatcher  ResourceManager       │
//!  workers ──▶ service ──▶ │ JobMaster per application         │ ──▶ store
//!                          └── decisions: crate `control` ─────┘
//! ```
//!
//! One task owns all state. Services turn calls into messages for it, and it turns the commands of the deciders into
//! messages for others. No user code runs here.
//!
//! | module | what lives there |
//! |---|---|
//! | [`JobManager`] | the process: listens, and ends |
//! | `cluster` | the task that owns the state, one file per role |
//! | `service` | gRPC |
//! | `secured` | connections that prove themselves by certificates |
//! | `rest` | Flink's REST interface, and metrics |
//! | `driver` | where TaskExecutors come from, where they don't start by themselves |
//! | `store` | jobs, results and executables in a folder, for the next JobManager |

mod cluster;
mod driver;
mod manager;
mod rest;
mod secured;
mod service;
mod store;

pub use cluster::JobEnd;
pub use driver::{Driver, DriverCommand};
pub use manager::{JobManager, JobManagerHandle, JobManagerOptions};
pub use rest::{RestOptions, reference_page};
