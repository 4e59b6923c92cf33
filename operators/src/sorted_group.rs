//! Operators over input that comes sorted or grouped by key: one group after the other, as it streams by.

use crate::group::Group;
use flinkrs_core::element::Superstep;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::marker::PhantomData;

/// Combines the records of each key into one; the combiner before a shuffle as well as the reduction after it.
///
/// An input without records gives none, also when the key is [`NoKey`](crate::NoKey).
pub struct SortedReduce<T, S, F> {
    key: S,
    function: F,
    current: Option<T>,
    buffer: Batch,
}

impl<T, S, F> SortedReduce<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T) + Send + 'static,
{
    /// Calls `function` with what was combined so far and the next record of the same key.
    pub fn new(key: S, function: F) -> SortedReduce<T, S, F> {
        SortedReduce { key, function, current: None, buffer: Batch::new(Vec::<T>::new()) }
    }

    fn emit_last(&mut self, out: &mut dyn Output) -> Result<()> {
        let Some(last) = self.current.take() else { return Ok(()) };
        let mut collector = Collector::new(&mut self.buffer, out);
        collector.collect(last);
        collector.finish()
    }
}

impl<T, S, F> Operator for SortedReduce<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T) + Send + 'static,
{
    fn open(&mut self, _context: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let mut records = batch.records::<T>().drain(..);
        let Some(mut current) = self.current.take().or_else(|| records.next()) else { return Ok(()) };
        let mut collector = Collector::new(&mut self.buffer, out);
        for record in records {
            if self.key.same_key(&current, &record) {
                (self.function)(&mut current, record);
            } else {
                collector.collect(std::mem::replace(&mut current, record));
            }
        }
        self.current = Some(current);
        collector.finish()
    }

    fn end_input(&mut self, _input: usize, out: &mut dyn Output) -> Result<()> {
        self.emit_last(out)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.emit_last(out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.current = None;
        Ok(())
    }
}

/// Calls a function with all records of each key.
///
/// An input without records calls it for none, also when the key is [`NoKey`](crate::NoKey).
pub struct SortedGroupReduce<T, S, O, F> {
    key: S,
    function: F,
    group: Option<Group<T>>,
    buffer: Batch,
    output: PhantomData<fn() -> O>,
}

impl<T, S, O, F> SortedGroupReduce<T, S, O, F>
where
    T: Data,
    S: KeySelector<T>,
    O: Data,
    F: FnMut(&mut Group<T>, &mut Collector<'_, O>) + Send + 'static,
{
    /// Calls `function` once per key with its group, whose records come in the order of the input.
    pub fn new(key: S, function: F) -> SortedGroupReduce<T, S, O, F> {
        SortedGroupReduce { key, function, group: None, buffer: Batch::new(Vec::<O>::new()), output: PhantomData }
    }

    fn emit_last(&mut self, out: &mut dyn Output) -> Result<()> {
        let group = self.group.as_mut().expect("an operator is opened before it is used");
        if group.is_empty() {
            return Ok(());
        }
        group.seal()?;
        let mut collector = Collector::new(&mut self.buffer, out);
        (self.function)(group, &mut collector);
        group.clear();
        collector.finish()
    }
}

impl<T, S, O, F> Operator for SortedGroupReduce<T, S, O, F>
where
    T: Data,
    S: KeySelector<T>,
    O: Data,
    F: FnMut(&mut Group<T>, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.group = Some(Group::new(&SpillSpace::of(context), context.budget()));
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let group = self.group.as_mut().expect("an operator is opened before it is used");
        let mut collector = Collector::new(&mut self.buffer, out);
        for record in batch.records::<T>().drain(..) {
            if group.first().is_some_and(|first| !self.key.same_key(first, &record)) {
                group.seal()?;
                (self.function)(group, &mut collector);
                group.clear();
            }
            group.push(record)?;
        }
        collector.finish()
    }

    fn end_input(&mut self, _input: usize, out: &mut dyn Output) -> Result<()> {
        self.emit_last(out)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.emit_last(out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.group = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::NoKey;
    use crate::testing::{batches, run_with};
    use flinkrs_core::types::{f0, f1};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn context(memory: usize) -> RuntimeContext {
        RuntimeContext::standalone(memory, &std::env::temp_dir())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_key_gives_one_result(
            mut records in prop::collection::vec((0..50u32, 0..1000u64), 0..2000),
            batch_records in 1usize..1500,
        ) {
            records.sort_by_key(|record| record.0);
            let mut expected = BTreeMap::<u32, (u64, usize)>::new();
            for (key, value) in &records {
                let entry = expected.entry(*key).or_default();
                *entry = (entry.0 + value, entry.1 + 1);
            }
            let mut sum = SortedReduce::new(f0, |sum: &mut (u32, u64), next: (u32, u64)| sum.1 += next.1);
            let input = vec![batches(&records, batch_records)];
            let out = run_with::<(u32, u64)>(&mut sum, &context(1), input).expect("it runs");
            let sums: Vec<(u32, u64)> = expected.iter().map(|(key, (sum, _))| (*key, *sum)).collect();
            prop_assert_eq!(out.records, sums);

            for memory in [1 << 10, 1 << 20] {
                let mut twice = SortedGroupReduce::new(f0, |group: &mut Group<(u32, u64)>, out: &mut Collector<'_, _>| {
                    let sum: u64 = group.iter().map(|record| record.1).sum();
                    let key = group.first().expect("a group has records").0;
                    out.collect((key, sum, group.iter().count()));
                });
                let context = context(memory);
                let input = vec![batches(&records, batch_records)];
                let out = run_with::<(u32, u64, usize)>(&mut twice, &context, input).expect("it runs");
                let all: Vec<_> = expected.iter().map(|(key, (sum, count))| (*key, *sum, *count)).collect();
                prop_assert_eq!(&out.records, &all);
                prop_assert_eq!(context.memory.free(), memory);
            }
        }
    }

    #[test]
    fn without_a_key_there_is_one_group_of_all() {
        let records: Vec<(u32, u64)> = (0..10_000).map(|i| (i, u64::from(i))).collect();
        let context = context(32 << 10);
        let mut operator =
            SortedGroupReduce::new(NoKey, |group: &mut Group<(u32, u64)>, out: &mut Collector<'_, _>| {
                out.collect(group.iter().count());
                out.collect(group.take().map(|record| record.1 as usize).sum());
            });
        let out = run_with::<usize>(&mut operator, &context, vec![batches(&records, 100)]).expect("it runs");
        assert_eq!(out.records, [10_000, 49_995_000]);
        assert!(SpillSpace::of(&context).spilled_bytes() > 0);
        let none = run_with::<usize>(&mut operator, &context, vec![Vec::new()]).expect("it runs");
        assert!(none.records.is_empty());
    }

    #[test]
    fn a_round_of_a_loop_ends_the_last_group() {
        let mut operator = SortedReduce::new(f1, |sum: &mut (u32, u8), next: (u32, u8)| sum.0 += next.0);
        let mut out = crate::testing::Gathered::<(u32, u8)>::default();
        for round in 1..3 {
            operator.process(0, &mut Batch::new(vec![(1u32, 7u8), (2, 7)]), &mut out).expect("it runs");
            operator.superstep_end(Superstep(round), &mut out).expect("it runs");
            assert_eq!(out.records.len(), round as usize);
        }
        assert_eq!(out.records, [(3, 7), (3, 7)]);
    }
}
