//! Where an operator spills, who counts the bytes, and how large its blocks and buffers are.

use flinkrs_core::function::{CancelFlag, OperatorMetrics};
use flinkrs_core::{Error, Result, RuntimeContext};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The folder of an operator's spill files, the counter of its spilled bytes, and the flag that stops it.
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct SpillSpace {
    directory: Arc<Path>,
    metrics: Arc<OperatorMetrics>,
    cancelled: CancelFlag,
}

impl SpillSpace {
    /// Spills into `directory`; nobody else sees what is counted.
    pub fn new(directory: &Path) -> SpillSpace {
        SpillSpace { directory: Arc::from(directory), metrics: Arc::default(), cancelled: CancelFlag::default() }
    }

    /// Spills into `directory`, counts in `metrics`, and stops when `cancelled` is set.
    pub fn counted(directory: &Path, metrics: Arc<OperatorMetrics>, cancelled: CancelFlag) -> SpillSpace {
        SpillSpace { directory: Arc::from(directory), metrics, cancelled }
    }

    /// Spills where the operator's context says, and counts in its metrics.
    pub fn of(context: &RuntimeContext) -> SpillSpace {
        SpillSpace {
            directory: Arc::clone(&context.spill_directory),
            metrics: Arc::clone(&context.metrics),
            cancelled: context.cancelled.clone(),
        }
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Checks that files can be made there, long before the first one is.
    pub fn check(&self) -> Result<()> {
        let advice = "name a folder that exists and can be written with --temp-dir";
        tempfile::tempfile_in(&self.directory).map(drop).map_err(|source| {
            Error::io("spill to", &self.directory, io::Error::new(source.kind(), format!("{source}; {advice}")))
        })
    }

    /// The flag that stops long work, such as a merge.
    pub fn cancelled(&self) -> &CancelFlag {
        &self.cancelled
    }

    /// Bytes spilled so far, by everything that shares the counter.
    pub fn spilled_bytes(&self) -> u64 {
        self.metrics.spilled_bytes.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.metrics.add_spilled(bytes as u64);
    }

    pub(crate) fn write_error(&self, source: io::Error) -> Error {
        let advice = "free space there, or choose another folder with --temp-dir";
        Error::io("spill to", &self.directory, io::Error::new(source.kind(), format!("{source}; {advice}")))
    }

    pub(crate) fn read_error(&self, source: io::Error) -> Error {
        let advice = "check that disk, or choose another folder with --temp-dir";
        let source = io::Error::new(source.kind(), format!("{source}; {advice}"));
        Error::io("read spilled data from", &self.directory, source)
    }

    pub(crate) fn check_cancelled(&self) -> Result<()> {
        self.cancelled.check()
    }
}

/// How large blocks and write buffers are, so that spilling itself stays within a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillSizes {
    /// Records go to disk in blocks that take about this much memory, in bytes; a larger record is a block alone.
    pub block_bytes: usize,
    /// Bytes gathered before a write.
    pub buffer_bytes: usize,
}

/// With enough memory: blocks large enough that a codec's start costs nothing and a merge reads sequentially, small
/// enough that hundreds of runs merge at once.
const BLOCK_BYTES: usize = 128 << 10;

/// With enough memory: writes that a disk takes at full speed.
const BUFFER_BYTES: usize = 256 << 10;

impl Default for SpillSizes {
    fn default() -> SpillSizes {
        SpillSizes { block_bytes: BLOCK_BYTES, buffer_bytes: BUFFER_BYTES }
    }
}

impl SpillSizes {
    /// Sizes of which [`SpillSizes::memory`] is at most a quarter of `bytes`, as far as that is reasonable.
    pub fn for_budget(bytes: usize) -> SpillSizes {
        SpillSizes {
            block_bytes: (bytes / 32).clamp(256, BLOCK_BYTES),
            buffer_bytes: (bytes / 16).clamp(512, BUFFER_BYTES),
        }
    }

    /// Memory that a writer takes, in bytes: the open block, its encoded form twice, and the write buffer.
    pub fn memory(self) -> usize {
        3 * self.block_bytes + self.buffer_bytes
    }
}
