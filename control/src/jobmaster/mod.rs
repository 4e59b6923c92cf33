//! The JobMaster: one application's jobs, one after another, from submission to outcome.

mod message;

pub use message::{GrantedSlot, JobCommand, JobEvent, JobOutcome, JobSubmission, Recovered, TaskUpdate};
