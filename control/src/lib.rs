//! How a cluster decides: what is deployed where, what is restarted, who gets which slot.
//!
//! Every role is a state machine, `handle(event, now) -> commands`. Nothing here reads a clock, runs a thread, waits,
//! or touches a socket or a file: the processes around it turn messages into events and carry out commands, and a test
//! can drive a whole cluster through a bad day in a millisecond.
//!
//! ```text
//!  client ──▶ Dispatcher ──▶ JobMaster ──▶ worker          one JobManager process: Dispatcher, ResourceManager,
//!                 ▲            │   ▲          ▲             and a JobMaster per application
//!                 └── outcome ─┘   │ slots    │ process
//!                          ResourceManager ◀─▶ TaskExecutor
//! ```
//!
//! - [`dispatcher`]: accepts jobs, follows them and their clients, and keeps the finished.
//! - [`jobmaster`]: runs the jobs of one application, one after another.
//! - [`resource_manager`]: knows TaskExecutors, and gives their slots to applications.
//! - [`task_executor`]: keeps workers and finished partitions.
//! - [`view`]: what can be seen of a job; [`options`]: what can be set.
//!
//! A connection is a session. Messages of one connection arrive in order; when it breaks, both sides count the other as
//! lost, and what comes back is new. So no message needs to be repeated, and none arrives from the past.

pub mod dispatcher;
pub mod jobmaster;
pub mod options;
pub mod resource_manager;
pub mod task_executor;
pub mod view;

mod cycles;
mod execution_graph;
mod failover;
mod regions;
mod scheduler;
mod splits;
#[cfg(test)]
mod testing;
mod time;

pub use time::Timestamp;

/// For each edge of a graph whether it leads from one region to another: what goes along it is kept in files of the
/// producers' TaskExecutors, for consumers that begin when it is complete.
pub fn stored_edges(graph: &flinkrs_protocol::JobGraph) -> Vec<bool> {
    let regions = regions::Regions::new(graph);
    graph.edges.iter().map(|edge| regions.crosses(edge)).collect()
}
