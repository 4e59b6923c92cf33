//! Gives a function, for each key of either input, the groups of both.

use crate::group::Group;
use crate::merge_inputs::{MergeInputs, SortSides, shares};
use crate::order::{ByKey, RecordOrder, Then};
use flinkrs_core::element::Superstep;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::cmp::Ordering;
use std::marker::PhantomData;

/// Calls a function once per key with the group of each input, one of which may be empty.
///
/// Keys come in ascending order; the records of a group in the order that was asked for.
pub struct CoGroup<L, R, O, SL, SR, OL, OR, F> {
    sort: SortSides,
    first_key: SL,
    second_key: SR,
    first_order: OL,
    second_order: OR,
    function: F,
    state: Option<State<L, R, SL, SR, OL, OR>>,
    buffer: Batch,
    output: PhantomData<fn() -> O>,
}

/// By key and, within the group, in its order.
type Ordered<S, O> = Then<ByKey<S>, O>;

struct State<L, R, SL, SR, OL, OR> {
    inputs: MergeInputs<L, R, SL, SR, Ordered<SL, OL>, Ordered<SR, OR>>,
    first: Group<L>,
    second: Group<R>,
    reading: bool,
}

/// Keys handled by one call of `advance`, at most.
const STEP_KEYS: usize = 1 << 14;

