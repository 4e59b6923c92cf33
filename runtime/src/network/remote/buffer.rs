//! Buffers of frames, kept for the next frame.

use crate::task::lock;
use std::sync::Mutex;

/// Larger buffers are given back to the system: they were made for a record of unusual size.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Buffers for reuse; those in use are bounded by windows and queues, those at rest by `bytes_max`.
pub(crate) struct BufferPool {
    bytes_max: usize,
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl BufferPool {
    /// A pool in which at most so many bytes rest.
    pub(crate) fn new(bytes_max: usize) -> BufferPool {
        BufferPool { bytes_max, spare: Mutex::default() }
    }

    /// A buffer with whatever was in it.
    pub(crate) fn take(&self) -> Vec<u8> {
        let mut spare = lock(&self.spare);
        let buffer = spare.buffers.pop().unwrap_or_default();
        spare.bytes -= buffer.capacity();
        buffer
    }

    /// A buffer with nothing in it.
    pub(crate) fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.clear();
        buffer
    }

    /// Keeps a buffer for reuse, if there is room; its content stays, so that it needn't be zeroed to be read into.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if bytes == 0 || bytes > KEPT_BYTES_MAX {
            return;
        }
        let mut spare = lock(&self.spare);
        if spare.bytes + bytes <= self.bytes_max {
            spare.bytes += bytes;
            spare.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_is_bounded() {
        let pool = BufferPool::new(1000);
        for _ in 0..5 {
            pool.give(vec![1; 400]);
        }
        assert_eq!(lock(&pool.spare).bytes, 800);
        assert_eq!(pool.take().len(), 400);
        assert!(pool.take_empty().is_empty());
        assert!(pool.take().is_empty());
        pool.give(vec![0; KEPT_BYTES_MAX + 1]);
        assert_eq!(lock(&pool.spare).bytes, 0);
    }
}
