//! Turns a JobGraph into tasks: every subtask with its chain, its queues and its share of memory.

use crate::control::job::{Failure, ReportEnd, RuntimeOptions};
use crate::control::report::{SubtaskCounters, TaskStatus, VertexCounters};
use crate::control::splits::SplitQueue;
use crate::iteration::{LoopControl, LoopRule, LoopSnapshots, OutputLoop, RestoredFeedback, TaskLoop};
use crate::network::{ChannelSender, EdgeWriter, Inbox, Keyed, LocalSender, Spread, TaskOutput};
use crate::snapshot::{LoopStore, MANIFEST, Origin, SnapshotOptions, SnapshotThread, StateFiles};
use crate::task::{BroadcastGather, Chain, Course, Gate, GateInput, Link, Scheduler, SharedSet, Task, TaskCell};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{
    Accumulators, BroadcastSets, FunctionSource, IterationContext, OperatorMetrics, SlotState,
};
use flinkrs_core::id::Subtask;
use flinkrs_core::resource::MemoryPool;
use flinkrs_core::source::SplitProvider;
use flinkrs_core::strategy::{ExchangeMode, Part, ShipStrategy};
use flinkrs_core::types::codec;
use flinkrs_core::{Batch, Operator, RuntimeContext};
use flinkrs_memory::{BatchSpillBuffer, SpillSpace};
use flinkrs_protocol::{ChainedOperator, EdgeLists, JobEdge, JobGraph, JobLoop, JobVertex, LoopEnd};
use std::path::Path;
use std::sync::Arc;

/// The memory weight of a blocking edge in each consuming subtask, beside the weights of the operators.
const BLOCKING_EDGE_WEIGHT: u64 = 1;

/// The memory weight of what a loop feeds back, in each of its subtasks: it is written while the last is read.
const FEEDBACK_WEIGHT: u64 = 1;

/// The memory weight of an edge that each superstep of a loop reads again, in each consuming subtask.
const REPLAY_WEIGHT: u64 = 1;

/// The tasks of a job, ready to start, and their counters.
pub(crate) struct Deployment {
    pub(crate) loops: Vec<Arc<LoopControl>>,
    pub(crate) tasks: Vec<Arc<TaskCell>>,
    pub(crate) counters: Vec<VertexCounters>,
    pub(crate) snapshots: Option<Arc<SnapshotThread>>,
}

struct Deployer<'a> {
    graph: &'a JobGraph,
    edges: EdgeLists,
    functions: &'a dyn FunctionSource,
    scheduler: &'a Arc<Scheduler>,
    failure: &'a Arc<Failure>,
    /// By edge and consuming subtask.
    inboxes: Vec<Vec<Arc<Inbox>>>,
    /// The counters of each vertex's first operator, by vertex and subtask: what a blocking edge spills counts there.
    heads: Vec<Vec<Arc<OperatorMetrics>>>,
    /// By slot: subtask `i` of every vertex runs in slot `i`.
    pools: Vec<Arc<MemoryPool>>,
    /// What the operators of each slot share.
    slots: Vec<Arc<SlotState>>,
    loops: Vec<Arc<LoopControl>>,
    /// The managed memory of each slot.
    slot_bytes: usize,
    /// The sum of all weights, of which each operator has its part.
    weights: u64,
    temp_dir: Arc<Path>,
    job: Arc<str>,
}

