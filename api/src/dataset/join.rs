//! Joins: inner, outer, semi and anti.

use crate::dataset::DataSet;
use crate::dataset::group::by_key;
use crate::program::Code;
use flinkrs_core::function::Partitioner;
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, JoinType, Part, ShipStrategy, Side};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Collector, Operator};
use flinkrs_operators::{HybridHashJoin, MergeJoin, SolutionJoin};
use flinkrs_plan::{JoinHint, OperatorKind};
use std::marker::PhantomData;
use std::sync::Arc;

/// Two data sets to be joined; [`on`](JoinPair::on) says by which keys.
pub struct JoinPair<L, R, K> {
    first: DataSet<L>,
    second: DataSet<R>,
    kind: K,
    hint: JoinHint,
}

/// Which rows an outer join keeps, as a type: it decides what the function sees.
pub trait OuterKind: Copy {
    /// The join's type.
    const TYPE: JoinType;
}

/// The kinds of joins as types.
pub(crate) mod kinds {
    use super::{JoinType, OuterKind};

    macro_rules! kinds {
        ($($name:ident)*) => {$(
            /// A kind of join.
            #[derive(Clone, Copy, Debug)]
            pub struct $name;
            impl OuterKind for $name {
                const TYPE: JoinType = JoinType::$name;
            }
        )*};
    }
    kinds!(Inner LeftOuter RightOuter FullOuter Semi Anti);
}

use kinds::{Anti, FullOuter, Inner, LeftOuter, RightOuter, Semi};

/// A join with its keys; what is made of each pair comes next.
pub struct JoinOn<L, R, SL, SR, K> {
    pair: JoinPair<L, R, K>,
    first_key: SL,
    second_key: SR,
}

/// An inner join with its keys, Flink's default join.
pub type Joined<L, R, SL, SR> = JoinOn<L, R, SL, SR, Inner>;

impl<L: Data> DataSet<L> {
    fn pair<R: Data, K: OuterKind>(&self, second: &DataSet<R>, kind: K) -> JoinPair<L, R, K> {
        JoinPair { first: self.clone(), second: second.clone(), kind, hint: JoinHint::OptimizerChooses }
    }

    /// Pairs of records with equal keys.
    pub fn join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, Inner> {
        self.pair(second, Inner)
    }

    /// [`join`](DataSet::join) with a second data set so small that it is sent everywhere.
    pub fn join_with_tiny<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, Inner> {
        self.pair(second, Inner).hint(JoinHint::BroadcastHashSecond)
    }

    /// [`join`](DataSet::join) with a second data set so large that this one is sent everywhere.
    pub fn join_with_huge<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, Inner> {
        self.pair(second, Inner).hint(JoinHint::BroadcastHashFirst)
    }

    /// Pairs, and records of this data set without a partner.
    pub fn left_outer_join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, LeftOuter> {
        self.pair(second, LeftOuter)
    }

    /// Pairs, and records of the other data set without a partner.
    pub fn right_outer_join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, RightOuter> {
        self.pair(second, RightOuter)
    }

    /// Pairs, and records of both data sets without a partner.
    pub fn full_outer_join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, FullOuter> {
        self.pair(second, FullOuter)
    }

    /// Records of this data set that have a partner, each once.
    pub fn semi_join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, Semi> {
        self.pair(second, Semi)
    }

    /// Records of this data set that have no partner.
    pub fn anti_join<R: Data>(&self, second: &DataSet<R>) -> JoinPair<L, R, Anti> {
        self.pair(second, Anti)
    }
}

impl<L: Data, R: Data, K: OuterKind> JoinPair<L, R, K> {
    /// Tells the optimizer how to execute the join.
    #[must_use]
    pub fn hint(mut self, hint: JoinHint) -> Self {
        self.hint = hint;
        self
    }

    /// The keys that have to be equal, Flink's `where` and `equalTo`.
    pub fn on<SL, SR>(self, first_key: SL, second_key: SR) -> JoinOn<L, R, SL, SR, K>
    where
        SL: KeySelector<L>,
        SR: KeySelector<R, Key = SL::Key>,
    {
        JoinOn { pair: self, first_key, second_key }
    }
}

struct JoinCode<L, R, O, SL, SR, F> {
    join_type: JoinType,
    /// The data sets joined: one may be a solution set.
    inputs: [OperatorId; 2],
    first_key: SL,
    second_key: SR,
    function: Arc<F>,
    records: PhantomData<fn(L, R) -> O>,
}

