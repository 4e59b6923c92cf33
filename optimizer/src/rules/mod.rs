//! Rewrites of the physical plan: parts that the user never wrote. One rule per file.

pub(crate) mod combine;
pub(crate) mod range_partition;