/// Builds all tasks.
pub(crate) fn deploy(
    graph: &JobGraph,
    functions: &dyn FunctionSource,
    options: &RuntimeOptions,
    scheduler: &Arc<Scheduler>,
    failure: &Arc<Failure>,
) -> Result<Deployment> {
    let slots = graph.vertices.iter().map(|vertex| vertex.parallelism).max().unwrap_or(1) as usize;
    let slot_bytes = options.memory_bytes / slots;
    let blocking = graph.edges.iter().filter(|edge| edge.mode == ExchangeMode::Blocking).count() as u64;
    let replayed = graph.edges.iter().filter(|edge| edge.replay).count() as u64;
    let beside =
        blocking * BLOCKING_EDGE_WEIGHT + replayed * REPLAY_WEIGHT + 2 * FEEDBACK_WEIGHT * graph.loops.len() as u64;
    let operators = graph.vertices.iter().flat_map(|vertex| &vertex.chain);
    let weights = operators.map(|op| u64::from(op.memory_weight)).sum::<u64>() + beside;
    let temp_dir = Arc::from(options.temp_dir.as_path());
    let snapshot_options = options.snapshots.as_ref().filter(|_| !graph.loops.is_empty());
    let snapshots = snapshot_thread(snapshot_options, failure)?;
    let control = |at| control(graph, functions, at, snapshot_options, snapshots.as_ref());
    let loops = (0..graph.loops.len()).map(control).collect::<Result<_>>()?;
    let mut deployer = Deployer {
        graph,
        edges: graph.edge_lists(),
        functions,
        scheduler,
        failure,
        inboxes: Vec::new(),
        heads: graph.vertices.iter().map(|v| (0..v.parallelism).map(|_| Arc::default()).collect()).collect(),
        pools: Vec::new(),
        slots: (0..slots).map(|_| Arc::default()).collect(),
        loops,
        slot_bytes,
        weights,
        temp_dir,
        job: Arc::clone(&options.job),
    };
    let held_back = deployer.guaranteed(beside);
    deployer.pools = (0..slots).map(|_| MemoryPool::new(slot_bytes - held_back)).collect();
    deployer.inboxes = (0..graph.edges.len()).map(|edge| deployer.inboxes_of(edge)).collect::<Result<_>>()?;
    let mut deployment =
        Deployment { loops: deployer.loops.clone(), tasks: Vec::new(), counters: Vec::new(), snapshots };
    for vertex in &graph.vertices {
        let counters = deployer.vertex(vertex, &mut deployment.tasks)?;
        deployment.counters.push(counters);
    }
    Ok(deployment)
}

/// The thread that completes the snapshots of all loops, if they have any; what a run before has left is removed unless
/// the job goes on from that.
fn snapshot_thread(options: Option<&SnapshotOptions>, failure: &Arc<Failure>) -> Result<Option<Arc<SnapshotThread>>> {
    let Some(options) = options else { return Ok(None) };
    if !options.resume {
        options.remove()?;
    }
    let failed = Arc::clone(failure);
    SnapshotThread::start(move |error| failed.report(error)).map(Some)
}

/// The control of a loop.
fn control(
    graph: &JobGraph,
    functions: &dyn FunctionSource,
    at: usize,
    options: Option<&SnapshotOptions>,
    thread: Option<&Arc<SnapshotThread>>,
) -> Result<Arc<LoopControl>> {
    let of = &graph.loops[at];
    let with = options.zip(thread);
    let snapshots = with.map(|(options, thread)| snapshots(graph, functions, at, options, thread)).transpose()?;
    let rule =
        LoopRule { max_supersteps: of.max_supersteps, end: of.end, convergence: functions.convergence(of.close) };
    let parallelism = graph.vertices[of.tail.0 as usize].parallelism as usize;
    Ok(LoopControl::new(of.name.clone(), rule, parallelism, snapshots))
}

/// The snapshots of a loop: their folder, and the one to go on from.
fn snapshots(
    graph: &JobGraph,
    functions: &dyn FunctionSource,
    at: usize,
    options: &SnapshotOptions,
    thread: &Arc<SnapshotThread>,
) -> Result<LoopSnapshots> {
    let of = &graph.loops[at];
    let solution = of.solution.map(|id| functions.empty_batch(id)).transpose()?;
    let origin = Origin {
        codec: codec::NAME.to_owned(),
        job: graph.name.clone(),
        name: of.name.clone(),
        parallelism: graph.vertices[of.tail.0 as usize].parallelism,
        feedback: fed_back(graph, functions, of)?.record_type(),
        solution: solution.map(|batch| batch.record_type()),
        plan: format!("{:016x}", graph.fingerprint()),
    };
    let store = LoopStore::create(options, at + 1, origin)?;
    let from = if options.resume { store.newest()? } else { None };
    if let Some(from) = from.as_ref().filter(|from| from.superstep >= of.max_supersteps) {
        let (ended, most) = (from.superstep, of.max_supersteps);
        return Err(store.broken(MANIFEST, &format!("is of superstep {ended}, and this loop has at most {most}")));
    }
    Ok(LoopSnapshots::new(Arc::new(store), options.every, from, Arc::clone(thread)))
}

