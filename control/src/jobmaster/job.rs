//! One job: its regions on their way from waiting to finished, and back after a failure.

use crate::execution_graph::{ExecutionGraph, Place};
use crate::failover::{History, RestartPolicy};
use crate::jobmaster::absent::Absence;
use crate::jobmaster::pool::Pool;
use crate::jobmaster::sinks::Phase;
use crate::jobmaster::timers::{Out, Timer};
use crate::jobmaster::{JobCommand, JobSubmission, Recovered};
use crate::options::JobOptions;
use crate::regions::{RegionId, is_blocking};
use crate::scheduler::{SlotKey, SlotTable};
use crate::splits::SplitAssigner;
use crate::time::Timestamp;
use flinkrs_core::function::AccumulatorValue;
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{ExecutionId, Failure, JobId, JobState, PartitionId, Producers, TaskState, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A job that has been submitted.
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) options: JobOptions,
    pub(super) has_sinks: bool,
    /// Whether a JobManager before this one has run it: loops may have snapshots.
    pub(super) recovered: bool,
    pub(crate) graph: ExecutionGraph,
    pub(super) regions: Vec<Region>,
    pub(super) slots: SlotTable,
    /// By component, regions that could run if they had slots.
    pub(super) ready: Vec<BTreeSet<RegionId>>,
    pub(super) splits: BTreeMap<VertexId, SplitAssigner>,
    pub(super) policy: RestartPolicy,
    pub(super) history: History,
    pub(super) restarts: u32,
    pub(super) phase: Phase,
    /// How the job is to end, if not well.
    pub(super) goal: Option<Goal>,
    /// The worker that has been asked to begin, commit or abort sinks.
    pub(super) sink_call: Option<WorkerId>,
    pub(super) sinks_begun: bool,
    /// No worker is asked before.
    pub(super) calm_until: Timestamp,
    /// Regions that wait for a worker to start, each with the generation of its slots.
    pub(super) awaiting: BTreeMap<WorkerId, Vec<(RegionId, u32)>>,
    pub(super) deployable: BTreeSet<RegionId>,
    /// By edge, the producers of all-to-all edges, as long as nothing changes about them.
    pub(super) producers: Vec<Option<Arc<Producers>>>,
    /// Regions that haven't finished.
    pub(super) unfinished: u32,
    /// Regions with tasks that haven't ended.
    pub(super) active: u32,
    /// Regions that are being stopped, or wait, before they run again.
    pub(super) restarting: BTreeSet<RegionId>,
    pub(super) starving: Option<Starving>,
    /// Whether a timer looks after slots that are kept while others are missing.
    pub(super) idle_timer: bool,
    /// TaskExecutors that may have finished partitions.
    pub(super) touched: BTreeSet<u32>,
    /// By TaskExecutor that is lost and had finished partitions: they may come back.
    pub(super) absences: BTreeMap<u32, Absence>,
    pub(super) accumulators: BTreeMap<String, AccumulatorValue>,
}

/// A region.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) stage: Stage,
    /// How often it was placed.
    pub(super) generation: u32,
    pub(super) slots: Vec<SlotKey>,
    /// Its tasks that haven't ended, while it has slots.
    pub(super) open: u32,
    /// Workers that have to start before it is deployed.
    pub(super) waits_for: u32,
    pub(super) not_before: Timestamp,
    /// Whether it was deployed when what it reads went out of reach: if it fails, it is by that.
    pub(super) bereft: bool,
    /// Whether it has finished before: its sources read the same splits again.
    pub(super) settled: bool,
}

/// Where a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For input or slots.
    Waiting,
    /// It has slots, and workers there start.
    Placed,
    Deployed,
    /// Its tasks are being stopped.
    Stopping,
    /// It waits for the end of a restart's delay.
    Delayed,
    Finished,
}

