//! What one task knows of its loop.

use crate::iteration::LoopControl;
use flinkrs_core::function::IterationContext;
use flinkrs_core::{Batch, Result};
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
    /// In the head: what was fed back and is being emitted.
    pub(crate) replay: Option<Box<BatchSpillBuffer>>,
}

impl TaskLoop {
    pub(crate) fn new(control: &Arc<LoopControl>, context: &Arc<IterationContext>, is_head: bool) -> TaskLoop {
        context.begin(1, Arc::default());
        TaskLoop {
            control: Arc::clone(control),
            context: Arc::clone(context),
            superstep: 1,
            begun: true,
            is_head,
            replay: None,
        }
    }

    /// The superstep is over; the next one begins with the first thing that arrives.
    pub(crate) fn end_superstep(&mut self) {
        self.superstep += 1;
        self.begun = false;
    }

    /// The next superstep has begun for certain.
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
    /// The loop is over: what the tail pushes now is its result.
    over: bool,
}

impl OutputLoop {
    pub(crate) fn new(control: &Arc<LoopControl>, context: &Arc<IterationContext>) -> OutputLoop {
        OutputLoop { control: Arc::clone(control), context: Arc::clone(context), feedback: None }
    }

    /// Makes it that of the tail, which keeps at most `memory_limit` bytes of what it feeds back in memory.
    #[must_use]
    pub(crate) fn of_tail(mut self, subtask: usize, is_bulk: bool, space: SpillSpace, memory_limit: usize) -> Self {
        let buffer = BatchSpillBuffer::new(&space, memory_limit);
        self.feedback = Some(Feedback { subtask, is_bulk, space, memory_limit, buffer, over: false });
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
        let Some(feedback) = &mut self.feedback else { return Ok(false) };
        let empty = BatchSpillBuffer::new(&feedback.space, feedback.memory_limit);
        let mut full = std::mem::replace(&mut feedback.buffer, empty);
        full.seal()?;
        self.control.arrive(feedback.subtask, full);
        Ok(true)
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
