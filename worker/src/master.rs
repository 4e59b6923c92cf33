//! What tasks tell the JobMaster.

use crate::link::Link;
use flinkrs_core::error::Error;
use flinkrs_core::function::FunctionSource;
use flinkrs_core::id::OperatorId;
use flinkrs_core::source::Split;
use flinkrs_protocol::{ExecutionId, Failure, JobGraph, JobId, PartitionId, TaskState};
use flinkrs_rpc::body;
use flinkrs_rpc::message::FromWorker;
use flinkrs_runtime::{FinishedTask, Master};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Called with the answer to a request for a split.
type Answer = Box<dyn FnOnce(Option<Split>) + Send>;

/// The JobMaster of a job, behind the connection.
pub(crate) struct RemoteMaster {
    pub(crate) job: JobId,
    pub(crate) graph: Arc<JobGraph>,
    pub(crate) link: Arc<Link>,
    pub(crate) functions: Arc<dyn FunctionSource>,
    /// Who waits for a split.
    pub(crate) waiting: Mutex<BTreeMap<ExecutionId, Answer>>,
}

impl RemoteMaster {
    /// The answer to a request has come.
    pub(crate) fn split(&self, execution: ExecutionId, split: Option<Split>) {
        let answer = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&execution);
        if let Some(answer) = answer {
            answer(split);
        }
    }

    /// Says that a task has another state.
    pub(crate) fn changed(&self, execution: ExecutionId, state: TaskState, failure: Option<Failure>) {
        let accumulators = BTreeMap::new();
        let (report, looping) = (None, None);
        self.link.send(FromWorker::Task { job: self.job, execution, state, failure, accumulators, report, looping });
    }

    /// Sends the records of a subtask's result sinks.
    fn send_results(&self, execution: ExecutionId) -> flinkrs_core::Result<()> {
        for operator in &self.graph.vertices[execution.vertex.0 as usize].chain {
            let Some(result) = self.functions.result(operator.operator) else { continue };
            let sink: OperatorId = operator.operator;
            result.read(execution.subtask, &mut |_, block| {
                self.link.send(FromWorker::Result { job: self.job, sink, execution, block: block.to_vec() });
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Master for RemoteMaster {
    fn request_split(&self, execution: ExecutionId, answer: Answer) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(execution, answer);
        self.link.send(FromWorker::SplitRequest { job: self.job, execution });
    }

    fn finished(&self, execution: ExecutionId, end: FinishedTask) {
        if let Err(error) = self.send_results(execution) {
            return self.failed(execution, error);
        }
        let looping = end.looping.map(|(at, report)| Ok((at, body::encode(&report)?))).transpose();
        let looping = match looping {
            Ok(looping) => looping,
            Err(error) => return self.failed(execution, error),
        };
        let (job, state, accumulators, report) = (self.job, TaskState::Finished, end.accumulators, Some(end.report));
        self.link.send(FromWorker::Task { job, execution, state, failure: None, accumulators, report, looping });
    }

    fn failed(&self, execution: ExecutionId, error: Error) {
        match error.root() {
            Error::Cancelled => self.changed(execution, TaskState::Canceled, None),
            Error::Partition { edge, producer, attempt, .. } => {
                let partition = PartitionId { edge: *edge, subtask: *producer, attempt: *attempt };
                let (job, consumer, message) = (self.job, execution, error.to_string());
                self.link.send(FromWorker::PartitionUnavailable { job, consumer, partition, message });
                self.changed(execution, TaskState::Canceled, None);
            }
            _ => self.changed(execution, TaskState::Failed, Some(Failure::from(&error))),
        }
    }
}
