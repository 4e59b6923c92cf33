//! Groupings: reduce, reduceGroup, combineGroup and distinct, over groups or over all records.

use crate::dataset::{DataSet, SortSpec};
use crate::program::Code;
use flinkrs_core::function::{BroadcastBuilder, Partitioner};
use flinkrs_core::strategy::{DriverStrategy, Part, ShipStrategy};
use flinkrs_core::types::{Data, Key, KeySelector, Whole};
use flinkrs_core::{Batch, Collector, Operator};
use flinkrs_operators::{
    BroadcastVec, ByKey, Group, GroupMode, HashGroup, HashPartitioner, NoKey, RecordOrder, SortOperator,
    SortedGroupReduce, SortedReduce, Then, Unordered,
};
use flinkrs_plan::{CombineHint, KeySpec, OperatorKind, SortField};
use std::marker::PhantomData;
use std::sync::Arc;

/// A data set grouped by a key, perhaps with an order within groups.
pub struct Grouped<T, S, O = Unordered> {
    pub(crate) input: DataSet<T>,
    pub(crate) selector: S,
    order: O,
    order_fields: Vec<SortField>,
    hint: CombineHint,
}

/// Distributes by the key of a grouping, join or partitioning.
pub(crate) fn by_key<T: Data, S: KeySelector<T>>(selector: &S, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
    match ship {
        ShipStrategy::PartitionHash => Some(Box::new(HashPartitioner::<T, S>::new(selector.clone()))),
        _ => None,
    }
}

/// The bounds of a range partitioning by keys of type `K`.
pub(crate) fn bounds<K: Key>() -> Option<Box<dyn BroadcastBuilder>> {
    Some(Box::new(BroadcastVec::<K>::new()))
}

/// The code of a reduce: the same function combines and finishes.
struct ReduceCode<T, S, F> {
    selector: S,
    reduce: Arc<F>,
    records: PhantomData<fn(T)>,
}

impl<T, S, F> ReduceCode<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: Fn(&mut T, T) + Send + Sync + 'static,
{
    fn group(&self, strategy: DriverStrategy, mode: GroupMode) -> Option<Box<dyn Operator>> {
        let (selector, reduce) = (self.selector.clone(), Arc::clone(&self.reduce));
        let reduce = move |sum: &mut T, next: T| reduce(sum, next);
        match strategy {
            DriverStrategy::HashGroup => Some(Box::new(HashGroup::new(selector, reduce, mode))),
            DriverStrategy::SortedGroup => Some(Box::new(SortedReduce::new(selector, reduce))),
            _ => None,
        }
    }
}

impl<T, S, F> Code for ReduceCode<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: Fn(&mut T, T) + Send + Sync + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        match part {
            Part::Driver(strategy) => self.group(strategy, GroupMode::Final),
            Part::Combine(strategy) => self.group(strategy, GroupMode::Combine),
            Part::Sort { .. } => Some(Box::new(SortOperator::<T, _>::new(ByKey(self.selector.clone())))),
            _ => None,
        }
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        by_key::<T, S>(&self.selector, ship)
    }
}

/// The code of a group function: reduceGroup or combineGroup.
struct GroupCode<T, U, S, O, F, C> {
    selector: S,
    order: O,
    function: Arc<F>,
    combine: Option<Arc<C>>,
    records: PhantomData<fn(T) -> U>,
}

impl<T, U, S, O, F, C> Code for GroupCode<T, U, S, O, F, C>
where
    T: Data,
    U: Data,
    S: KeySelector<T>,
    O: RecordOrder<T>,
    F: Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    C: Fn(&mut Group<T>, &mut Collector<'_, T>) + Send + Sync + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        let selector = self.selector.clone();
        match part {
            Part::Driver(_) => {
                let f = Arc::clone(&self.function);
                let f = move |group: &mut Group<T>, out: &mut Collector<'_, U>| f(group, out);
                Some(Box::new(SortedGroupReduce::new(selector, f)))
            }
            Part::Combine(_) => {
                let f = Arc::clone(self.combine.as_ref()?);
                let f = move |group: &mut Group<T>, out: &mut Collector<'_, T>| f(group, out);
                Some(Box::new(SortedGroupReduce::new(selector, f)))
            }
            Part::Sort { .. } => Some(Box::new(SortOperator::<T, _>::new(Then(ByKey(selector), self.order.clone())))),
            _ => None,
        }
    }

    fn empty_batch(&self, part: Part, _side: Option<u8>) -> Option<Batch> {
        matches!(part, Part::Combine(_) | Part::Sort { .. }).then(|| Batch::new(Vec::<T>::new()))
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        by_key::<T, S>(&self.selector, ship)
    }
}