/// How a job is to end.
#[derive(Clone, Debug)]
pub(super) enum Goal {
    Failed(Failure),
    Canceled,
}

/// What a job waits for when it has too few slots.
#[derive(Clone, Debug)]
pub(super) struct Starving {
    pub(super) since: Timestamp,
    pub(super) lacking: Lacking,
}

/// What needs more slots than there are.
#[derive(Clone, Debug)]
pub(super) struct Lacking {
    pub(super) slots: u32,
    /// The same in words, with what they are for.
    pub(super) needs: String,
    /// What it is called.
    pub(super) name: Arc<str>,
}

/// What a job acts on while it handles an event.
pub(crate) struct Context<'a> {
    pub(crate) pool: &'a mut Pool,
    pub(crate) out: &'a mut Out,
    pub(crate) now: Timestamp,
}

impl Job {
    /// A job that has the slots of the pool, and is about to begin.
    pub(crate) fn new(submission: JobSubmission, cx: &mut Context) -> Job {
        let JobSubmission { job, graph, has_sinks, options, recovered, .. } = submission;
        let is_new = recovered == Recovered::No;
        let (phase, accumulators) = match recovered {
            Recovered::Committing(accumulators) => (Phase::Committing, accumulators),
            Recovered::No | Recovered::Running => (Phase::Beginning, BTreeMap::new()),
        };
        let edges = graph.edges.len();
        let assigner = |vertex: &flinkrs_protocol::JobVertex| {
            let source = vertex.source.as_ref()?;
            Some((vertex.id, SplitAssigner::new(&source.splits, vertex.parallelism)))
        };
        let splits = graph.vertices.iter().filter_map(assigner).collect();
        let graph = ExecutionGraph::new(graph, options.attempts_history_size, cx.now);
        let components = graph.regions.components().len();
        let lanes = graph.regions.components().iter().flat_map(|component| &component.lanes);
        let mut slots = SlotTable::new(lanes.map(|lane| lane.group).collect());
        cx.pool.all_slots().for_each(|slot| slots.add(slot));
        let mut job = Job {
            id: job,
            has_sinks,
            recovered: !is_new,
            regions: vec![Region::new(cx.now); graph.regions.count() as usize],
            slots,
            ready: vec![BTreeSet::new(); components],
            splits,
            policy: RestartPolicy::new(options.restart.clone()),
            history: History::new(options.exception_history_size),
            restarts: 0,
            phase,
            goal: None,
            sink_call: None,
            sinks_begun: !is_new,
            calm_until: cx.now,
            awaiting: BTreeMap::new(),
            deployable: BTreeSet::new(),
            producers: vec![None; edges],
            unfinished: graph.regions.count(),
            active: 0,
            restarting: BTreeSet::new(),
            starving: None,
            idle_timer: false,
            touched: BTreeSet::new(),
            absences: BTreeMap::new(),
            accumulators,
            graph,
            options,
        };
        let first = if is_new { JobState::Created } else { JobState::Reconciling };
        job.set_state(first, cx);
        job.set_state(JobState::Running, cx);
        job.start_workers(cx);
        job
    }

    /// How many slots it can use.
    pub(crate) fn slots_wanted(&self) -> u32 {
        self.graph.regions.slots_wanted().max(1)
    }

    /// Starts workers wherever there are slots: tasks will need them.
    pub(crate) fn start_workers(&mut self, cx: &mut Context) {
        let with_slots = |(number, executor): (u32, &crate::jobmaster::pool::Executor)| {
            (!executor.slots.is_empty()).then_some(number)
        };
        let executors: Vec<u32> = cx.pool.executors().filter_map(with_slots).collect();
        for executor in executors {
            cx.pool.start_worker(executor, self.options.worker_start_timeout, cx.out, cx.now);
        }
    }

    pub(super) fn set_state(&mut self, state: JobState, cx: &mut Context) {
        self.graph.set_state(state, cx.now);
        cx.out.push(JobCommand::StateChanged { job: self.id, state });
    }