impl<L, R, O, SL, SR, F> Code for JoinCode<L, R, O, SL, SR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    F: Fn(Option<&L>, Option<&R>, &mut Collector<'_, O>) + Send + Sync + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        let (first, second, f) = (self.first_key.clone(), self.second_key.clone(), Arc::clone(&self.function));
        let f = move |l: Option<&L>, r: Option<&R>, out: &mut Collector<'_, O>| f(l, r, out);
        match part {
            Part::Driver(DriverStrategy::HybridHash { build }) => {
                Some(Box::new(HybridHashJoin::new(self.join_type, build, first, second, f)))
            }
            Part::Driver(DriverStrategy::Merge { sort_first, sort_second }) => {
                Some(Box::new(MergeJoin::new(self.join_type, sort_first, sort_second, first, second, f)))
            }
            Part::Driver(DriverStrategy::SolutionSet { side: Side::Second }) => {
                let f = move |l: &L, r: Option<&R>, out: &mut Collector<'_, O>| f(Some(l), r, out);
                Some(Box::new(SolutionJoin::new(self.join_type, self.inputs[1], (first, second), f)))
            }
            Part::Driver(DriverStrategy::SolutionSet { side: Side::First }) => {
                let f = move |r: &R, l: Option<&L>, out: &mut Collector<'_, O>| f(l, Some(r), out);
                Some(Box::new(SolutionJoin::new(self.join_type, self.inputs[0], (second, first), f)))
            }
            _ => None,
        }
    }

    fn partitioner(&self, input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        match input {
            0 => by_key::<L, SL>(&self.first_key, ship),
            _ => by_key::<R, SR>(&self.second_key, ship),
        }
    }
}

impl<L, R, SL, SR, K> JoinOn<L, R, SL, SR, K>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    K: OuterKind,
{
    fn build<O: Data>(
        &self,
        f: impl Fn(Option<&L>, Option<&R>, &mut Collector<'_, O>) + Send + Sync + 'static,
    ) -> DataSet<O> {
        let (first, second) = (&self.pair.first, &self.pair.second);
        let kind = OperatorKind::Join {
            join_type: K::TYPE,
            first_key: first.env.key_spec::<L, SL>(&self.first_key),
            second_key: second.env.key_spec::<R, SR>(&self.second_key),
            hint: self.pair.hint,
        };
        let code = JoinCode {
            join_type: K::TYPE,
            inputs: [first.id, second.id],
            first_key: self.first_key.clone(),
            second_key: self.second_key.clone(),
            function: Arc::new(f),
            records: PhantomData,
        };
        let _: K = self.pair.kind;
        first.env.add(kind.pact(), kind.clone(), &[first.id, second.id], code)
    }
}

/// Both records of a pair are there: the code of a join never calls its function otherwise.
const PAIR: &str = "this kind of join calls its function with both records";

macro_rules! join_functions {
    ($kind:ident, $left:ty, $right:ty, |$l:ident, $r:ident| ($le:expr, $re:expr)) => {
        impl<L, R, SL, SR> JoinOn<L, R, SL, SR, $kind>
        where
            L: Data,
            R: Data,
            SL: KeySelector<L>,
            SR: KeySelector<R, Key = SL::Key>,
        {
            /// One record for each pair, and for each record without a partner that the join keeps.
            pub fn map<O: Data>(&self, f: impl Fn($left, $right) -> O + Send + Sync + 'static) -> DataSet<O> {
                self.build(move |$l, $r, out| out.collect(f($le, $re)))
            }

            /// Any number of records for each pair, and for each record without a partner that the join keeps.
            pub fn flat_map<O: Data>(
                &self,
                f: impl Fn($left, $right, &mut Collector<'_, O>) + Send + Sync + 'static,
            ) -> DataSet<O> {
                self.build(move |$l, $r, out| f($le, $re, out))
            }
        }
    };
}

join_functions!(Inner, &L, &R, |l, r| (l.expect(PAIR), r.expect(PAIR)));
join_functions!(LeftOuter, &L, Option<&R>, |l, r| (l.expect(PAIR), r));
join_functions!(RightOuter, Option<&L>, &R, |l, r| (l, r.expect(PAIR)));
join_functions!(FullOuter, Option<&L>, Option<&R>, |l, r| (l, r));

impl<L, R, SL, SR> JoinOn<L, R, SL, SR, Inner>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
{
    /// The pairs themselves.
    pub fn pairs(&self) -> DataSet<(L, R)> {
        self.map(|l, r| (l.clone(), r.clone()))
    }

    /// The first record of each pair, Flink's `projectFirst(*)`.
    pub fn project_first(&self) -> DataSet<L> {
        self.map(|l, _| l.clone()).with_forwarded_fields_first("*")
    }

    /// The second record of each pair, Flink's `projectSecond(*)`.
    pub fn project_second(&self) -> DataSet<R> {
        self.map(|_, r| r.clone()).with_forwarded_fields_second("*")
    }
}

macro_rules! existence {
    ($($kind:ident)*) => {$(
        impl<L, R, SL, SR> JoinOn<L, R, SL, SR, $kind>
        where
            L: Data,
            R: Data,
            SL: KeySelector<L>,
            SR: KeySelector<R, Key = SL::Key>,
        {
            /// The records of the first data set that the join keeps.
            pub fn records(&self) -> DataSet<L> {
                let kept = self.build(|l, _, out| out.collect(l.expect(PAIR).clone()));
                kept.with_forwarded_fields_first("*")
            }
        }
    )*};
}

existence!(Semi Anti);
