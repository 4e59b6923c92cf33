//! Spill files on local disk: what operators and exchanges do with records that exceed their memory.
//!
//! An operator holds records against a [`MemoryBudget`](flinkrs_core::resource::MemoryBudget); what the budget
//! refuses goes, encoded, into an unlinked file that no exit of the process leaves behind.
//!
//! ```
//! use flinkrs_core::resource::MemoryBudget;
//! use flinkrs_memory::{SpillBuffer, SpillSpace};
//!
//! let space = SpillSpace::new(std::env::temp_dir().as_path());
//! let mut buffer = SpillBuffer::new(&space, MemoryBudget::standalone(64 << 10));
//! for number in 0..100_000u64 {
//!     buffer.push(number)?;
//! }
//! buffer.seal()?;
//! assert!(buffer.spilled_bytes() > 0);
//!
//! let mut sum = 0;
//! buffer.for_each_batch(|numbers| {
//!     sum += numbers.iter().sum::<u64>();
//!     Ok(())
//! })?;
//! assert_eq!(sum, 4_999_950_000);
//! # Ok::<(), flinkrs_core::Error>(())
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`SpillSpace`] | where an operator spills and who counts it |
//! | [`SpillFile`], [`BlockReader`] | a sequence of blocks of bytes |
//! | [`SpillWriter`], [`SpillRun`], [`SpillReader`] | runs of records in one such file |
//! | [`SpillBuffer`] | a list of records, in memory first and then on disk, read any number of times |
//! | [`BatchSpillBuffer`] | a queue of batches whose type is not known, for blocking exchanges |

mod batches;
mod buffer;
mod file;
mod run;
mod space;

pub use batches::BatchSpillBuffer;
pub use buffer::{SpillBuffer, SpillCursor, SpillPosition};
pub use file::{BlockReader, SpillFile};
pub use run::{SpillReader, SpillRun, SpillWriter};
pub use space::{SpillSizes, SpillSpace};
