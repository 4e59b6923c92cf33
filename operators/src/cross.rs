//! Pairs every record of one input with every record of the other.

use crate::merge_inputs::shares;
use flinkrs_core::element::Superstep;
use flinkrs_core::strategy::Side;
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::{SpillBuffer, SpillPosition, SpillSpace};
use std::marker::PhantomData;

/// Calls a function for every pair of a record of each input.
///
/// The inner side is kept, in memory or on disk, and read once for every batch of the other. Outer records that come
/// before the inner side is complete, or faster than their pairs find room, wait in a buffer that spills, too.
pub struct NestedLoop<L, R, O, F> {
    inner: Side,
    function: F,
    sides: Option<Sides<L, R>>,
    buffer: Batch,
    output: PhantomData<fn() -> O>,
}

enum Sides<L, R> {
    InnerFirst(Loop<L, R>),
    InnerSecond(Loop<R, L>),
}

impl<L, R, O, F> NestedLoop<L, R, O, F>
where
    L: Data,
    R: Data,
    O: Data,
    F: FnMut(&L, &R, &mut Collector<'_, O>) + Send + 'static,
{
    /// Keeps the side `inner`, which should be the smaller one.
    pub fn new(inner: Side, function: F) -> NestedLoop<L, R, O, F> {
        NestedLoop { inner, function, sides: None, buffer: Batch::new(Vec::<O>::new()), output: PhantomData }
    }

    /// Makes up to `pairs_max` pairs, as long as there is room, or with `None` all there are.
    fn work(&mut self, out: &mut dyn Output, pairs_max: Option<usize>) -> Result<Progress> {
        let function = &mut self.function;
        let mut collector = Collector::new(&mut self.buffer, out);
        let progress = match self.sides.as_mut().expect("an operator is opened before it is used") {
            Sides::InnerFirst(state) => {
                state.work(pairs_max, &mut collector, |inner, outer, out| function(inner, outer, out))
            }
            Sides::InnerSecond(state) => {
                state.work(pairs_max, &mut collector, |inner, outer, out| function(outer, inner, out))
            }
        }?;
        collector.finish()?;
        Ok(progress)
    }

    fn sides(&mut self) -> &mut Sides<L, R> {
        self.sides.as_mut().expect("an operator is opened before it is used")
    }
}

/// Pairs made by one call of `advance`, at most.
const ADVANCE_PAIRS: usize = 1 << 18;

/// Pairs made when a batch comes, at most; more are made when both inputs have ended.
const PROCESS_PAIRS: usize = 1 << 24;

impl<L, R, O, F> Operator for NestedLoop<L, R, O, F>
where
    L: Data,
    R: Data,
    O: Data,
    F: FnMut(&L, &R, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.sides = Some(match self.inner {
            Side::First => Sides::InnerFirst(Loop::new(context)),
            Side::Second => Sides::InnerSecond(Loop::new(context)),
        });
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let is_inner = input == self.inner.index();
        let has_work = match self.sides() {
            Sides::InnerFirst(state) => state.push(is_inner, batch)?,
            Sides::InnerSecond(state) => state.push(is_inner, batch)?,
        };
        if has_work {
            self.work(out, Some(PROCESS_PAIRS))?;
        }
        Ok(())
    }

    fn preferred_input(&self) -> Option<usize> {
        Some(self.inner.index())
    }

    fn end_input(&mut self, input: usize, _out: &mut dyn Output) -> Result<()> {
        let is_inner = input == self.inner.index();
        match self.sides() {
            Sides::InnerFirst(state) => state.end(is_inner),
            Sides::InnerSecond(state) => state.end(is_inner),
        }
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.work(out, Some(ADVANCE_PAIRS))
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        match self.sides() {
            Sides::InnerFirst(state) => state.complete()?,
            Sides::InnerSecond(state) => state.complete()?,
        }
        self.work(out, None)?;
        match self.sides() {
            Sides::InnerFirst(state) => state.next_round(),
            Sides::InnerSecond(state) => state.next_round(),
        }
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.sides = None;
        Ok(())
    }
}

