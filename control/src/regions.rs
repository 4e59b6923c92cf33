//! Pipelined regions: the subtasks that have to run at the same time, since records flow between them in bounded
//! queues.
//!
//! Vertices that pipelined edges connect make a component. Where all of these edges are FORWARD, subtask `i` talks to
//! subtasks `i` only, and the component falls into one region per number; one all-to-all edge, or a loop, makes it
//! whole. So regions are a matter of vertices, and no pair of subtasks is ever looked at. A blocking edge may lie
//! inside of a region: an optimizer that breaks a circle of full queues puts it where producer and consumer run at the
//! same time.

use crate::cycles::components;
use crate::scheduler::counted;
use flinkrs_core::id::VertexId;
use flinkrs_core::strategy::{ExchangeMode, Part, ShipStrategy};
use flinkrs_protocol::{ChainedOperator, JobEdge, JobGraph};
use std::ops::Range;

/// A region: a number from 0, in topological order of components and then of subtasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegionId(pub(crate) u32);

/// The regions of a JobGraph.
#[derive(Clone, Debug)]
pub(crate) struct Regions {
    /// By vertex.
    component_of: Vec<u32>,
    /// By vertex, the first slot of its lane among the slots of a region.
    first_slot_of: Vec<u32>,
    components: Vec<Component>,
    /// Slot sharing groups: their names, and the greatest parallelism of the vertices of each.
    groups: Vec<(String, u32)>,
}

/// Vertices that pipelined edges connect.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Component {
    /// In topological order.
    pub(crate) vertices: Vec<VertexId>,
    /// Whether all its subtasks are one region.
    pub(crate) whole: bool,
    /// How many slots a region of it needs, those of all lanes.
    pub(crate) slots: u32,
    /// The number of its first lane among those of all components.
    pub(crate) first_lane: usize,
    /// Its vertices by slot sharing group; the slots of a region are those of the first lane, then of the second.
    pub(crate) lanes: Vec<Lane>,
    /// Its regions.
    pub(crate) regions: Range<u32>,
    /// The greatest parallelism of its vertices.
    pub(crate) parallelism: u32,
    /// Whether its subtasks may write something else when they run again on the same input: records are dealt out in
    /// the order in which they come, or by bounds that are sampled.
    pub(crate) unsteady: bool,
}

/// The vertices of a component that share slots: subtask `i` of all of them is in one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lane {
    /// The position of their slot sharing group.
    pub(crate) group: u32,
    /// In topological order.
    pub(crate) vertices: Vec<VertexId>,
    /// How many slots a region needs for them.
    pub(crate) slots: u32,
}

/// Whether subtask `i` of the consumer reads from subtask `i` of the producer only.
pub(crate) fn is_forward(edge: &JobEdge) -> bool {
    edge.ship == ShipStrategy::Forward
}

/// Whether what is written to the edge stays after its producer has ended.
pub(crate) fn is_blocking(edge: &JobEdge) -> bool {
    edge.mode == ExchangeMode::Blocking
}

impl Regions {
    /// Finds the regions, in time close to linear in vertices and edges.
    pub(crate) fn new(graph: &JobGraph) -> Regions {
        let mut sets = Sets::new(graph.vertices.len());
        for edge in graph.edges.iter().filter(|edge| !is_blocking(edge)) {
            sets.join(edge.from.0, edge.to.0);
        }
        let mut first_of_loop = vec![None; graph.loops.len()];
        for vertex in &graph.vertices {
            let Some(at) = vertex.of_loop else { continue };
            let first = *first_of_loop[at as usize].get_or_insert(vertex.id.0);
            sets.join(first, vertex.id.0);
        }
        // The loop looks up its solution set in the memory of the slot in which that was built.
        for of in &graph.loops {
            let holds = |op: &ChainedOperator| Some(op.operator) == of.solution && matches!(op.part, Part::Driver(_));
            let set = graph.vertices.iter().find(|vertex| vertex.chain.iter().any(holds));
            set.into_iter().for_each(|vertex| sets.join(vertex.id.0, of.head.0));
        }
        join_circles(graph, &mut sets);
        let mut whole = vec![false; graph.vertices.len()];
        for edge in graph.edges.iter().filter(|edge| !is_forward(edge)) {
            let root = sets.root(edge.to.0);
            whole[root as usize] |= root == sets.root(edge.from.0);
        }
        for vertex in graph.vertices.iter().filter(|vertex| vertex.of_loop.is_some()) {
            whole[sets.root(vertex.id.0) as usize] = true;
        }
        Regions::number(graph, &mut sets, &whole)
    }

