//! The loops of a deployment: their control, their snapshots, and each task's part in them.

use crate::control::deploy::{Deployer, Plan};
use crate::control::job::Failure;
use crate::control::slots::FEEDBACK_WEIGHT;
use crate::iteration::{LoopControl, LoopRule, LoopSnapshots, Members, OutputLoop, RestoredFeedback, TaskLoop};
use crate::network::TaskOutput;
use crate::snapshot::{LoopStore, MANIFEST, Origin, SnapshotOptions, SnapshotThread, StateFiles};
use crate::task::TaskCell;
use flinkrs_core::Batch;
use flinkrs_core::error::Result;
use flinkrs_core::function::{FunctionSource, IterationContext};
use flinkrs_core::id::Subtask;
use flinkrs_core::strategy::Part;
use flinkrs_core::types::codec;
use flinkrs_protocol::{ChainedOperator, JobGraph, JobLoop, JobVertex, LoopEnd, TaskDeployment};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The controls of the loops that have tasks here, and the thread that completes their snapshots.
type Controls = (BTreeMap<u32, Arc<LoopControl>>, Option<Arc<SnapshotThread>>);

pub(super) fn controls(plan: Plan<'_>, here: &[Vec<TaskDeployment>]) -> Result<Controls> {
    let of_loop = |task: &TaskDeployment| plan.graph.vertices[task.execution.vertex.0 as usize].of_loop;
    let mut tasks: BTreeMap<u32, usize> = BTreeMap::new();
    here.iter().flatten().filter_map(of_loop).for_each(|at| *tasks.entry(at).or_default() += 1);
    let options = plan.options.snapshots.as_ref().filter(|_| !tasks.is_empty());
    let resume = options.is_some_and(|options| options.resume) || plan.deployment.resume;
    let options = options.map(|options| SnapshotOptions { resume, ..options.clone() });
    let mut loops = BTreeMap::new();
    let mut thread = None;
    for (at, count) in tasks {
        let members = members(plan, at, count);
        let leads = members.as_ref().is_none_or(|members| members.leads);
        if let Some(options) = options.as_ref().filter(|_| thread.is_none() && leads) {
            thread = Some(snapshot_thread(options, plan.failure)?);
        }
        loops.insert(at, control(plan, at as usize, options.as_ref(), thread.as_ref().filter(|_| leads), members)?);
    }
    Ok((loops, thread))
}

/// The other processes that have tasks of a loop, if there are any.
fn members(plan: Plan<'_>, at: u32, tasks: usize) -> Option<Members> {
    let around = plan.around?;
    let deployed = plan.deployment.loops.iter().find(|deployed| deployed.at == at)?;
    if deployed.members.len() < 2 {
        return None;
    }
    let attempt = plan.deployment.tasks.first().map_or(0, |task| task.execution.attempt);
    Some(around.loops.members(around, deployed, attempt, tasks))
}

/// The thread that completes the snapshots of all loops; what a run before has left is removed unless the job goes on
/// from that.
fn snapshot_thread(options: &SnapshotOptions, failure: &Arc<Failure>) -> Result<Arc<SnapshotThread>> {
    let lock = options.lock()?;
    if !options.resume {
        options.remove_all()?;
    }
    let failed = Arc::clone(failure);
    SnapshotThread::start(lock, move |error| failed.report(error))
}

/// The control of a loop.
fn control(
    plan: Plan<'_>,
    at: usize,
    options: Option<&SnapshotOptions>,
    thread: Option<&Arc<SnapshotThread>>,
    members: Option<Members>,
) -> Result<Arc<LoopControl>> {
    let of = &plan.graph.loops[at];
    let snapshots = options.map(|options| snapshots(plan, at, options, thread)).transpose()?;
    let convergence = plan.functions.convergence(of.close);
    let rule = LoopRule { max_supersteps: of.max_supersteps, end: of.end, convergence };
    let tails = plan.deployment.tasks.iter().filter(|task| task.execution.vertex == of.tail);
    let tails = tails.map(|task| task.execution.subtask).collect();
    LoopControl::new(of.name.clone(), rule, tails, snapshots, members)
}

/// The snapshots of a loop: their folder, and the one to go on from. Who has the thread also keeps the folder clean.
fn snapshots(
    plan: Plan<'_>,
    at: usize,
    options: &SnapshotOptions,
    thread: Option<&Arc<SnapshotThread>>,
) -> Result<LoopSnapshots> {
    let (graph, functions) = (plan.graph, plan.functions);
    let of = &graph.loops[at];
    let empty = |id| functions.empty_batch(id, Part::NoOp, None);
    let solution = of.solution.map(empty).transpose()?;
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
    let from = if options.resume { store.newest(thread.is_some())? } else { None };
    if let Some(from) = from.as_ref().filter(|from| from.superstep >= of.max_supersteps) {
        let (ended, most) = (from.superstep, of.max_supersteps);
        return Err(store.broken(MANIFEST, &format!("is of superstep {ended}, and this loop has at most {most}")));
    }
    Ok(LoopSnapshots::new(Arc::new(store), options.every, from, thread.cloned()))
}

/// An empty batch of what a loop feeds back: what its head emits.
fn fed_back(graph: &JobGraph, functions: &dyn FunctionSource, of: &JobLoop) -> Result<Batch> {
    let head = &graph.vertices[of.head.0 as usize].chain[0];
    functions.empty_batch(head.operator, head.part, None)
}

impl Deployer<'_> {
    /// Makes a subtask a part of its vertex's loop.
    pub(super) fn join_loop(
        &self,
        vertex: &JobVertex,
        deployed: TaskDeployment,
        context: &Arc<IterationContext>,
        cell: &Arc<TaskCell>,
        output: &mut TaskOutput,
    ) -> Result<TaskLoop> {
        let at = vertex.of_loop.expect("a context is made for tasks of loops");
        let (of, control) = (&self.graph.loops[at as usize], &self.loops[&at]);
        let subtask = deployed.execution.subtask;
        let memory = self.plan.slots.guaranteed(FEEDBACK_WEIGHT);
        let is_head = of.head == vertex.id;
        if is_head {
            control.add_head(Arc::clone(cell));
        }
        let mut out = OutputLoop::new(control, context);
        if of.tail == vertex.id {
            let is_bulk = of.end != LoopEnd::EmptyWorkset;
            out = out.of_tail(subtask as usize, is_bulk, self.space(vertex, subtask), memory);
        }
        output.looping = Some(out);
        let mut looping = TaskLoop::new(control, context, is_head);
        if let Some((store, from)) = control.resumed_from().filter(|_| is_head) {
            looping.restored = Some(RestoredFeedback {
                files: StateFiles::new(&store, vec![from.subtasks[subtask as usize].feedback.clone()]),
                like: fed_back(self.graph, self.plan.functions, of)?,
                space: self.space(vertex, subtask),
                memory_limit: memory,
            });
        }
        Ok(looping)
    }

    /// The solution set that an operator of a vertex takes over from a snapshot, and the operator's position.
    pub(super) fn restored(&self, vertex: &JobVertex, subtask: Subtask) -> Option<(usize, StateFiles)> {
        self.loops.iter().find_map(|(at, control)| {
            let of = &self.graph.loops[*at as usize];
            let is_set = |op: &ChainedOperator| Some(op.operator) == of.solution && matches!(op.part, Part::Driver(_));
            let at = vertex.chain.iter().position(is_set)?;
            let (store, from) = control.resumed_from()?;
            Some((at, StateFiles::new(&store, from.subtasks[subtask.index as usize].solution.clone())))
        })
    }
}
