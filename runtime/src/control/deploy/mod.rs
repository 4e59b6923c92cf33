//! Turns a JobGraph, or the part of it that one process runs, into tasks: every subtask with its chain, its queues and
//! its share of memory.

mod edges;
mod loops;
mod tasks;

use crate::control::around::Surroundings;
use crate::control::job::{Failure, RuntimeOptions};
use crate::control::report::VertexCounters;
use crate::control::slots::SlotPools;
use crate::iteration::LoopControl;
use crate::network::Inbox;
use crate::snapshot::SnapshotThread;
use crate::task::{Scheduler, TaskCell};
use flinkrs_core::Result;
use flinkrs_core::function::{FunctionSource, OperatorMetrics, SlotState};
use flinkrs_memory::SpillSpace;
use flinkrs_protocol::{Deployment, EdgeLists, JobGraph, JobVertex, TaskDeployment};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The tasks of a deployment, ready to start, and their counters.
pub(crate) struct Deployed {
    /// By position in the graph.
    pub(crate) loops: BTreeMap<u32, Arc<LoopControl>>,
    pub(crate) tasks: Vec<Arc<TaskCell>>,
    pub(crate) counters: Vec<VertexCounters>,
    pub(crate) snapshots: Option<Arc<SnapshotThread>>,
}

/// What is deployed, and into what.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) graph: &'a JobGraph,
    pub(crate) functions: &'a dyn FunctionSource,
    pub(crate) options: &'a RuntimeOptions,
    pub(crate) deployment: &'a Deployment,
    /// The other processes of the job, if there are any.
    pub(crate) around: Option<&'a Surroundings>,
    pub(crate) slots: &'a SlotPools,
    pub(crate) scheduler: &'a Arc<Scheduler>,
    pub(crate) failure: &'a Arc<Failure>,
}

struct Deployer<'a> {
    plan: Plan<'a>,
    graph: &'a JobGraph,
    edges: EdgeLists,
    /// By vertex: the subtasks that run here, in their order.
    here: Vec<Vec<TaskDeployment>>,
    /// By edge and consuming subtask: the queues in front of the tasks that run here.
    inboxes: Vec<BTreeMap<u32, Arc<Inbox>>>,
    /// The counters of each vertex's first operator, by vertex and subtask: what a blocking edge spills counts there.
    heads: Vec<BTreeMap<u32, Arc<OperatorMetrics>>>,
    /// What the operators of each slot share.
    slots: BTreeMap<u32, Arc<SlotState>>,
    /// By position in the graph: the loops that have tasks here.
    loops: BTreeMap<u32, Arc<LoopControl>>,
    temp_dir: Arc<Path>,
}

/// Builds all tasks.
pub(crate) fn deploy(plan: Plan<'_>) -> Result<Deployed> {
    let graph = plan.graph;
    let mut here: Vec<Vec<TaskDeployment>> = graph.vertices.iter().map(|_| Vec::new()).collect();
    plan.deployment.tasks.iter().for_each(|task| here[task.execution.vertex.0 as usize].push(*task));
    here.iter_mut().for_each(|tasks| tasks.sort_by_key(|task| task.execution.subtask));
    let (loops, snapshots) = loops::controls(plan, &here)?;
    let heads = here.iter().map(|tasks| tasks.iter().map(|task| (task.execution.subtask, Arc::default())).collect());
    let mut deployer = Deployer {
        plan,
        graph,
        edges: graph.edge_lists(),
        heads: heads.collect(),
        inboxes: Vec::new(),
        slots: plan.deployment.tasks.iter().map(|task| (task.slot, Arc::default())).collect(),
        here,
        loops,
        temp_dir: Arc::from(plan.options.temp_dir.as_path()),
    };
    deployer.inboxes = (0..graph.edges.len()).map(|edge| deployer.inboxes_of(edge)).collect::<Result<_>>()?;
    let mut deployed = Deployed { loops: deployer.loops.clone(), tasks: Vec::new(), counters: Vec::new(), snapshots };
    for vertex in graph.vertices.iter().filter(|vertex| !deployer.tasks_of(vertex).is_empty()) {
        let counters = deployer.vertex(vertex, &mut deployed.tasks)?;
        deployed.counters.push(counters);
    }
    (0..graph.edges.len()).try_for_each(|edge| deployer.request(edge))?;
    Ok(deployed)
}

impl Deployer<'_> {
    /// The subtasks of a vertex that run here.
    fn tasks_of(&self, vertex: &JobVertex) -> &[TaskDeployment] {
        &self.here[vertex.id.0 as usize]
    }

    /// Where a subtask spills what belongs to none of its operators; counted with the first.
    fn space(&self, vertex: &JobVertex, subtask: u32) -> SpillSpace {
        let metrics = Arc::clone(&self.heads[vertex.id.0 as usize][&subtask]);
        SpillSpace::counted(&self.temp_dir, metrics, self.plan.failure.cancelled.clone())
    }
}
