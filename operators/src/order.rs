//! Orders of records: by key, reversed, one after the other, or none; each with a prefix that sorts like it.

use flinkrs_core::types::{KeyField, KeyPrefix, KeySelector, key_prefix};
use std::cmp::Ordering;

/// A total order of records of type `T`.
pub trait RecordOrder<T>: Clone + Send + Sync + 'static {
    /// Compares two records.
    fn compare(&self, a: &T, b: &T) -> Ordering;

    /// Eight bytes that order like the record, and how much they say; the same [`KeyPrefix`] for every record.
    fn prefix(&self, record: &T) -> (u64, KeyPrefix);
}

/// By ascending key.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByKey<S>(pub S);

impl<T, S: KeySelector<T>> RecordOrder<T> for ByKey<S> {
    #[inline(always)]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        self.0.with_key(a, |a| self.0.with_key(b, |b| a.cmp(b)))
    }

    #[inline(always)]
    fn prefix(&self, record: &T) -> (u64, KeyPrefix) {
        self.0.with_key(record, key_prefix)
    }
}

/// The other way round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Descending<O>(pub O);

impl<T, O: RecordOrder<T>> RecordOrder<T> for Descending<O> {
    #[inline(always)]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        self.0.compare(b, a)
    }

    #[inline(always)]
    fn prefix(&self, record: &T) -> (u64, KeyPrefix) {
        let (prefix, kind) = self.0.prefix(record);
        (!prefix, kind)
    }
}

/// By the first order, and where it says equal by the second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Then<A, B>(pub A, pub B);

impl<T, A: RecordOrder<T>, B: RecordOrder<T>> RecordOrder<T> for Then<A, B> {
    #[inline(always)]
    fn compare(&self, a: &T, b: &T) -> Ordering {
        self.0.compare(a, b).then_with(|| self.1.compare(a, b))
    }

    #[inline(always)]
    fn prefix(&self, record: &T) -> (u64, KeyPrefix) {
        match self.0.prefix(record) {
            (prefix, KeyPrefix::Full) => (prefix, KeyPrefix::Partial),
            partial => partial,
        }
    }
}

/// All records are equal: no order asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unordered;

impl<T> RecordOrder<T> for Unordered {
    #[inline(always)]
    fn compare(&self, _a: &T, _b: &T) -> Ordering {
        Ordering::Equal
    }

    #[inline(always)]
    fn prefix(&self, _record: &T) -> (u64, KeyPrefix) {
        (0, KeyPrefix::Full)
    }
}

/// The key of operators over all records: every record has the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKey;

impl<T: Clone + Send + Sync + 'static> KeySelector<T> for NoKey {
    type Key = ();
    type Rest = T;

    #[inline(always)]
    fn with_key<R>(&self, _record: &T, f: impl FnOnce(&()) -> R) -> R {
        f(&())
    }

    fn identity(&self) -> Option<Vec<KeyField>> {
        Some(Vec::new())
    }

    #[inline(always)]
    fn rest(&self, record: T) -> T {
        record
    }

    #[inline(always)]
    fn whole(&self, _key: (), rest: T) -> T {
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::{Text, f0, f1};
    use proptest::prelude::*;

    type Record = (i32, Text);

    fn agrees(order: &impl RecordOrder<Record>, a: &Record, b: &Record) -> bool {
        let ((pa, kind), (pb, _)) = (order.prefix(a), order.prefix(b));
        let full = order.compare(a, b);
        match pa.cmp(&pb) {
            Ordering::Equal => kind != KeyPrefix::Full || full == Ordering::Equal,
            by_prefix => by_prefix == full,
        }
    }

    proptest! {
        #[test]
        fn prefixes_order_like_the_records(a in (-3i32..3, "[ab]{0,12}"), b in (-3i32..3, "[ab]{0,12}")) {
            let (a, b) = ((a.0, Text::from(a.1.as_str())), (b.0, Text::from(b.1.as_str())));
            prop_assert!(agrees(&ByKey(f0), &a, &b));
            prop_assert!(agrees(&Descending(ByKey(f1)), &a, &b));
            prop_assert!(agrees(&Then(Descending(ByKey(f0)), ByKey(f1)), &a, &b));
            prop_assert!(agrees(&Then(Unordered, ByKey(f1)), &a, &b));
            prop_assert!(agrees(&ByKey(NoKey), &a, &b));
            prop_assert_eq!(Then(ByKey(f0), ByKey(f1)).compare(&a, &b), a.cmp(&b));
        }
    }
}
