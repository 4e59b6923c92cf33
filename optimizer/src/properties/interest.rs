//! Interesting properties: what the operators further down could make use of.
//!
//! They flow from the sinks to the sources. A property that nobody downstream is interested in is forgotten, so that
//! alternatives that differ only in it become the same, and the dearer one is pruned.

use super::pass::{forwarded, normalize};
use super::{LocalProperties, Order, Properties, group_prefix, is_part_of, key_order, key_set};
use crate::context::Context;
use crate::iteration::head_keys;
use flinkrs_core::types::KeyField;
use flinkrs_plan::{ForwardedFields, KeySpec, OperatorKind, PartitionMethod, PlanOperator, SortField};

/// How many interests of each sort an operator's output keeps, nearest consumers first. More than that many different
/// keys downstream of one operator make the optimizer overlook a reuse, never a mistake.
const INTERESTS_MAX: usize = 16;

/// What could be useful of the output of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interests {
    /// Partitionings by some fields of one of these sets.
    colocate: Vec<KeySpec>,
    /// Partitionings by exactly one of these keys.
    exact: Vec<KeySpec>,
    /// Groupings on one of these sets, with an order within.
    groups: Vec<(KeySpec, Order)>,
    /// Orders that begin with one of these.
    orders: Vec<Order>,
}

impl Interests {
    /// What is left of `properties` when everything without use is forgotten.
    pub(crate) fn relevant(&self, mut properties: Properties) -> Properties {
        properties.global.partitionings.retain(|partitioning| {
            let key = partitioning.key();
            self.exact.iter().any(|exact| exact == key) || self.colocate.iter().any(|set| is_part_of(key, set))
        });
        let LocalProperties { orders, groupings } = &mut properties.local;
        for order in orders.iter_mut() {
            order.truncate(self.useful_length(order));
        }
        groupings.retain(|key| self.groups.iter().any(|(set, within)| set == key && within.is_empty()));
        normalize(properties)
    }

    fn useful_length(&self, order: &[SortField]) -> usize {
        let by_group = self.groups.iter().filter_map(|(set, within)| {
            let rest = group_prefix(order, set)?;
            rest.starts_with(within).then_some(set.len() + within.len())
        });
        let by_order = self.orders.iter().filter(|by| order.starts_with(by)).map(Vec::len);
        by_group.chain(by_order).max().unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.colocate.is_empty() && self.exact.is_empty() && self.groups.is_empty() && self.orders.is_empty()
    }

    /// What `op` itself could use of its input.
    fn add_own(&mut self, op: &PlanOperator, input: usize) {
        match &op.kind {
            OperatorKind::Reduce { key, .. } | OperatorKind::Distinct { key } => {
                self.add_colocate(key_set(key));
                self.add_group(key_set(key), Order::new());
            }
            OperatorKind::GroupReduce { key, group_order, .. } => {
                self.add_colocate(key_set(key));
                self.add_group(key_set(key), group_order.clone());
            }
            OperatorKind::GroupCombine { key, group_order } => self.add_group(key_set(key), group_order.clone()),
            OperatorKind::Join { first_key, second_key, .. } => {
                let key = if input == 0 { first_key } else { second_key };
                self.add_exact(key.clone());
                self.add_order(key_order(key, &[]));
            }
            OperatorKind::CoGroup { first_key, second_key, first_order, second_order } => {
                let (key, within) = if input == 0 { (first_key, first_order) } else { (second_key, second_order) };
                self.add_exact(key.clone());
                self.add_order(key_order(key, within));
            }
            OperatorKind::Partition { method: PartitionMethod::Hash, key } | OperatorKind::SolutionSet { key } => {
                self.add_exact(key.clone());
            }
            OperatorKind::DeltaIteration { key, .. } if input == 0 => self.add_exact(key.clone()),
            _ => {}
        }
    }

    /// What a combiner of `op` could use of its producer's output.
    fn add_combiner(&mut self, op: &PlanOperator) {
        match &op.kind {
            OperatorKind::Reduce { key, .. } | OperatorKind::Distinct { key } => {
                self.add_group(key_set(key), Order::new());
            }
            OperatorKind::GroupReduce { key, group_order, combinable: true } => {
                self.add_group(key_set(key), group_order.clone());
            }
            _ => {}
        }
    }

    /// What the consumers of `op` could use of its input, where the operator passes it on.
    fn add_passed(&mut self, op: &PlanOperator, input: usize, of_output: &Interests) {
        if of_output.is_empty() {
            return;
        }
        let forwarded = forwarded(op, input);
        let source = |field: &KeyField| source(&forwarded, field);
        for set in &of_output.colocate {
            self.add_colocate(set.iter().filter_map(source).collect());
        }
        for key in &of_output.exact {
            if let Some(key) = key.iter().map(source).collect() {
                self.add_exact(key);
            }
        }
        if !keeps_order(op) {
            return;
        }
        let sources = |order: &Order| -> Option<Order> {
            order.iter().map(|sort| Some(SortField { field: source(&sort.field)?, order: sort.order })).collect()
        };
        for (set, within) in &of_output.groups {
            if let (Some(set), Some(within)) = (set.iter().map(source).collect::<Option<Vec<_>>>(), sources(within)) {
                self.add_group(key_set(&set), within);
            }
        }
        for order in &of_output.orders {
            if let Some(order) = sources(order) {
                self.add_order(order);
            }
        }
    }

