//! Loops: bulk iterations, which compute their whole result anew in each superstep, and delta iterations, which
//! change a solution set in place.

use crate::dataset::DataSet;
use crate::dataset::group::by_key;
use crate::program::{Code, Plain};
use flinkrs_core::Operator;
use flinkrs_core::function::{Aggregates, Convergence, Partitioner};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{Part, ShipStrategy};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_operators::{BulkIterationOperator, DeltaIterationOperator, NoOpOperator, SolutionSetOperator};
use flinkrs_plan::OperatorKind;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// A bulk iteration that is being described; it stands for its partial solution, the data set that each superstep
/// begins with.
pub struct BulkIteration<T> {
    partial_solution: DataSet<T>,
    max_supersteps: u32,
    converged: Option<Arc<Convergence>>,
}

/// A delta iteration that is being described: its workset, and the solution set that it changes.
pub struct DeltaIteration<T, W, S> {
    workset: DataSet<W>,
    solution_set: DataSet<T>,
    key: S,
    max_supersteps: u32,
    converged: Option<Arc<Convergence>>,
}

impl<T> Deref for BulkIteration<T> {
    type Target = DataSet<T>;

    fn deref(&self) -> &DataSet<T> {
        &self.partial_solution
    }
}

struct BulkCode(Option<Arc<Convergence>>);

impl Code for BulkCode {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Driver(_)).then(|| Box::<BulkIterationOperator>::default() as Box<dyn Operator>)
    }

    fn convergence(&self) -> Option<Arc<Convergence>> {
        self.0.clone()
    }
}

struct SolutionSetCode<T, S> {
    key: S,
    records: PhantomData<fn(T)>,
}

impl<T: Data, S: KeySelector<T>> Code for SolutionSetCode<T, S> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Driver(_))
            .then(|| Box::new(SolutionSetOperator::<T, S>::new(self.key.clone())) as Box<dyn Operator>)
    }

    fn partitioner(&self, _input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        by_key::<T, S>(&self.key, ship)
    }
}

struct DeltaCode<T, S> {
    key: S,
    solution: OperatorId,
    both: bool,
    converged: Option<Arc<Convergence>>,
    records: PhantomData<fn(T)>,
}

impl<T: Data, S: KeySelector<T>> Code for DeltaCode<T, S> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        let operator = || DeltaIterationOperator::<T, S>::new(self.key.clone(), self.solution, self.both);
        matches!(part, Part::Driver(_)).then(|| Box::new(operator()) as Box<dyn Operator>)
    }

    fn partitioner(&self, input: u8, ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        if input == 0 { by_key::<T, S>(&self.key, ship) } else { None }
    }

    fn convergence(&self) -> Option<Arc<Convergence>> {
        self.converged.clone()
    }
}

impl<T: Data> DataSet<T> {
    /// Begins a bulk iteration of at most `max_supersteps` supersteps with this data set as the first partial
    /// solution. Describe the step with operators on what comes back, then close it.
    ///
    /// ```
    /// # use flinkrs_api::*;
    /// # fn double_until_large(numbers: &DataSet<u64>) -> DataSet<u64> {
    /// let step = numbers.iterate(100);
    /// let next = step.map(|n| n * 2);
    /// let small = next.filter(|n| *n < 1000);
    /// step.close_with_termination(&next, &small)
    /// # }
    /// ```
    pub fn iterate(&self, max_supersteps: u32) -> BulkIteration<T> {
        let partial_solution =
            self.env.add("PartialSolution", OperatorKind::LoopInput, &[self.id], Plain(|| NoOpOperator));
        BulkIteration { partial_solution, max_supersteps, converged: None }
    }

    /// Begins a delta iteration: this data set is the initial solution set, one record for each `key`; `workset` is
    /// what the first superstep works on. It ends when the workset is empty, or after `max_supersteps`.
    ///
    /// Two records with one key in the initial solution set are an error.
    pub fn iterate_delta<W: Data, S: KeySelector<T>>(
        &self,
        workset: &DataSet<W>,
        key: S,
        max_supersteps: u32,
    ) -> DeltaIteration<T, W, S> {
        let kind = OperatorKind::SolutionSet { key: self.env.key_spec::<T, S>(&key) };
        let code = SolutionSetCode { key: key.clone(), records: PhantomData };
        let solution_set: DataSet<T> = self.env.add("SolutionSet", kind, &[self.id], code);
        let inputs = [workset.id, solution_set.id];
        let workset = self.env.add("Workset", OperatorKind::LoopInput, &inputs, Plain(|| NoOpOperator));
        DeltaIteration { workset, solution_set, key, max_supersteps, converged: None }
    }
}

impl<T: Data> BulkIteration<T> {
    /// Ends the loop as soon as `converged` is true of a superstep, counted from 1, and of what functions added to
    /// its aggregators.
    #[must_use]
    pub fn converge_when(mut self, converged: impl Fn(u32, &Aggregates) -> bool + Send + Sync + 'static) -> Self {
        self.converged = Some(Arc::new(converged));
        self
    }

    /// Closes the loop: `next` is what the next superstep begins with, and after the last one the result.
    pub fn close_with(self, next: &DataSet<T>) -> DataSet<T> {
        self.close(&[next.id])
    }

    /// [`close_with`](BulkIteration::close_with), and the loop ends after a superstep in which `termination` has no
    /// record.
    pub fn close_with_termination<C: Data>(self, next: &DataSet<T>, termination: &DataSet<C>) -> DataSet<T> {
        self.close(&[next.id, termination.id])
    }

    fn close(self, inputs: &[OperatorId]) -> DataSet<T> {
        let kind = OperatorKind::BulkIteration { head: self.partial_solution.id, max_supersteps: self.max_supersteps };
        self.partial_solution.env.add("BulkIteration", kind, inputs, BulkCode(self.converged))
    }
}

impl<T: Data, W: Data, S: KeySelector<T>> DeltaIteration<T, W, S> {
    /// What a superstep works on.
    pub fn workset(&self) -> &DataSet<W> {
        &self.workset
    }

    /// The solution set as the superstep before left it; to be joined or coGrouped by its key.
    pub fn solution_set(&self) -> &DataSet<T> {
        &self.solution_set
    }

    /// Ends the loop as soon as `converged` is true of a superstep, counted from 1, and of what functions added to
    /// its aggregators.
    #[must_use]
    pub fn converge_when(mut self, converged: impl Fn(u32, &Aggregates) -> bool + Send + Sync + 'static) -> Self {
        self.converged = Some(Arc::new(converged));
        self
    }

    /// Closes the loop: at the end of each superstep the records of `delta` replace those of the solution set that
    /// have their keys, or are added to it, and `workset` is what the next superstep works on. The result is the
    /// solution set.
    pub fn close_with(self, delta: &DataSet<T>, workset: &DataSet<W>) -> DataSet<T> {
        let env = self.workset.env.clone();
        let key = env.key_spec::<T, S>(&self.key);
        let (head, solution) = (self.workset.id, self.solution_set.id);
        let kind = OperatorKind::DeltaIteration { head, solution, key, max_supersteps: self.max_supersteps };
        let both = delta.id == workset.id;
        let inputs = if both { vec![delta.id] } else { vec![delta.id, workset.id] };
        let code = DeltaCode { key: self.key, solution, both, converged: self.converged, records: PhantomData };
        env.add("DeltaIteration", kind, &inputs, code)
    }
}
