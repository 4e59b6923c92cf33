//! What an operator keeps from one superstep to the next, on its way to a snapshot and back: blocks of bytes.

use crate::error::Result;

/// How much of its state an operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it; from now on the operator remembers what changes.
    All,
    /// What was added or changed since it was written last.
    Changes,
}

/// Takes an operator's state.
pub trait StateWriter {
    /// Takes a block, of about a batch.
    fn block(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Gives an operator its state back.
pub trait StateReader {
    /// The next block, in the order in which they were written, or `None` at the end.
    fn next_block(&mut self) -> Result<Option<&[u8]>>;
}
