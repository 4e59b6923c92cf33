//! Workers that exchange channels over connections: in one process, and in several.

mod channels;
mod common;
mod processes;
mod strangers;
