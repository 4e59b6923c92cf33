//! The Dispatcher: applications and their jobs, from acceptance to the list of finished ones.

mod message;

pub use message::{DispatcherCommand, DispatcherEvent, JobLine, OnClientLoss};
