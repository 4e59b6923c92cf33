//! A JobMaster and a ResourceManager with thousands of TaskExecutors that answer at once.
//!
//! Without a clock, so that the test of this crate and the benchmark share it.

use flinkrs_control::Timestamp;
use flinkrs_control::jobmaster::{JobCommand, JobEvent, JobMaster, JobSubmission, Recovered, TaskUpdate};
use flinkrs_control::options::{JobOptions, ResourceOptions};
use flinkrs_control::resource_manager::{Registration, ResourceCommand, ResourceEvent, ResourceManager};
use flinkrs_core::id::{OperatorId, VertexId};
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, DriverStrategy, ExchangeMode, Part, ShipStrategy};
use flinkrs_protocol::{
    ApplicationId, ChainedOperator, ExecutionId, JobEdge, JobGraph, JobId, JobSource, JobVertex, TaskExecutorId,
    TaskState, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const APPLICATION: ApplicationId = ApplicationId(1);
const JOB: JobId = JobId(1);

/// The cluster and what its JobMaster has done.
pub(crate) struct Cluster {
    master: JobMaster,
    resources: ResourceManager,
    now: u64,
    executors: BTreeMap<WorkerId, TaskExecutorId>,
    /// What runs, and where.
    pub(crate) running: BTreeMap<ExecutionId, WorkerId>,
    /// Deployments, one per worker and time.
    pub(crate) deployments: usize,
    /// Bytes that the places of producers take in all deployments.
    pub(crate) bytes_sent: usize,
    /// Bytes of these that were ever encoded: what is shared counts once.
    pub(crate) bytes_encoded: usize,
    encoded: BTreeSet<usize>,
    /// How many tasks were told to stop.
    pub(crate) cancelled: usize,
    /// Whether the job has ended, and how.
    pub(crate) ended: Option<flinkrs_protocol::JobState>,
}

/// A producer and a consumer of `parallelism` subtasks each, all to all.
pub(crate) fn all_to_all(parallelism: u32, mode: ExchangeMode) -> JobGraph {
    let vertex = |id: u32, inputs: u8| JobVertex {
        id: VertexId(id),
        name: format!("v{id}"),
        parallelism,
        slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.into(),
        chain: vec![ChainedOperator {
            operator: OperatorId(id),
            part: Part::Driver(DriverStrategy::Only),
            name: format!("v{id}"),
            memory_weight: 1,
        }],
        inputs,
        source: (inputs == 0).then(|| JobSource { splits: Vec::new() }),
        broadcast_inputs: Vec::new(),
        of_loop: None,
    };
    let edge = JobEdge {
        from: VertexId(0),
        side: None,
        to: VertexId(1),
        input: 0,
        ship: ShipStrategy::PartitionHash,
        mode,
        partitioner: Some((OperatorId(1), 0)),
        replay: false,
    };
    JobGraph { name: "scale".to_owned(), vertices: vec![vertex(0, 0), vertex(1, 1)], edges: vec![edge], loops: vec![] }
}

impl Cluster {
    /// So many TaskExecutors, registered.
    pub(crate) fn new(executors: u32, slots: u32) -> Cluster {
        let mut cluster = Cluster {
            master: JobMaster::new(APPLICATION, 1),
            resources: ResourceManager::new(ResourceOptions::default()),
            now: 0,
            executors: BTreeMap::new(),
            running: BTreeMap::new(),
            deployments: 0,
            bytes_sent: 0,
            bytes_encoded: 0,
            encoded: BTreeSet::new(),
            cancelled: 0,
            ended: None,
        };
        for number in 0..executors {
            let name = format!("te{number}");
            let data_address = Arc::from(format!("host{number}.example:6121"));
            let registration = Registration {
                task_executor: name.as_str().into(),
                host: name.as_str().into(),
                data_address,
                slots,
                slot_bytes: 1 << 30,
            };
            cluster.resources.handle(ResourceEvent::Register(registration), Timestamp(0));
        }
        cluster
    }

    /// Submits a job; returns when nothing is left to do before its tasks report.
    pub(crate) fn submit(&mut self, graph: JobGraph) {
        let submission = JobSubmission {
            job: JOB,
            execution: 1,
            graph: graph.into(),
            has_sinks: false,
            options: JobOptions::default(),
            recovered: Recovered::No,
        };
        self.tell(JobEvent::Submit(submission));
    }

    /// All tasks of a vertex that run report a state.
    pub(crate) fn report(&mut self, vertex: u32, state: TaskState) {
        let running: Vec<(ExecutionId, WorkerId)> =
            self.running.iter().filter(|(id, _)| id.vertex.0 == vertex).map(|(id, worker)| (*id, *worker)).collect();
        for (execution, worker) in running {
            if state.is_terminal() {
                self.running.remove(&execution);
            }
            let accumulators = BTreeMap::new();
            let update = TaskUpdate { job: JOB, worker, execution, state, failure: None, accumulators };
            self.tell(JobEvent::TaskChanged(update));
        }
    }

    /// The event that a TaskExecutor is lost; its tasks are gone.
    pub(crate) fn lose(&mut self, task_executor: &str) -> JobEvent {
        let task_executor = TaskExecutorId::from(task_executor);
        let on = &self.executors;
        self.running.retain(|_, worker| on[worker] != task_executor);
        let reason = "lost".to_owned();
        let event = ResourceEvent::Disconnected { task_executor: task_executor.clone(), reason: reason.clone() };
        self.resources.handle(event, Timestamp(self.now));
        JobEvent::TaskExecutorLost { task_executor, reason }
    }

    /// Time passes, for restarts.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now += millis;
        self.tell(JobEvent::Tick);
    }

    /// What the JobMaster makes of an event, and nothing else.
    pub(crate) fn decide(&mut self, event: JobEvent) -> Vec<JobCommand> {
        self.master.handle(event, Timestamp(self.now))
    }

    /// Hands in an event, and carries out what follows from it.
    pub(crate) fn tell(&mut self, event: JobEvent) {
        let commands = self.decide(event);
        self.perform(commands);
    }

    /// Carries out commands, and what follows from them.
    pub(crate) fn perform(&mut self, commands: Vec<JobCommand>) {
        let mut open = VecDeque::from(commands);
        while let Some(command) = open.pop_front() {
            let events = self.answer(command);
            for event in events {
                open.extend(self.decide(event));
            }
        }
    }

    /// Does what a command says; what the JobMaster hears of it.
    fn answer(&mut self, command: JobCommand) -> Vec<JobEvent> {
        match command {
            JobCommand::RequestSlots { total } => {
                let event = ResourceEvent::SlotsWanted { application: APPLICATION, total };
                let commands = self.resources.handle(event, Timestamp(self.now));
                let grant = |command| match command {
                    ResourceCommand::Grant { slots, .. } => Some(JobEvent::SlotsGranted { slots }),
                    _ => None,
                };
                commands.into_iter().filter_map(grant).collect()
            }
            JobCommand::StartWorker { task_executor, worker, .. } => {
                let data_address = Arc::from(format!("{task_executor}.example:{}", 10_000 + worker.0 % 50_000));
                self.executors.insert(worker, task_executor.clone());
                vec![JobEvent::WorkerReady { worker, task_executor, data_address }]
            }
            JobCommand::Deploy { worker, deployment } => {
                self.deployments += 1;
                self.running.extend(deployment.tasks.iter().map(|task| (task.execution, worker)));
                for input in &deployment.inputs {
                    let bytes = input.producers.encoded().expect("producers can be encoded");
                    self.bytes_sent += bytes.len();
                    if self.encoded.insert(Arc::as_ptr(&input.producers) as usize) {
                        self.bytes_encoded += bytes.len();
                    }
                }
                Vec::new()
            }
            JobCommand::CancelTasks { worker, executions, .. } => {
                self.cancelled += executions.len();
                let canceled = |execution: ExecutionId| {
                    self.running.remove(&execution);
                    let (state, accumulators) = (TaskState::Canceled, BTreeMap::new());
                    let update = TaskUpdate { job: JOB, worker, execution, state, failure: None, accumulators };
                    JobEvent::TaskChanged(update)
                };
                executions.into_iter().map(canceled).collect()
            }
            JobCommand::Ended(outcome) => {
                self.ended = Some(outcome.state);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}
