//! One execution of the program, served: its parts are run, its sinks begun and ended.

use crate::Worker;
use crate::master::RemoteMaster;
use crate::parts::divide;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::fs::{Located, locate};
use flinkrs_core::function::FunctionSource;
use flinkrs_core::id::OperatorId;
use flinkrs_protocol::{
    Deployment, ExecutionId, Failure, JobGraph, Location, TaskDeployment, TaskExecutorId, TaskReport, TaskState,
};
use flinkrs_rpc::body;
use flinkrs_rpc::message::{Execution, FromWorker, JobTasks, SinkStep, ToWorker};
use flinkrs_runtime::{
    ChannelId, Job, LoopReport, PeerId, RuntimeOptions, Sinks, SlotPools, SnapshotOptions, Surroundings,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often parts are looked at while something runs.
const TICK: Duration = Duration::from_millis(50);

/// How long after a peer's connection has ended what misses something since then fails by that: if its process has
/// ended, its TaskExecutor says so within that time, and how, and these tasks are cancelled.
const LOST_PEER: Duration = Duration::from_secs(1);

/// How often a worker says how far its tasks are.
const REPORT: Duration = Duration::from_millis(500);

/// An execution that this worker takes part in.
pub(crate) struct Serving<'a> {
    worker: &'a Worker,
    graph: Arc<JobGraph>,
    functions: &'a Arc<dyn FunctionSource>,
    master: Arc<RemoteMaster>,
    around: Surroundings,
    options: RuntimeOptions,
    slots: SlotPools,
    sinks: Sinks,
    parts: Parts,
    lost: Arc<Mutex<Vec<LostPeer>>>,
    /// Of parts that are over: what their tasks and loops did.
    over: (Vec<TaskReport>, BTreeMap<u32, LoopReport>),
    reported: Instant,
}

/// Parts that run.
type Parts = Arc<Mutex<Vec<Arc<Part>>>>;

/// A peer whose connection has ended, and the channels that hadn't.
struct LostPeer {
    noticed: Instant,
    peer: PeerId,
    channels: Vec<ChannelId>,
    message: String,
}

/// Tasks that were deployed together.
struct Part {
    deployment: Deployment,
    job: Job,
}

