//! What one task knows of its loop.

use crate::iteration::LoopControl;
use crate::iteration::snapshots::{SolutionFiles, write_feedback};
use crate::snapshot::{LoopStore, StateFiles, SubtaskState};
use flinkrs_core::function::IterationContext;
use flinkrs_core::state::StateReader;
use flinkrs_core::{Batch, Operator, Result};
use flinkrs_memory::{BatchSpillBuffer, SpillSpace};
use std::sync::Arc;

/// A task's part in its loop.
pub(crate) struct TaskLoop {
    pub(crate) control: Arc<LoopControl>,
    pub(crate) context: Arc<IterationContext>,
    /// The superstep that the task is in.
    pub(crate) superstep: u32,
    /// Whether the operators know that it has begun.
    pub(crate) begun: bool,
    /// Whether the task is the loop's head, which gets what is fed back.
    pub(crate) is_head: bool,
    /// In the head: whether the loop's initial input is being read, and not what was fed back.
    pub(crate) reads_initial: bool,
    /// In the head of a loop that goes on from a snapshot: what was fed back then, in place of the initial input.
    pub(crate) restored: Option<RestoredFeedback>,
    /// In the head: what was fed back and is being emitted.
    pub(crate) replay: Option<Box<BatchSpillBuffer>>,
}

/// What a subtask had fed back when its loop was snapshotted.
pub(crate) struct RestoredFeedback {
    pub(crate) files: StateFiles,
    /// A batch of the type that it is of.
    pub(crate) like: Batch,
    pub(crate) space: SpillSpace,
    pub(crate) memory_limit: usize,
}

impl RestoredFeedback {
    /// Reads it.
    pub(crate) fn load(mut self) -> Result<BatchSpillBuffer> {
        let mut buffer = BatchSpillBuffer::new(&self.space, self.memory_limit);
        while let Some(block) = self.files.next_block()? {
            self.space.cancelled().check()?;
            buffer.push(self.like.decode_like(block)?)?;
        }
        buffer.seal()?;
        Ok(buffer)
    }
}

impl TaskLoop {
    pub(crate) fn new(control: &Arc<LoopControl>, context: &Arc<IterationContext>, is_head: bool) -> TaskLoop {
        let superstep = control.first_superstep();
        context.begin(superstep, control.previous());
        TaskLoop {
            control: Arc::clone(control),
            context: Arc::clone(context),
            superstep,
            begun: true,
            is_head,
            reads_initial: is_head,
            restored: None,
            replay: None,
        }
    }

    /// The superstep is over; the next one begins with the first thing that arrives.
    pub(crate) fn end_superstep(&mut self) {
        self.superstep += 1;
        self.begun = false;
        self.reads_initial = false;
    }

    /// Whether the next superstep has begun for certain, or is known not to come; if neither, the task is woken then.
    pub(crate) fn may_begin(&self) -> bool {
        self.begun || self.control.knows(self.superstep)
    }

    /// The next superstep begins.
    pub(crate) fn begin_superstep(&mut self) {
        self.begun = true;
        self.context.begin(self.superstep, self.control.previous());
    }
}

/// The end of a loop's task: where its counters go, and of the tail what it feeds back.
pub(crate) struct OutputLoop {
    control: Arc<LoopControl>,
    context: Arc<IterationContext>,
    feedback: Option<Feedback>,
}

/// Where a task finds the result of a loop that is over.
pub(crate) enum LoopResult {
    /// The task isn't the tail.
    Elsewhere,
    /// Its last operator has it: the solution set.
    InOperator,
    /// What was fed back in the last superstep.
    FedBack(Box<BatchSpillBuffer>),
}

struct Feedback {
    subtask: usize,
    is_bulk: bool,
    space: SpillSpace,
    memory_limit: usize,
    buffer: BatchSpillBuffer,
    /// Where snapshots have the solution set.
    solution: SolutionFiles,
    /// The loop is over: what the tail pushes now is its result.
    over: bool,
}

impl Feedback {
    /// Writes the state of the subtask after a superstep: what it feeds back, and the solution set of `operator`.
    fn write(
        &mut self,
        store: &LoopStore,
        superstep: u32,
        fed_back: &mut BatchSpillBuffer,
        operator: &mut dyn Operator,
    ) -> Result<SubtaskState> {
        let feedback = write_feedback(store, superstep, self.subtask, fed_back)?;
        if self.is_bulk {
            return Ok(SubtaskState { feedback, solution: Vec::new() });
        }
        let solution = self.solution.write(store, superstep, self.subtask, operator)?;
        Ok(SubtaskState { feedback, solution })
    }
}

impl OutputLoop {
    pub(crate) fn new(control: &Arc<LoopControl>, context: &Arc<IterationContext>) -> OutputLoop {
        OutputLoop { control: Arc::clone(control), context: Arc::clone(context), feedback: None }
    }

    /// Makes it that of the tail, which keeps at most `memory_limit` bytes of what it feeds back in memory.
    #[must_use]
    pub(crate) fn of_tail(mut self, subtask: usize, is_bulk: bool, space: SpillSpace, memory_limit: usize) -> Self {
        let buffer = BatchSpillBuffer::new(&space, memory_limit);
        // A loop that goes on from a snapshot has all of its solution set there, and adds what changes.
        let from = self.control.resumed_from().map(|(_, from)| from.subtasks[subtask].solution.clone());
        let solution = SolutionFiles(from.unwrap_or_default());
        self.feedback = Some(Feedback { subtask, is_bulk, space, memory_limit, buffer, solution, over: false });
        self
    }

    /// Takes a batch that is fed back; false if it goes on to the consumers of the task.
    pub(crate) fn feed_back(&mut self, batch: &mut Batch) -> Result<bool> {
        match &mut self.feedback {
            Some(feedback) if !feedback.over => feedback.buffer.push(batch.take()).map(|()| true),
            _ => Ok(false),
        }
    }

    /// The task has ended a superstep; whether that is the end of the superstep altogether.
    pub(crate) fn superstep_end(&mut self) -> Result<bool> {
        self.control.merge(&self.context)?;
        Ok(self.feedback.is_some())
    }

    /// If the task is the tail, tells the others that it has ended a superstep, whose state it writes first when that
    /// is due; `operator` is its last.
    pub(crate) fn arrive(&mut self, operator: &mut dyn Operator) -> Result<()> {
        let Some(feedback) = &mut self.feedback else { return Ok(()) };
        let empty = BatchSpillBuffer::new(&feedback.space, feedback.memory_limit);
        let mut full = std::mem::replace(&mut feedback.buffer, empty);
        full.seal()?;
        let files = match self.control.snapshot_due() {
            Some(store) => Some(feedback.write(&store, self.context.superstep(), &mut full, operator)?),
            None => None,
        };
        self.control.arrive(feedback.subtask, full, files)
    }

    /// The loop is over: what the task pushes from now on goes to its consumers.
    pub(crate) fn over(&mut self) -> LoopResult {
        let Some(feedback) = &mut self.feedback else { return LoopResult::Elsewhere };
        feedback.over = true;
        match self.control.take_result(feedback.subtask) {
            Some(result) if feedback.is_bulk => LoopResult::FedBack(Box::new(result)),
            _ => LoopResult::InOperator,
        }
    }
}
