//! Joins two inputs by merging them in the order of their keys.

use crate::merge_inputs::{MergeInputs, SortSides, shares};
use crate::order::ByKey;
use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::element::Superstep;
use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::{Data, KeySelector, heap_bytes};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::{SpillBuffer, SpillPosition, SpillSpace};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// Calls a function for each pair of records with equal keys, and for records without a partner as the join type
/// says; a side without a record is `None`. Semi and anti joins call it with the first side only.
///
/// The records of one key on the second side are kept, in memory or on disk, and read once for every block of
/// records of the first side. Results come in the order of the keys.
pub struct MergeJoin<L, R, O, SL, SR, F> {
    join_type: JoinType,
    sort: SortSides,
    first_key: SL,
    second_key: SR,
    function: F,
    state: Option<State<L, R, SL, SR>>,
    buffer: Batch,
    output: PhantomData<fn() -> O>,
}

struct State<L, R, SL, SR> {
    inputs: MergeInputs<L, R, SL, SR, ByKey<SL>, ByKey<SR>>,
    pairs: Pairs<L, R>,
    reading: bool,
}

/// The pairs of one key: the second side's records, and a block of the first side's.
struct Pairs<L, R> {
    group: SpillBuffer<R>,
    /// The batch of the group that meets the block.
    position: SpillPosition<R>,
    block: Vec<L>,
    block_bytes_max: usize,
    /// The record of the block that meets the batch next.
    next: usize,
}

/// Records or pairs handled by one call of `advance`, at most.
const STEP_RECORDS: usize = 1 << 16;

/// Pairs between two looks at the output.
const LOOK_RECORDS: usize = 256;