impl<'a> Serving<'a> {
    /// Errors when the folder of snapshots is on no file system that this program knows.
    pub(crate) fn new(
        worker: &'a Worker,
        execution: Execution,
        functions: &'a Arc<dyn FunctionSource>,
    ) -> Result<Serving<'a>> {
        let spec = &worker.spec;
        let graph = Arc::new(execution.graph);
        let master = Arc::new(RemoteMaster {
            job: execution.job,
            graph: Arc::clone(&graph),
            link: Arc::clone(&worker.link),
            functions: Arc::clone(functions),
            waiting: Mutex::default(),
        });
        let around = Surroundings {
            job: execution.job,
            application: spec.program.application,
            me: spec.worker,
            task_executor: TaskExecutorId::from(spec.task_executor.as_str()),
            stored: execution.stored,
            exchange: worker.exchange.clone(),
            loops: Arc::clone(&worker.loops),
            master: Arc::clone(&master) as Arc<_>,
        };
        let snapshots = execution.snapshots.map(|snapshots| {
            let Located { files, path: folder } = locate(Path::new(&snapshots.folder))?;
            Ok::<_, Error>(SnapshotOptions { files, folder, every: snapshots.every, resume: snapshots.resume })
        });
        let snapshots = snapshots.transpose()?;
        let token: Arc<str> = Arc::from(execution.job.to_string());
        let options = RuntimeOptions {
            job: Arc::clone(&token),
            threads: spec.threads as usize,
            memory_bytes: spec.slot_bytes as usize * spec.slots as usize,
            temp_dir: PathBuf::from(&spec.temp_dir),
            snapshots,
        };
        let slots = SlotPools::new(&graph, spec.slots as usize, spec.slot_bytes as usize);
        let sinks = Sinks::new(&graph, &**functions, &token);
        let (parts, lost) = (Parts::default(), Arc::default());
        let serving = Serving {
            worker,
            graph,
            functions,
            master,
            around,
            options,
            slots,
            sinks,
            parts,
            lost,
            over: Default::default(),
            reported: Instant::now(),
        };
        serving.listen();
        Ok(serving)
    }

    /// Hears of lost peers, and of what loops in other workers say.
    fn listen(&self) {
        let fail = |parts: &Parts, error: &dyn Fn() -> Error| {
            let running = parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
            running.iter().for_each(|part| part.job.fail(error()));
        };
        let lost = Arc::clone(&self.lost);
        self.worker.exchange.on_peer_lost(Arc::new(move |peer: PeerId, channels: Vec<ChannelId>, error: Error| {
            let (noticed, message) = (Instant::now(), format!("the connection to {peer} is lost: {error}"));
            let all = &mut *lost.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(LostPeer { noticed, peer, channels, message });
        }));
        let (loops, parts) = (Arc::clone(&self.worker.loops), Arc::clone(&self.parts));
        self.worker.exchange.on_message(Arc::new(move |_, message: Vec<u8>| {
            if let Err(error) = loops.receive(&message) {
                let text = error.to_string();
                fail(&parts, &|| Error::function(text.clone()));
            }
        }));
    }

    /// How long to wait for a command before [`look`](Serving::look) is due.
    pub(crate) fn tick(&self) -> Duration {
        TICK
    }

    /// Does what the JobMaster says.
    pub(crate) fn handle(&mut self, command: ToWorker) {
        match command {
            ToWorker::Deploy(deployment) => {
                let parts = divide(*deployment, &self.graph, &self.around.stored);
                parts.into_iter().for_each(|part| self.deploy(part));
            }
            ToWorker::Cancel { executions, .. } => self.cancel(&executions),
            ToWorker::Split { execution, split, .. } => self.master.split(execution, split),
            ToWorker::Sinks { job, step, attempts } => {
                let result = self.step(step, &attempts).map_err(|error| Failure::from(&error));
                self.worker.link.send(FromWorker::Sinks { job, step, result });
            }
            ToWorker::Registered | ToWorker::Heartbeat | ToWorker::Execution(_) | ToWorker::Ended { .. } => {}
        }
        if self.reported.elapsed() > REPORT {
            self.look();
        }
    }

    /// Forgets parts that are over, and says how far the others are.
    pub(crate) fn look(&mut self) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<LostPeer> = lost.extract_if(.., |peer| peer.noticed.elapsed() > LOST_PEER).collect();
        drop(lost);
        for of in due {
            // One that was cancelled meanwhile has ended without this.
            let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            let needing = parts.iter().filter(|part| self.needs(part, &of));
            needing.for_each(|part| part.job.fail(Error::network(of.message.clone())));
        }
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let (over, running): (Vec<_>, Vec<_>) = parts.drain(..).partition(|part| part.job.wait(Duration::ZERO));
        *parts = running;
        drop(parts);
        let changed = !over.is_empty();
        for part in over {
            self.over.0.extend(part.job.tasks());
            self.over.1.extend(part.job.led_loops());
            self.release(&part.deployment);
        }
        if changed || self.reported.elapsed() > REPORT {
            self.report();
        }
    }

    /// Whether something is missing to a part since a peer was lost: a part that has read all of what came from there
    /// goes on.
    fn needs(&self, part: &Part, lost: &LostPeer) -> bool {
        let Deployment { tasks, inputs, loops, .. } = &part.deployment;
        let (edges, around) = (&self.graph.edges, &self.around);
        let peer_at = |location: &Location| match location.worker {
            Some(worker) => PeerId::of_worker(around.application, worker),
            None => PeerId::of_task_executor(&location.task_executor),
        };
        let received = |channel: &ChannelId| {
            let input = inputs.iter().find(|input| input.edge == channel.edge);
            let from = input.and_then(|input| input.producers.find(channel.edge, channel.producer));
            let to = edges[channel.edge as usize].to;
            from.is_some_and(|(of, at)| of.attempt == channel.attempt && peer_at(at) == lost.peer)
                && tasks.iter().any(|of| of.execution.vertex == to && of.execution.subtask == channel.consumer)
        };
        let sent = |channel: &ChannelId| {
            let (vertex, subtask) = (edges[channel.edge as usize].from, channel.producer);
            tasks.iter().any(|of| of.execution == ExecutionId { vertex, subtask, attempt: channel.attempt })
        };
        let loops_there = || {
            let in_loop = |of: &TaskDeployment| self.graph.vertices[of.execution.vertex.0 as usize].of_loop;
            let mut members = tasks
                .iter()
                .filter_map(in_loop)
                .flat_map(|at| loops.iter().filter(move |of| of.at == at).flat_map(|of| of.members.iter()));
            members.any(|member| PeerId::of_worker(around.application, member.worker) == lost.peer)
        };
        // What a peer has asked for may be nothing of the graph.
        let is_known = |channel: &&ChannelId| channel.job == around.job.0 && (channel.edge as usize) < edges.len();
        let mut of_job = lost.channels.iter().filter(is_known);
        of_job.any(|channel| received(channel) || sent(channel)) || loops_there()
    }

    fn report(&mut self) {
        self.reported = Instant::now();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let running = parts.iter().flat_map(|part| part.job.tasks());
        let tasks: Vec<TaskReport> = self.over.0.iter().cloned().chain(running).collect();
        let led = parts.iter().flat_map(|part| part.job.led_loops());
        let loops: BTreeMap<u32, LoopReport> = self.over.1.clone().into_iter().chain(led).collect();
        self.worker.tell_task_executor(self.slots.in_use(), Some(self.job_tasks(&parts)));
        let encoded: Result<_> = loops.into_iter().map(|(at, report)| Ok((at, body::encode(&report)?))).collect();
        let job = self.around.job;
        match encoded {
            Ok(loops) => self.worker.link.send(FromWorker::Report { job, tasks, loops }),
            Err(error) => parts.iter().for_each(|part| part.job.fail(Error::internal(error.to_string()))),
        }
    }

    /// What runs here now, for the TaskExecutor.
    fn job_tasks(&self, parts: &[Arc<Part>]) -> JobTasks {
        let tasks: Vec<TaskReport> = parts.iter().flat_map(|part| part.job.tasks()).filter(|task| !task.done).collect();
        let mut vertices = BTreeMap::new();
        for task in &tasks {
            let id = task.execution.vertex;
            vertices.entry(id).or_insert_with(|| {
                let vertex = &self.graph.vertices[id.0 as usize];
                let operators = vertex.chain.iter().map(|operator| (operator.operator, operator.name.clone()));
                (vertex.name.clone(), operators.collect())
            });
        }
        JobTasks { job: self.around.job, name: self.graph.name.clone(), vertices, tasks }
    }

    fn deploy(&mut self, deployment: Deployment) {
        let executions: Vec<ExecutionId> = deployment.tasks.iter().map(|task| task.execution).collect();
        for execution in &executions {
            self.master.changed(*execution, TaskState::Running, None);
        }
        let (graph, functions) = (&*self.graph, &**self.functions);
        match Job::start_part(graph, functions, &self.options, &deployment, Some(&self.around), &self.slots) {
            Ok(job) => {
                let part = Arc::new(Part { deployment, job });
                self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
            }
            Err(error) => {
                self.release(&deployment);
                let failure = Failure::from(&error);
                for (i, execution) in executions.iter().enumerate() {
                    let (state, failure) =
                        if i == 0 { (TaskState::Failed, Some(failure.clone())) } else { (TaskState::Canceled, None) };
                    self.master.changed(*execution, state, failure);
                }
            }
        }
    }

    /// Stops the parts that have any of these tasks: what was deployed together ends together.
    fn cancel(&self, executions: &[ExecutionId]) {
        let cancelled: BTreeSet<&ExecutionId> = executions.iter().collect();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = |part: &&Arc<Part>| part.deployment.tasks.iter().any(|task| cancelled.contains(&task.execution));
        parts.iter().filter(hit).for_each(|part| part.job.cancel());
    }

    /// Drops what is left of the channels of tasks that are over.
    fn release(&self, deployment: &Deployment) {
        let job = deployment.job.0;
        let tasks: BTreeSet<ExecutionId> = deployment.tasks.iter().map(|task| task.execution).collect();
        let edges = &self.graph.edges;
        let sent = |channel: &ChannelId| {
            let vertex = edges[channel.edge as usize].from;
            tasks.contains(&ExecutionId { vertex, subtask: channel.producer, attempt: channel.attempt })
        };
        let received = |channel: &ChannelId| {
            let vertex = edges[channel.edge as usize].to;
            let input = deployment.inputs.iter().find(|input| input.edge == channel.edge);
            let producer = input.and_then(|input| input.producers.find(channel.edge, channel.producer));
            producer.is_some_and(|(partition, _)| partition.attempt == channel.attempt)
                && tasks.iter().any(|task| task.vertex == vertex && task.subtask == channel.consumer)
        };
        self.worker.exchange.release(|channel| channel.job == job && (sent(channel) || received(channel)));
    }

    fn step(&mut self, step: SinkStep, attempts: &BTreeMap<OperatorId, Vec<u32>>) -> Result<()> {
        match step {
            SinkStep::Begin => self.sinks.begin(),
            SinkStep::Commit => {
                self.sinks.finished(attempts);
                self.sinks.commit()?;
                match &self.options.snapshots {
                    Some(snapshots) if !self.graph.loops.is_empty() => snapshots.remove(),
                    _ => Ok(()),
                }
            }
            SinkStep::Abort => {
                self.sinks.abort();
                Ok(())
            }
        }
    }
}

impl Drop for Serving<'_> {
    /// What still runs is stopped, and its end waited for.
    fn drop(&mut self) {
        self.report();
        self.worker.exchange.on_peer_lost(Arc::new(|_, _, _| {}));
        let parts = std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner));
        parts.iter().for_each(|part| part.job.cancel());
        parts.iter().for_each(|part| self.release(&part.deployment));
        self.worker.loops.forget(self.around.job);
        self.worker.tell_task_executor(Vec::new(), None);
    }
}
