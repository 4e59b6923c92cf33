//! Real processes: one produces, one is killed.