    pub(super) fn region(&mut self, region: RegionId) -> &mut Region {
        &mut self.regions[region.0 as usize]
    }

    /// Gives a region its slots; it is deployed once the workers there are ready.
    pub(super) fn place(&mut self, region: RegionId, slots: Vec<SlotKey>, cx: &mut Context) {
        let tasks = self.graph.tasks(region);
        let mut places: BTreeMap<u32, (WorkerId, Arc<_>)> = BTreeMap::new();
        for (executor, _) in &slots {
            places.entry(*executor).or_insert_with(|| {
                let worker = cx.pool.start_worker(*executor, self.options.worker_start_timeout, cx.out, cx.now);
                (worker, Arc::clone(&cx.pool.known(*executor).info))
            });
        }
        self.touched.extend(places.keys());
        let generation = self.region(region).generation + 1;
        let mut waits_for = 0;
        for (worker, _) in places.values().filter(|(worker, _)| !cx.pool.is_ready(*worker)) {
            self.awaiting.entry(*worker).or_default().push((region, generation));
            waits_for += 1;
        }
        for (vertex, subtask) in &tasks {
            let (executor, slot) = slots[self.graph.regions.slot_of(*vertex, *subtask)];
            let (worker, info) = &places[&executor];
            let place = Place { executor, info: Arc::clone(info), slot, worker: *worker };
            self.graph.execution_mut(*vertex, *subtask).place = Some(place);
            self.graph.advance(*vertex, *subtask, TaskState::Scheduled, cx.now);
        }
        self.restarting.remove(&region);
        self.active += 1;
        let of = self.region(region);
        (of.stage, of.generation, of.slots) = (Stage::Placed, generation, slots);
        (of.open, of.waits_for, of.bereft) = (tasks.len() as u32, waits_for, false);
        if waits_for == 0 {
            self.deployable.insert(region);
        }
    }

    /// A worker has connected: regions that waited for it, and for no other any more, are deployed.
    pub(crate) fn worker_ready(&mut self, worker: WorkerId) {
        for (region, generation) in self.awaiting.remove(&worker).unwrap_or_default() {
            let of = &mut self.regions[region.0 as usize];
            if of.stage == Stage::Placed && of.generation == generation {
                of.waits_for -= 1;
                if of.waits_for == 0 {
                    self.deployable.insert(region);
                }
            }
        }
    }

    /// Stops a region, so that it can run again or the job can end.
    pub(super) fn stop_region(&mut self, region: RegionId, cx: &mut Context) {
        match self.regions[region.0 as usize].stage {
            Stage::Waiting | Stage::Delayed | Stage::Stopping => return,
            Stage::Finished if self.goal.is_some() => return,
            Stage::Finished => {
                self.unfinished += 1;
                self.renew(region, true, cx);
                return;
            }
            Stage::Placed | Stage::Deployed => {}
        }
        self.deployable.remove(&region);
        let mut running: BTreeMap<WorkerId, Vec<ExecutionId>> = BTreeMap::new();
        for (vertex, subtask) in self.graph.tasks(region) {
            let execution = self.graph.execution(vertex, subtask);
            match execution.state() {
                TaskState::Scheduled => {
                    self.graph.advance(vertex, subtask, TaskState::Canceled, cx.now);
                    self.region(region).open -= 1;
                }
                state if state.is_deployed() => {
                    let worker = execution.place.as_ref().expect("a deployed task has a place").worker;
                    running.entry(worker).or_default().push(self.graph.id(vertex, subtask));
                    self.graph.advance(vertex, subtask, TaskState::Canceling, cx.now);
                }
                _ => {}
            }
        }
        for (worker, executions) in running {
            cx.out.push(JobCommand::CancelTasks { worker, job: self.id, executions });
            cx.out.at(cx.now + self.options.cancellation_timeout, Timer::Cancellation(worker));
        }
        self.region(region).stage = Stage::Stopping;
        self.region_stopped_if_empty(region, cx);
    }

