//! What surrounds the tasks of one process while other processes run the rest of the job.

use crate::control::report::SubtaskReport;
use crate::iteration::LoopMessages;
use crate::network::{Exchange, PeerId};
use crate::task::{TaskCell, block_until, current_task, lock};
use flinkrs_core::Result;
use flinkrs_core::error::Error;
use flinkrs_core::function::{AccumulatorValue, CancelFlag};
use flinkrs_core::source::{Split, SplitProvider};
use flinkrs_protocol::{ApplicationId, ExecutionId, JobId, TaskExecutorId, WorkerId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The rest of a job, as the tasks of one process see it.
pub struct Surroundings {
    /// The job.
    pub job: JobId,
    /// The application that it is a job of.
    pub application: ApplicationId,
    /// This process.
    pub me: WorkerId,
    /// The TaskExecutor that it runs on.
    pub task_executor: TaskExecutorId,
    /// By edge of the graph: whether what goes along it is kept in files until all who read it have.
    pub stored: Vec<bool>,
    /// The way to and from the other processes.
    pub exchange: Exchange,
    /// What the processes of a loop tell each other.
    pub loops: Arc<LoopMessages>,
    /// Who hands out splits, and is told of the ends of tasks.
    pub master: Arc<dyn Master>,
}

impl Surroundings {
    /// A worker of the application, in the exchange.
    pub(crate) fn peer(&self, worker: WorkerId) -> PeerId {
        PeerId::of_worker(self.application, worker)
    }
}

/// The JobMaster, as tasks see it; no call blocks.
pub trait Master: Send + Sync {
    /// Asks for the next split of a source; `answer` is called once, with `None` when there is none left.
    fn request_split(&self, execution: ExecutionId, answer: Box<dyn FnOnce(Option<Split>) + Send>);

    /// A task has ended well; everything that it wrote is complete.
    fn finished(&self, execution: ExecutionId, end: FinishedTask);

    /// A task has failed, or was cancelled ([`Error::Cancelled`]).
    fn failed(&self, execution: ExecutionId, error: Error);
}

/// What a task leaves that has ended well.
#[derive(Clone, Debug, Default)]
pub struct FinishedTask {
    /// Its counters.
    pub report: SubtaskReport,
    /// Its accumulators.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// The splits of a source task, asked for one ahead.
pub(super) struct RequestedSplits {
    execution: ExecutionId,
    master: Arc<dyn Master>,
    cancelled: CancelFlag,
    requested: Arc<Mutex<Requested>>,
}

#[derive(Default)]
struct Requested {
    /// Whether an answer is still to come.
    asked: bool,
    /// Answers that nobody has taken; `None` is the end.
    answers: Vec<Option<Split>>,
    waiting: Option<Arc<TaskCell>>,
}

impl RequestedSplits {
    pub(super) fn new(execution: ExecutionId, master: &Arc<dyn Master>, cancelled: CancelFlag) -> RequestedSplits {
        RequestedSplits { execution, master: Arc::clone(master), cancelled, requested: Arc::default() }
    }

    fn ask(&self) {
        {
            let mut requested = lock(&self.requested);
            if requested.asked {
                return;
            }
            requested.asked = true;
        }
        let requested = Arc::clone(&self.requested);
        self.master.request_split(
            self.execution,
            Box::new(move |split| {
                let mut requested = lock(&requested);
                // After the end there is nothing to ask for.
                requested.asked = split.is_none();
                requested.answers.push(split);
                let waiting = requested.waiting.take();
                drop(requested);
                waiting.iter().for_each(TaskCell::wake);
            }),
        );
    }
}

impl SplitProvider for RequestedSplits {
    fn next_split(&self, _subtask: u32) -> Result<Option<Split>> {
        self.ask();
        let mut taken = None;
        block_until(|| {
            let mut requested = lock(&self.requested);
            taken = requested.answers.pop();
            requested.waiting = current_task().filter(|_| taken.is_none());
            taken.is_some() || self.cancelled.is_cancelled()
        });
        let split = taken.ok_or(Error::Cancelled)?;
        if split.is_some() {
            self.ask();
        }
        Ok(split)
    }
}