/// The loop over `I`, the inner, and `U`, the outer records.
struct Loop<I, U> {
    space: SpillSpace,
    inner: SpillBuffer<I>,
    /// Outer records that wait.
    outer: SpillBuffer<U>,
    inner_ended: bool,
    outer_ended: bool,
    /// Whether both sides are complete, so that `outer` is read.
    complete: bool,
    outer_position: SpillPosition<U>,
    /// The outer records that meet the inner side now.
    block: Vec<U>,
    /// The inner batch that meets the block.
    inner_position: SpillPosition<I>,
    /// The record of the block that meets the batch next.
    next: usize,
}

impl<I: Data, U: Data> Loop<I, U> {
    fn new(context: &RuntimeContext) -> Loop<I, U> {
        let space = SpillSpace::of(context);
        let [inner, outer] = shares(context, [6, 2]);
        Loop {
            inner: SpillBuffer::new(&space, inner),
            outer: SpillBuffer::new(&space, outer),
            space,
            inner_ended: false,
            outer_ended: false,
            complete: false,
            outer_position: SpillPosition::default(),
            block: Vec::new(),
            inner_position: SpillPosition::default(),
            next: 0,
        }
    }

    /// Takes a batch; true when there are pairs to make.
    fn push(&mut self, is_inner: bool, batch: &mut Batch) -> Result<bool> {
        if is_inner {
            self.inner.push_all(batch.records::<I>())?;
            return Ok(false);
        }
        let records = batch.records::<U>();
        if !self.inner_ended || !self.block.is_empty() {
            self.outer.push_all(records)?;
        } else {
            self.block.append(records);
            self.start_block()?;
        }
        Ok(self.inner_ended)
    }

    fn end(&mut self, is_inner: bool) -> Result<()> {
        if is_inner {
            self.inner.seal()?;
            self.inner_ended = true;
        } else {
            self.outer_ended = true;
        }
        if self.inner_ended && self.outer_ended { self.complete() } else { Ok(()) }
    }

    /// Nothing more comes, in this round at least.
    fn complete(&mut self) -> Result<()> {
        self.inner.seal()?;
        self.outer.seal()?;
        self.outer_position = SpillPosition::default();
        self.complete = true;
        Ok(())
    }

    /// Forgets the records of inputs that change in the next round.
    fn next_round(&mut self) {
        if !self.inner_ended {
            self.inner.clear();
        }
        if !self.outer_ended {
            self.outer.clear();
        }
        self.complete = false;
    }

