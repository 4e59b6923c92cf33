//! Hands out the splits of a source to whichever subtask asks next.

use flinkrs_core::Result;
use flinkrs_core::source::{Split, SplitProvider};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The splits of one source vertex that nobody has taken yet.
pub(crate) struct SplitQueue(Mutex<VecDeque<Split>>);

impl SplitQueue {
    pub(crate) fn new(splits: &[Split]) -> SplitQueue {
        SplitQueue(Mutex::new(splits.iter().cloned().collect()))
    }
}

impl SplitProvider for SplitQueue {
    fn next_split(&self, _subtask: u32) -> Result<Option<Split>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front())
    }
}
