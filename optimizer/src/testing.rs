//! A small builder of plans for tests.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by unit and integration tests, each using a part")]

use flinkrs_core::id::OperatorId;
use flinkrs_core::source::Statistics;
use flinkrs_core::strategy::JoinType;
use flinkrs_core::types::KeyField;
use flinkrs_plan::{
    ChainingPolicy, CombineHint, CrossHint, ForwardedFields, JoinHint, OperatorKind, PartitionMethod, Plan,
    PlanOperator, SizeHints, SortField, SortOrder,
};

/// Field number `i` of a tuple.
pub fn field(i: u32) -> KeyField {
    KeyField::Path(i.to_string())
}

pub fn fields(numbers: &[u32]) -> Vec<KeyField> {
    numbers.iter().map(|i| field(*i)).collect()
}

pub fn ascending(i: u32) -> SortField {
    SortField { field: field(i), order: SortOrder::Ascending }
}

pub fn descending(i: u32) -> SortField {
    SortField { field: field(i), order: SortOrder::Descending }
}

/// Fields that keep their places.
pub fn keeps(numbers: &[u32]) -> ForwardedFields {
    ForwardedFields { all: false, fields: numbers.iter().map(|i| (field(*i), field(*i))).collect() }
}

/// Fields that move.
pub fn moves(pairs: &[(u32, u32)]) -> ForwardedFields {
    ForwardedFields { all: false, fields: pairs.iter().map(|(from, to)| (field(*from), field(*to))).collect() }
}

pub struct PlanBuilder {
    plan: Plan,
}

impl PlanBuilder {
    pub fn new(parallelism: u32) -> PlanBuilder {
        let plan = Plan { name: "test".into(), default_parallelism: parallelism, ..Plan::default() };
        PlanBuilder { plan }
    }

    pub fn named(name: &str, parallelism: u32) -> PlanBuilder {
        let mut builder = PlanBuilder::new(parallelism);
        builder.plan.name = name.into();
        builder
    }

    pub fn add(&mut self, name: &str, kind: OperatorKind, inputs: &[OperatorId]) -> OperatorId {
        let id = OperatorId(self.plan.operators.len() as u32);
        self.plan.operators.push(PlanOperator {
            id,
            name: name.into(),
            uid: None,
            kind,
            inputs: inputs.to_vec(),
            broadcast_inputs: Vec::new(),
            parallelism: None,
            slot_sharing_group: None,
            forwarded: vec![ForwardedFields::none(); inputs.len()],
            hints: SizeHints::default(),
            chaining: ChainingPolicy::Always,
            output_type: "test".into(),
            output_bytes: 16.0,
        });
        id
    }

    /// The operator, to set more of it.
    pub fn op(&mut self, id: OperatorId) -> &mut PlanOperator {
        &mut self.plan.operators[id.0 as usize]
    }

    pub fn parallelism(&mut self, id: OperatorId, parallelism: u32) -> OperatorId {
        self.op(id).parallelism = Some(parallelism);
        id
    }

    pub fn forwards(&mut self, id: OperatorId, input: usize, forwarded: ForwardedFields) -> OperatorId {
        self.op(id).forwarded[input] = forwarded;
        id
    }

    pub fn source(&mut self, records: f64, record_bytes: f64) -> OperatorId {
        let statistics = Statistics { records: Some(records), bytes: None, record_bytes: Some(record_bytes) };
        let kind = OperatorKind::Source { splits: Vec::new(), statistics };
        let id = self.add("source", kind, &[]);
        self.op(id).output_bytes = record_bytes;
        id
    }

    pub fn unknown_source(&mut self) -> OperatorId {
        self.add("source", OperatorKind::Source { splits: Vec::new(), statistics: Statistics::default() }, &[])
    }

    pub fn map(&mut self, input: OperatorId) -> OperatorId {
        self.add("map", OperatorKind::Map, &[input])
    }

    pub fn flat_map(&mut self, input: OperatorId) -> OperatorId {
        self.add("flat map", OperatorKind::FlatMap, &[input])
    }

    pub fn filter(&mut self, input: OperatorId) -> OperatorId {
        self.add("filter", OperatorKind::Filter, &[input])
    }

    pub fn reduce(&mut self, input: OperatorId, key: &[u32]) -> OperatorId {
        self.reduce_hinted(input, key, CombineHint::OptimizerChooses)
    }

    /// A reduce that passes its key on.
    pub fn reduce_hinted(&mut self, input: OperatorId, key: &[u32], combine: CombineHint) -> OperatorId {
        let id = self.add("reduce", OperatorKind::Reduce { key: fields(key), combine }, &[input]);
        self.forwards(id, 0, keeps(key))
    }

    pub fn distinct(&mut self, input: OperatorId, key: &[u32]) -> OperatorId {
        self.add("distinct", OperatorKind::Distinct { key: fields(key) }, &[input])
    }

    /// A group reduce that passes its key on.
    pub fn group_reduce(
        &mut self,
        input: OperatorId,
        key: &[u32],
        order: &[SortField],
        combinable: bool,
    ) -> OperatorId {
        let kind = OperatorKind::GroupReduce { key: fields(key), group_order: order.to_vec(), combinable };
        let id = self.add("group reduce", kind, &[input]);
        self.forwards(id, 0, keeps(key))
    }

    pub fn join(
        &mut self,
        join_type: JoinType,
        first: OperatorId,
        second: OperatorId,
        first_key: &[KeyField],
        second_key: &[KeyField],
    ) -> OperatorId {
        let kind = OperatorKind::Join {
            join_type,
            first_key: first_key.to_vec(),
            second_key: second_key.to_vec(),
            hint: JoinHint::OptimizerChooses,
        };
        self.add("join", kind, &[first, second])
    }

    pub fn join_hint(&mut self, join: OperatorId, wish: JoinHint) {
        if let OperatorKind::Join { hint, .. } = &mut self.op(join).kind {
            *hint = wish;
        }
    }

    pub fn co_group(
        &mut self,
        first: OperatorId,
        second: OperatorId,
        first_key: &[u32],
        second_key: &[u32],
    ) -> OperatorId {
        let kind = OperatorKind::CoGroup {
            first_key: fields(first_key),
            second_key: fields(second_key),
            first_order: Vec::new(),
            second_order: Vec::new(),
        };
        self.add("co-group", kind, &[first, second])
    }

    pub fn cross(&mut self, first: OperatorId, second: OperatorId) -> OperatorId {
        self.add("cross", OperatorKind::Cross { hint: CrossHint::OptimizerChooses }, &[first, second])
    }

    pub fn union(&mut self, inputs: &[OperatorId]) -> OperatorId {
        self.add("union", OperatorKind::Union, inputs)
    }

    pub fn partition(&mut self, input: OperatorId, method: PartitionMethod, key: &[u32]) -> OperatorId {
        self.add("partition", OperatorKind::Partition { method, key: fields(key) }, &[input])
    }

    pub fn sort_partition(&mut self, input: OperatorId, order: &[SortField]) -> OperatorId {
        self.add("sort partition", OperatorKind::SortPartition { order: order.to_vec() }, &[input])
    }

    pub fn broadcast(&mut self, to: OperatorId, name: &str, set: OperatorId) {
        self.op(to).broadcast_inputs.push((name.into(), set));
    }

    pub fn sink(&mut self, input: OperatorId) -> OperatorId {
        let id = self.add("sink", OperatorKind::Sink, &[input]);
        self.plan.sinks.push(id);
        id
    }

    pub fn build(self) -> Plan {
        self.plan
    }
}