    /// What a loop could carry around, where `op` closes it.
    fn add_carried(&mut self, context: &Context, op: &PlanOperator) {
        if let OperatorKind::BulkIteration { head, .. } | OperatorKind::DeltaIteration { head, .. } = op.kind {
            head_keys(context, head).into_iter().for_each(|(key, _)| self.add_exact(key));
        }
    }

    fn add_colocate(&mut self, set: KeySpec) {
        add(&mut self.colocate, key_set(&set), set.is_empty());
    }

    fn add_exact(&mut self, key: KeySpec) {
        let empty = key.is_empty();
        add(&mut self.exact, key, empty);
    }

    fn add_group(&mut self, set: KeySpec, within: Order) {
        let empty = set.is_empty() && within.is_empty();
        add(&mut self.groups, (set, within), empty);
    }

    fn add_order(&mut self, order: Order) {
        let empty = order.is_empty();
        add(&mut self.orders, order, empty);
    }
}

/// The interests in the output of every operator of the plan, by id.
pub(crate) fn interests(context: &Context) -> Vec<Interests> {
    let mut all = vec![Interests::default(); context.plan.operators.len()];
    for &id in context.reachable.iter().rev() {
        let op = context.operator(id);
        let of_output = all[id.0 as usize].clone();
        for (i, input) in op.inputs.iter().enumerate() {
            let of_input = &mut all[input.0 as usize];
            // Without FORWARD nothing survives the edge; a combiner works before it.
            if context.equal_parallelism(op, i) {
                of_input.add_own(op, i);
                of_input.add_passed(op, i, &of_output);
                of_input.add_carried(context, op);
            } else {
                of_input.add_combiner(op);
            }
        }
    }
    all
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T, empty: bool) {
    if !empty && list.len() < INTERESTS_MAX && !list.contains(&item) {
        list.push(item);
    }
}

/// Where a field of the output lies in the input.
fn source(forwarded: &ForwardedFields, field: &KeyField) -> Option<KeyField> {
    if forwarded.all {
        return Some(field.clone());
    }
    forwarded.fields.iter().find(|(_, to)| to == field).map(|(from, _)| from.clone())
}

/// Whether an order of the input can be one of the output.
fn keeps_order(op: &PlanOperator) -> bool {
    !matches!(
        op.kind,
        OperatorKind::Source { .. }
            | OperatorKind::MapBatches
            | OperatorKind::MapPartition
            | OperatorKind::Cross { .. }
            | OperatorKind::Union
            | OperatorKind::SortPartition { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OptimizerOptions;
    use crate::properties::{GlobalProperties, Partitioning};
    use crate::testing::{PlanBuilder, ascending, fields, moves};

    #[test]
    fn interests_pass_upwards_through_forwarded_fields() {
        let mut builder = PlanBuilder::new(4);
        let source = builder.source(1.0, 1.0);
        let map = builder.map(source);
        builder.forwards(map, 0, moves(&[(5, 0), (6, 1)]));
        let group = builder.group_reduce(map, &[0, 1], &[ascending(2)], false);
        builder.sink(group);
        let context = Context::new(&builder.build(), &OptimizerOptions::default()).expect("a valid plan");
        let all = interests(&context);
        assert_eq!(all[source.0 as usize].colocate, [fields(&[5, 6])]);
        assert!(all[source.0 as usize].groups.is_empty(), "the order within groups isn't forwarded");
        assert_eq!(all[map.0 as usize].groups, [(fields(&[0, 1]), vec![ascending(2)])]);
        assert!(all[group.0 as usize].is_empty());
    }

    #[test]
    fn what_is_of_no_interest_is_forgotten() {
        let interests = Interests { groups: vec![(fields(&[0, 1]), Vec::new())], ..Interests::default() };
        let properties = Properties {
            global: GlobalProperties::partitioned(Partitioning::Hash { key: fields(&[0]) }),
            local: LocalProperties {
                orders: vec![vec![ascending(1), ascending(0), ascending(2)], vec![ascending(2)]],
                groupings: vec![fields(&[0]), fields(&[0, 1])],
            },
        };
        let left = interests.relevant(properties);
        assert!(left.global.partitionings.is_empty());
        assert_eq!(left.local.orders, [vec![ascending(1), ascending(0)]]);
        assert_eq!(left.local.groupings, [fields(&[0, 1])]);
    }
}