impl<L, R, O, SL, SR, F> MergeJoin<L, R, O, SL, SR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    F: FnMut(Option<&L>, Option<&R>, &mut Collector<'_, O>) + Send + 'static,
{
    /// Joins by `first_key` and `second_key`; an input that isn't sorted here comes in the order of its key.
    pub fn new(
        join_type: JoinType,
        sort_first: bool,
        sort_second: bool,
        first_key: SL,
        second_key: SR,
        function: F,
    ) -> MergeJoin<L, R, O, SL, SR, F> {
        let sort = SortSides { first: sort_first, second: sort_second };
        let buffer = Batch::new(Vec::<O>::new());
        MergeJoin { join_type, sort, first_key, second_key, function, state: None, buffer, output: PhantomData }
    }

    fn state(&mut self) -> &mut State<L, R, SL, SR> {
        self.state.as_mut().expect("an operator is opened before it is used")
    }

    /// Merges on, for one step or, without `heed_room`, to the end.
    fn merge(&mut self, out: &mut dyn Output, heed_room: bool) -> Result<Progress> {
        let state = self.state.as_mut().expect("an operator is opened before it is used");
        let mut collector = Collector::new(&mut self.buffer, out);
        let mut step = Step { heed_room, work: 0, look_at: 0 };
        let mut progress = Progress::More;
        while !step.is_over(&collector) {
            if state.pairs.is_open() {
                state.pairs.emit(&mut step, &mut self.function, &mut collector)?;
                if state.pairs.is_open() {
                    break;
                }
                state.next_block()?;
            } else if !state.next_key(self.join_type, &mut self.function, &mut collector)? {
                progress = Progress::Done;
                break;
            }
            step.work += 1;
        }
        collector.finish()?;
        Ok(progress)
    }
}

/// How much one call has done.
struct Step {
    heed_room: bool,
    work: usize,
    look_at: usize,
}

impl Step {
    #[inline]
    fn is_over<O: Data>(&mut self, collector: &Collector<'_, O>) -> bool {
        if self.work < self.look_at || !self.heed_room {
            return false;
        }
        self.look_at = self.work + LOOK_RECORDS;
        self.work >= STEP_RECORDS || !collector.has_room()
    }
}

impl<L, R, SL, SR> State<L, R, SL, SR>
where
    L: Data,
    R: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
{
    /// Handles the smallest key, or a record of it; false when nothing is left that could give a result.
    fn next_key<O: Data>(
        &mut self,
        join_type: JoinType,
        function: &mut impl FnMut(Option<&L>, Option<&R>, &mut Collector<'_, O>),
        out: &mut Collector<'_, O>,
    ) -> Result<bool> {
        use JoinType::{Anti, FullOuter, Inner, LeftOuter, RightOuter, Semi};
        let Some(order) = self.inputs.compare() else { return Ok(false) };
        match (order, join_type) {
            (Ordering::Equal, Inner | LeftOuter | RightOuter | FullOuter) => {
                self.inputs.take_second(|record| self.pairs.group.push(record))?;
                self.pairs.group.seal()?;
                self.next_block()?;
            }
            (Ordering::Less, LeftOuter | FullOuter | Anti) | (Ordering::Equal, Semi) => {
                let record = self.inputs.first.next()?;
                function(record.as_ref(), None, out);
            }
            (Ordering::Greater, RightOuter | FullOuter) => {
                let record = self.inputs.second.next()?;
                function(None, record.as_ref(), out);
            }
            (Ordering::Less, Inner | RightOuter | Semi) => {
                self.inputs.first.next()?;
                return Ok(self.inputs.second.peek().is_some());
            }
            (Ordering::Greater, Inner | LeftOuter | Semi | Anti) => {
                self.inputs.second.next()?;
                return Ok(self.inputs.first.peek().is_some());
            }
            (Ordering::Equal, Anti) => {
                self.inputs.first.next()?;
            }
        }
        Ok(true)
    }

    /// Gathers the next records of the first side for the open group, and closes it when there are none.
    fn next_block(&mut self) -> Result<()> {
        let Pairs { group, position, block, block_bytes_max, next } = &mut self.pairs;
        block.clear();
        *next = 0;
        *position = SpillPosition::default();
        let like = group.first().expect("a group has records");
        let mut bytes = 0;
        while block.len() < batch_capacity::<L>() && bytes <= *block_bytes_max {
            let Some(record) = self.inputs.next_first_like_second(like)? else { break };
            bytes += size_of::<L>() + heap_bytes(&record, BATCH_BYTES);
            block.push(record);
        }
        if block.is_empty() {
            group.clear();
        } else {
            position.advance(group)?;
        }
        Ok(())
    }
}

impl<L: Data, R: Data> Pairs<L, R> {
    fn is_open(&self) -> bool {
        !self.block.is_empty()
    }

    /// Emits pairs until the step is over or the block has met the whole group, which leaves the block empty.
    fn emit<O: Data>(
        &mut self,
        step: &mut Step,
        function: &mut impl FnMut(Option<&L>, Option<&R>, &mut Collector<'_, O>),
        out: &mut Collector<'_, O>,
    ) -> Result<()> {
        loop {
            let batch = self.position.batch(&self.group);
            while let Some(first) = self.block.get(self.next) {
                if step.is_over(out) {
                    return Ok(());
                }
                for second in batch {
                    function(Some(first), Some(second), out);
                }
                step.work += batch.len();
                self.next += 1;
            }
            self.next = 0;
            if !self.position.advance(&self.group)? {
                self.block.clear();
                return Ok(());
            }
        }
    }
}

impl<L, R, O, SL, SR, F> Operator for MergeJoin<L, R, O, SL, SR, F>
where
    L: Data,
    R: Data,
    O: Data,
    SL: KeySelector<L>,
    SR: KeySelector<R, Key = SL::Key>,
    F: FnMut(Option<&L>, Option<&R>, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let (first_key, second_key) = (self.first_key.clone(), self.second_key.clone());
        let orders = (ByKey(first_key.clone()), ByKey(second_key.clone()));
        let space = SpillSpace::of(context);
        let [first, second, group] = shares(context, [3, 3, 2]);
        let block_bytes_max = (group.guaranteed() / 4).min(BATCH_BYTES);
        let group = SpillBuffer::new(&space, group);
        let inputs = MergeInputs::new(&space, (first, second), self.sort, (first_key, second_key), orders);
        let pairs = Pairs { group, position: SpillPosition::default(), block: Vec::new(), block_bytes_max, next: 0 };
        self.state = Some(State { inputs, pairs, reading: false });
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
        while self.merge(out, false)? == Progress::More {}
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
    use crate::testing::{Gathered, batches, run_with};
    use flinkrs_core::types::f0;
    use proptest::prelude::*;

    type Row = (u32, String);
    type Pair = (Option<Row>, Option<Row>);

    const TYPES: [JoinType; 6] = [
        JoinType::Inner,
        JoinType::LeftOuter,
        JoinType::RightOuter,
        JoinType::FullOuter,
        JoinType::Semi,
        JoinType::Anti,
    ];

    /// The definition: loops over both sides.
    fn naive(join_type: JoinType, first: &[Row], second: &[Row]) -> Vec<Pair> {
        use JoinType::{Anti, FullOuter, LeftOuter, RightOuter, Semi};
        let mut result = Vec::new();
        for l in first {
            let partners: Vec<&Row> = second.iter().filter(|r| r.0 == l.0).collect();
            match join_type {
                Semi | Anti if (join_type == Anti) == partners.is_empty() => result.push((Some(l.clone()), None)),
                Semi | Anti => {}
                LeftOuter | FullOuter if partners.is_empty() => result.push((Some(l.clone()), None)),
                _ => result.extend(partners.into_iter().map(|r| (Some(l.clone()), Some(r.clone())))),
            }
        }
        if matches!(join_type, RightOuter | FullOuter) {
            let alone = second.iter().filter(|r| first.iter().all(|l| l.0 != r.0));
            result.extend(alone.map(|r| (None, Some(r.clone()))));
        }
        result.sort();
        result
    }

    type Function = fn(Option<&Row>, Option<&Row>, &mut Collector<'_, Pair>);

    fn join(join_type: JoinType, sort: (bool, bool)) -> MergeJoin<Row, Row, Pair, f0, f0, Function> {
        MergeJoin::new(
            join_type,
            sort.0,
            sort.1,
            f0,
            f0,
            |l: Option<&Row>, r: Option<&Row>, out: &mut Collector<'_, Pair>| {
                out.collect((l.cloned(), r.cloned()));
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
                second.sort();
            }
            for join_type in TYPES {
                let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
                let inputs = vec![batches(&first, 100), batches(&second, 70)];
                let mut out = run_with::<Pair>(&mut join(join_type, sort), &context, inputs).expect("it joins").records;
                out.sort();
                assert!(out == naive(join_type, &first, &second), "{join_type:?}, sort {sort:?}, {memory} bytes");
                assert_eq!(context.memory.free(), memory);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn joins_as_the_definition_does(
            first in prop::collection::vec((0..40u32, "[a-z]{0,40}"), 0..200),
            second in prop::collection::vec((0..40u32, "[a-z]{0,40}"), 0..200),
            memory in prop_oneof![Just(8 << 10), Just(1 << 20)],
        ) {
            check(&first, &second, memory);
        }
    }

    fn rows(keys: impl IntoIterator<Item = u32>) -> Vec<Row> {
        keys.into_iter().enumerate().map(|(i, key)| (key, format!("row {i}"))).collect()
    }

    #[test]
    fn joins_empty_inputs_and_one_key_for_all() {
        for memory in [4 << 10, 1 << 20] {
            check(&[], &[], memory);
            check(&rows(0..10), &[], memory);
            check(&[], &rows(0..10), memory);
            check(&rows([7; 300]), &rows([7; 400]), memory);
        }
    }

    /// An output that has room for a few batches at a time.
    #[test]
    fn a_product_of_two_large_groups_comes_in_steps() {
        let context = RuntimeContext::standalone(64 << 10, &std::env::temp_dir());
        let mut operator = MergeJoin::new(
            JoinType::Inner,
            true,
            true,
            f0,
            f0,
            |l: Option<&(u8, u32)>, r: Option<&(u8, u32)>, out: &mut Collector<'_, u64>| {
                out.collect(u64::from(l.expect("inner").1) * u64::from(r.expect("inner").1));
            },
        );
        operator.open(&context).expect("it opens");
        let mut out = Gathered::<u64>::default();
        let rows: Vec<(u8, u32)> = (0..20_000).map(|i| (1, i)).collect();
        for input in 0..2 {
            for mut batch in batches(&rows[..if input == 0 { 500 } else { 20_000 }], 1000) {
                operator.process(input, &mut batch, &mut out).expect("it takes records");
            }
            operator.end_input(input, &mut out).expect("it sorts");
        }
        let (mut sum, mut count, mut steps) = (0, 0, 0);
        loop {
            let progress = operator.advance(&mut out).expect("it joins");
            assert!(out.records.len() <= 2 * STEP_RECORDS);
            count += out.records.len();
            sum += out.records.drain(..).sum::<u64>();
            steps += 1;
            if progress == Progress::Done {
                break;
            }
        }
        assert_eq!((count, sum), (500 * 20_000, (499 * 500 / 2) * (19_999 * 20_000 / 2)));
        assert!(steps > 100);
        assert!(SpillSpace::of(&context).spilled_bytes() > 0);
    }

    #[test]
    fn in_a_loop_a_constant_input_meets_every_round() {
        for (memory, sort) in [(2 << 10, true), (2 << 10, false), (1 << 20, true), (1 << 20, false)] {
            let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
            let mut operator = join(JoinType::FullOuter, (true, sort));
            let constant = rows(0..500);
            operator.open(&context).expect("it opens");
            let mut out = Gathered::<Pair>::default();
            operator.process(1, &mut Batch::new(constant.clone()), &mut out).expect("it takes records");
            operator.end_input(1, &mut out).expect("it waits");
            for round in 1..4 {
                let changing = rows(round * 100..round * 200);
                operator.process(0, &mut Batch::new(changing.clone()), &mut out).expect("it takes records");
                operator.superstep_end(Superstep(round), &mut out).expect("it joins");
                let mut records = std::mem::take(&mut out.records);
                records.sort();
                let expected = naive(JoinType::FullOuter, &changing, &constant);
                assert!(records == expected, "round {round}, {memory} bytes, sort {sort}");
            }
            operator.end_input(0, &mut out).expect("nothing is left");
            assert_eq!(operator.advance(&mut out).expect("nothing is left"), Progress::Done);
            assert!(out.records.is_empty());
        }
    }
}