/// An empty batch of what a loop feeds back: what its head emits.
fn fed_back(graph: &JobGraph, functions: &dyn FunctionSource, of: &JobLoop) -> Result<Batch> {
    functions.empty_batch(graph.vertices[of.head.0 as usize].chain[0].operator)
}

impl Deployer<'_> {
    fn inboxes_of(&self, index: usize) -> Result<Vec<Arc<Inbox>>> {
        let edge = &self.graph.edges[index];
        let from = &self.graph.vertices[edge.from.0 as usize];
        let to = &self.graph.vertices[edge.to.0 as usize];
        let producers = if edge.ship == ShipStrategy::Forward { 1 } else { from.parallelism as usize };
        let is_set = to.broadcast_inputs.iter().any(|set| set.edge as usize == index);
        // A broadcast set is gathered once and shared.
        let consumers = if is_set { 1 } else { to.parallelism as usize };
        (0..consumers)
            .map(|subtask| {
                Ok(match edge.mode {
                    ExchangeMode::Pipelined => Inbox::pipelined(producers),
                    ExchangeMode::Blocking => {
                        let memory = self.guaranteed(BLOCKING_EDGE_WEIGHT);
                        Inbox::blocking(producers, BatchSpillBuffer::new(&self.space(to, subtask), memory))
                    }
                })
            })
            .collect()
    }

    /// What an operator of that weight has of a slot's memory for certain: half of its fair part, so that the other
    /// half goes to whoever needs it.
    fn guaranteed(&self, weight: u64) -> usize {
        (self.slot_bytes as u64 * weight / (2 * self.weights.max(1))) as usize
    }

    fn vertex(&self, vertex: &JobVertex, tasks: &mut Vec<Arc<TaskCell>>) -> Result<VertexCounters> {
        let splits: Option<Arc<dyn SplitProvider>> =
            vertex.source.as_ref().map(|source| Arc::new(SplitQueue::new(&source.splits)) as Arc<dyn SplitProvider>);
        let sets: Vec<Arc<SharedSet>> = vertex.broadcast_inputs.iter().map(|_| Arc::default()).collect();
        let mut subtasks = Vec::with_capacity(vertex.parallelism as usize);
        for index in 0..vertex.parallelism {
            let cell = TaskCell::new(self.scheduler, index as usize);
            let subtask = Subtask { index, parallelism: vertex.parallelism };
            let (task, counters) = self.subtask(vertex, subtask, splits.clone(), &sets, &cell)?;
            cell.set_body(Box::new(task));
            tasks.push(cell);
            subtasks.push(counters);
        }
        let operators = vertex.chain.iter().map(|operator| operator.name.clone()).collect();
        Ok(VertexCounters { name: vertex.name.clone(), operators, subtasks })
    }

    fn subtask(
        &self,
        vertex: &JobVertex,
        subtask: Subtask,
        splits: Option<Arc<dyn SplitProvider>>,
        sets: &[Arc<SharedSet>],
        cell: &Arc<TaskCell>,
    ) -> Result<(Task, SubtaskCounters)> {
        let accumulators = Accumulators::default();
        let iteration = vertex.of_loop.map(|_| Arc::<IterationContext>::default());
        let links = self.links(vertex, subtask, splits, &accumulators, iteration.as_ref())?;
        let status = Arc::new(TaskStatus::default());
        let metrics = links.iter().map(|link| Arc::clone(&link.context.metrics)).collect();
        let counters = SubtaskCounters { status: Arc::clone(&status), metrics, accumulators };
        let gate = self.gate(vertex, subtask, cell);
        let broadcast = self.broadcast(vertex, subtask, sets, cell)?;
        let mut output = self.output(vertex, subtask)?;
        let looping =
            iteration.map(|context| self.join_loop(vertex, subtask, &context, cell, &mut output)).transpose()?;
        let chain = Chain { links, output, restored: self.restored(vertex, subtask) };
        let end = Box::new(ReportEnd(Arc::clone(self.failure)));
        Ok((Task::new(chain, gate, broadcast, looping, self.failure.cancelled.clone(), status, end), counters))
    }

    /// Makes a subtask a part of its vertex's loop.
    fn join_loop(
        &self,
        vertex: &JobVertex,
        subtask: Subtask,
        context: &Arc<IterationContext>,
        cell: &Arc<TaskCell>,
        output: &mut TaskOutput,
    ) -> Result<TaskLoop> {
        let at = vertex.of_loop.expect("a context is made for tasks of loops") as usize;
        let (of, control) = (&self.graph.loops[at], &self.loops[at]);
        let is_head = of.head == vertex.id;
        if is_head {
            control.add_head(Arc::clone(cell));
        }
        let mut out = OutputLoop::new(control, context);
        if of.tail == vertex.id {
            let space = self.space(vertex, subtask.index as usize);
            let is_bulk = of.end != LoopEnd::EmptyWorkset;
            out = out.of_tail(subtask.index as usize, is_bulk, space, self.guaranteed(FEEDBACK_WEIGHT));
        }
        output.looping = Some(out);
        let mut looping = TaskLoop::new(control, context, is_head);
        if let Some((store, from)) = control.resumed_from().filter(|_| is_head) {
            let slot = subtask.index as usize;
            looping.restored = Some(RestoredFeedback {
                files: StateFiles::new(&store, vec![from.subtasks[slot].feedback.clone()]),
                like: fed_back(self.graph, self.functions, of)?,
                space: self.space(vertex, slot),
                memory_limit: self.guaranteed(FEEDBACK_WEIGHT),
            });
        }
        Ok(looping)
    }

    /// The solution set that an operator of a vertex takes over from a snapshot, and the operator's position.
    fn restored(&self, vertex: &JobVertex, subtask: Subtask) -> Option<(usize, StateFiles)> {
        self.graph.loops.iter().zip(&self.loops).find_map(|(of, control)| {
            let is_set = |op: &ChainedOperator| Some(op.operator) == of.solution && matches!(op.part, Part::Driver(_));
            let at = vertex.chain.iter().position(is_set)?;
            let (store, from) = control.resumed_from()?;
            Some((at, StateFiles::new(&store, from.subtasks[subtask.index as usize].solution.clone())))
        })
    }

    /// Where a subtask spills what belongs to none of its operators; counted with the first.
    fn space(&self, vertex: &JobVertex, subtask: usize) -> SpillSpace {
        let metrics = Arc::clone(&self.heads[vertex.id.0 as usize][subtask]);
        SpillSpace::counted(&self.temp_dir, metrics, self.failure.cancelled.clone())
    }

    /// What an edge brings to the supersteps of its consumer.
    fn course(&self, edge: usize, subtask: usize) -> Course {
        let edge = &self.graph.edges[edge];
        let (from, to) = (&self.graph.vertices[edge.from.0 as usize], &self.graph.vertices[edge.to.0 as usize]);
        let leaves = from.of_loop.is_some_and(|at| self.graph.loops[at as usize].tail == from.id);
        if to.of_loop.is_some() && from.of_loop == to.of_loop && !leaves {
            Course::Anew
        } else if edge.replay {
            let kept = BatchSpillBuffer::new(&self.space(to, subtask), self.guaranteed(REPLAY_WEIGHT));
            Course::Again(Box::new(kept), false)
        } else {
            Course::Once
        }
    }

    fn links(
        &self,
        vertex: &JobVertex,
        subtask: Subtask,
        splits: Option<Arc<dyn SplitProvider>>,
        accumulators: &Accumulators,
        iteration: Option<&Arc<IterationContext>>,
    ) -> Result<Vec<Link>> {
        let slot = subtask.index as usize;
        let link = |(i, chained): (usize, &ChainedOperator)| {
            let operator: Box<dyn Operator> = self.functions.operator(chained.operator, chained.part)?;
            let context = RuntimeContext {
                job: Arc::clone(&self.job),
                attempt: 0,
                operator: chained.operator,
                name: Arc::from(chained.name.as_str()),
                subtask,
                memory: Arc::clone(&self.pools[slot]),
                memory_guaranteed: self.guaranteed(u64::from(chained.memory_weight)),
                spill_directory: Arc::clone(&self.temp_dir),
                metrics: if i == 0 { Arc::clone(&self.heads[vertex.id.0 as usize][slot]) } else { Arc::default() },
                accumulators: accumulators.clone(),
                broadcast_sets: BroadcastSets::new(),
                splits: splits.clone().filter(|_| i == 0),
                iteration: iteration.cloned(),
                slot: Arc::clone(&self.slots[slot]),
                cancelled: self.failure.cancelled.clone(),
            };
            Ok(Link::new(operator, context))
        };
        vertex.chain.iter().enumerate().map(link).collect()
    }

    fn gate(&self, vertex: &JobVertex, subtask: Subtask, cell: &Arc<TaskCell>) -> Gate {
        let mut inputs: Vec<Vec<(Arc<Inbox>, Course)>> = (0..vertex.inputs).map(|_| Vec::new()).collect();
        for &edge in self.edges.edges_into(vertex.id) {
            if vertex.broadcast_inputs.iter().any(|set| set.edge as usize == edge) {
                continue;
            }
            let inbox = &self.inboxes[edge][subtask.index as usize];
            inbox.set_consumer(Arc::clone(cell));
            let course = self.course(edge, subtask.index as usize);
            inputs[usize::from(self.graph.edges[edge].input)].push((Arc::clone(inbox), course));
        }
        Gate::new(inputs.into_iter().map(GateInput::new).collect())
    }

    fn broadcast(
        &self,
        vertex: &JobVertex,
        subtask: Subtask,
        sets: &[Arc<SharedSet>],
        cell: &Arc<TaskCell>,
    ) -> Result<Vec<BroadcastGather>> {
        let gather = |(set, shared): (&flinkrs_protocol::BroadcastInput, &Arc<SharedSet>)| {
            let link = vertex.chain.iter().position(|chained| chained.operator == set.operator).ok_or_else(|| {
                Error::internal(format!("broadcast set '{}' is for an operator outside of its task", set.name))
            })?;
            let anew = matches!(self.course(set.edge as usize, 0), Course::Anew);
            let gather = BroadcastGather::new(link, set.name.clone(), Arc::clone(shared), anew);
            if subtask.index > 0 {
                return Ok(gather);
            }
            let inbox = &self.inboxes[set.edge as usize][0];
            inbox.set_consumer(Arc::clone(cell));
            Ok(gather.leading(Arc::clone(inbox), self.functions.broadcast_set(set.operator, set.index)?))
        };
        vertex.broadcast_inputs.iter().zip(sets).map(gather).collect()
    }

    fn output(&self, vertex: &JobVertex, subtask: Subtask) -> Result<TaskOutput> {
        let mut output = TaskOutput::default();
        for &edge in self.edges.edges_out_of(vertex.id) {
            let job_edge = &self.graph.edges[edge];
            let writer = self.writer(edge, job_edge, subtask)?;
            match job_edge.side {
                None => output.main.push(writer),
                Some(tag) => output.side.push((tag, writer)),
            }
        }
        Ok(output)
    }

    fn writer(&self, edge: usize, job_edge: &JobEdge, subtask: Subtask) -> Result<EdgeWriter> {
        let inboxes = &self.inboxes[edge];
        let reached = match job_edge.ship {
            ShipStrategy::Forward => &inboxes[subtask.index as usize..=subtask.index as usize],
            _ => &inboxes[..],
        };
        let spread = match (job_edge.ship, job_edge.partitioner) {
            (ShipStrategy::Forward, _) => Spread::Forward,
            (ShipStrategy::Rebalance, _) => Spread::Rebalance,
            (ShipStrategy::Broadcast, _) => Spread::Broadcast,
            (ship, Some((operator, input))) => {
                let partitioner = self.functions.partitioner(operator, input, ship)?;
                let consumer = &self.graph.vertices[job_edge.to.0 as usize];
                // A sort of the operator may stand before it.
                let owner = consumer.chain.iter().rfind(|chained| chained.operator == operator);
                let name = format!("Partition ({})", owner.map_or(&consumer.name, |owner| &owner.name));
                Spread::Keyed(Keyed { partitioner, name, subtask })
            }
            (ship, None) => return Err(Error::internal(format!("a {ship} edge without a partitioner"))),
        };
        let senders = reached.iter().map(|inbox| Box::new(LocalSender(Arc::clone(inbox))) as Box<dyn ChannelSender>);
        Ok(EdgeWriter::new(spread, senders.collect(), subtask.index as usize, self.failure.cancelled.clone()))
    }
}
