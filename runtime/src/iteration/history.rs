//! What is kept of the supersteps that are over: of very many, several as one.

use crate::iteration::SuperstepReport;
use std::time::Duration;

/// Reports at most; when there are so many, pairs become one.
const MOST: usize = 8192;

/// Reports at the beginning and at the end that stay as they are.
const EXACT: usize = 16;

/// The reports of a loop's supersteps, in memory of a fixed size.
#[derive(Debug, Default)]
pub(super) struct History {
    reports: Vec<SuperstepReport>,
    duration: Duration,
}

impl History {
    /// Adds the superstep that is over.
    pub(super) fn add(&mut self, report: SuperstepReport) {
        if self.reports.len() >= MOST {
            self.thin();
        }
        self.duration += report.duration;
        self.reports.push(report);
    }

    /// The reports, in order.
    pub(super) fn reports(&self) -> &[SuperstepReport] {
        &self.reports
    }

    /// How long all supersteps together took.
    pub(super) fn duration(&self) -> Duration {
        self.duration
    }

    /// Makes one report of each two in the middle.
    fn thin(&mut self) {
        let end = self.reports.split_off(MOST - EXACT);
        let middle = self.reports.split_off(EXACT);
        self.reports.extend(middle.chunks(2).map(largest));
        self.reports.extend(end);
    }
}

/// The largest figures of a few supersteps in a row.
fn largest(few: &[SuperstepReport]) -> SuperstepReport {
    few.iter().fold(SuperstepReport::default(), |most, next| SuperstepReport {
        superstep: next.superstep,
        duration: most.duration.max(next.duration),
        workset: most.workset.max(next.workset),
        updates: most.updates.max(next.updates),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_loop_keeps_its_beginning_its_end_and_its_peaks() {
        let mut history = History::default();
        let last = 1_000_000;
        for superstep in 1..=last {
            let workset = if superstep == 300_001 { 99 } else { 1 };
            let duration = Duration::from_nanos(10);
            history.add(SuperstepReport { superstep, duration, workset, updates: u64::from(superstep) });
        }
        let (reports, exact) = (history.reports(), EXACT as u32);
        assert!(reports.len() <= MOST && history.reports.capacity() <= 2 * MOST);
        assert!(reports.is_sorted_by_key(|report| report.superstep));
        let numbers = |few: &[SuperstepReport]| few.iter().map(|report| report.superstep).collect::<Vec<_>>();
        assert_eq!(numbers(&reports[..EXACT]), (1..=exact).collect::<Vec<_>>());
        assert_eq!(numbers(&reports[reports.len() - EXACT..]), (last - exact + 1..=last).collect::<Vec<_>>());
        assert_eq!(reports.iter().filter(|report| report.workset == 99).count(), 1);
        assert_eq!(history.duration(), Duration::from_millis(10));
    }
}
