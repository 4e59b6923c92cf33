//! What a hash operator reserves of its budget, and what it takes beyond it because it can't go on with less.

use flinkrs_core::resource::MemoryBudget;

/// A budget that can be overdrawn: by the first chunk of an empty table and by a last level that can't spill.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: MemoryBudget,
    over: usize,
}

impl Memory {
    pub(crate) fn new(budget: MemoryBudget) -> Memory {
        Memory { budget, over: 0 }
    }

    /// Reserves `bytes`, or nothing when the budget refuses.
    #[must_use]
    pub(crate) fn try_grow(&mut self, bytes: usize) -> bool {
        self.budget.try_grow(bytes)
    }

    /// Takes `bytes`, whatever the budget says.
    pub(crate) fn force(&mut self, bytes: usize) {
        if !self.budget.try_grow(bytes) {
            self.over += bytes;
        }
    }

    /// Reserves `bytes` if the budget or `force` allows.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize, force: bool) -> bool {
        if force {
            self.force(bytes);
        }
        force || self.try_grow(bytes)
    }

    /// Gives `bytes` back, first what was overdrawn.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let over = bytes.min(self.over);
        self.over -= over;
        self.budget.shrink(bytes - over);
    }

    /// What took `before` bytes takes `after` from now on, whatever the budget says.
    pub(crate) fn exchange(&mut self, before: usize, after: usize) {
        self.force(after.saturating_sub(before));
        self.shrink(before.saturating_sub(after));
    }

    /// Bytes that could be reserved now.
    pub(crate) fn available(&self) -> usize {
        self.budget.available()
    }
}
