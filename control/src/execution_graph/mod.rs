//! The execution graph: a JobGraph unrolled into subtasks, each with its attempts and their states.
//!
//! All-to-all edges stay one value each: who waits for one asks how many of its producers' results are there.

mod execution;

pub(crate) use execution::{Execution, ExecutorInfo, Place};

use crate::regions::{RegionId, Regions, is_blocking, is_forward};
use crate::time::Timestamp;
use crate::view::{SubtaskView, VertexView};
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{EdgeLists, ExecutionId, JobEdge, JobGraph, JobState, TaskState};
use std::sync::Arc;

/// The state of all subtasks of a job, and its own.
#[derive(Clone, Debug)]
pub(crate) struct ExecutionGraph {
    pub(crate) graph: Arc<JobGraph>,
    pub(crate) regions: Regions,
    edges: EdgeLists,
    vertices: Vec<ExecutionVertex>,
    state: JobState,
    timestamps: [Option<Timestamp>; 11],
    attempts_kept: usize,
}

/// A vertex.
#[derive(Clone, Debug)]
struct ExecutionVertex {
    name: Arc<str>,
    subtasks: Vec<Execution>,
    /// How many subtasks are in each state.
    counts: [u32; 9],
    /// Whether blocking edges leave it.
    has_results: bool,
    /// How many subtasks have results that can be read.
    results: u32,
}

impl ExecutionGraph {
    /// All subtasks CREATED, the job INITIALIZING.
    pub(crate) fn new(graph: Arc<JobGraph>, attempts_kept: usize, now: Timestamp) -> ExecutionGraph {
        let edges = graph.edge_lists();
        let vertex = |vertex: &flinkrs_protocol::JobVertex| {
            let mut counts = [0; 9];
            counts[TaskState::Created as usize] = vertex.parallelism;
            ExecutionVertex {
                name: vertex.name.as_str().into(),
                subtasks: vec![Execution::new(now); vertex.parallelism as usize],
                counts,
                has_results: edges.edges_out_of(vertex.id).iter().any(|edge| is_blocking(&graph.edges[*edge])),
                results: 0,
            }
        };
        let vertices = graph.vertices.iter().map(vertex).collect();
        let mut timestamps = [None; 11];
        timestamps[JobState::Initializing as usize] = Some(now);
        let (regions, state) = (Regions::new(&graph), JobState::Initializing);
        ExecutionGraph { regions, edges, vertices, state, timestamps, attempts_kept, graph }
    }

    pub(crate) fn state(&self) -> JobState {
        self.state
    }

    pub(crate) fn timestamps(&self) -> [Option<Timestamp>; 11] {
        self.timestamps
    }

    /// The job's next state.
    pub(crate) fn set_state(&mut self, next: JobState, now: Timestamp) {
        assert!(self.state.leads_to(next), "a job went from {} to {next}", self.state);
        self.state = next;
        self.timestamps[next as usize] = Some(now);
    }

    pub(crate) fn execution(&self, vertex: VertexId, subtask: u32) -> &Execution {
        &self.vertices[vertex.0 as usize].subtasks[subtask as usize]
    }

    pub(crate) fn execution_mut(&mut self, vertex: VertexId, subtask: u32) -> &mut Execution {
        &mut self.vertices[vertex.0 as usize].subtasks[subtask as usize]
    }

    /// The present attempt of a subtask, if `id` is its.
    pub(crate) fn current(&self, id: ExecutionId) -> Option<&Execution> {
        let vertex = self.vertices.get(id.vertex.0 as usize)?;
        vertex.subtasks.get(id.subtask as usize).filter(|execution| execution.attempt == id.attempt)
    }

    /// The present attempt of a subtask.
    pub(crate) fn id(&self, vertex: VertexId, subtask: u32) -> ExecutionId {
        ExecutionId { vertex, subtask, attempt: self.execution(vertex, subtask).attempt }
    }

    pub(crate) fn parallelism(&self, vertex: VertexId) -> u32 {
        self.vertices[vertex.0 as usize].subtasks.len() as u32
    }

    pub(crate) fn name(&self, vertex: VertexId) -> &Arc<str> {
        &self.vertices[vertex.0 as usize].name
    }

    /// The edges into a vertex, with their positions.
    pub(crate) fn inputs(&self, vertex: VertexId) -> impl Iterator<Item = (usize, &JobEdge)> {
        self.edges.edges_into(vertex).iter().map(|edge| (*edge, &self.graph.edges[*edge]))
    }

    /// The edges out of a vertex, with their positions.
    pub(crate) fn outputs(&self, vertex: VertexId) -> impl Iterator<Item = (usize, &JobEdge)> {
        self.edges.edges_out_of(vertex).iter().map(|edge| (*edge, &self.graph.edges[*edge]))
    }

    /// The subtasks of a region.
    pub(crate) fn tasks(&self, region: RegionId) -> Vec<(VertexId, u32)> {
        let members = self.regions.members(&self.graph, region);
        members.flat_map(|(vertex, subtasks)| subtasks.map(move |subtask| (vertex, subtask))).collect()
    }

    /// How many subtasks of a vertex are in a state.
    pub(crate) fn count(&self, vertex: VertexId, state: TaskState) -> u32 {
        self.vertices[vertex.0 as usize].counts[state as usize]
    }