    /// Frees a stopped region's slots once its last task has ended.
    pub(super) fn region_stopped_if_empty(&mut self, region: RegionId, cx: &mut Context) {
        if self.region(region).open > 0 {
            return;
        }
        self.active -= 1;
        self.give_back(region);
        if self.goal.is_some() {
            self.region(region).stage = Stage::Delayed;
        } else {
            self.renew(region, false, cx);
        }
    }

    pub(super) fn give_back(&mut self, region: RegionId) {
        let mut slots = std::mem::take(&mut self.region(region).slots).into_iter();
        let component = self.graph.regions.component(region);
        for (lane, of) in (component.first_lane..).zip(&component.lanes) {
            slots.by_ref().take(of.slots as usize).for_each(|slot| self.slots.give_back(lane, slot));
        }
    }

    /// Forgets what some tasks have finished: nobody may read any more what will be written again.
    pub(super) fn drop_results(&mut self, tasks: &[(VertexId, u32)], cx: &mut Context) {
        let mut released: BTreeMap<u32, Vec<PartitionId>> = BTreeMap::new();
        for (vertex, subtask) in tasks {
            let execution = self.graph.execution_mut(*vertex, *subtask);
            execution.absent = None;
            let Some(executor) = execution.results else { continue };
            let (subtask, attempt) = (*subtask, execution.attempt);
            let partitions = self.graph.outputs(*vertex).filter(|(_, edge)| is_blocking(edge));
            let partitions = partitions.map(|(edge, _)| PartitionId { edge: edge as u32, subtask, attempt });
            released.entry(executor).or_default().extend(partitions);
            self.lose_results(*vertex, subtask);
        }
        for (executor, partitions) in released {
            let task_executor = cx.pool.known(executor).info.id.clone();
            let partitions = Some(partitions);
            cx.out.push(JobCommand::ReleasePartitions { task_executor, job: self.id, partitions });
        }
    }

    /// A task's finished partitions can't be read any more.
    pub(super) fn lose_results(&mut self, vertex: VertexId, subtask: u32) {
        self.graph.lose_results(vertex, subtask);
        self.forget_producers(vertex);
    }

    /// Something about the producers of a vertex's edges has changed.
    pub(super) fn forget_producers(&mut self, vertex: VertexId) {
        for (edge, _) in self.graph.outputs(vertex) {
            self.producers[edge] = None;
        }
    }

    /// Begins the next attempts of a region's tasks. With `finished` these read the same splits as before.
    fn renew(&mut self, region: RegionId, finished: bool, cx: &mut Context) {
        for (vertex, subtask) in self.graph.tasks(region) {
            if let Some(splits) = self.splits.get_mut(&vertex) {
                splits.reset(subtask, finished);
            }
            if self.graph.execution(vertex, subtask).state() != TaskState::Created {
                self.graph.renew(vertex, subtask, cx.now);
            }
            for (edge, _) in self.graph.outputs(vertex) {
                self.producers[edge] = None;
            }
        }
        self.region(region).stage = Stage::Delayed;
        self.restart_if_due(region, cx.now);
    }

    /// Lets a region wait for input and slots again once its delay is over.
    pub(super) fn restart_if_due(&mut self, region: RegionId, now: Timestamp) {
        let of = self.region(region);
        if of.stage == Stage::Delayed && of.not_before <= now {
            of.stage = Stage::Waiting;
            self.restarting.remove(&region);
            self.offer(region);
        }
    }
}

impl Region {
    fn new(now: Timestamp) -> Region {
        Region {
            stage: Stage::Waiting,
            generation: 0,
            slots: Vec::new(),
            open: 0,
            waits_for: 0,
            not_before: now,
            bereft: false,
            settled: false,
        }
    }
}
