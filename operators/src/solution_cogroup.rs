//! CoGroups with the solution set: each group of the other input is a lookup.

use crate::group::Group;
use crate::solution_parts::Deferred;
use crate::solution_set::{SharedSolution, read, shared_solution, write};
use flinkrs_core::element::Superstep;
use flinkrs_core::id::OperatorId;
use flinkrs_core::types::{Data, Key, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::marker::PhantomData;
use std::sync::Arc;

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
    solution_set: Arc<SharedSolution<K, T>>,
    /// Records of the superstep if the solution set is in parts.
    deferred: Deferred<P>,
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

    /// Adds a record to the group that is open, or begins another one.
    fn add(&mut self, record: P, out: &mut dyn Output) -> Result<()> {
        let open = self.state.as_ref().and_then(|state| state.key.as_ref());
        if !open.is_some_and(|open| self.keys.0.with_key(&record, |key| key == open)) {
            let key = self.keys.0.key(&record);
            self.finish_group(out)?;
            self.state.iter_mut().for_each(|state| state.key = Some(key.clone()));
        }
        self.state.as_mut().map_or(Ok(()), |state| state.group.push(record))
    }

    /// Shows the group that is complete.
    fn finish_group(&mut self, out: &mut dyn Output) -> Result<()> {
        let Some(State { solution_set, group, solution, key, .. }) = &mut self.state else { return Ok(()) };
        let Some(key) = key.take() else { return Ok(()) };
        if let Some(found) = look_up(solution_set, &key)? {
            solution.push(found)?;
        }
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
            solution_set: shared_solution(context, self.owner, &self.keys.1)?,
            deferred: Deferred::new(context),
            group: Group::new(&space, group),
            solution: Group::new(&space, solution),
            key: None,
        });
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_mut().expect("an operator gets no records before it is opened");
        let solution = read(&state.solution_set);
        if solution.whole().is_none() {
            // The records of a key stay next to each other: they are all of one part.
            for record in batch.records::<P>().drain(..) {
                let part = self.keys.0.with_key(&record, |key| solution.part_of(key));
                state.deferred.push(part, solution.parts(), record)?;
            }
            return Ok(());
        }
        drop(solution);
        batch.records::<P>().drain(..).try_for_each(|record| self.add(record, out))
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.finish_group(out)?;
        Ok(Progress::Done)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        let deferred = self.state.as_mut().map(|state| state.deferred.take()).transpose()?;
        for (_, mut run) in deferred.into_iter().flatten() {
            while let Some(records) = run.next_block()? {
                records.into_iter().try_for_each(|record| self.add(record, out))?;
            }
        }
        self.finish_group(out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

/// The record that the solution set has of a key.
fn look_up<K: Key, T: Data>(solution: &SharedSolution<K, T>, key: &K) -> Result<Option<T>> {
    if let Some(index) = read(solution).whole() {
        return Ok(index.record(index.position(key)).cloned());
    }
    write(solution).fetch(key)
}
