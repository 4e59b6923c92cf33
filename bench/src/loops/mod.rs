//! Loops over graphs and points: their inputs, and what the plain programs and the engine's share, so that both read,
//! time and print the same.
//!
//! | module | what lives there |
//! |---|---|
//! | [`input`] | making and reading the inputs |
//! | [`options`] | the command lines |
//! | [`answer`] | the printed line and the written answer |
//! | [`clusters`] | points by their nearest centroid |
//! | [`csr`] | the index by vertex that the plain programs build |
//! | [`engine`] | what the engine's programs share |

pub mod answer;
pub mod clusters;
pub mod csr;
pub mod engine;
pub mod input;
pub mod options;
