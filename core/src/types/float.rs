//! Floats with a total order, so that they can be keys.

use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A float ordered by IEEE 754 `totalOrder`, except that both zeros are one key; NaN sorts last.
///
/// ```
/// use flinkrs_core::types::Total;
/// assert_eq!(Total::new(0.0), Total::new(-0.0));
/// assert!(Total::new(f64::NAN) > Total::new(f64::INFINITY));
/// ```
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Total<F>(F);

/// The floats there are.
pub trait Float: Copy + sealed::Float {}

impl Float for f32 {}
impl Float for f64 {}

mod sealed {
    use std::cmp::Ordering;

    pub trait Float {
        /// The same number for keys that are the same: one zero, one NaN.
        fn canonical(self) -> Self;
        fn order(&self, other: &Self) -> Ordering;
        fn bits(self) -> u64;
    }

    macro_rules! floats {
        ($($float:ty)*) => {$(
            impl Float for $float {
                fn canonical(self) -> Self {
                    if self.is_nan() { <$float>::NAN } else { self + 0.0 }
                }
                fn order(&self, other: &Self) -> Ordering {
                    self.total_cmp(other)
                }
                fn bits(self) -> u64 {
                    u64::from(self.to_bits())
                }
            }
        )*};
    }

    floats!(f32 f64);
}

impl<F: Float> Total<F> {
    /// Wraps `value`; minus zero becomes zero and every NaN the same NaN, so that equal keys hash alike.
    pub fn new(value: F) -> Total<F> {
        Total(value.canonical())
    }

    /// The float.
    pub fn get(self) -> F {
        self.0
    }
}

impl<F: Float> From<F> for Total<F> {
    fn from(value: F) -> Total<F> {
        Total::new(value)
    }
}

impl<'de, F: Float + Deserialize<'de>> Deserialize<'de> for Total<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Total<F>, D::Error> {
        F::deserialize(deserializer).map(Total::new)
    }
}

impl<F: Float> PartialEq for Total<F> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<F: Float> Eq for Total<F> {}

impl<F: Float> PartialOrd for Total<F> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<F: Float> Ord for Total<F> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

impl<F: Float> Hash for Total<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bits().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_one_key_and_nan_sorts_last() {
        assert_eq!(Total::new(0.0f32), Total::new(-0.0f32));
        assert_eq!(Total::new(f64::NAN), Total::new(-f64::NAN));
        let mut values: Vec<Total<f64>> = [f64::NAN, 1.0, f64::INFINITY, -2.0].map(Total::new).into();
        values.sort();
        assert_eq!(values[0].get(), -2.0);
        assert!(values[3].get().is_nan());
    }
}
