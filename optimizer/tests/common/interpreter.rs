//! Executes a JobGraph on records of tests, strictly: groups are only what stands together, merges check the order
//! they were promised, and every exchange mixes what it doesn't promise to keep.

use super::semantics::{
    Record, by_key, co_group, combine, compare, cross, group, join, key_of, mix, per_record, set_sum,
};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, Part, ShipStrategy, Side};
use flinkrs_core::types::KeyField;
use flinkrs_plan::{OperatorKind, Plan, PlanOperator, SortField, SortOrder};
use flinkrs_protocol::{ChainedOperator, EdgeLists, JobEdge, JobGraph, JobVertex};
use std::collections::{BTreeMap, HashMap};

type Partitions = Vec<Vec<Record>>;

/// Runs the graph; the records that reach each sink, sorted.
pub fn run(
    plan: &Plan,
    graph: &JobGraph,
    sources: &HashMap<OperatorId, Vec<Record>>,
) -> BTreeMap<OperatorId, Vec<Record>> {
    let mut run = Run {
        plan,
        graph,
        edges: graph.edge_lists(),
        sources,
        main: HashMap::new(),
        side: HashMap::new(),
        sinks: BTreeMap::new(),
    };
    for vertex in &graph.vertices {
        run.vertex(vertex);
    }
    for records in run.sinks.values_mut() {
        records.sort();
    }
    run.sinks
}

struct Run<'a> {
    plan: &'a Plan,
    graph: &'a JobGraph,
    edges: EdgeLists,
    sources: &'a HashMap<OperatorId, Vec<Record>>,
    main: HashMap<u32, Partitions>,
    side: HashMap<u32, Partitions>,
    sinks: BTreeMap<OperatorId, Vec<Record>>,
}

impl Run<'_> {
    fn vertex(&mut self, vertex: &JobVertex) {
        let parallelism = vertex.parallelism as usize;
        let mut inputs = vec![vec![Vec::new(); parallelism]; usize::from(vertex.inputs)];
        let mut edges = vec![0; usize::from(vertex.inputs)];
        for &index in self.edges.edges_into(vertex.id) {
            let edge = &self.graph.edges[index];
            if vertex.broadcast_inputs.iter().any(|set| set.edge as usize == index) {
                continue;
            }
            for (subtask, records) in self.shipped(edge, parallelism).into_iter().enumerate() {
                inputs[usize::from(edge.input)][subtask].extend(records);
            }
            edges[usize::from(edge.input)] += 1;
        }
        assert!(edges.iter().all(|edges| *edges > 0), "an input of '{}' has no edge", vertex.name);
        let mut out = vec![Vec::new(); parallelism];
        for (subtask, out) in out.iter_mut().enumerate() {
            let inputs: Vec<Vec<Record>> = inputs.iter().map(|input| input[subtask].clone()).collect();
            *out = self.chain(vertex, subtask, inputs);
        }
        self.main.insert(vertex.id.0, out);
    }

    fn chain(&mut self, vertex: &JobVertex, subtask: usize, inputs: Vec<Vec<Record>>) -> Vec<Record> {
        let mut inputs = inputs;
        for (i, part) in vertex.chain.iter().enumerate() {
            assert!(i == 0 || inputs.len() == 1);
            let op = self.plan.operator(part.operator);
            let set: i64 = vertex
                .broadcast_inputs
                .iter()
                .filter(|set| set.operator == part.operator && set.index != 255)
                .map(|set| set_sum(&self.main[&self.graph.edges[set.edge as usize].from.0].concat()))
                .sum();
            if matches!(part.part, Part::Sample { .. }) {
                let sides = self.side.entry(vertex.id.0).or_insert(vec![Vec::new(); vertex.parallelism as usize]);
                sides[subtask] = inputs[0].clone();
            }
            let out = match (&op.kind, part.part) {
                (OperatorKind::Source { .. }, Part::Driver(_)) => {
                    let records = &self.sources[&part.operator];
                    records.iter().copied().skip(subtask).step_by(vertex.parallelism as usize).collect()
                }
                (OperatorKind::Sink, Part::Driver(_)) => {
                    self.sinks.entry(part.operator).or_default().extend(&inputs[0]);
                    inputs[0].clone()
                }
                _ => execute(op, part, &inputs, set),
            };
            inputs = vec![out];
        }
        inputs.swap_remove(0)
    }

    /// The records of an edge, per consuming subtask.
    fn shipped(&self, edge: &JobEdge, consumers: usize) -> Partitions {
        let from = if edge.side.is_some() { &self.side[&edge.from.0] } else { &self.main[&edge.from.0] };
        let mut shipped = vec![Vec::new(); consumers];
        for (producer, records) in from.iter().enumerate() {
            for (i, record) in records.iter().enumerate() {
                match edge.ship {
                    ShipStrategy::Forward => shipped[producer].push(*record),
                    ShipStrategy::Rebalance => shipped[(i + producer) % consumers].push(*record),
                    ShipStrategy::Broadcast => shipped.iter_mut().for_each(|to| to.push(*record)),
                    _ => shipped[self.target(edge, record, consumers)].push(*record),
                }
            }
        }
        if edge.ship != ShipStrategy::Forward {
            // Records of several producers arrive mixed.
            shipped.iter_mut().for_each(|records| records.sort_by_key(|record| mix(record, 5)));
        }
        shipped
    }

    fn target(&self, edge: &JobEdge, record: &Record, consumers: usize) -> usize {
        let (operator, input) = edge.partitioner.expect("a keyed edge has a partitioner");
        let key = key_of(key(self.plan.operator(operator), input), record);
        match edge.ship {
            ShipStrategy::PartitionHash => (mix(&key, 0) % consumers as u64) as usize,
            ShipStrategy::PartitionCustom => (mix(&key, 100 + u64::from(operator.0)) % consumers as u64) as usize,
            ShipStrategy::PartitionRange => {
                let from = &self.graph.vertices[edge.from.0 as usize];
                let set = from.broadcast_inputs.iter().find(|set| set.index == 255).expect("bounds are broadcast");
                assert_eq!((set.operator, set.name.as_str()), (operator, "range-bounds"));
                let samples = self.main[&self.graph.edges[set.edge as usize].from.0].concat();
                let mut keys: Vec<Vec<i64>> =
                    samples.iter().map(|record| key_of(self.range_key(operator), record)).collect();
                keys.sort();
                keys.dedup();
                let rank = keys.binary_search(&key).expect("every key was sampled");
                rank * consumers / keys.len()
            }
            _ => unreachable!("not keyed"),
        }
    }

    fn range_key(&self, operator: OperatorId) -> &[KeyField] {
        key(self.plan.operator(operator), 0)
    }
}

