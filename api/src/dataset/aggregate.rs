//! Built-in aggregations: sum, min, max over fields; minBy and maxBy over records.

use crate::dataset::{DataSet, Grouped};
use flinkrs_core::Error;
use flinkrs_core::operator::Unwind;
use flinkrs_core::types::{Data, Field, KeySelector};
use flinkrs_operators::{NoKey, RecordOrder};

/// A number that can be summed; overflow is an error, never a wrong sum.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be summed",
    note = "integers, floats and types that implement `Summable` can"
)]
pub trait Summable: Clone {
    /// `self + other`, or `None` on overflow.
    fn checked_sum(&self, other: &Self) -> Option<Self>;
}

macro_rules! summable {
    ($($int:ty)*) => {$(
        impl Summable for $int {
            #[inline(always)]
            fn checked_sum(&self, other: &Self) -> Option<Self> {
                self.checked_add(*other)
            }
        }
    )*};
}

summable!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! summable_floats {
    ($($float:ty)*) => {$(
        impl Summable for $float {
            #[inline(always)]
            fn checked_sum(&self, other: &Self) -> Option<Self> {
                Some(self + other)
            }
        }
    )*};
}

summable_floats!(f32 f64);

/// The sum of a field.
#[derive(Clone, Copy, Debug)]
pub struct Sum<F>(pub F);

/// The smallest value of a field.
#[derive(Clone, Copy, Debug)]
pub struct Min<F>(pub F);

/// The largest value of a field.
#[derive(Clone, Copy, Debug)]
pub struct Max<F>(pub F);

/// Merges one field, or in a tuple several fields, of a record into another; the other fields keep the values of
/// one of the group's records.
pub trait Aggregation<T>: Send + Sync + 'static {
    /// Merges `next` into `into`.
    fn merge(&self, into: &mut T, next: &T);
}

impl<T, F: Field<T, Value: Summable>> Aggregation<T> for Sum<F> {
    #[inline(always)]
    fn merge(&self, into: &mut T, next: &T) {
        let sum = self.0.get_mut(into);
        match sum.checked_sum(self.0.get(next)) {
            Some(total) => *sum = total,
            None => overflow::<F::Value>(&self.0.path()),
        }
    }
}

#[cold]
fn overflow<V>(path: &str) -> ! {
    let name = std::any::type_name::<V>();
    let message = format!(
        "overflow in the sum of field {path}: the total doesn't fit {name}; map the field to a wider type first"
    );
    std::panic::resume_unwind(Box::new(Unwind(Error::function(message))))
}

impl<T, F: Field<T, Value: PartialOrd + Clone>> Aggregation<T> for Min<F> {
    #[inline(always)]
    fn merge(&self, into: &mut T, next: &T) {
        if self.0.get(next) < self.0.get(into) {
            *self.0.get_mut(into) = self.0.get(next).clone();
        }
    }
}

impl<T, F: Field<T, Value: PartialOrd + Clone>> Aggregation<T> for Max<F> {
    #[inline(always)]
    fn merge(&self, into: &mut T, next: &T) {
        if self.0.get(next) > self.0.get(into) {
            *self.0.get_mut(into) = self.0.get(next).clone();
        }
    }
}

macro_rules! several {
    ($($name:ident.$index:tt),+) => {
        impl<T, $($name: Aggregation<T>),+> Aggregation<T> for ($($name,)+) {
            #[inline(always)]
            fn merge(&self, into: &mut T, next: &T) {
                $(self.$index.merge(into, next);)+
            }
        }
    };
}

several!(A.0, B.1);
several!(A.0, B.1, C.2);
several!(A.0, B.1, C.2, D.3);

impl<T: Data, S: KeySelector<T>, O: RecordOrder<T>> Grouped<T, S, O> {
    /// Aggregates fields of each group: `aggregate((Sum(f1), Min(f2)))`.
    pub fn aggregate(&self, aggregation: impl Aggregation<T>) -> DataSet<T> {
        self.reduce_named("Aggregate", move |into, next| aggregation.merge(into, &next))
    }

    /// The sum of a field per group; overflow fails the job.
    pub fn sum<F: Field<T, Value: Summable>>(&self, field: F) -> DataSet<T> {
        let name = format!("Sum(f{})", field.path());
        self.aggregate(Sum(field)).name(&name)
    }

    /// The smallest value of a field per group.
    pub fn min<F: Field<T, Value: PartialOrd + Clone>>(&self, field: F) -> DataSet<T> {
        let name = format!("Min(f{})", field.path());
        self.aggregate(Min(field)).name(&name)
    }

    /// The largest value of a field per group.
    pub fn max<F: Field<T, Value: PartialOrd + Clone>>(&self, field: F) -> DataSet<T> {
        let name = format!("Max(f{})", field.path());
        self.aggregate(Max(field)).name(&name)
    }

    /// The record with the smallest value of a field or selector per group; any of them on a tie.
    pub fn min_by<B: KeySelector<T>>(&self, by: B) -> DataSet<T> {
        self.reduce_named("MinBy", move |least, next| {
            if by.with_key(&next, |next| by.with_key(least, |least| next < least)) {
                *least = next;
            }
        })
    }

    /// The record with the largest value of a field or selector per group; any of them on a tie.
    pub fn max_by<B: KeySelector<T>>(&self, by: B) -> DataSet<T> {
        self.reduce_named("MaxBy", move |most, next| {
            if by.with_key(&next, |next| by.with_key(most, |most| next > most)) {
                *most = next;
            }
        })
    }
}

macro_rules! of_all_records {
    ($($(#[$doc:meta])* $method:ident<$param:ident: $bound:path>;)*) => {
        impl<T: Data> DataSet<T> {
            $($(#[$doc])*
            pub fn $method<$param: $bound>(&self, by: $param) -> DataSet<T> {
                Grouped::<T, NoKey>::$method(&self.all(), by)
            })*
        }
    };
}

of_all_records! {
    /// Aggregates fields over all records.
    aggregate<A: Aggregation<T>>;
    /// The record with the smallest value of a field or selector.
    min_by<S: KeySelector<T>>;
    /// The record with the largest value of a field or selector.
    max_by<S: KeySelector<T>>;
}

impl<T: Data> DataSet<T> {
    /// The sum of a field over all records; overflow fails the job.
    pub fn sum<F: Field<T, Value: Summable>>(&self, field: F) -> DataSet<T> {
        self.all().sum(field)
    }

    /// The smallest value of a field over all records.
    pub fn min<F: Field<T, Value: PartialOrd + Clone>>(&self, field: F) -> DataSet<T> {
        self.all().min(field)
    }

    /// The largest value of a field over all records.
    pub fn max<F: Field<T, Value: PartialOrd + Clone>>(&self, field: F) -> DataSet<T> {
        self.all().max(field)
    }
}
