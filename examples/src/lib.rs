//! What the examples share: their built-in data.

pub mod data;
pub mod tpch;
