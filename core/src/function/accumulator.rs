//! Accumulators: counters that user functions add to and that the job's result reports.

use crate::error::Error;
use crate::operator::Unwind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The value of an accumulator: a closed set, so that every process can merge them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccumulatorValue {
    /// A sum of whole numbers.
    Long(i64),
    /// A sum of floats.
    Double(f64),
    /// The smallest number seen.
    Minimum(f64),
    /// The largest number seen.
    Maximum(f64),
    /// How often each number was seen.
    Histogram(BTreeMap<i64, u64>),
}

impl AccumulatorValue {
    /// Combines with the value of another subtask; false when the kinds differ.
    pub fn merge(&mut self, other: &AccumulatorValue) -> bool {
        match (self, other) {
            (AccumulatorValue::Long(a), AccumulatorValue::Long(b)) => *a = a.wrapping_add(*b),
            (AccumulatorValue::Double(a), AccumulatorValue::Double(b)) => *a += b,
            (AccumulatorValue::Minimum(a), AccumulatorValue::Minimum(b)) => *a = a.min(*b),
            (AccumulatorValue::Maximum(a), AccumulatorValue::Maximum(b)) => *a = a.max(*b),
            (AccumulatorValue::Histogram(a), AccumulatorValue::Histogram(b)) => {
                for (number, count) in b {
                    *a.entry(*number).or_insert(0) += count;
                }
            }
            _ => return false,
        }
        true
    }
}

impl fmt::Display for AccumulatorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccumulatorValue::Long(value) => write!(f, "{value}"),
            AccumulatorValue::Double(value) | AccumulatorValue::Minimum(value) | AccumulatorValue::Maximum(value) => {
                write!(f, "{value}")
            }
            AccumulatorValue::Histogram(counts) => f.debug_map().entries(counts).finish(),
        }
    }
}

/// A handle to one accumulator of one subtask, made by [`RuntimeContext`](crate::RuntimeContext).
#[derive(Clone, Debug)]
pub struct Accumulator(Arc<Mutex<AccumulatorValue>>);

impl Accumulator {
    /// Adds to a sum, or counts a number in a histogram, minimum or maximum.
    pub fn add(&self, value: i64) {
        match &mut *self.lock() {
            AccumulatorValue::Long(sum) => *sum = sum.wrapping_add(value),
            AccumulatorValue::Histogram(counts) => *counts.entry(value).or_insert(0) += 1,
            AccumulatorValue::Double(sum) => *sum += value as f64,
            AccumulatorValue::Minimum(least) => *least = least.min(value as f64),
            AccumulatorValue::Maximum(most) => *most = most.max(value as f64),
        }
    }

    /// Adds a float to a sum, a minimum or a maximum; a whole-number accumulator takes it rounded.
    pub fn add_float(&self, value: f64) {
        match &mut *self.lock() {
            AccumulatorValue::Double(sum) => *sum += value,
            AccumulatorValue::Minimum(least) => *least = least.min(value),
            AccumulatorValue::Maximum(most) => *most = most.max(value),
            AccumulatorValue::Long(sum) => *sum = sum.wrapping_add(value.round() as i64),
            AccumulatorValue::Histogram(counts) => *counts.entry(value.round() as i64).or_insert(0) += 1,
        }
    }

    /// The subtask's value so far.
    pub fn value(&self) -> AccumulatorValue {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, AccumulatorValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The accumulators of one task, by name.
#[derive(Clone, Debug, Default)]
pub struct Accumulators(Arc<Mutex<BTreeMap<String, Accumulator>>>);

impl Accumulators {
    /// The accumulator of that name, made with `initial` if it is new.
    ///
    /// Unwinds out of the calling function, and so fails the job, when the accumulator is there and of another kind.
    pub fn get(&self, name: &str, initial: AccumulatorValue) -> Accumulator {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = std::mem::discriminant(&initial);
        let found = all.entry(name.to_owned()).or_insert_with(|| Accumulator(Arc::new(Mutex::new(initial)))).clone();
        drop(all);
        if std::mem::discriminant(&*found.lock()) != kind {
            let error = Error::function(format!("accumulator '{name}' is of two kinds in one job"));
            std::panic::resume_unwind(Box::new(Unwind(error)));
        }
        found
    }

    /// Takes all values out; handles given out before count for nobody any more.
    pub fn take(&self) -> BTreeMap<String, AccumulatorValue> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_iter().map(|(name, accumulator)| (name, accumulator.value())).collect()
    }

    /// All values now.
    pub fn values(&self) -> BTreeMap<String, AccumulatorValue> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, accumulator)| (name.clone(), accumulator.value())).collect()
    }
}
