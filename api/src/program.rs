//! The typed code of a program, beside its plan: what the runtime instantiates, found by operator.

use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{BroadcastBuilder, Convergence, FunctionSource, Partitioner};
use flinkrs_core::id::OperatorId;
use flinkrs_core::sink::{Committer, ResultSink};
use flinkrs_core::source::{Split, Statistics};
use flinkrs_core::strategy::{Part, ShipStrategy};
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Operator};
use flinkrs_operators::{BroadcastVec, NoOpOperator};
use std::sync::Arc;

/// The index under which the bounds of a range partitioning are gathered, beside the program's own broadcast sets.
const RANGE_BOUNDS: u8 = 255;

/// The typed code of one operator: whatever the optimizer may ask for.
pub(crate) trait Code: Send + Sync {
    /// A new instance of a part.
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>>;

    /// An empty batch of what a part emits, or sends to a side output, where that isn't what the operator emits.
    fn empty_batch(&self, _part: Part, _side: Option<u8>) -> Option<Batch> {
        None
    }

    /// Distributes the records of an input by its key.
    fn partitioner(&self, _input: u8, _ship: ShipStrategy) -> Option<Box<dyn Partitioner>> {
        None
    }

    /// Gathers the bounds of a range partitioning.
    fn range_bounds(&self) -> Option<Box<dyn BroadcastBuilder>> {
        None
    }

    /// For a sink whose output is committed.
    fn committer(&self) -> Option<Arc<dyn Committer>> {
        None
    }

    /// For a sink whose records come back into the program.
    fn result(&self) -> Option<Arc<dyn ResultSink>> {
        None
    }

    /// For an operator that closes a loop: its convergence criterion.
    fn convergence(&self) -> Option<Arc<Convergence>> {
        None
    }

    /// For a source: its splits, about `wanted`, and what is known of its size.
    fn enumerate(&self, _wanted: usize) -> Result<(Vec<Split>, Statistics)> {
        Ok((Vec::new(), Statistics::default()))
    }
}

struct Entry {
    code: Arc<dyn Code>,
    empty_batch: fn() -> Batch,
    broadcast: Vec<Arc<dyn Fn() -> Box<dyn BroadcastBuilder> + Send + Sync>>,
}

/// The code of all operators of a program.
#[derive(Default)]
pub struct Program {
    entries: Vec<Entry>,
}

impl Clone for Program {
    fn clone(&self) -> Program {
        let entry = |entry: &Entry| Entry {
            code: Arc::clone(&entry.code),
            empty_batch: entry.empty_batch,
            broadcast: entry.broadcast.clone(),
        };
        Program { entries: self.entries.iter().map(entry).collect() }
    }
}

impl Program {
    /// Adds the code of the next operator, which emits records of type `T`; its id is its position.
    pub(crate) fn add<T: Data>(&mut self, code: Arc<dyn Code>) {
        let empty_batch = || Batch::new(Vec::<T>::new());
        self.entries.push(Entry { code, empty_batch, broadcast: Vec::new() });
    }

    /// Adds a broadcast set of `T` to an operator.
    pub(crate) fn add_broadcast_set<T: Data>(&mut self, id: OperatorId) {
        self.entries[id.0 as usize].broadcast.push(Arc::new(|| Box::new(BroadcastVec::<T>::new())));
    }

    pub(crate) fn code(&self, id: OperatorId) -> Result<&dyn Code> {
        Ok(&*self.entry(id)?.code)
    }

    fn entry(&self, id: OperatorId) -> Result<&Entry> {
        self.entries.get(id.0 as usize).ok_or_else(|| Error::internal(format!("operator {id} has no code")))
    }
}

impl FunctionSource for Program {
    fn operator(&self, id: OperatorId, part: Part) -> Result<Box<dyn Operator>> {
        if matches!(part, Part::NoOp | Part::LoopHead) {
            return Ok(Box::new(NoOpOperator));
        }
        let code = self.code(id)?;
        code.operator(part).ok_or_else(|| Error::internal(format!("operator {id} can't be executed as {part:?}")))
    }

    fn partitioner(&self, id: OperatorId, input: u8, ship: ShipStrategy) -> Result<Box<dyn Partitioner>> {
        let partitioner = self.code(id)?.partitioner(input, ship);
        partitioner.ok_or_else(|| Error::internal(format!("input {input} of operator {id} can't be shipped {ship}")))
    }

    fn broadcast_set(&self, id: OperatorId, index: u8) -> Result<Box<dyn BroadcastBuilder>> {
        let entry = self.entry(id)?;
        let builder = match index {
            RANGE_BOUNDS => entry.code.range_bounds(),
            _ => entry.broadcast.get(usize::from(index)).map(|make| make()),
        };
        builder.ok_or_else(|| Error::internal(format!("operator {id} has no broadcast set {index}")))
    }

    fn empty_batch(&self, id: OperatorId, part: Part, side: Option<u8>) -> Result<Batch> {
        let entry = self.entry(id)?;
        Ok(entry.code.empty_batch(part, side).unwrap_or_else(entry.empty_batch))
    }

    fn committer(&self, id: OperatorId) -> Option<Arc<dyn Committer>> {
        self.code(id).ok()?.committer()
    }

    fn result(&self, id: OperatorId) -> Option<Arc<dyn ResultSink>> {
        self.code(id).ok()?.result()
    }

    fn convergence(&self, id: OperatorId) -> Option<Arc<Convergence>> {
        self.code(id).ok()?.convergence()
    }
}

/// Code that has one operator and nothing else, made anew for each subtask.
pub(crate) struct Plain<F>(pub(crate) F);

impl<F, O> Code for Plain<F>
where
    F: Fn() -> O + Send + Sync,
    O: Operator + 'static,
{
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Driver(_)).then(|| Box::new((self.0)()) as Box<dyn Operator>)
    }
}
