//! What happens to records: typed operators, without tasks, plans or network.
//!
//! Each operator is generic over its records and its user function, and is boxed as a
//! [`flinkrs_core::Operator`] when a program's code is asked for it.

#[cfg(test)]
mod testing;