    fn number(graph: &JobGraph, sets: &mut Sets, whole: &[bool]) -> Regions {
        let mut component_at = vec![None; graph.vertices.len()];
        let count = graph.vertices.len();
        let mut regions = Regions {
            component_of: Vec::with_capacity(count),
            first_slot_of: vec![0; count],
            components: Vec::new(),
            groups: Vec::new(),
        };
        for vertex in &graph.vertices {
            let root = sets.root(vertex.id.0) as usize;
            let at = *component_at[root].get_or_insert_with(|| {
                regions.components.push(Component { whole: whole[root], ..Component::default() });
                regions.components.len() - 1
            });
            regions.component_of.push(at as u32);
            let component = &mut regions.components[at];
            component.vertices.push(vertex.id);
            component.unsteady |= vertex.chain.iter().any(|of| matches!(of.part, Part::RangeBounds { .. }));
            component.parallelism = component.parallelism.max(vertex.parallelism);
            let known = regions.groups.iter().position(|(name, _)| *name == vertex.slot_sharing_group);
            let group = known.unwrap_or_else(|| {
                regions.groups.push((vertex.slot_sharing_group.clone(), 0));
                regions.groups.len() - 1
            });
            regions.groups[group].1 = regions.groups[group].1.max(vertex.parallelism);
            let lane = component.lanes.iter().position(|lane| lane.group == group as u32).unwrap_or_else(|| {
                component.lanes.push(Lane { group: group as u32, ..Lane::default() });
                component.lanes.len() - 1
            });
            let lane = &mut component.lanes[lane];
            lane.vertices.push(vertex.id);
            lane.slots = if component.whole { lane.slots.max(vertex.parallelism) } else { 1 };
        }
        for edge in graph.edges.iter().filter(|edge| edge.ship == ShipStrategy::Rebalance) {
            if !regions.crosses(edge) {
                regions.components[regions.component_of[edge.to.0 as usize] as usize].unsteady = true;
            }
        }
        let (mut next, mut next_lane) = (0, 0);
        for component in &mut regions.components {
            component.first_lane = next_lane;
            next_lane += component.lanes.len();
            let count = if component.whole { 1 } else { component.parallelism };
            for lane in &component.lanes {
                lane.vertices.iter().for_each(|id| regions.first_slot_of[id.0 as usize] = component.slots);
                component.slots += lane.slots;
            }
            component.regions = next..next + count;
            next += count;
        }
        regions
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.components.last().map_or(0, |component| component.regions.end)
    }

    /// The components, in topological order of their first vertices.
    pub(crate) fn components(&self) -> &[Component] {
        &self.components
    }

    /// How many slots all components can use at a time: each group as many as its largest vertex has subtasks.
    pub(crate) fn slots_wanted(&self) -> u32 {
        self.groups.iter().map(|(_, parallelism)| parallelism).sum()
    }

    /// Which of the slots of its region a subtask runs in.
    pub(crate) fn slot_of(&self, vertex: VertexId, subtask: u32) -> usize {
        let component = &self.components[self.component_of[vertex.0 as usize] as usize];
        (self.first_slot_of[vertex.0 as usize] + if component.whole { subtask } else { 0 }) as usize
    }

