//! The last failures of a job.

use crate::view::ExceptionView;
use std::collections::VecDeque;

/// Failures, the oldest first, as many as are kept.
#[derive(Clone, Debug)]
pub(crate) struct History {
    limit: usize,
    entries: VecDeque<ExceptionView>,
}

impl History {
    /// An empty history of at most `limit` failures.
    pub(crate) fn new(limit: usize) -> History {
        History { limit, entries: VecDeque::new() }
    }

    /// Adds a failure, in place of the oldest if there are too many.
    pub(crate) fn add(&mut self, entry: ExceptionView) {
        self.entries.push_back(entry);
        while self.entries.len() > self.limit {
            self.entries.pop_front();
        }
    }

    /// The failures, the oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &ExceptionView> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_oldest_go() {
        let mut history = History::new(2);
        for at in 0..5 {
            history.add(ExceptionView {
                at: Timestamp(at),
                message: "boom".into(),
                operator: None,
                task: None,
                task_executor: None,
                host: None,
                restarted: true,
            });
        }
        assert_eq!(history.entries().map(|entry| entry.at.0).collect::<Vec<_>>(), [3, 4]);
    }
}