fn key(op: &PlanOperator, input: u8) -> &[KeyField] {
    match &op.kind {
        OperatorKind::Reduce { key, .. }
        | OperatorKind::Distinct { key }
        | OperatorKind::GroupReduce { key, .. }
        | OperatorKind::GroupCombine { key, .. }
        | OperatorKind::Partition { key, .. } => key,
        OperatorKind::Join { first_key, second_key, .. } | OperatorKind::CoGroup { first_key, second_key, .. } => {
            if input == 0 {
                first_key
            } else {
                second_key
            }
        }
        _ => &[],
    }
}

fn order(op: &PlanOperator, input: u8) -> Vec<SortField> {
    let within = match &op.kind {
        OperatorKind::GroupReduce { group_order, .. } | OperatorKind::GroupCombine { group_order, .. } => {
            group_order.clone()
        }
        OperatorKind::SortPartition { order } => order.clone(),
        _ => Vec::new(),
    };
    let fields = key(op, input).iter().map(|field| SortField { field: field.clone(), order: SortOrder::Ascending });
    fields.chain(within).collect()
}

fn execute(op: &PlanOperator, part: &ChainedOperator, inputs: &[Vec<Record>], set: i64) -> Vec<Record> {
    match part.part {
        Part::NoOp | Part::Sample { .. } | Part::RangeBounds { .. } => inputs[0].clone(),
        Part::Sort { input } => sorted(&inputs[0], &order(op, input)),
        Part::Combine(DriverStrategy::HashGroup) => {
            // The table is full after half of the records.
            let (a, b) = inputs[0].split_at(inputs[0].len() / 2);
            [a, b].into_iter().flat_map(|records| hashed(op, records)).collect()
        }
        Part::Combine(_) => neighbours(op, &inputs[0]).iter().map(|records| folded(op, records)).collect(),
        Part::Driver(driver) => drive(op, driver, inputs, set),
        Part::LoopHead => unreachable!("the plans of these tests have no loops"),
    }
}

