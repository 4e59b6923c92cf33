//! Bytes with units, and the budgets that keep memory bounded.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that reads and prints with a unit: `512mb`, `1 gb`, `64kb`; units are powers of 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u32); 9] =
    [("tb", 40), ("gb", 30), ("mb", 20), ("kb", 10), ("t", 40), ("g", 30), ("m", 20), ("k", 10), ("b", 0)];

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<ByteSize> {
        let wrong =
            || Error::usage(format!("'{text}' is not a size; write a number and kb, mb, gb or tb, such as 512mb"));
        let lower = text.trim().to_ascii_lowercase().replace("ib", "b");
        let (digits, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| lower.strip_suffix(unit).map(|digits| (digits, *shift)))
            .unwrap_or((&lower, 0));
        let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
        if !number.is_finite() || number < 0.0 {
            return Err(wrong());
        }
        Ok(ByteSize((number * (1u64 << shift) as f64) as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)] {
            if self.0 >= 1 << shift {
                return write!(f, "{:.1} {unit}", self.0 as f64 / (1u64 << shift) as f64);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A pool of memory, in bytes, that the budgets of a slot's operators share.
#[derive(Debug)]
pub struct MemoryPool {
    total: usize,
    free: AtomicUsize,
}

impl MemoryPool {
    /// A pool of `total` bytes, all free.
    pub fn new(total: usize) -> Arc<MemoryPool> {
        Arc::new(MemoryPool { total, free: AtomicUsize::new(total) })
    }

    /// The size of the pool in bytes.
    pub fn total(&self) -> usize {
        self.total
    }

    /// What nobody has reserved, in bytes.
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    fn try_take(&self, bytes: usize) -> bool {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        let before = self.free.fetch_add(bytes, Ordering::Relaxed);
        debug_assert!(before + bytes <= self.total, "more memory given back than taken");
    }
}

/// One operator's share of memory: a guaranteed part of its own, and what the pool has free beyond it.
///
/// Gives everything back when dropped.
#[derive(Debug)]
pub struct MemoryBudget {
    pool: Arc<MemoryPool>,
    guaranteed: usize,
    used: usize,
}

impl MemoryBudget {
    /// Sets `guaranteed` bytes of `pool` aside; fewer when the pool has fewer.
    pub fn new(pool: &Arc<MemoryPool>, guaranteed: usize) -> MemoryBudget {
        let guaranteed = if pool.try_take(guaranteed) { guaranteed } else { 0 };
        MemoryBudget { pool: Arc::clone(pool), guaranteed, used: 0 }
    }

    /// A budget of exactly `bytes`, for tests and for operators that stand alone.
    pub fn standalone(bytes: usize) -> MemoryBudget {
        MemoryBudget::new(&MemoryPool::new(bytes), bytes)
    }

    /// Reserves `bytes` more; false, and nothing reserved, when neither the share nor the pool has them.
    #[must_use]
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let beyond = |used: usize| used.saturating_sub(self.guaranteed);
        let more = beyond(self.used + bytes) - beyond(self.used);
        if more > 0 && !self.pool.try_take(more) {
            return false;
        }
        self.used += bytes;
        true
    }

    /// Gives `bytes` back.
    pub fn shrink(&mut self, bytes: usize) {
        assert!(bytes <= self.used, "{bytes} bytes given back of {} reserved", self.used);
        let beyond = |used: usize| used.saturating_sub(self.guaranteed);
        let less = beyond(self.used) - beyond(self.used - bytes);
        self.used -= bytes;
        if less > 0 {
            self.pool.give_back(less);
        }
    }

    /// Bytes reserved now.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes that are this operator's whatever the others take.
    pub fn guaranteed(&self) -> usize {
        self.guaranteed
    }

    /// Bytes that could be reserved now, as long as nobody else takes them first.
    pub fn available(&self) -> usize {
        self.guaranteed.saturating_sub(self.used) + self.pool.free()
    }
}

impl Drop for MemoryBudget {
    fn drop(&mut self) {
        self.pool.give_back(self.guaranteed.max(self.used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_with_units() {
        for (text, bytes) in
            [("512mb", 512 << 20), ("1 GB", 1 << 30), ("64k", 64 << 10), ("7", 7), ("1.5kb", 1536), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse::<ByteSize>().expect(text).0, bytes, "{text}");
        }
        for text in ["", "mb", "-1mb", "12 parsecs", "nan"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_budget_uses_its_share_first_and_then_the_pool() {
        let pool = MemoryPool::new(100);
        let mut a = MemoryBudget::new(&pool, 30);
        let mut b = MemoryBudget::new(&pool, 30);
        assert!(a.try_grow(70));
        assert!(!a.try_grow(1), "the rest is guaranteed to b");
        assert!(b.try_grow(30));
        assert!(!b.try_grow(1));
        a.shrink(50);
        assert!(b.try_grow(40));
        drop(a);
        drop(b);
        assert_eq!(pool.free(), 100);
    }
}
