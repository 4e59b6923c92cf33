//! Sorts its input: a full dam that emits in order.

use crate::order::RecordOrder;
use crate::sorted_input::SortedInput;
use flinkrs_core::batch::batch_capacity;
use flinkrs_core::element::Superstep;
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;

/// Emits all records in the order `O` once the input has ended.
pub struct SortOperator<T, O> {
    order: O,
    input: Option<SortedInput<T, O>>,
    buffer: Batch,
}

/// Batches that one call of `advance` emits, at most.
const STEP_BATCHES: usize = 16;

impl<T: Data, O: RecordOrder<T>> SortOperator<T, O> {
    /// Sorts by `order`; equal records come out in no particular order.
    pub fn new(order: O) -> SortOperator<T, O> {
        SortOperator { order, input: None, buffer: Batch::new(Vec::<T>::new()) }
    }

    fn input(&mut self) -> &mut SortedInput<T, O> {
        self.input.as_mut().expect("an operator is opened before it is used")
    }

    /// Emits one batch; false at the end.
    fn emit(&mut self, out: &mut dyn Output) -> Result<bool> {
        let input = self.input.as_mut().expect("an operator is opened before it is used");
        let found = input.next_batch(self.buffer.records::<T>(), batch_capacity::<T>())?;
        if found {
            out.push(&mut self.buffer)?;
            self.buffer.clear();
        }
        Ok(found)
    }
}

impl<T: Data, O: RecordOrder<T>> Operator for SortOperator<T, O> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let space = SpillSpace::of(context);
        self.input = Some(SortedInput::new(self.order.clone(), true, context.budget(), &space));
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        self.input().push_all(batch.records::<T>())
    }

    fn end_input(&mut self, _input: usize, _out: &mut dyn Output) -> Result<()> {
        self.input().start(false)
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        for _ in 0..STEP_BATCHES {
            if !out.has_room() {
                return Ok(Progress::More);
            }
            if !self.emit(out)? {
                return Ok(Progress::Done);
            }
        }
        Ok(Progress::More)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.input().start(false)?;
        while self.emit(out)? {}
        self.input().reset();
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.input = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{ByKey, Descending};
    use crate::testing::{Gathered, batches, run_with};
    use flinkrs_core::types::Whole;

    #[test]
    fn emits_everything_in_order() {
        for memory in [32 << 10, 16 << 20] {
            let records: Vec<u64> = (0..50_000).map(|i| i * 7919 % 50_000).collect();
            let context = RuntimeContext::standalone(memory, &std::env::temp_dir());
            let mut operator = SortOperator::<u64, _>::new(Descending(ByKey(Whole)));
            let out = run_with::<u64>(&mut operator, &context, vec![batches(&records, 1024)]).expect("it sorts");
            assert!(out.records.into_iter().eq((0..50_000).rev()));
            assert_eq!(context.memory.free(), memory, "all memory is given back");
        }
    }

    #[test]
    fn sorts_each_round_of_a_loop_by_itself() {
        let context = RuntimeContext::standalone(1 << 20, &std::env::temp_dir());
        let mut operator = SortOperator::<u32, _>::new(ByKey(Whole));
        operator.open(&context).expect("it opens");
        for round in 1..4u32 {
            let mut out = Gathered::<u32>::default();
            operator.process(0, &mut Batch::new(vec![round + 2, round]), &mut out).expect("it takes records");
            operator.superstep_end(Superstep(round), &mut out).expect("it emits");
            assert_eq!(out.records, [round, round + 2]);
        }
    }
}
