//! Orders: what groups and partitions are sorted by.

use flinkrs_core::types::{Data, KeyField, KeySelector};
use flinkrs_operators::{ByKey, Descending, RecordOrder, Then};
use flinkrs_plan::{SortField, SortOrder};

/// By a field or selector, smallest first.
#[derive(Clone, Copy, Debug)]
pub struct Asc<S>(pub S);

/// By a field or selector, largest first.
#[derive(Clone, Copy, Debug)]
pub struct Desc<S>(pub S);

/// An order of records: [`Asc`], [`Desc`], or several of them in a tuple.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no order of `{T}`",
    note = "an order is `Asc(f0)`, `Desc(f1)`, or several such as `(Asc(f0), Desc(f1))`"
)]
pub trait SortSpec<T> {
    /// The comparison.
    type Order: RecordOrder<T>;

    /// The comparison.
    fn order(&self) -> Self::Order;

    /// What the optimizer compares; `None` when a selector captures values.
    fn fields(&self) -> Option<Vec<SortField>>;
}

fn fields(key: Option<Vec<KeyField>>, order: SortOrder) -> Option<Vec<SortField>> {
    Some(key?.into_iter().map(|field| SortField { field, order }).collect())
}

impl<T: Data, S: KeySelector<T>> SortSpec<T> for Asc<S> {
    type Order = ByKey<S>;

    fn order(&self) -> ByKey<S> {
        ByKey(self.0.clone())
    }

    fn fields(&self) -> Option<Vec<SortField>> {
        fields(self.0.identity(), SortOrder::Ascending)
    }
}

impl<T: Data, S: KeySelector<T>> SortSpec<T> for Desc<S> {
    type Order = Descending<ByKey<S>>;

    fn order(&self) -> Self::Order {
        Descending(ByKey(self.0.clone()))
    }

    fn fields(&self) -> Option<Vec<SortField>> {
        fields(self.0.identity(), SortOrder::Descending)
    }
}

impl<T: Data, A: SortSpec<T>, B: SortSpec<T>> SortSpec<T> for (A, B) {
    type Order = Then<A::Order, B::Order>;

    fn order(&self) -> Self::Order {
        Then(self.0.order(), self.1.order())
    }

    fn fields(&self) -> Option<Vec<SortField>> {
        let mut fields = self.0.fields()?;
        fields.extend(self.1.fields()?);
        Some(fields)
    }
}

impl<T: Data, A: SortSpec<T>, B: SortSpec<T>, C: SortSpec<T>> SortSpec<T> for (A, B, C) {
    type Order = Then<A::Order, Then<B::Order, C::Order>>;

    fn order(&self) -> Self::Order {
        Then(self.0.order(), Then(self.1.order(), self.2.order()))
    }

    fn fields(&self) -> Option<Vec<SortField>> {
        let mut fields = self.0.fields()?;
        fields.extend(self.1.fields()?);
        fields.extend(self.2.fields()?);
        Some(fields)
    }
}
