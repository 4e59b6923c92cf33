//! Whether combining is worth it: tried on some records, and given up for many when it was in vain.

/// Decides whether a combiner combines or passes records on.
///
/// Within a superstep a try in vain decides about the records behind it. The next superstep tries again, since its
/// records may be others; what it takes over is only how far the try is trusted: after tries in vain a superstep's
/// first is shorter, and costs a small part of it.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Records since the table was empty.
    seen: usize,
    /// Records to pass on before combining is tried again.
    skip: usize,
    /// How many times the tried records are passed on after the next try in vain.
    factor: usize,
    /// Records of a try.
    trial: usize,
    /// Supersteps since combining was tried and left more than half of the records, counted from 1; 0 if it helped.
    vain_supersteps: u32,
    /// Records of the last of them.
    last: usize,
}

/// Of fewer records nothing follows for the next superstep.
const VAIN_MIN: usize = 1 << 12;

/// After so many supersteps without combining it is tried again.
const VAIN_SUPERSTEPS: u32 = 8;

/// Records after which combining is given up if it hasn't helped: enough that a table that fits into memory fills.
const TRIED_RECORDS: usize = 1 << 18;

/// A try in vain costs little against 4 to 32 times as many records without one.
const FACTORS: std::ops::RangeInclusive<usize> = 4..=32;

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge { seen: 0, skip: 0, factor: *FACTORS.start(), trial: TRIED_RECORDS, vain_supersteps: 0, last: 0 }
    }
}

impl Gauge {
    /// Whether the next `records` are to be passed on as they are.
    pub(crate) fn skips(&mut self, records: usize) -> bool {
        let skips = self.skip > 0;
        self.skip = self.skip.saturating_sub(records);
        skips
    }

    /// So many records go into the table.
    pub(crate) fn count(&mut self, records: usize) {
        self.seen += records;
    }

    /// Whether so many records have become so many groups that combining should stop for a while.
    pub(crate) fn is_useless(&self, groups: usize) -> bool {
        self.seen >= self.trial && self.is_vain(groups)
    }

    fn is_vain(&self, groups: usize) -> bool {
        groups * 10 > self.seen * 9
    }

    /// The table is emptied of so many groups.
    pub(crate) fn emitted(&mut self, groups: usize) {
        if self.is_vain(groups) {
            self.skip = self.seen * self.factor;
            self.factor = (2 * self.factor).min(*FACTORS.end());
        } else {
            self.factor = *FACTORS.start();
        }
        self.trial = TRIED_RECORDS;
        self.seen = 0;
    }

    /// How many records of the next superstep aren't worth combining, after one that has made so many groups.
    ///
    /// A record that is combined costs about as much as one that is shipped and grouped behind, so half of them have to
    /// go for it to pay. More than twice as many records as before may have other keys, and are tried.
    fn skip_of_next(&mut self, groups: usize) -> usize {
        let tried = self.seen > 0;
        if self.seen >= VAIN_MIN && groups * 2 > self.seen {
            self.vain_supersteps = 1;
            self.last = self.seen;
        } else if tried || self.vain_supersteps == 0 || self.vain_supersteps == VAIN_SUPERSTEPS {
            self.vain_supersteps = 0;
            return 0;
        } else {
            self.vain_supersteps += 1;
        }
        2 * self.last
    }

    /// The table is emptied of so many groups because a superstep has ended.
    pub(crate) fn superstep_ended(&mut self, groups: usize) {
        // Few records prove nothing in either direction.
        if self.seen >= TRIED_RECORDS / *FACTORS.end() && !self.is_vain(groups) {
            self.factor = *FACTORS.start();
        }
        self.trial = TRIED_RECORDS / (self.factor / *FACTORS.start());
        self.skip = self.skip_of_next(groups);
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_whose_records_hardly_combine_rests_for_some_supersteps() {
        let mut gauge = Gauge::default();
        let skips: Vec<bool> = (0..20)
            .map(|_| {
                let skips = gauge.skips(10_000);
                if !skips {
                    gauge.count(10_000);
                }
                gauge.superstep_ended(if skips { 0 } else { 8_000 });
                skips
            })
            .collect();
        let tried: Vec<usize> = (0..20).filter(|superstep| !skips[*superstep]).collect();
        assert_eq!(tried, [0, 9, 18]);
        gauge = Gauge::default();
        gauge.count(10_000);
        gauge.superstep_ended(8_000);
        assert!(gauge.skips(15_000) && gauge.skips(15_000), "as many as before, and as many again");
        assert!(!gauge.skips(10_000), "a superstep of many more records is another matter");
    }

    #[test]
    fn a_combiner_that_does_not_help_steps_aside_and_tries_again() {
        let mut gauge = Gauge::default();
        gauge.count(TRIED_RECORDS);
        assert!(gauge.is_useless(TRIED_RECORDS) && !gauge.is_useless(TRIED_RECORDS / 2));
        gauge.emitted(TRIED_RECORDS);
        let skipped = (0..).take_while(|_| gauge.skips(1 << 10)).count();
        assert_eq!(skipped << 10, 4 * TRIED_RECORDS);
        gauge.count(TRIED_RECORDS);
        gauge.emitted(TRIED_RECORDS);
        assert_eq!(gauge.skip, 8 * TRIED_RECORDS);
    }

    /// Runs a superstep of records of which each batch of 1024 makes `new` groups; says how many were combined.
    fn superstep(gauge: &mut Gauge, batches: usize, new: usize) -> usize {
        let (mut combined, mut groups) = (0, 0);
        for _ in 0..batches {
            if gauge.skips(1 << 10) {
                continue;
            }
            gauge.count(1 << 10);
            combined += 1 << 10;
            groups += new;
            if gauge.is_useless(groups) {
                gauge.emitted(std::mem::take(&mut groups));
            }
        }
        gauge.superstep_ended(groups);
        combined
    }

    #[test]
    fn a_superstep_begins_with_combining_and_learns_cheaply_what_the_one_before_knew() {
        let mut gauge = Gauge::default();
        assert_eq!(superstep(&mut gauge, 1 << 10, 1 << 10), TRIED_RECORDS);
        assert_eq!(superstep(&mut gauge, 1 << 10, 1 << 10), TRIED_RECORDS / 2);
        for _ in 0..3 {
            superstep(&mut gauge, 1 << 10, 1 << 10);
        }
        assert_eq!(superstep(&mut gauge, 1 << 10, 1 << 10), TRIED_RECORDS / 8, "a try of 32 K in a million records");
        assert_eq!(superstep(&mut gauge, 1 << 10, 1), 1 << 20, "combining helps now, and all is combined");
        assert_eq!(superstep(&mut gauge, 1 << 10, 1 << 10), TRIED_RECORDS, "and is trusted again");
    }

    #[test]
    fn a_short_try_that_errs_costs_a_part_of_the_superstep() {
        let mut gauge = Gauge::default();
        for _ in 0..6 {
            superstep(&mut gauge, 1 << 10, 1 << 10);
        }
        // Keys repeat, but not within the short try: passed on is 32 times that, and then combining is tried in full.
        assert_eq!(gauge.trial, TRIED_RECORDS / 8);
        gauge.count(gauge.trial);
        gauge.emitted(gauge.trial);
        assert_eq!((gauge.skip, gauge.trial), (4 * TRIED_RECORDS, TRIED_RECORDS));
    }
}