    fn work<O: Data>(
        &mut self,
        pairs_max: Option<usize>,
        out: &mut Collector<'_, O>,
        mut function: impl FnMut(&I, &U, &mut Collector<'_, O>),
    ) -> Result<Progress> {
        let mut pairs = 0;
        loop {
            let batch = self.inner_position.batch(&self.inner);
            while let Some(outer) = self.block.get(self.next) {
                if pairs_max.is_some_and(|max| pairs >= max || !out.has_room()) {
                    return Ok(Progress::More);
                }
                for inner in batch {
                    function(inner, outer, out);
                }
                pairs += batch.len();
                self.next += 1;
            }
            if !self.next_batch()? {
                return Ok(Progress::Done);
            }
        }
    }

    /// Goes to the next inner batch, or to the next block and the first one; false when no pairs are left.
    fn next_batch(&mut self) -> Result<bool> {
        self.space.cancelled().check()?;
        self.next = 0;
        if !self.block.is_empty() {
            if self.inner_position.advance(&self.inner)? {
                return Ok(true);
            }
            self.block.clear();
        }
        if !self.complete || !self.outer_position.advance(&self.outer)? {
            return Ok(false);
        }
        self.block.extend_from_slice(self.outer_position.batch(&self.outer));
        self.start_block()?;
        Ok(true)
    }

    /// The block meets the first inner batch next; without one it is done.
    fn start_block(&mut self) -> Result<()> {
        self.inner_position = SpillPosition::default();
        self.next = 0;
        if !self.inner_position.advance(&self.inner)? {
            self.block.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Gathered, batches, run_with};
    use proptest::prelude::*;

    type Product = NestedLoop<u32, String, (u32, String), fn(&u32, &String, &mut Collector<'_, (u32, String)>)>;

    fn product(inner: Side) -> Product {
        NestedLoop::new(inner, |l, r, out| out.collect((*l, r.clone())))
    }

    fn naive(first: &[u32], second: &[String]) -> Vec<(u32, String)> {
        let mut pairs: Vec<_> = first.iter().flat_map(|l| second.iter().map(|r| (*l, r.clone()))).collect();
        pairs.sort();
        pairs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn pairs_all_with_all(
            first in prop::collection::vec(any::<u32>(), 0..300),
            second in prop::collection::vec("[a-z]{0,40}", 0..300),
        ) {
            let sides = [Side::First, Side::Second].into_iter();
            for (inner, memory) in sides.flat_map(|side| [(side, 1 << 20), (side, 1 << 10)]) {
                let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
                let inputs = vec![batches(&first, 50), batches(&second, 70)];
                let gathered = run_with::<(u32, String)>(&mut product(inner), &context, inputs).expect("it runs");
                let mut out = gathered.records;
                out.sort();
                prop_assert!(out == naive(&first, &second));
                prop_assert_eq!(context.memory.free(), memory);
            }
        }
    }

    /// An output that takes one batch and then has no room until it is emptied.
    #[derive(Default)]
    struct Narrow(Gathered<(u32, String)>);

    impl Output for Narrow {
        fn push(&mut self, batch: &mut Batch) -> Result<()> {
            self.0.push(batch)
        }
        fn side(&mut self, tag: u8, batch: &mut Batch) -> Result<()> {
            self.0.side(tag, batch)
        }
        fn watermark(&mut self, watermark: flinkrs_core::element::Watermark) -> Result<()> {
            self.0.watermark(watermark)
        }
        fn barrier(&mut self, barrier: flinkrs_core::element::Barrier) -> Result<()> {
            self.0.barrier(barrier)
        }
        fn superstep_end(&mut self, superstep: Superstep) -> Result<()> {
            self.0.superstep_end(superstep)
        }
        fn has_room(&self) -> bool {
            self.0.records.len() < 1024
        }
    }

    #[test]
    fn an_output_without_room_is_not_flooded() {
        let context = RuntimeContext::standalone(64 << 10, &std::env::temp_dir());
        let mut operator = product(Side::First);
        let (first, second): (Vec<u32>, Vec<String>) = ((0..2000).collect(), (0..300).map(|i| i.to_string()).collect());
        let mut out = Narrow::default();
        let mut all = Vec::new();
        let mut empty = |out: &mut Narrow| {
            assert!(out.0.records.len() < 5000, "{} records at once", out.0.records.len());
            all.append(&mut out.0.records);
        };
        operator.open(&context).expect("it opens");
        operator.process(0, &mut Batch::new(first.clone()), &mut out).expect("it runs");
        operator.end_input(0, &mut out).expect("it runs");
        for mut batch in batches(&second, 30) {
            operator.process(1, &mut batch, &mut out).expect("it runs");
            empty(&mut out);
        }
        operator.end_input(1, &mut out).expect("it runs");
        while operator.advance(&mut out).expect("it runs") == Progress::More {
            empty(&mut out);
        }
        empty(&mut out);
        all.sort();
        assert!(all == naive(&first, &second));
    }

    #[test]
    fn in_a_loop_either_side_can_be_constant() {
        for inner in [Side::First, Side::Second] {
            let context = RuntimeContext::standalone(2 << 10, &std::env::temp_dir());
            let mut operator = product(inner);
            let constant: Vec<String> = (0..100).map(|i| i.to_string()).collect();
            let mut out = Gathered::<(u32, String)>::default();
            operator.open(&context).expect("it opens");
            operator.process(1, &mut Batch::new(constant.clone()), &mut out).expect("it runs");
            operator.end_input(1, &mut out).expect("it runs");
            for round in 1..4 {
                let changing: Vec<u32> = (0..round * 50).collect();
                operator.process(0, &mut Batch::new(changing.clone()), &mut out).expect("it runs");
                operator.superstep_end(Superstep(round), &mut out).expect("it runs");
                out.records.sort();
                assert!(std::mem::take(&mut out.records) == naive(&changing, &constant), "round {round}");
            }
        }
    }
}
