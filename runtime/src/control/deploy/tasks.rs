//! The tasks of a deployment, each with its chain, gate and output.

use crate::control::around::RequestedSplits;
use crate::control::deploy::Deployer;
use crate::control::job::ReportEnd;
use crate::control::report::{SubtaskCounters, TaskStatus, VertexCounters};
use crate::control::splits::SplitQueue;
use crate::network::{Inbox, TaskOutput};
use crate::task::{BroadcastGather, Chain, Course, Gate, GateInput, Link, SharedSet, Task, TaskCell};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::function::{Accumulators, BroadcastSets, IterationContext};
use flinkrs_core::id::Subtask;
use flinkrs_core::source::SplitProvider;
use flinkrs_core::{Operator, RuntimeContext};
use flinkrs_protocol::{BroadcastInput, ChainedOperator, JobVertex, TaskDeployment};
use std::sync::Arc;

/// What the subtasks of a vertex share.
struct Shared {
    /// In a job in one process: the splits that nobody has taken.
    splits: Option<Arc<dyn SplitProvider>>,
    sets: Vec<Arc<SharedSet>>,
}

impl Deployer<'_> {
    /// Builds the tasks of a vertex.
    pub(super) fn vertex(&self, vertex: &JobVertex, tasks: &mut Vec<Arc<TaskCell>>) -> Result<VertexCounters> {
        let queue = vertex.source.as_ref().filter(|_| self.plan.around.is_none());
        let shared = Shared {
            splits: queue.map(|source| Arc::new(SplitQueue::new(&source.splits)) as Arc<dyn SplitProvider>),
            sets: vertex.broadcast_inputs.iter().map(|_| Arc::default()).collect(),
        };
        let mut subtasks = Vec::new();
        for (position, deployed) in self.tasks_of(vertex).iter().enumerate() {
            let cell = TaskCell::new(self.plan.scheduler, deployed.slot as usize);
            let (task, counters) = self.subtask(vertex, *deployed, position == 0, &shared, &cell)?;
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
        deployed: TaskDeployment,
        is_first: bool,
        shared: &Shared,
        cell: &Arc<TaskCell>,
    ) -> Result<(Task, SubtaskCounters)> {
        let execution = deployed.execution;
        let subtask = Subtask { index: execution.subtask, parallelism: vertex.parallelism };
        let accumulators = Accumulators::default();
        let iteration = vertex.of_loop.map(|_| Arc::<IterationContext>::default());
        let links = self.links(vertex, deployed, self.splits(vertex, deployed, shared), &accumulators, &iteration)?;
        let status = Arc::new(TaskStatus::default());
        let metrics = links.iter().map(|link| Arc::clone(&link.context.metrics)).collect();
        let counters = SubtaskCounters { execution, status: Arc::clone(&status), metrics, accumulators };
        let gate = self.gate(vertex, subtask.index, cell);
        let broadcast = self.broadcast(vertex, subtask.index, is_first, &shared.sets, cell)?;
        let mut output = self.output(vertex, execution.subtask, execution.attempt)?;
        let looping =
            iteration.map(|context| self.join_loop(vertex, deployed, &context, cell, &mut output)).transpose()?;
        let chain = Chain { links, output, restored: self.restored(vertex, subtask) };
        let failure = &self.plan.failure;
        let end = match self.plan.around {
            None => ReportEnd::new(failure),
            Some(around) => ReportEnd::new(failure).to(&around.master, counters.clone()),
        };
        let task = Task::new(chain, gate, broadcast, looping, failure.cancelled.clone(), status, Box::new(end));
        Ok((task, counters))
    }

    /// Where a source finds its splits.
    fn splits(&self, vertex: &JobVertex, deployed: TaskDeployment, shared: &Shared) -> Option<Arc<dyn SplitProvider>> {
        vertex.source.as_ref()?;
        match self.plan.around {
            None => shared.splits.clone(),
            Some(around) => {
                let cancelled = self.plan.failure.cancelled.clone();
                Some(Arc::new(RequestedSplits::new(deployed.execution, &around.master, cancelled)))
            }
        }
    }

    fn links(
        &self,
        vertex: &JobVertex,
        deployed: TaskDeployment,
        splits: Option<Arc<dyn SplitProvider>>,
        accumulators: &Accumulators,
        iteration: &Option<Arc<IterationContext>>,
    ) -> Result<Vec<Link>> {
        let index = deployed.execution.subtask;
        let link = |(i, chained): (usize, &ChainedOperator)| {
            let operator: Box<dyn Operator> = self.plan.functions.operator(chained.operator, chained.part)?;
            let head = &self.heads[vertex.id.0 as usize][&index];
            let context = RuntimeContext {
                job: Arc::clone(&self.plan.options.job),
                attempt: deployed.execution.attempt,
                operator: chained.operator,
                name: Arc::from(chained.name.as_str()),
                subtask: Subtask { index, parallelism: vertex.parallelism },
                memory: Arc::clone(&self.plan.slots.pools[deployed.slot as usize]),
                memory_guaranteed: self.plan.slots.guaranteed(u64::from(chained.memory_weight)),
                spill_directory: Arc::clone(&self.temp_dir),
                metrics: if i == 0 { Arc::clone(head) } else { Arc::default() },
                accumulators: accumulators.clone(),
                broadcast_sets: BroadcastSets::new(),
                splits: splits.clone().filter(|_| i == 0),
                iteration: iteration.clone(),
                slot: Arc::clone(&self.slots[&deployed.slot]),
                cancelled: self.plan.failure.cancelled.clone(),
            };
            Ok(Link::new(operator, context))
        };
        vertex.chain.iter().enumerate().map(link).collect()
    }

    fn gate(&self, vertex: &JobVertex, subtask: u32, cell: &Arc<TaskCell>) -> Gate {
        let mut inputs: Vec<Vec<(Arc<Inbox>, Course)>> = (0..vertex.inputs).map(|_| Vec::new()).collect();
        for &edge in self.edges.edges_into(vertex.id) {
            if vertex.broadcast_inputs.iter().any(|set| set.edge as usize == edge) {
                continue;
            }
            let inbox = &self.inboxes[edge][&subtask];
            inbox.set_consumer(Arc::clone(cell));
            let course = self.course(edge, subtask);
            inputs[usize::from(self.graph.edges[edge].input)].push((Arc::clone(inbox), course));
        }
        Gate::new(inputs.into_iter().map(GateInput::new).collect())
    }

    fn broadcast(
        &self,
        vertex: &JobVertex,
        subtask: u32,
        gathers: bool,
        sets: &[Arc<SharedSet>],
        cell: &Arc<TaskCell>,
    ) -> Result<Vec<BroadcastGather>> {
        let gather = |(set, shared): (&BroadcastInput, &Arc<SharedSet>)| {
            let link = vertex.chain.iter().position(|chained| chained.operator == set.operator).ok_or_else(|| {
                Error::internal(format!("broadcast set '{}' is for an operator outside of its task", set.name))
            })?;
            let anew = matches!(self.course(set.edge as usize, subtask), Course::Anew);
            let gather = BroadcastGather::new(link, set.name.clone(), Arc::clone(shared), anew);
            if !gathers {
                return Ok(gather);
            }
            let inbox = &self.inboxes[set.edge as usize][&subtask];
            inbox.set_consumer(Arc::clone(cell));
            Ok(gather.leading(Arc::clone(inbox), self.plan.functions.broadcast_set(set.operator, set.index)?))
        };
        vertex.broadcast_inputs.iter().zip(sets).map(gather).collect()
    }

    fn output(&self, vertex: &JobVertex, subtask: u32, attempt: u32) -> Result<TaskOutput> {
        let mut output = TaskOutput::default();
        for &edge in self.edges.edges_out_of(vertex.id) {
            let writer = self.writer(edge, vertex, subtask, attempt)?;
            match self.graph.edges[edge].side {
                None => output.main.push(writer),
                Some(tag) => output.side.push((tag, writer)),
            }
        }
        Ok(output)
    }
}
