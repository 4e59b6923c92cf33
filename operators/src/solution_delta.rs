//! The end of a delta iteration's step.

use crate::iteration::iteration;
use crate::prefetch::prefetch;
use crate::solution_parts::Deferred;
use crate::solution_set::{SharedSolution, put, put_deferred, shared_solution, write};
use flinkrs_core::element::Superstep;
use flinkrs_core::function::IterationContext;
use flinkrs_core::id::OperatorId;
use flinkrs_core::state::{Extent, StateWriter};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::{SpillBuffer, SpillSpace};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Ends the step of a delta iteration: applies the delta to the solution set at the end of each superstep, passes the
/// next workset on, and emits the solution set when the loop is over.
pub struct DeltaIterationOperator<T, S: KeySelector<T>> {
    selector: S,
    owner: OperatorId,
    /// Whether the delta is the next workset, too, so that there is one input for both.
    both: bool,
    state: Option<State<T, S::Key>>,
    buffer: Batch,
}

struct State<T, K> {
    solution: Arc<SharedSolution<K, T>>,
    delta: SpillBuffer<T>,
    deferred: Deferred<T>,
    iteration: Arc<IterationContext>,
    /// How far the emission of the result has come: the part, and how many of its records.
    emitted: (usize, usize),
}

impl<T: Data, S: KeySelector<T>> DeltaIterationOperator<T, S> {
    /// Closes the loop over the solution set of operator `owner`; the delta is input 0, the workset input 1 unless it
    /// is the delta (`both`).
    pub fn new(selector: S, owner: OperatorId, both: bool) -> Self {
        DeltaIterationOperator { selector, owner, both, state: None, buffer: Batch::new(Vec::<T>::new()) }
    }
}

/// Records that are emitted before the output is asked whether it has room.
const STEP_RECORDS: usize = 4096;

impl<T: Data, S: KeySelector<T>> Operator for DeltaIterationOperator<T, S> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.state = Some(State {
            solution: shared_solution(context, self.owner, &self.selector)?,
            delta: SpillBuffer::new(&SpillSpace::of(context), context.budget()),
            deferred: Deferred::new(context),
            iteration: iteration(context)?,
            emitted: (0, 0),
        });
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_mut().expect("an operator gets no records before it is opened");
        if input != 0 {
            return out.push(batch);
        }
        if self.both {
            let mut copy = batch.clone();
            state.delta.push_all(copy.records::<T>())?;
            return out.push(batch);
        }
        state.delta.push_all(batch.records::<T>())
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        let state = self.state.as_mut().expect("a superstep ends after the operator was opened");
        state.delta.seal()?;
        let mut solution = write(&state.solution);
        let mut updates = 0;
        while let Some(records) = state.delta.pop_batch()? {
            updates += records.len() as u64;
            if let Some(index) = solution.whole() {
                for record in &records {
                    let position = self.selector.with_key(record, |key| index.position(key));
                    index.record(position).into_iter().for_each(prefetch);
                }
            }
            for record in records {
                put(&mut solution, &self.selector, record, &mut state.deferred)?;
            }
        }
        put_deferred(&mut solution, &self.selector, &mut state.deferred)?;
        drop(solution);
        state.delta.clear();
        state.iteration.counts().updates.fetch_add(updates, Ordering::Relaxed);
        out.superstep_end(superstep)
    }

    fn snapshot(&mut self, extent: Extent, writer: &mut dyn StateWriter) -> Result<()> {
        let state = self.state.as_mut().expect("a superstep ends after the operator was opened");
        write(&state.solution).write(extent, writer)
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let Some(state) = &mut self.state else { return Ok(Progress::Done) };
        let (part, from) = state.emitted;
        let mut solution = write(&state.solution);
        let records = solution.take(part, from, STEP_RECORDS)?;
        let is_last = part + 1 == solution.parts();
        drop(solution);
        let count = records.len();
        let mut collector = Collector::new(&mut self.buffer, out);
        records.into_iter().for_each(|record| collector.collect(record));
        collector.finish()?;
        state.emitted = if count < STEP_RECORDS { (part + 1, 0) } else { (part, from + count) };
        Ok(if count < STEP_RECORDS && is_last { Progress::Done } else { Progress::More })
    }

    fn close(&mut self) -> Result<()> {
        self.state.take().iter().for_each(|state| write(&state.solution).close());
        Ok(())
    }
}
