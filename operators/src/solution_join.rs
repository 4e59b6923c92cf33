//! Joins and coGroups with the solution set: each record of the other input is a lookup.

use crate::group::Group;
use crate::hash_chunks::NO_POSITION;
use crate::prefetch::{AHEAD, prefetch};
use crate::solution_set::{SharedIndex, lock, shared_index};
use flinkrs_core::element::Superstep;
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::marker::PhantomData;
use std::sync::Arc;

/// Joins each record of its input with the record of the solution set that has the same key.
///
/// Of the join types `Inner`, and those that keep records of the probing input: `LeftOuter`, `Semi` and `Anti` if that
/// is the first, `RightOuter` if it is the second. The function sees the probing record first.
pub struct SolutionJoin<P, T, O, SP, ST: KeySelector<T>, F> {
    join_type: JoinType,
    owner: OperatorId,
    keys: (SP, ST),
    function: F,
    index: Option<Arc<SharedIndex<ST::Key, T>>>,
    buffer: Batch,
    types: PhantomData<fn(P) -> O>,
}

impl<P, T, O, SP, ST, F> SolutionJoin<P, T, O, SP, ST, F>
where
    P: Data,
    T: Data,
    O: Data,
    SP: KeySelector<P>,
    ST: KeySelector<T, Key = SP::Key>,
    F: FnMut(&P, Option<&T>, &mut Collector<'_, O>) + Send + 'static,
{
    /// A join with the solution set of operator `owner`; `keys` are those of the probing record and of the solution.
    pub fn new(join_type: JoinType, owner: OperatorId, keys: (SP, ST), function: F) -> Self {
        let buffer = Batch::new(Vec::<O>::new());
        SolutionJoin { join_type, owner, keys, function, index: None, buffer, types: PhantomData }
    }
}

impl<P, T, O, SP, ST, F> Operator for SolutionJoin<P, T, O, SP, ST, F>
where
    P: Data,
    T: Data,
    O: Data,
    SP: KeySelector<P>,
    ST: KeySelector<T, Key = SP::Key>,
    F: FnMut(&P, Option<&T>, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.index = Some(shared_index(context, self.owner, &self.keys.1)?);
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let index = lock(self.index.as_ref().expect("an operator gets no records before it is opened"));
        let mut collector = Collector::new(&mut self.buffer, out);
        let mut positions = [NO_POSITION; AHEAD];
        for block in batch.records::<P>().chunks(AHEAD) {
            // All positions first: the processor then waits for many records of the index at once.
            for (record, position) in block.iter().zip(&mut positions) {
                *position = self.keys.0.with_key(record, |key| index.position(key));
                if let Some(found) = index.record(*position) {
                    prefetch(found);
                }
            }
            for (record, position) in block.iter().zip(positions) {
                match (self.join_type, index.record(position)) {
                    (JoinType::Inner, None) | (JoinType::Semi, None) | (JoinType::Anti, Some(_)) => {}
                    (JoinType::Semi, Some(_)) => (self.function)(record, None, &mut collector),
                    (_, found) => (self.function)(record, found, &mut collector),
                }
            }
        }
        batch.clear();
        collector.finish()
    }

    fn close(&mut self) -> Result<()> {
        self.index = None;
        Ok(())
    }
}

/// Groups its input, which is sorted by key, and shows each group with the solution set's record of that key.
pub struct SolutionCoGroup<P, T, O, SP, ST: KeySelector<T>, F> {
    owner: OperatorId,
    keys: (SP, ST),
    function: F,
    state: Option<State<P, T, ST::Key>>,
    buffer: Batch,
    types: PhantomData<fn() -> O>,
}

struct State<P, T, K> {
    index: Arc<SharedIndex<K, T>>,
    group: Group<P>,
    solution: Group<T>,
    key: Option<K>,
}

impl<P, T, O, SP, ST, F> SolutionCoGroup<P, T, O, SP, ST, F>
where
    P: Data,
    T: Data,
    O: Data,
    SP: KeySelector<P>,
    ST: KeySelector<T, Key = SP::Key>,
    F: FnMut(&mut Group<P>, &mut Group<T>, &mut Collector<'_, O>) + Send + 'static,
{
    /// A coGroup with the solution set of operator `owner`; `keys` are those of the grouped input and of the solution.
    pub fn new(owner: OperatorId, keys: (SP, ST), function: F) -> Self {
        SolutionCoGroup { owner, keys, function, state: None, buffer: Batch::new(Vec::<O>::new()), types: PhantomData }
    }

    /// Shows the group that is complete.
    fn finish_group(&mut self, out: &mut dyn Output) -> Result<()> {
        let Some(State { index, group, solution, key }) = &mut self.state else { return Ok(()) };
        let Some(key) = key.take() else { return Ok(()) };
        let index = lock(index);
        if let Some(found) = index.record(index.position(&key)) {
            solution.push(found.clone())?;
        }
        drop(index);
        group.seal()?;
        solution.seal()?;
        let mut collector = Collector::new(&mut self.buffer, out);
        (self.function)(group, solution, &mut collector);
        collector.finish()?;
        group.clear();
        solution.clear();
        Ok(())
    }
}

impl<P, T, O, SP, ST, F> Operator for SolutionCoGroup<P, T, O, SP, ST, F>
where
    P: Data,
    T: Data,
    O: Data,
    SP: KeySelector<P>,
    ST: KeySelector<T, Key = SP::Key>,
    F: FnMut(&mut Group<P>, &mut Group<T>, &mut Collector<'_, O>) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let space = SpillSpace::of(context);
        let [group, solution] = crate::merge_inputs::shares(context, [6, 1]);
        self.state = Some(State {
            index: shared_index(context, self.owner, &self.keys.1)?,
            group: Group::new(&space, group),
            solution: Group::new(&space, solution),
            key: None,
        });
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        for record in batch.records::<P>().drain(..) {
            let state = self.state.as_mut().expect("an operator gets no records before it is opened");
            let same = state.key.as_ref().is_some_and(|open| self.keys.0.with_key(&record, |key| key == open));
            if !same {
                let key = self.keys.0.key(&record);
                self.finish_group(out)?;
                if let Some(state) = &mut self.state {
                    state.key = Some(key);
                }
            }
            if let Some(state) = &mut self.state {
                state.group.push(record)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.finish_group(out)?;
        Ok(Progress::Done)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.finish_group(out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}
