//! Sources: inputs that come in splits, each read by whichever subtask asks next.

use crate::error::Result;
use crate::types::Data;
use serde::{Deserialize, Serialize};

/// A part of an input, in the form that travels: what to read is known only to its format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The format's own description of the part.
    pub payload: Vec<u8>,
    /// Its size in bytes, or 0 where that is unknown; larger splits are handed out first within a source.
    pub bytes: u64,
    /// Hosts that have the data near, best first.
    pub hosts: Vec<String>,
}

/// What is known of an input before it is read; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// How many records.
    pub records: Option<f64>,
    /// How many bytes all records take.
    pub bytes: Option<f64>,
    /// How many bytes a record takes on average.
    pub record_bytes: Option<f64>,
}

/// A bounded input: enumerated in splits while planning, read in the tasks.
pub trait InputFormat: Send + Sync + 'static {
    /// The records.
    type Item: Data;
    /// What describes one part; travels from the planner to the tasks.
    type Split: Serialize + for<'de> Deserialize<'de> + Send + 'static;
    /// Reads one part.
    type Reader: SplitReader<Self::Item>;

    /// The parts, at least `wanted` if that is possible, each with its size in bytes (0 if unknown).
    ///
    /// Runs only where the job is planned, and may touch the file system.
    fn splits(&self, wanted: usize) -> Result<Vec<(Self::Split, u64)>>;

    /// Hosts that have a part near, best first: by the names, or addresses, at which others reach them.
    fn hosts(&self, _split: &Self::Split) -> Vec<String> {
        Vec::new()
    }

    /// What can be said about the whole without reading it.
    fn statistics(&self) -> Result<Statistics> {
        Ok(Statistics::default())
    }

    /// Opens one part for reading.
    fn open(&self, split: Self::Split) -> Result<Self::Reader>;
}

/// Reads the records of one split.
pub trait SplitReader<T>: Send + 'static {
    /// Appends about a batch of records to `records`; false when the split is exhausted (and nothing was appended
    /// after it). May return fewer, also none.
    fn read(&mut self, records: &mut Vec<T>) -> Result<bool>;
}

/// Hands out the splits of one source to its subtasks, each split once.
pub trait SplitProvider: Send + Sync {
    /// The next split for subtask `subtask`, or `None` when all are handed out; may block its task.
    ///
    /// Errors when the job is cancelled meanwhile.
    fn next_split(&self, subtask: u32) -> Result<Option<Split>>;
}
