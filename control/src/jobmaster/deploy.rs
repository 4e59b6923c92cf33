//! Regions become deployments: one for each worker, with the places of what its tasks read.

use crate::jobmaster::JobCommand;
use crate::jobmaster::job::{Context, Job, Stage};
use crate::jobmaster::pool::{Pool, Worker};
use crate::regions::{RegionId, is_forward};
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{
    Deployment, GatherDeployment, InputDeployment, Location, LoopDeployment, LoopMember, Producer, Producers,
    TaskDeployment, TaskState, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Job {
    /// Deploys the regions whose workers are ready, with one command for each worker.
    pub(super) fn deploy(&mut self, cx: &mut Context) {
        let mut deployments: BTreeMap<(WorkerId, bool), Vec<TaskDeployment>> = BTreeMap::new();
        let mut loops: BTreeMap<(WorkerId, bool), Vec<LoopDeployment>> = BTreeMap::new();
        for region in std::mem::take(&mut self.deployable) {
            let mut slots = self.region(region).slots.iter();
            if !slots.all(|(executor, _)| matches!(cx.pool.known(*executor).worker, Worker::Ready(..))) {
                // One of its workers is about to end, and then the region begins anew.
                continue;
            }
            self.region(region).stage = Stage::Deployed;
            let resume = self.recovered || self.region(region).generation > 1;
            for (vertex, subtask) in self.graph.tasks(region) {
                self.graph.advance(vertex, subtask, TaskState::Deploying, cx.now);
                let place = self.graph.execution(vertex, subtask).place.as_ref().expect("a placed task has a place");
                let task = TaskDeployment { execution: self.graph.id(vertex, subtask), slot: place.slot };
                deployments.entry((place.worker, resume)).or_default().push(task);
            }
            for (worker, of_loop) in self.loops_of(region, cx.pool) {
                loops.entry((worker, resume)).or_default().push(of_loop);
            }
        }
        for ((worker, resume), tasks) in deployments {
            let inputs = self.inputs_of(&tasks, cx.pool);
            let gathers = self.gathers_of(&tasks);
            let (job, loops) = (self.id, loops.remove(&(worker, resume)).unwrap_or_default());
            let deployment = Deployment { job, resume, tasks, inputs, loops, gathers };
            cx.out.push(JobCommand::Deploy { worker, deployment });
        }
    }

    /// The producers of every edge into some tasks.
    fn inputs_of(&mut self, tasks: &[TaskDeployment], pool: &Pool) -> Vec<InputDeployment> {
        let mut subtasks: BTreeMap<VertexId, Vec<u32>> = BTreeMap::new();
        for task in tasks {
            subtasks.entry(task.execution.vertex).or_default().push(task.execution.subtask);
        }
        let mut inputs = Vec::new();
        for (vertex, mut subtasks) in subtasks {
            subtasks.sort_unstable();
            let edges: Vec<(usize, bool)> =
                self.graph.inputs(vertex).map(|(at, edge)| (at, is_forward(edge))).collect();
            for (at, forward) in edges {
                let producers = if forward {
                    Arc::new(self.locate(at, subtasks.iter().copied(), pool))
                } else {
                    self.all_producers(at, pool)
                };
                inputs.push(InputDeployment { edge: at as u32, producers });
            }
        }
        inputs
    }

    /// All producers of an all-to-all edge; made once for all who read the same.
    fn all_producers(&mut self, edge: usize, pool: &Pool) -> Arc<Producers> {
        if let Some(producers) = &self.producers[edge] {
            return Arc::clone(producers);
        }
        let parallelism = self.graph.parallelism(self.graph.graph.edges[edge].from);
        let producers = Arc::new(self.locate(edge, 0..parallelism, pool));
        self.producers[edge] = Some(Arc::clone(&producers));
        producers
    }

    fn locate(&self, edge: usize, subtasks: impl Iterator<Item = u32>, pool: &Pool) -> Producers {
        let edge = &self.graph.graph.edges[edge];
        let mut known: BTreeMap<u32, u32> = BTreeMap::new();
        let mut locations = Vec::new();
        let mut producers = Vec::new();
        for subtask in subtasks {
            let execution = self.graph.execution(edge.from, subtask);
            let place = execution.place.as_ref().expect("a producer was placed before its consumer is deployed");
            let (executor, worker) = match self.graph.regions.crosses(edge) {
                true => (execution.results.expect("a region is deployed when its input is there"), None),
                false => (place.executor, Some(place.worker)),
            };
            let location = *known.entry(executor).or_insert_with(|| {
                let info = &pool.known(executor).info;
                let address = match worker {
                    None => Arc::clone(&info.data_address),
                    Some(_) => address(pool, executor),
                };
                locations.push(Location { worker, task_executor: info.id.clone(), address });
                locations.len() as u32 - 1
            });
            producers.push(Producer { subtask, attempt: execution.attempt, location });
        }
        Producers::new(locations, producers)
    }

    /// The loops of a region, for each of their workers.
    fn loops_of(&self, region: RegionId, pool: &Pool) -> Vec<(WorkerId, LoopDeployment)> {
        let mut loops = Vec::new();
        let component = self.graph.regions.component(region);
        for (at, of) in self.graph.graph.loops.iter().enumerate() {
            if !component.vertices.contains(&of.head) {
                continue;
            }
            let mut members: BTreeMap<WorkerId, LoopMember> = BTreeMap::new();
            let inside = |id: &&VertexId| self.graph.graph.vertices[id.0 as usize].of_loop == Some(at as u32);
            for vertex in component.vertices.iter().filter(inside) {
                for subtask in 0..self.graph.parallelism(*vertex) {
                    let Some(place) = &self.graph.execution(*vertex, subtask).place else { continue };
                    let member = members.entry(place.worker).or_insert_with(|| {
                        let address = address(pool, place.executor);
                        LoopMember { worker: place.worker, address, tails: 0, heads: 0 }
                    });
                    member.tails += u32::from(*vertex == of.tail);
                    member.heads += u32::from(*vertex == of.head);
                }
            }
            let first = self.graph.execution(of.tail, 0).place.as_ref().map(|place| place.worker);
            let members: Arc<[LoopMember]> = members.into_values().collect();
            let leader = members.iter().position(|member| Some(member.worker) == first).unwrap_or(0) as u32;
            for member in members.iter() {
                let deployment = LoopDeployment { at: at as u32, leader, members: Arc::clone(&members) };
                loops.push((member.worker, deployment));
            }
        }
        loops
    }

    /// Who gathers the broadcast sets of the regions of some tasks: of each vertex the lowest subtask of each worker.
    fn gathers_of(&self, tasks: &[TaskDeployment]) -> Vec<GatherDeployment> {
        if self.graph.graph.vertices.iter().all(|vertex| vertex.broadcast_inputs.is_empty()) {
            return Vec::new();
        }
        let regions = &self.graph.regions;
        let here: BTreeSet<RegionId> =
            tasks.iter().map(|task| regions.of(task.execution.vertex, task.execution.subtask)).collect();
        let mut lowest: BTreeMap<VertexId, BTreeMap<WorkerId, u32>> = BTreeMap::new();
        for (vertex, subtask) in here.into_iter().flat_map(|region| self.graph.tasks(region)) {
            if self.graph.graph.vertices[vertex.0 as usize].broadcast_inputs.is_empty() {
                continue;
            }
            let Some(place) = &self.graph.execution(vertex, subtask).place else { continue };
            let lowest = lowest.entry(vertex).or_default().entry(place.worker).or_insert(subtask);
            *lowest = subtask.min(*lowest);
        }
        let gathers = lowest.into_iter().map(|(vertex, lowest)| {
            let mut subtasks: Vec<u32> = lowest.into_values().collect();
            subtasks.sort_unstable();
            GatherDeployment { vertex, subtasks: subtasks.into() }
        });
        gathers.collect()
    }
}

/// Where the worker on a TaskExecutor listens for others.
fn address(pool: &Pool, executor: u32) -> Arc<str> {
    match &pool.known(executor).worker {
        Worker::Ready(_, address) => Arc::clone(address),
        other => panic!("a region was deployed before its worker was ready: {other:?}"),
    }
}
