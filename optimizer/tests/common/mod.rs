//! What the integration tests share.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses a part")]

pub mod golden;
pub mod interpreter;
pub mod queues;
pub mod random_plan;
pub mod semantics;
#[path = "../../src/testing.rs"]
pub mod testing;