impl<L, R, O, SL, SR, OL, OR, F> CoGroup<L, R, O, SL, SR, OL, OR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
    F: FnMut(&mut Group<L>, &mut Group<R>, &mut Collector<'_, O>) + Send + 'static,
{
    /// Groups by the keys, each group in its order, which is [`Unordered`](crate::Unordered) if none is asked for. An
    /// input that isn't sorted here comes in the order of its key and, within it, that of its group.
    pub fn new(
        sort_first: bool,
        sort_second: bool,
        first_key: SL,
        second_key: SR,
        first_order: OL,
        second_order: OR,
        function: F,
    ) -> CoGroup<L, R, O, SL, SR, OL, OR, F> {
        CoGroup {
            sort: SortSides { first: sort_first, second: sort_second },
            first_key,
            second_key,
            first_order,
            second_order,
            function,
            state: None,
            buffer: Batch::new(Vec::<O>::new()),
            output: PhantomData,
        }
    }

    fn state(&mut self) -> &mut State<L, R, SL, SR, OL, OR> {
        self.state.as_mut().expect("an operator is opened before it is used")
    }

    /// Handles some keys or, without `heed_room`, all that are left.
    fn merge(&mut self, out: &mut dyn Output, heed_room: bool) -> Result<Progress> {
        let state = self.state.as_mut().expect("an operator is opened before it is used");
        let mut collector = Collector::new(&mut self.buffer, out);
        let mut keys = 0;
        let mut progress = Progress::More;
        while !heed_room || (keys < STEP_KEYS && collector.has_room()) {
            if !state.gather()? {
                progress = Progress::Done;
                break;
            }
            (self.function)(&mut state.first, &mut state.second, &mut collector);
            keys += 1;
        }
        collector.finish()?;
        Ok(progress)
    }
}

impl<L, R, SL, SR, OL, OR> State<L, R, SL, SR, OL, OR>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
{
    /// Gathers the groups of the next key; false at the end.
    fn gather(&mut self) -> Result<bool> {
        self.first.clear();
        self.second.clear();
        let Some(order) = self.inputs.compare() else { return Ok(false) };
        if order != Ordering::Greater {
            self.inputs.take_first(|record| self.first.push(record))?;
        }
        if order != Ordering::Less {
            self.inputs.take_second(|record| self.second.push(record))?;
        }
        self.first.seal()?;
        self.second.seal()?;
        Ok(true)
    }
}

impl<L, R, O, SL, SR, OL, OR, F> Operator for CoGroup<L, R, O, SL, SR, OL, OR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    OL: RecordOrder<L>,
    OR: RecordOrder<R>,
    F: FnMut(&mut Group<L>, &mut Group<R>, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let (first_key, second_key) = (self.first_key.clone(), self.second_key.clone());
        let orders = (
            Then(ByKey(first_key.clone()), self.first_order.clone()),
            Then(ByKey(second_key.clone()), self.second_order.clone()),
        );
        let space = SpillSpace::of(context);
        let [first, second, first_group, second_group] = shares(context, [3, 3, 1, 1]);
        let inputs = MergeInputs::new(&space, (first, second), self.sort, (first_key, second_key), orders);
        let (first, second) = (Group::new(&space, first_group), Group::new(&space, second_group));
        self.state = Some(State { inputs, first, second, reading: false });
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        self.state().inputs.push(input, batch)
    }

    fn end_input(&mut self, input: usize, _out: &mut dyn Output) -> Result<()> {
        let state = self.state();
        state.reading = state.inputs.end(input)?;
        Ok(())
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        if self.state().reading { self.merge(out, true) } else { Ok(Progress::Done) }
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.state().inputs.end_round()?;
        self.merge(out, false)?;
        self.state().inputs.next_round()?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Descending, Unordered};
    use crate::testing::{Gathered, batches, run_with};
    use flinkrs_core::types::{f0, f1};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Row = (u32, String);
    type Groups = (Vec<Row>, Vec<Row>);

    /// The definition: for each key the records of both sides, the second side's in descending order.
    fn naive(first: &[Row], second: &[Row]) -> Vec<Groups> {
        let keys: BTreeSet<u32> = first.iter().chain(second).map(|row| row.0).collect();
        let of = |rows: &[Row], key: u32| {
            let mut group: Vec<Row> = rows.iter().filter(|row| row.0 == key).cloned().collect();
            group.sort();
            group
        };
        let descending = |mut group: Vec<Row>| {
            group.reverse();
            group
        };
        keys.into_iter().map(|key| (of(first, key), descending(of(second, key)))).collect()
    }

    type Descending1 = Descending<ByKey<f1>>;

    type Function = fn(&mut Group<Row>, &mut Group<Row>, &mut Collector<'_, Groups>);

    fn cogroup(sort: (bool, bool)) -> CoGroup<Row, Row, Groups, f0, f0, Unordered, Descending1, Function> {
        CoGroup::new(
            sort.0,
            sort.1,
            f0,
            f0,
            Unordered,
            Descending(ByKey(f1)),
            |l: &mut Group<Row>, r: &mut Group<Row>, out: &mut Collector<'_, Groups>| {
                let mut unordered: Vec<Row> = l.iter().map(|row| row.into_owned()).collect();
                unordered.sort();
                assert_eq!(r.iter().len(), r.iter().count());
                out.collect((unordered, r.take().collect()));
            },
        )
    }

    fn check(first: &[Row], second: &[Row], memory: usize) {
        let (mut first, mut second) = (first.to_vec(), second.to_vec());
        for sort in [(true, true), (false, true), (true, false), (false, false)] {
            if !sort.0 {
                first.sort();
            }
            if !sort.1 {
                second.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
            }
            let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
            let inputs = vec![batches(&first, 100), batches(&second, 70)];
            let out = run_with::<Groups>(&mut cogroup(sort), &context, inputs).expect("it groups").records;
            assert!(out == naive(&first, &second), "sort {sort:?}, {memory} bytes");
            assert_eq!(context.memory.free(), memory);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn groups_as_the_definition_does(
            first in prop::collection::vec((0..40u32, "[a-z]{0,40}"), 0..400),
            second in prop::collection::vec((0..40u32, "[a-z]{0,40}"), 0..400),
            memory in prop_oneof![Just(8 << 10), Just(1 << 20)],
        ) {
            check(&first, &second, memory);
        }
    }

    fn rows(keys: impl IntoIterator<Item = u32>) -> Vec<Row> {
        keys.into_iter().enumerate().map(|(i, key)| (key, format!("row {i}"))).collect()
    }

    #[test]
    fn groups_empty_inputs_and_one_key_for_all() {
        for memory in [4 << 10, 1 << 20] {
            check(&[], &[], memory);
            check(&rows(0..10), &[], memory);
            check(&[], &rows(0..10), memory);
            check(&rows([7; 3000]), &rows([7; 4000]), memory);
        }
    }

    #[test]
    fn in_a_loop_a_constant_input_meets_every_round() {
        for (memory, sort) in [(2 << 10, true), (2 << 10, false), (1 << 20, true), (1 << 20, false)] {
            let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
            let mut operator = cogroup((sort, true));
            let constant = rows(0..500);
            operator.open(&context).expect("it opens");
            let mut out = Gathered::<Groups>::default();
            operator.process(0, &mut Batch::new(constant.clone()), &mut out).expect("it takes records");
            operator.end_input(0, &mut out).expect("it waits");
            for round in 1..4 {
                let changing = rows(round * 100..round * 200);
                operator.process(1, &mut Batch::new(changing.clone()), &mut out).expect("it takes records");
                operator.superstep_end(Superstep(round), &mut out).expect("it groups");
                assert!(std::mem::take(&mut out.records) == naive(&constant, &changing), "round {round}");
            }
            operator.end_input(1, &mut out).expect("nothing is left");
            assert_eq!(operator.advance(&mut out).expect("nothing is left"), Progress::Done);
            assert!(out.records.is_empty());
        }
    }
}