    /// What a region of a component needs: `3 slots`, with the groups that they are for if there are several.
    pub(crate) fn needs(&self, component: &Component) -> String {
        let slots = counted(component.slots, "slot");
        if component.lanes.len() < 2 {
            return slots;
        }
        let lane = |lane: &Lane| format!("{} for '{}'", lane.slots, self.groups[lane.group as usize].0);
        let lanes: Vec<String> = component.lanes.iter().map(lane).collect();
        format!("{slots} (by slot sharing group: {})", lanes.join(", "))
    }

    /// The position of a region's component.
    pub(crate) fn component_of(&self, region: RegionId) -> usize {
        self.components.partition_point(|component| component.regions.end <= region.0)
    }

    /// The component of a region.
    pub(crate) fn component(&self, region: RegionId) -> &Component {
        &self.components[self.component_of(region)]
    }

    /// The region of a subtask.
    pub(crate) fn of(&self, vertex: VertexId, subtask: u32) -> RegionId {
        let component = &self.components[self.component_of[vertex.0 as usize] as usize];
        RegionId(component.regions.start + if component.whole { 0 } else { subtask })
    }

    /// The regions that have subtasks of a vertex.
    pub(crate) fn of_vertex(&self, vertex: VertexId) -> Range<u32> {
        self.components[self.component_of[vertex.0 as usize] as usize].regions.clone()
    }

    /// Whether an edge leads from one region to another, which waits for the end of what it reads; all other edges,
    /// also blocking ones, are read by tasks that run at the same time.
    pub(crate) fn crosses(&self, edge: &JobEdge) -> bool {
        self.component_of[edge.from.0 as usize] != self.component_of[edge.to.0 as usize]
    }

    /// The vertices of a region, each with those of its subtasks that belong to it.
    pub(crate) fn members<'a>(
        &'a self,
        graph: &'a JobGraph,
        region: RegionId,
    ) -> impl Iterator<Item = (VertexId, Range<u32>)> + 'a {
        let component = self.component(region);
        let one = region.0 - component.regions.start;
        component.vertices.iter().map(move |vertex| {
            let all = 0..graph.vertices[vertex.0 as usize].parallelism;
            (*vertex, if component.whole { all } else { one..one + 1 })
        })
    }
}

/// Joins components that blocking edges connect in a circle: a diamond with a blocking edge on one side only has to run
/// as one, since its last vertex is there while its first still writes.
fn join_circles(graph: &JobGraph, sets: &mut Sets) {
    let mut arrows = vec![Vec::new(); graph.vertices.len()];
    for edge in &graph.edges {
        let (from, to) = (sets.root(edge.from.0), sets.root(edge.to.0));
        if from != to {
            arrows[from as usize].push(to);
        }
    }
    let mut first_of = vec![None; graph.vertices.len()];
    for (vertex, component) in components(&arrows).into_iter().enumerate() {
        let first = *first_of[component as usize].get_or_insert(vertex as u32);
        sets.join(first, vertex as u32);
    }
}

/// Sets of vertices that are joined step by step.
struct Sets(Vec<u32>);

impl Sets {
    fn new(count: usize) -> Sets {
        Sets((0..count as u32).collect())
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.0[at as usize] != at {
            let above = self.0[self.0[at as usize] as usize];
            self.0[at as usize] = above;
            at = above;
        }
        at
    }

    /// The smaller root stays: roots are the first vertices of their sets.
    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{all_to_all, blocking, forward, graph, looped};

    fn shape(graph: &JobGraph) -> Vec<(Vec<u32>, bool, u32)> {
        let regions = Regions::new(graph);
        let shape = |c: &Component| (c.vertices.iter().map(|v| v.0).collect(), c.whole, c.regions.len() as u32);
        regions.components().iter().map(shape).collect()
    }

