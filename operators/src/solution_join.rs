//! Joins with the solution set: each record of the other input is a lookup.

use crate::hash_chunks::NO_POSITION;
use crate::prefetch::{AHEAD, prefetch};
use crate::solution_index::SolutionIndex;
use crate::solution_parts::Deferred;
use crate::solution_set::{SharedSolution, read, shared_solution, write};
use flinkrs_core::element::Superstep;
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Result, RuntimeContext};
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
    state: Option<State<P, T, ST::Key>>,
    buffer: Batch,
    types: PhantomData<fn(P) -> O>,
}

struct State<P, T, K> {
    solution: Arc<SharedSolution<K, T>>,
    /// Records whose part of the solution set is on disk.
    deferred: Deferred<P>,
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
        SolutionJoin { join_type, owner, keys, function, state: None, buffer, types: PhantomData }
    }

    /// Looks records up in an index that has all keys.
    fn look_up(&mut self, index: &SolutionIndex<ST::Key, T>, records: &[P], out: &mut dyn Output) -> Result<()> {
        let SolutionJoin { join_type, keys, function, buffer, .. } = self;
        let mut collector = Collector::new(buffer, out);
        let mut positions = [NO_POSITION; AHEAD];
        for block in records.chunks(AHEAD) {
            // All positions first: the processor then waits for many records of the index at once.
            for (record, position) in block.iter().zip(&mut positions) {
                *position = keys.0.with_key(record, |key| index.position(key));
                if let Some(found) = index.record(*position) {
                    prefetch(found);
                }
            }
            for (record, position) in block.iter().zip(positions) {
                show(*join_type, function, record, index.record(position), &mut collector);
            }
        }
        collector.finish()
    }

    /// Looks up the records whose part of the solution set is in memory, and defers the others.
    fn look_up_parts(&mut self, records: &mut Vec<P>, out: &mut dyn Output) -> Result<()> {
        let SolutionJoin { join_type, keys, function, buffer, state, .. } = self;
        let State { solution, deferred } = state.as_mut().expect("an operator gets no records before it is open");
        let mut found = Vec::new();
        let solution = read(solution);
        for record in records.drain(..) {
            let key = keys.0.key(&record);
            let part = solution.part_of(&key);
            match solution.index(part) {
                Some(index) => found.push((record, index.record(index.position(&key)).cloned())),
                None => deferred.push(part, solution.parts(), record)?,
            }
        }
        drop(solution);
        let mut collector = Collector::new(buffer, out);
        for (record, found) in &found {
            show(*join_type, function, record, found.as_ref(), &mut collector);
        }
        collector.finish()
    }

    /// Looks up the records that were deferred, part by part.
    fn look_up_deferred(&mut self, out: &mut dyn Output) -> Result<()> {
        let SolutionJoin { join_type, keys, function, buffer, state, .. } = self;
        let Some(State { solution, deferred }) = state else { return Ok(()) };
        let mut collector = Collector::new(buffer, out);
        for (part, mut run) in deferred.take()? {
            while let Some(records) = run.next_block()? {
                let mut solution = write(solution);
                let index = solution.load(part)?;
                let position = |record: &P| keys.0.with_key(record, |key| index.position(key));
                let found: Vec<Option<T>> =
                    records.iter().map(|record| index.record(position(record)).cloned()).collect();
                drop(solution);
                for (record, found) in records.iter().zip(&found) {
                    show(*join_type, function, record, found.as_ref(), &mut collector);
                }
            }
        }
        collector.finish()
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
        let solution = shared_solution(context, self.owner, &self.keys.1)?;
        self.state = Some(State { solution, deferred: Deferred::new(context) });
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_ref().expect("an operator gets no records before it is open");
        let solution = Arc::clone(&state.solution);
        let solution = read(&solution);
        match solution.whole() {
            Some(index) => self.look_up(index, batch.records::<P>(), out)?,
            None => {
                drop(solution);
                self.look_up_parts(batch.records::<P>(), out)?;
            }
        }
        batch.clear();
        Ok(())
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        self.look_up_deferred(out)?;
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

/// Shows a record, and what the solution set has of its key, to the function if the join type keeps it.
#[inline(always)]
fn show<P, T, O: Data>(
    join_type: JoinType,
    function: &mut impl FnMut(&P, Option<&T>, &mut Collector<'_, O>),
    record: &P,
    found: Option<&T>,
    out: &mut Collector<'_, O>,
) {
    match (join_type, found) {
        (JoinType::Inner, None) | (JoinType::Semi, None) | (JoinType::Anti, Some(_)) => {}
        (JoinType::Semi, Some(_)) => function(record, None, out),
        (_, found) => function(record, found, out),
    }
}
