//! What flows between operators, and in which order.
//!
//! Per input of an operator the legal order is
//!
//! ```text
//! open (batch | watermark | barrier)* (superstep_end (batch | barrier)*)* end close
//! ```
//!
//! Inside a chain each of these is a call of its own, so no record carries a tag; [`Element`] is the form that
//! waits in the queue between two tasks.

use crate::batch::Batch;

/// Event time in milliseconds since 1970-01-01 UTC below which no more records are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(pub i64);

/// The number of a checkpoint whose barrier separates the records before from those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Barrier(pub u64);

/// The number of a superstep, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Superstep(pub u32);

/// One thing in the queue between two tasks.
#[derive(Debug)]
pub enum Element {
    /// Records.
    Batch(Batch),
    /// Progress of event time.
    Watermark(Watermark),
    /// A checkpoint's separator.
    Barrier(Barrier),
    /// The end of a round of a loop.
    SuperstepEnd(Superstep),
    /// Nothing follows from this producer.
    End,
}