    #[test]
    fn chains_behind_blocking_edges_are_regions_of_their_own() {
        let graph = graph(&[3, 3, 2], vec![forward(0, 1), blocking(all_to_all(1, 2))]);
        assert_eq!(shape(&graph), [(vec![0, 1], false, 3), (vec![2], false, 2)]);
        let regions = Regions::new(&graph);
        assert_eq!(regions.of(VertexId(1), 2), RegionId(2));
        assert_eq!(regions.of(VertexId(2), 1), RegionId(4));
        let members: Vec<_> = regions.members(&graph, RegionId(1)).collect();
        assert_eq!(members, [(VertexId(0), 1..2), (VertexId(1), 1..2)]);
    }

    #[test]
    fn a_pipelined_shuffle_joins_everything() {
        let graph = graph(&[3, 3, 2, 2], vec![forward(0, 1), all_to_all(1, 2), blocking(forward(2, 3))]);
        assert_eq!(shape(&graph), [(vec![0, 1, 2], true, 1), (vec![3], false, 2)]);
        assert_eq!(Regions::new(&graph).component(RegionId(0)).slots, 3);
    }

    #[test]
    fn a_blocking_edge_past_a_pipelined_one_stays_inside() {
        let probe = blocking(forward(0, 2));
        let graph = graph(&[2, 2, 2], vec![forward(0, 1), forward(1, 2), probe]);
        assert_eq!(shape(&graph), [(vec![0, 1, 2], false, 2)]);
        assert!(!Regions::new(&graph).crosses(&graph.edges[2]));
    }

    #[test]
    fn an_inner_blocking_shuffle_makes_a_region_whole() {
        let probe = blocking(all_to_all(0, 2));
        let graph = graph(&[2, 2, 2], vec![forward(0, 1), forward(1, 2), probe]);
        assert_eq!(shape(&graph), [(vec![0, 1, 2], true, 1)]);
    }

    #[test]
    fn regions_that_wait_for_each_other_are_one() {
        let edges = vec![forward(0, 2), blocking(forward(0, 1)), blocking(forward(1, 2)), blocking(forward(2, 3))];
        assert_eq!(shape(&graph(&[2; 4], edges)), [(vec![0, 1, 2], false, 2), (vec![3], false, 2)]);
    }

    #[test]
    fn each_group_has_slots_of_its_own() {
        let mut graph = graph(&[2, 3, 2], vec![all_to_all(0, 1), all_to_all(1, 2)]);
        graph.vertices[1].slot_sharing_group = "heavy".to_owned();
        let regions = Regions::new(&graph);
        let slots = |id: u32| (0..2).map(|subtask| regions.slot_of(VertexId(id), subtask)).collect::<Vec<_>>();
        assert_eq!([slots(0), slots(1), slots(2)], [[0, 1], [2, 3], [0, 1]]);
        assert_eq!(regions.slots_wanted(), 5);
        let needs = regions.needs(regions.component(RegionId(0)));
        assert_eq!(needs, "5 slots (by slot sharing group: 2 for 'default', 3 for 'heavy')");
    }

    #[test]
    fn numbers_stay_apart_in_several_groups() {
        let mut graph = graph(&[2, 2], vec![forward(0, 1)]);
        graph.vertices[1].slot_sharing_group = "heavy".to_owned();
        assert_eq!(shape(&graph), [(vec![0, 1], false, 2)]);
        let regions = Regions::new(&graph);
        assert_eq!((regions.component(RegionId(1)).slots, regions.slots_wanted()), (2, 4));
        assert_eq!([0, 1].map(|id| regions.slot_of(VertexId(id), 1)), [0, 1]);
    }

    #[test]
    fn a_loop_is_whole() {
        let mut graph = graph(&[2, 2, 2], vec![forward(0, 1), forward(1, 2)]);
        looped(&mut graph, 1, 2);
        assert_eq!(shape(&graph), [(vec![0, 1, 2], true, 1)]);
    }

    #[test]
    fn many_vertices_take_no_time_to_speak_of() {
        const COUNT: u32 = 200_000;
        let edges = (1..COUNT).rev().map(|to| forward(to - 1, to)).collect();
        let regions = Regions::new(&graph(&vec![1; COUNT as usize], edges));
        assert_eq!((regions.count(), regions.components().len()), (1, 1));
    }
}
