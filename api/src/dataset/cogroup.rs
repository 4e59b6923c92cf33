//! coGroup: a function of the groups of two data sets that share a key.

use crate::dataset::group::by_key;
use crate::dataset::{DataSet, SortSpec};
use crate::program::Code;
use flinkrs_core::function::Partitioner;
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, Part, ShipStrategy, Side};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator};
use flinkrs_operators::{ByKey, CoGroup, Group, RecordOrder, SolutionCoGroup, SortOperator, Then, Unordered};
use flinkrs_plan::{OperatorKind, SortField};
use std::marker::PhantomData;
use std::sync::Arc;

/// Two data sets to be grouped together; [`on`](CoGrouped::on) says by which keys.
pub struct CoGrouped<L, R> {
    first: DataSet<L>,
    second: DataSet<R>,
}

/// A coGroup with its keys, and perhaps orders within groups.
pub struct CoGroupOn<L, R, SL, SR, OL = Unordered, OR = Unordered> {
    pair: CoGrouped<L, R>,
    keys: (SL, SR),
    orders: (OL, OR),
    fields: (Vec<SortField>, Vec<SortField>),
}

impl<L: Data> DataSet<L> {
    /// Groups of this data set beside the groups of `second` with the same key.
    pub fn co_group<R: Data>(&self, second: &DataSet<R>) -> CoGrouped<L, R> {
        CoGrouped { first: self.clone(), second: second.clone() }
    }
}

impl<L: Data, R: Data> CoGrouped<L, R> {
    /// The keys of both sides.
    pub fn on<SL, SR>(self, first_key: SL, second_key: SR) -> CoGroupOn<L, R, SL, SR>
    where
        SL: KeySelector<L>,
        SR: KeySelector<R, Key = SL::Key>,
    {
        let fields = (Vec::new(), Vec::new());
        CoGroupOn { pair: self, keys: (first_key, second_key), orders: (Unordered, Unordered), fields }
    }
}

struct CoGroupCode<L, R, O, SL, SR, OL, OR, F> {
    /// The data sets grouped: one may be a solution set.
    inputs: [OperatorId; 2],
    keys: (SL, SR),
    orders: (OL, OR),
    function: Arc<F>,
    records: PhantomData<fn(L, R) -> O>,
}

impl<L, R, O, SL, SR, OL, OR, F> Code for CoGroupCode<L, R, O, SL, SR, OL, OR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
    F: Fn(&mut Group<L>, &mut Group<R>, &mut Collector<'_, O>) + Send + Sync + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        let f = Arc::clone(&self.function);
        let ((first, second), (first_order, second_order)) = (self.keys.clone(), self.orders.clone());
        match part {
            Part::Driver(DriverStrategy::Merge { sort_first, sort_second }) => {
                let f = move |l: &mut Group<L>, r: &mut Group<R>, out: &mut Collector<'_, O>| f(l, r, out);
                Some(Box::new(CoGroup::new(sort_first, sort_second, first, second, first_order, second_order, f)))
            }
            Part::Driver(DriverStrategy::SolutionSet { side: Side::Second }) => {
                let f = move |l: &mut Group<L>, r: &mut Group<R>, out: &mut Collector<'_, O>| f(l, r, out);
                Some(Box::new(SolutionCoGroup::new(self.inputs[1], (first, second), f)))
            }
            Part::Driver(DriverStrategy::SolutionSet { side: Side::First }) => {
                let f = move |r: &mut Group<R>, l: &mut Group<L>, out: &mut Collector<'_, O>| f(l, r, out);
                Some(Box::new(SolutionCoGroup::new(self.inputs[0], (second, first), f)))
            }
            Part::Sort { input: 0 } => Some(Box::new(SortOperator::<L, _>::new(Then(ByKey(first), first_order)))),
            Part::Sort { input: 1 } => Some(Box::new(SortOperator::<R, _>::new(Then(ByKey(second), second_order)))),
            _ => None,
        }
    }

    fn empty_batch(&self, part: Part, _side: Option<u8>) -> Option<Batch> {
        match part {
            Part::Sort { input: 0 } => Some(Batch::new(Vec::<L>::new())),
            Part::Sort { .. } => Some(Batch::new(Vec::<R>::new())),
            _ => None,
        }
    }

    fn partitioner(&self, input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        match input {
            0 => by_key::<L, SL>(&self.keys.0, ship),
            _ => by_key::<R, SR>(&self.keys.1, ship),
        }
    }
}

impl<L, R, SL, SR, OL, OR> CoGroupOn<L, R, SL, SR, OL, OR>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
{
    /// Sorts the records within each group of the first data set.
    pub fn sort_first_group<P: SortSpec<L>>(self, order: P) -> CoGroupOn<L, R, SL, SR, P::Order, OR> {
        let fields = (self.pair.first.env.order_spec(&order), self.fields.1);
        CoGroupOn { pair: self.pair, keys: self.keys, orders: (order.order(), self.orders.1), fields }
    }

    /// Sorts the records within each group of the second data set.
    pub fn sort_second_group<P: SortSpec<R>>(self, order: P) -> CoGroupOn<L, R, SL, SR, OL, P::Order> {
        let fields = (self.fields.0, self.pair.second.env.order_spec(&order));
        CoGroupOn { pair: self.pair, keys: self.keys, orders: (self.orders.0, order.order()), fields }
    }

    /// Calls `f` once per key that occurs on either side; the group of a side without the key is empty.
    pub fn with<O: Data>(
        &self,
        f: impl Fn(&mut Group<L>, &mut Group<R>, &mut Collector<'_, O>) + Send + Sync + 'static,
    ) -> DataSet<O> {
        let CoGrouped { first, second } = &self.pair;
        let kind = OperatorKind::CoGroup {
            first_key: first.env.key_spec::<L, SL>(&self.keys.0),
            second_key: second.env.key_spec::<R, SR>(&self.keys.1),
            first_order: self.fields.0.clone(),
            second_order: self.fields.1.clone(),
        };
        let code = CoGroupCode {
            inputs: [first.id, second.id],
            keys: self.keys.clone(),
            orders: self.orders.clone(),
            function: Arc::new(f),
            records: PhantomData,
        };
        first.env.add("CoGroup", kind, &[first.id, second.id], code)
    }
}
