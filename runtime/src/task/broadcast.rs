//! Broadcast sets on their way to an operator: one subtask gathers, all share the value.

use crate::network::Inbox;
use crate::task::gate::{Arrival, Course};
use crate::task::scheduler::lock;
use crate::task::{Gate, GateInput, TaskCell, current_task};
use flinkrs_core::Result;
use flinkrs_core::function::BroadcastBuilder;
use std::any::Any;
use std::sync::{Arc, Mutex};

/// A complete broadcast set: an `Arc<Vec<T>>`.
type Value = Arc<dyn Any + Send + Sync>;

/// The value that the subtasks of one vertex share, and who waits for it.
#[derive(Default)]
pub(crate) struct SharedSet(Mutex<Shared>);

#[derive(Default)]
struct Shared {
    /// With the superstep that it belongs to.
    value: Option<(u32, Gathered)>,
    waiting: Vec<Arc<TaskCell>>,
}

/// What became of a broadcast set.
#[derive(Clone)]
pub(crate) enum Gathered {
    /// It is complete.
    Set(Value),
    /// There is none: the loop is over.
    LoopOver,
}

impl SharedSet {
    /// The value for `superstep`, or the promise to wake the current task when it is there.
    fn get(&self, superstep: u32) -> Option<Gathered> {
        let mut shared = lock(&self.0);
        match &shared.value {
            Some((of, value)) if *of == superstep => Some(value.clone()),
            _ => {
                shared.waiting.extend(current_task());
                None
            }
        }
    }

    fn set(&self, superstep: u32, value: Gathered) {
        let mut shared = lock(&self.0);
        shared.value = Some((superstep, value));
        let waiting = std::mem::take(&mut shared.waiting);
        drop(shared);
        waiting.iter().for_each(TaskCell::wake);
    }
}

/// One broadcast set as one subtask waits for it.
pub(crate) struct BroadcastGather {
    /// Position of the operator in the chain.
    pub(crate) link: usize,
    pub(crate) name: String,
    /// Whether it is another one in each superstep.
    anew: bool,
    shared: Arc<SharedSet>,
    /// In the subtask that gathers: where the records come from and what they become.
    gathers: Option<(Gate, Box<dyn BroadcastBuilder>)>,
    /// The superstep whose set this subtask has.
    gathered: u32,
}

impl BroadcastGather {
    /// For a subtask that waits for the one that gathers; `anew` if the set is another one in each superstep.
    pub(crate) fn new(link: usize, name: String, shared: Arc<SharedSet>, anew: bool) -> BroadcastGather {
        BroadcastGather { link, name, anew, shared, gathers: None, gathered: 0 }
    }

    /// Makes it the one that gathers what comes through `inbox`.
    #[must_use]
    pub(crate) fn leading(mut self, inbox: Arc<Inbox>, builder: Box<dyn BroadcastBuilder>) -> BroadcastGather {
        let course = if self.anew { Course::Anew } else { Course::Once };
        self.gathers = Some((Gate::new(vec![GateInput::new(vec![(inbox, course)])]), builder));
        self
    }

    /// Whether the set of `superstep` has to be waited for.
    pub(crate) fn is_due(&self, superstep: u32) -> bool {
        self.gathered == 0 || self.anew && self.gathered < superstep
    }

    /// The set of `superstep` once it is complete; `None` when the task has to wait.
    pub(crate) fn poll(&mut self, superstep: u32) -> Result<Option<Gathered>> {
        if let Some((gate, builder)) = &mut self.gathers
            && self.shared.get(superstep).is_none()
        {
            let over = loop {
                match gate.next(None)? {
                    Arrival::Batch { batch, .. } => builder.add(batch),
                    Arrival::End { .. } => {}
                    Arrival::Empty => return Ok(None),
                    Arrival::AllEnded | Arrival::SuperstepEnd => break false,
                    Arrival::LoopOver => break true,
                }
            };
            gate.begin_superstep();
            self.shared.set(superstep, if over { Gathered::LoopOver } else { Gathered::Set(builder.finish()) });
        }
        let gathered = self.shared.get(superstep);
        if gathered.is_some() {
            self.gathered = superstep;
        }
        Ok(gathered)
    }

    /// Takes in what waits in front of the gathering subtask.
    pub(crate) fn absorb(&self) -> Result<()> {
        self.gathers.as_ref().map_or(Ok(()), |(gate, _)| gate.absorb())
    }

    /// Reads no further.
    pub(crate) fn abandon(&self) {
        if let Some((gate, _)) = &self.gathers {
            gate.abandon();
        }
    }
}
