//! Workers that exchange channels over connections: in one process, and in several.

#![expect(clippy::unwrap_used, reason = "helpers fail as the tests do that call them")]

mod channels;
mod common;
mod partitions;
mod processes;
mod strangers;