    /// Moves a subtask's present attempt on.
    pub(crate) fn advance(&mut self, vertex: VertexId, subtask: u32, next: TaskState, now: Timestamp) {
        let of = &mut self.vertices[vertex.0 as usize];
        let execution = &mut of.subtasks[subtask as usize];
        of.counts[execution.state() as usize] -= 1;
        of.counts[next as usize] += 1;
        execution.advance(next, now);
        if next == TaskState::Finished && of.has_results {
            execution.results = execution.place.as_ref().map(|place| place.executor);
            of.results += u32::from(execution.results.is_some());
        }
    }

    /// Begins the next attempt of a subtask, whose present one has ended and whose results are gone.
    pub(crate) fn renew(&mut self, vertex: VertexId, subtask: u32, now: Timestamp) {
        let of = &mut self.vertices[vertex.0 as usize];
        let execution = &mut of.subtasks[subtask as usize];
        of.counts[execution.state() as usize] -= 1;
        of.counts[TaskState::Created as usize] += 1;
        assert!(execution.results.is_none(), "the results of an attempt were there when the next began");
        execution.renew(vertex, subtask, self.attempts_kept, now);
    }

    /// A subtask's finished partitions can't be read any more.
    pub(crate) fn lose_results(&mut self, vertex: VertexId, subtask: u32) {
        let of = &mut self.vertices[vertex.0 as usize];
        of.results -= u32::from(of.subtasks[subtask as usize].results.take().is_some());
    }

    /// Whether what a subtask of the consumer reads from a blocking edge is there.
    pub(crate) fn is_readable(&self, edge: &JobEdge, consumer: u32) -> bool {
        let from = &self.vertices[edge.from.0 as usize];
        if is_forward(edge) {
            from.subtasks[consumer as usize].results.is_some()
        } else {
            from.results as usize == from.subtasks.len()
        }
    }

    /// Whether all that a region reads from others is there.
    pub(crate) fn is_ready(&self, region: RegionId) -> bool {
        let members = self.regions.members(&self.graph, region);
        members.into_iter().all(|(vertex, subtasks)| {
            let before = self.inputs(vertex).filter(|(_, edge)| self.regions.crosses(edge));
            before.into_iter().all(|(_, edge)| match is_forward(edge) {
                true => subtasks.clone().all(|subtask| self.is_readable(edge, subtask)),
                false => self.is_readable(edge, 0),
            })
        })
    }

    /// A subtask's finished partitions are out of reach, and may come back.
    pub(crate) fn miss_results(&mut self, vertex: VertexId, subtask: u32) {
        let execution = self.execution_mut(vertex, subtask);
        execution.absent = execution.results;
        self.lose_results(vertex, subtask);
    }

    /// A subtask's finished partitions are on another TaskExecutor now.
    pub(crate) fn return_results(&mut self, vertex: VertexId, subtask: u32, executor: u32) {
        let of = &mut self.vertices[vertex.0 as usize];
        let execution = &mut of.subtasks[subtask as usize];
        assert!(execution.state() == TaskState::Finished, "results of an attempt that has not finished");
        of.results += u32::from(execution.results.is_none());
        (execution.results, execution.absent) = (Some(executor), None);
    }

    /// A view of each vertex; linear in the subtasks of vertices whose times aren't known by their counts.
    pub(crate) fn vertex_views(&self) -> Vec<VertexView> {
        let view = |(id, of): (usize, &ExecutionVertex)| {
            let parallelism = of.subtasks.len() as u32;
            let begun = of.counts[TaskState::Created as usize] + of.counts[TaskState::Scheduled as usize] < parallelism;
            let terminal = |state: &TaskState| of.counts[*state as usize];
            let over = TaskState::ALL.iter().filter(|state| state.is_terminal()).map(terminal).sum::<u32>();
            VertexView {
                vertex: VertexId(id as u32),
                name: Arc::clone(&of.name),
                parallelism,
                tasks: of.counts,
                started: if begun { of.subtasks.iter().filter_map(Execution::started).min() } else { None },
                ended: if over == parallelism { of.subtasks.iter().filter_map(Execution::ended).max() } else { None },
            }
        };
        self.vertices.iter().enumerate().map(view).collect()
    }

    /// The subtasks of a vertex, or `None` if there is no such vertex.
    pub(crate) fn subtask_views(&self, vertex: VertexId) -> Option<Vec<SubtaskView>> {
        let of = self.vertices.get(vertex.0 as usize)?;
        let view = |(subtask, execution): (usize, &Execution)| SubtaskView {
            current: execution.view(vertex, subtask as u32),
            earlier: execution.earlier().to_vec(),
        };
        Some(of.subtasks.iter().enumerate().map(view).collect())
    }

    /// All subtasks with their vertices, in order.
    pub(crate) fn all_tasks(&self) -> impl Iterator<Item = (VertexId, u32, &Execution)> {
        self.vertices.iter().enumerate().flat_map(|(id, of)| {
            let vertex = VertexId(id as u32);
            of.subtasks.iter().enumerate().map(move |(subtask, execution)| (vertex, subtask as u32, execution))
        })
    }
}