fn drive(op: &PlanOperator, driver: DriverStrategy, inputs: &[Vec<Record>], set: i64) -> Vec<Record> {
    match (&op.kind, driver) {
        (_, DriverStrategy::HashGroup) => hashed(op, &inputs[0]),
        (OperatorKind::GroupReduce { key, group_order, .. }, DriverStrategy::SortedGroup) => {
            let groups = neighbours(op, &inputs[0]);
            for records in &groups {
                assert!(records.is_sorted_by(|a, b| compare(group_order, a, b).is_le()), "a group isn't ordered");
            }
            groups.iter().flat_map(|records| group(op, key, group_order, records)).collect()
        }
        (_, DriverStrategy::SortedGroup) => {
            neighbours(op, &inputs[0]).iter().map(|records| folded(op, records)).collect()
        }
        (OperatorKind::Join { join_type, .. }, DriverStrategy::HybridHash { build }) => {
            let mut out = paired(op, inputs, |a, b| join(op, *join_type, a, b));
            out.sort_by_key(|record| mix(record, 6 + build.index() as u64));
            out
        }
        (OperatorKind::Join { join_type, .. }, DriverStrategy::Merge { sort_first, sort_second }) => {
            let inputs = merged(op, inputs, [sort_first, sort_second]);
            paired(op, &inputs, |a, b| join(op, *join_type, a, b))
        }
        (OperatorKind::CoGroup { first_key, second_key, .. }, DriverStrategy::Merge { sort_first, sort_second }) => {
            let inputs = merged(op, inputs, [sort_first, sort_second]);
            paired(op, &inputs, |a, b| co_group(first_key, second_key, a, b))
        }
        (OperatorKind::Cross { .. }, DriverStrategy::NestedLoop { inner }) => {
            let mut out = cross(op, &inputs[0], &inputs[1]);
            if inner == Side::First {
                out.reverse();
            }
            out
        }
        (kind, DriverStrategy::Only) => {
            let mut out: Vec<Record> = match kind {
                OperatorKind::Limit { .. } => inputs[0].clone(),
                _ => inputs[0].iter().flat_map(|record| per_record(op, record, set)).collect(),
            };
            if matches!(kind, OperatorKind::MapPartition | OperatorKind::MapBatches) {
                out.reverse();
            }
            out
        }
        (kind, driver) => panic!("{kind:?} can't work as {driver:?}"),
    }
}

fn sorted(records: &[Record], order: &[SortField]) -> Vec<Record> {
    let mut records = records.to_vec();
    records.sort_by(|a, b| compare(order, a, b));
    records
}

/// One record per key, in no useful order.
fn hashed(op: &PlanOperator, records: &[Record]) -> Vec<Record> {
    let mut out: Vec<Record> = by_key(key(op, 0), records).values().map(|records| folded(op, records)).collect();
    out.sort_by_key(|record| mix(record, 7));
    out
}

fn folded(op: &PlanOperator, records: &[Record]) -> Record {
    records[1..].iter().fold(records[0], |a, b| combine(op, key(op, 0), &a, b))
}

/// The groups of a sorted-group driver: a new one begins where the key changes.
fn neighbours(op: &PlanOperator, records: &[Record]) -> Vec<Vec<Record>> {
    let key = key(op, 0);
    let same = |a: &Record, b: &Record| key_of(key, a) == key_of(key, b);
    records.chunk_by(same).map(<[Record]>::to_vec).collect()
}

fn merged(op: &PlanOperator, inputs: &[Vec<Record>], sorts: [bool; 2]) -> Vec<Vec<Record>> {
    let side = |input: usize| {
        let order = order(op, input as u8);
        if sorts[input] {
            return sorted(&inputs[input], &order);
        }
        let in_order = inputs[input].is_sorted_by(|a, b| compare(&order, a, b).is_le());
        assert!(in_order, "input {input} of '{}' isn't in the order that was promised", op.name);
        inputs[input].clone()
    };
    vec![side(0), side(1)]
}

fn paired(
    op: &PlanOperator,
    inputs: &[Vec<Record>],
    pair: impl Fn(&[Record], &[Record]) -> Vec<Record>,
) -> Vec<Record> {
    let (mut first, mut second) = (by_key(key(op, 0), &inputs[0]), by_key(key(op, 1), &inputs[1]));
    let mut keys: Vec<Vec<i64>> = first.keys().chain(second.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.iter()
        .flat_map(|key| pair(&first.remove(key).unwrap_or_default(), &second.remove(key).unwrap_or_default()))
        .collect()
}
