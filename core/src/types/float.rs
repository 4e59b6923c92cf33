//! Floats with a total order, so that they can be keys.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A float ordered by IEEE 754 `totalOrder`, except that both zeros are one key; NaN sorts last.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Total<F>(F);

macro_rules! total {
    ($float:ty) => {
        impl Total<$float> {
            /// Wraps `value`; minus zero becomes zero and every NaN the same NaN, so that equal keys hash alike.
            pub fn new(value: $float) -> Self {
                if value.is_nan() { Total(<$float>::NAN) } else { Total(value + 0.0) }
            }

            /// The float.
            pub fn get(self) -> $float {
                self.0
            }
        }

        impl From<$float> for Total<$float> {
            fn from(value: $float) -> Self {
                Total::<$float>::new(value)
            }
        }

        impl PartialEq for Total<$float> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other) == Ordering::Equal
            }
        }

        impl Eq for Total<$float> {}

        impl PartialOrd for Total<$float> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for Total<$float> {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.total_cmp(&other.0)
            }
        }

        impl Hash for Total<$float> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.to_bits().hash(state);
            }
        }
    };
}

total!(f32);
total!(f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_one_key_and_nan_sorts_last() {
        assert_eq!(Total::<f64>::new(0.0), Total::<f64>::new(-0.0));
        assert_eq!(Total::<f64>::new(f64::NAN), Total::<f64>::new(-f64::NAN));
        let mut values: Vec<Total<f64>> = [f64::NAN, 1.0, f64::INFINITY, -2.0].map(Total::<f64>::new).into();
        values.sort();
        assert_eq!(values[0].get(), -2.0);
        assert!(values[3].get().is_nan());
    }
}