type NoCombine<T> = fn(&mut Group<T>, &mut Collector<'_, T>);

impl<T: Data> DataSet<T> {
    /// Groups by a field (`f0`), several (`(f0, f2)`), or a selector (`|r: &T| …`).
    pub fn group_by<S: KeySelector<T>>(&self, selector: S) -> Grouped<T, S> {
        Grouped {
            input: self.clone(),
            selector,
            order: Unordered,
            order_fields: Vec::new(),
            hint: CombineHint::OptimizerChooses,
        }
    }

    /// All records as one group.
    pub(crate) fn all(&self) -> Grouped<T, NoKey> {
        self.group_by(NoKey)
    }

    /// Combines all records pairwise into one; no record when there is none.
    pub fn reduce(&self, f: impl Fn(&mut T, T) + Send + Sync + 'static) -> DataSet<T> {
        self.all().reduce(f)
    }

    /// A function of all records together; not called when there are none.
    pub fn reduce_group<U: Data>(
        &self,
        f: impl Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.all().reduce_group(f)
    }

    /// One of each set of equal records.
    pub fn distinct(&self) -> DataSet<T>
    where
        T: Key,
    {
        self.distinct_by(Whole)
    }

    /// One record of each key.
    pub fn distinct_by<S: KeySelector<T>>(&self, selector: S) -> DataSet<T> {
        let key = self.env.key_spec::<T, S>(&selector);
        let code = ReduceCode { selector, reduce: Arc::new(|_: &mut T, _: T| {}), records: PhantomData };
        self.env.add("Distinct", OperatorKind::Distinct { key }, &[self.id], code)
    }
}

impl<T: Data, S: KeySelector<T>, O: RecordOrder<T>> Grouped<T, S, O> {
    /// Sorts the records within each group.
    pub fn sort_group<P: SortSpec<T>>(self, order: P) -> Grouped<T, S, P::Order> {
        Grouped {
            order_fields: self.input.env.order_spec(&order),
            order: order.order(),
            input: self.input,
            selector: self.selector,
            hint: self.hint,
        }
    }

    /// Says whether and how to pre-aggregate before the shuffle.
    #[must_use]
    pub fn combine_hint(mut self, hint: CombineHint) -> Self {
        self.hint = hint;
        self
    }

    /// Combines the records of each group pairwise: `f` merges its second argument into its first, and leaves the key
    /// as it is.
    pub fn reduce(&self, f: impl Fn(&mut T, T) + Send + Sync + 'static) -> DataSet<T> {
        self.reduce_named("Reduce", f)
    }

    pub(crate) fn reduce_named(&self, name: &str, f: impl Fn(&mut T, T) + Send + Sync + 'static) -> DataSet<T> {
        let code = ReduceCode { selector: self.selector.clone(), reduce: Arc::new(f), records: PhantomData };
        let kind = OperatorKind::Reduce { key: self.key(), combine: self.hint };
        let reduced = self.input.env.add(name, kind, &[self.input.id], code);
        self.forward_key(&reduced);
        reduced
    }

    /// A function of all records of each group, sorted if [`sort_group`](Grouped::sort_group) said so.
    pub fn reduce_group<U: Data>(
        &self,
        f: impl Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.group_function::<U, _, NoCombine<T>>(f, None)
    }

    /// [`reduce_group`](Grouped::reduce_group) with a function that combines parts of a group before the shuffle.
    pub fn reduce_group_combinable<U: Data>(
        &self,
        combine: impl Fn(&mut Group<T>, &mut Collector<'_, T>) + Send + Sync + 'static,
        f: impl Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        self.group_function(f, Some(Arc::new(combine)))
    }

    fn group_function<U, F, C>(&self, f: F, combine: Option<Arc<C>>) -> DataSet<U>
    where
        U: Data,
        F: Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
        C: Fn(&mut Group<T>, &mut Collector<'_, T>) + Send + Sync + 'static,
    {
        let kind = OperatorKind::GroupReduce {
            key: self.key(),
            group_order: self.order_fields.clone(),
            combinable: combine.is_some(),
        };
        let code = GroupCode {
            selector: self.selector.clone(),
            order: self.order.clone(),
            function: Arc::new(f),
            combine,
            records: PhantomData,
        };
        self.input.env.add("GroupReduce", kind, &[self.input.id], code)
    }

    /// A group function run on the records of each subtask, without a shuffle: a group may come in several parts.
    pub fn combine_group<U: Data>(
        &self,
        f: impl Fn(&mut Group<T>, &mut Collector<'_, U>) + Send + Sync + 'static,
    ) -> DataSet<U> {
        let kind = OperatorKind::GroupCombine { key: self.key(), group_order: self.order_fields.clone() };
        let code = GroupCode {
            selector: self.selector.clone(),
            order: self.order.clone(),
            function: Arc::new(f),
            combine: None::<Arc<NoCombine<T>>>,
            records: PhantomData,
        };
        self.input.env.add("GroupCombine", kind, &[self.input.id], code)
    }

    /// The first `n` records of each group, in the group's order if it has one.
    pub fn first(&self, n: usize) -> DataSet<T> {
        let take = move |group: &mut Group<T>, out: &mut Collector<'_, T>| {
            for record in group.iter().take(n) {
                out.collect((*record).clone());
            }
        };
        let first = self.group_function(take, Some(Arc::new(take))).name("First");
        self.forward_key(&first);
        first
    }

    pub(crate) fn key(&self) -> KeySpec {
        self.input.env.key_spec::<T, S>(&self.selector)
    }

    /// The records keep the key they are grouped by.
    fn forward_key(&self, output: &DataSet<T>) {
        let fields = self.selector.identity().unwrap_or_default();
        output.env.change(output.id, |operator| {
            operator.forwarded[0].fields = fields.into_iter().map(|field| (field.clone(), field)).collect();
        });
    }
}
