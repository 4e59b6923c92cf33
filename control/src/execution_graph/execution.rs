//! One subtask with its present attempt and what is remembered of earlier ones.

use crate::time::Timestamp;
use crate::view::{AttemptView, PlaceView};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ExecutionId, TaskExecutorId, TaskState, WorkerId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A TaskExecutor as the JobMaster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecutorInfo {
    pub(crate) id: TaskExecutorId,
    pub(crate) host: Arc<str>,
    pub(crate) data_address: Arc<str>,
}

/// Where an attempt runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The JobMaster's number of the TaskExecutor.
    pub(crate) executor: u32,
    pub(crate) info: Arc<ExecutorInfo>,
    pub(crate) slot: u32,
    pub(crate) worker: WorkerId,
}

/// A subtask.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) attempt: u32,
    state: TaskState,
    timestamps: [Option<Timestamp>; 9],
    pub(crate) place: Option<Place>,
    /// Where its finished partitions are, if it has any: the number of a TaskExecutor.
    pub(crate) results: Option<u32>,
    /// Where they were, while that TaskExecutor is lost and its successor may come with them.
    pub(crate) absent: Option<u32>,
    pub(crate) failure: Option<Arc<str>>,
    pub(crate) accumulators: BTreeMap<String, AccumulatorValue>,
    earlier: Vec<AttemptView>,
}

impl Execution {
    /// The first attempt, CREATED.
    pub(crate) fn new(now: Timestamp) -> Execution {
        let mut execution = Execution {
            attempt: 0,
            state: TaskState::Created,
            timestamps: [None; 9],
            place: None,
            results: None,
            absent: None,
            failure: None,
            accumulators: BTreeMap::new(),
            earlier: Vec::new(),
        };
        execution.timestamps[TaskState::Created as usize] = Some(now);
        execution
    }

    pub(crate) fn state(&self) -> TaskState {
        self.state
    }

    /// The next state; the caller has seen to it that it is a legal one.
    pub(super) fn advance(&mut self, next: TaskState, now: Timestamp) {
        assert!(self.state.leads_to(next), "a task went from {} to {next}", self.state);
        self.state = next;
        self.timestamps[next as usize] = Some(now);
    }

    /// The next attempt, CREATED; the present one has ended or never began.
    pub(super) fn renew(&mut self, vertex: VertexId, subtask: u32, kept: usize, now: Timestamp) {
        assert!(self.state.is_terminal(), "a task in state {} was replaced", self.state);
        let mut earlier = std::mem::take(&mut self.earlier);
        if kept > 0 {
            earlier.drain(..(earlier.len() + 1).saturating_sub(kept));
            earlier.push(self.view(vertex, subtask));
        }
        *self = Execution { attempt: self.attempt + 1, earlier, ..Execution::new(now) };
    }

    pub(crate) fn started(&self) -> Option<Timestamp> {
        self.timestamps[TaskState::Deploying as usize]
    }

    /// Since when it has been stopping, if it is.
    pub(crate) fn canceling_since(&self) -> Option<Timestamp> {
        let is_canceling = self.state == TaskState::Canceling;
        is_canceling.then_some(self.timestamps[TaskState::Canceling as usize]).flatten()
    }

    pub(crate) fn ended(&self) -> Option<Timestamp> {
        self.state.is_terminal().then_some(self.timestamps[self.state as usize]).flatten()
    }

    pub(crate) fn view(&self, vertex: VertexId, subtask: u32) -> AttemptView {
        let place = self.place.as_ref().map(|place| PlaceView {
            task_executor: place.info.id.clone(),
            host: Arc::clone(&place.info.host),
            worker: place.worker,
            slot: place.slot,
        });
        AttemptView {
            execution: ExecutionId { vertex, subtask, attempt: self.attempt },
            state: self.state,
            timestamps: self.timestamps,
            place,
            failure: self.failure.clone(),
        }
    }

    pub(crate) fn earlier(&self) -> &[AttemptView] {
        &self.earlier
    }
}
