//! Broadcast sets on their way to an operator: one subtask gathers, all share the value.

use crate::network::Inbox;
use crate::task::gate::Arrival;
use crate::task::scheduler::lock;
use crate::task::{Gate, GateInput, TaskCell, current_task};
use flinkrs_core::Result;
use flinkrs_core::function::BroadcastBuilder;
use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock};

/// A complete broadcast set: an `Arc<Vec<T>>`.
type Value = Arc<dyn Any + Send + Sync>;

/// The value that the subtasks of one vertex share, and who waits for it.
#[derive(Default)]
pub(crate) struct SharedSet {
    value: OnceLock<Value>,
    waiting: Mutex<Vec<Arc<TaskCell>>>,
}

impl SharedSet {
    /// The value, or the promise to wake the current task when it is there.
    fn get(&self) -> Option<Value> {
        if let Some(value) = self.value.get() {
            return Some(Arc::clone(value));
        }
        lock(&self.waiting).extend(current_task());
        // It may have been set in between, by a subtask that didn't see this one wait.
        self.value.get().map(Arc::clone)
    }

    fn set(&self, value: Value) {
        assert!(self.value.set(value).is_ok(), "one subtask gathers a broadcast set");
        std::mem::take(&mut *lock(&self.waiting)).iter().for_each(TaskCell::wake);
    }
}

/// One broadcast set as one subtask waits for it.
pub(crate) struct BroadcastGather {
    /// Position of the operator in the chain.
    pub(crate) link: usize,
    pub(crate) name: String,
    shared: Arc<SharedSet>,
    /// In the subtask that gathers: where the records come from and what they become.
    gathers: Option<(Gate, Box<dyn BroadcastBuilder>)>,
}

impl BroadcastGather {
    /// For the subtask that gathers what comes through `inbox`.
    pub(crate) fn leader(
        link: usize,
        name: String,
        shared: Arc<SharedSet>,
        inbox: Arc<Inbox>,
        builder: Box<dyn BroadcastBuilder>,
    ) -> BroadcastGather {
        let gate = Gate::new(vec![GateInput::new(vec![inbox])]);
        BroadcastGather { link, name, shared, gathers: Some((gate, builder)) }
    }

    /// For a subtask that waits for the one that gathers.
    pub(crate) fn follower(link: usize, name: String, shared: Arc<SharedSet>) -> BroadcastGather {
        BroadcastGather { link, name, shared, gathers: None }
    }

    /// The set once it is complete; `None` when the task has to wait.
    pub(crate) fn poll(&mut self) -> Result<Option<Value>> {
        if let Some((gate, builder)) = &mut self.gathers {
            loop {
                match gate.next(None)? {
                    Arrival::Batch { batch, .. } => builder.add(batch),
                    Arrival::End { .. } => {}
                    Arrival::Empty => return Ok(None),
                    Arrival::AllEnded => break,
                }
            }
        }
        if let Some((_, builder)) = self.gathers.take() {
            self.shared.set(builder.finish());
        }
        Ok(self.shared.get())
    }

    /// Reads no further.
    pub(crate) fn abandon(&self) {
        if let Some((gate, _)) = &self.gathers {
            gate.abandon();
        }
    }
}
