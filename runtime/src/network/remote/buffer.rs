//! Buffers of frames, kept for the next frame.

use crate::task::lock;
use std::sync::Mutex;

/// Larger buffers are given back to the system: they were made for a record of unusual size.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Smaller buffers cost no more to make than to keep.
const KEPT_BYTES_MIN: usize = 4 << 10;

/// A buffer holds at most so many times what is in it while it waits: windows count what is in it.
const SLACK: usize = 4;

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

    /// Bytes of the buffers at rest.
    pub(crate) fn spare_bytes(&self) -> usize {
        lock(&self.spare).bytes
    }

    /// A buffer for about so many bytes, with whatever was in it; a new one if none at rest is of a fitting size.
    pub(crate) fn take(&self, bytes: usize) -> Vec<u8> {
        if bytes < KEPT_BYTES_MIN {
            return Vec::new();
        }
        let mut spare = lock(&self.spare);
        match spare.buffers.pop_if(|buffer| buffer.capacity() / SLACK <= bytes) {
            Some(buffer) => {
                spare.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::new(),
        }
    }

    /// A buffer with nothing in it, for what has an unknown size; [`BufferPool::fit`] is to follow.
    pub(crate) fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take(KEPT_BYTES_MAX);
        buffer.clear();
        buffer
    }

    /// The content of a buffer in one that isn't much larger.
    pub(crate) fn fit(&self, buffer: Vec<u8>) -> Vec<u8> {
        if buffer.capacity() / SLACK <= buffer.len() {
            return buffer;
        }
        let fitting = buffer.as_slice().to_vec();
        self.give(buffer);
        fitting
    }

    /// Keeps a buffer for reuse, if there is room; its content stays, so that it needn't be zeroed to be read into.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        if !(KEPT_BYTES_MIN..=KEPT_BYTES_MAX).contains(&bytes) {
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
        let pool = BufferPool::new(100_000);
        for _ in 0..5 {
            pool.give(vec![1; 40_000]);
        }
        assert_eq!(lock(&pool.spare).bytes, 80_000);
        assert_eq!(pool.take(30_000).len(), 40_000);
        assert!(pool.take_empty().is_empty());
        assert_eq!(lock(&pool.spare).bytes, 0);
        pool.give(vec![0; KEPT_BYTES_MAX + 1]);
        pool.give(vec![0; KEPT_BYTES_MIN - 1]);
        assert_eq!(lock(&pool.spare).bytes, 0);
    }

    #[test]
    fn what_waits_is_not_in_a_much_larger_buffer() {
        let pool = BufferPool::new(100_000);
        pool.give(vec![1; 40_000]);
        assert_eq!(pool.take(9_000).capacity(), 0);
        assert_eq!(pool.take(100).capacity(), 0);
        let mut buffer = pool.take_empty();
        buffer.extend_from_slice(b"little");
        assert_eq!(pool.fit(buffer).capacity(), 6);
        assert_eq!(lock(&pool.spare).bytes, 40_000);
    }
}
