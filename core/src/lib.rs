//! The vocabulary of flinkrs: what every other crate means by record, key, batch, operator and error.
//!
//! Nothing here executes a job. A program's closures become [`Operator`]s, records travel between them in
//! [`Batch`]es, and the choices of the optimizer are the plain values of [`strategy`].
//!
//! ```
//! use flinkrs_core::types::{KeySelector, Text, f0};
//!
//! let record = (Text::from("stream"), 1u64);
//! assert_eq!(f0.key(&record), Text::from("stream"));
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`id`] | typed identifiers |
//! | [`error`] | the error every operator returns, with fault and exit code |
//! | [`types`] | records, keys, text, hashing, codecs |
//! | [`batch`] | the unit that moves between operators |
//! | [`element`] | what flows besides batches, and its grammar |
//! | [`operator`] | the operator trait, its output and its collector |
//! | [`function`] | what user functions see at run time, and where typed code is found |
//! | [`source`], [`sink`] | splits and readers; writers and their commit |
//! | [`strategy`] | the optimizer's choices as values |
//! | [`state`] | what of an operator is written to a snapshot and read from it |
//! | [`fs`] | the file system trait and the local one |
//! | [`resource`] | bytes, memory budgets |
//! | [`config`] | the options of a cluster, each declared once |

pub mod batch;
pub mod config;
pub mod element;
pub mod error;
pub mod fs;
pub mod function;
pub mod id;
pub mod operator;
pub mod resource;
pub mod sink;
pub mod source;
pub mod state;
pub mod strategy;
pub mod types;

pub use batch::Batch;
pub use error::{Error, Result};
pub use function::RuntimeContext;
pub use operator::{Collector, Operator, Output, Progress};
