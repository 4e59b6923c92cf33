//! Physical properties of a data set: how it is spread over subtasks, and in what order each of them has it.

pub(crate) mod interest;
pub(crate) mod pass;

use flinkrs_core::id::OperatorId;
use flinkrs_core::types::KeyField;
use flinkrs_plan::{KeySpec, PlanOperator, SortField, SortOrder};
use std::fmt;

/// A rule by which records are spread; records with equal `key` are in one subtask.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Partitioning {
    /// By the hash of the key: the same rule for all data sets of equal parallelism.
    Hash { key: KeySpec },
    /// By the bounds that the partition operator `by` sampled: a rule of its own.
    Range { key: KeySpec, by: OperatorId },
    /// By the function that the partition operator `by` was given: a rule of its own.
    Custom { key: KeySpec, by: OperatorId },
}

impl Partitioning {
    pub(crate) fn key(&self) -> &[KeyField] {
        match self {
            Partitioning::Hash { key } | Partitioning::Range { key, .. } | Partitioning::Custom { key, .. } => key,
        }
    }

    /// The same rule, read from other fields that hold the same values.
    pub(crate) fn with_key(&self, key: KeySpec) -> Partitioning {
        match *self {
            Partitioning::Hash { .. } => Partitioning::Hash { key },
            Partitioning::Range { by, .. } => Partitioning::Range { key, by },
            Partitioning::Custom { by, .. } => Partitioning::Custom { key, by },
        }
    }

    /// Flink's name for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Partitioning::Hash { .. } => "HASH_PARTITIONED",
            Partitioning::Range { .. } => "RANGE_PARTITIONED",
            Partitioning::Custom { .. } => "CUSTOM_PARTITIONING",
        }
    }
}

/// Fields by which a partition is ordered, most significant first.
pub(crate) type Order = Vec<SortField>;

/// How a data set is spread over its subtasks. All that is listed holds at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct GlobalProperties {
    /// Sorted; empty if nothing is known.
    pub(crate) partitionings: Vec<Partitioning>,
    /// Every subtask has all records.
    pub(crate) replicated: bool,
}

/// What order each subtask has its records in. All that is listed holds at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct LocalProperties {
    /// Sorted; none is empty.
    pub(crate) orders: Vec<Order>,
    /// Sets of fields, each sorted: records that agree in all of them are neighbours.
    pub(crate) groupings: Vec<KeySpec>,
}

/// Everything that is known of the output of an operator or of what arrives at an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Properties {
    pub(crate) global: GlobalProperties,
    pub(crate) local: LocalProperties,
}

impl GlobalProperties {
    pub(crate) fn partitioned(partitioning: Partitioning) -> GlobalProperties {
        GlobalProperties { partitionings: vec![partitioning], replicated: false }
    }

    /// Whether records that agree in all fields of `key` are in one subtask: so they are if they are spread by some
    /// of these fields.
    pub(crate) fn colocates(&self, key: &[KeyField]) -> bool {
        self.partitionings.iter().any(|partitioning| is_part_of(partitioning.key(), key))
    }

    /// Whether they are spread by the hash of exactly this key, fields in this order.
    pub(crate) fn hashed_by(&self, key: &[KeyField]) -> bool {
        self.partitionings.iter().any(|p| matches!(p, Partitioning::Hash { key: by } if by == key))
    }

    /// The rule by which both data sets, of equal parallelism, are spread by their keys, if there is one.
    pub(crate) fn same_rule(&self, key: &[KeyField], other: &GlobalProperties, other_key: &[KeyField]) -> bool {
        self.partitionings
            .iter()
            .filter(|rule| rule.key() == key)
            .any(|rule| other.partitionings.contains(&rule.with_key(other_key.to_vec())))
    }
}

impl LocalProperties {
    /// Whether records that agree in all fields of `key` are neighbours, and ordered by `within` among themselves.
    pub(crate) fn grouped(&self, key: &[KeyField], within: &[SortField]) -> bool {
        let key = key_set(key);
        if key.is_empty() && within.is_empty() {
            return true;
        }
        if within.is_empty() && self.groupings.contains(&key) {
            return true;
        }
        self.orders.iter().any(|order| group_prefix(order, &key).is_some_and(|rest| rest.starts_with(within)))
    }

    /// Whether records are ordered by `order`, and perhaps by more.
    pub(crate) fn ordered(&self, order: &[SortField]) -> bool {
        order.is_empty() || self.orders.iter().any(|by| by.starts_with(order))
    }
}

/// What follows in `order` after its first fields, if these are the fields of `key` (a set) in any sequence.
pub(crate) fn group_prefix<'a>(order: &'a [SortField], key: &[KeyField]) -> Option<&'a [SortField]> {
    let (head, rest) = order.split_at_checked(key.len())?;
    let mut fields: Vec<KeyField> = head.iter().map(|sort| sort.field.clone()).collect();
    fields.sort();
    (fields == key).then_some(rest)
}

/// The fields of a key as a set: sorted, each once.
pub(crate) fn key_set(key: &[KeyField]) -> KeySpec {
    let mut set = key.to_vec();
    set.sort();
    set.dedup();
    set
}

/// Whether `some` has a field and all its fields are in `key`.
pub(crate) fn is_part_of(some: &[KeyField], key: &[KeyField]) -> bool {
    !some.is_empty() && some.iter().all(|field| key.contains(field))
}

/// The order that sorting by a key, and `within` its groups, leaves.
pub(crate) fn key_order(key: &[KeyField], within: &[SortField]) -> Order {
    let ascending = |field: &KeyField| SortField { field: field.clone(), order: SortOrder::Ascending };
    key.iter().map(ascending).chain(within.iter().cloned()).collect()
}

/// A key as explain texts show it: `[f0, f2]`.
pub(crate) fn show_key(key: &[KeyField]) -> String {
    let fields: Vec<String> = key.iter().map(ToString::to_string).collect();
    format!("[{}]", fields.join(", "))
}

/// An order as explain texts show it: `[f0 ASC, f1 DESC]`.
pub(crate) fn show_order(order: &[SortField]) -> String {
    let fields: Vec<String> = order
        .iter()
        .map(|sort| match sort.order {
            SortOrder::Ascending => format!("{} ASC", sort.field),
            SortOrder::Descending => format!("{} DESC", sort.field),
        })
        .collect();
    format!("[{}]", fields.join(", "))
}

/// The order or key by which [`Part::Sort`](flinkrs_core::strategy::Part::Sort) sorts an input of an operator.
pub(crate) fn sort_order(op: &PlanOperator, input: usize) -> Order {
    use flinkrs_plan::OperatorKind::{CoGroup, Distinct, GroupCombine, GroupReduce, Join, Reduce, SortPartition};
    match &op.kind {
        Reduce { key, .. } | Distinct { key } => key_order(key, &[]),
        GroupReduce { key, group_order, .. } | GroupCombine { key, group_order } => key_order(key, group_order),
        SortPartition { order } => order.clone(),
        Join { first_key, second_key, .. } => key_order(if input == 0 { first_key } else { second_key }, &[]),
        CoGroup { first_key, second_key, first_order, second_order } => match input {
            0 => key_order(first_key, first_order),
            _ => key_order(second_key, second_order),
        },
        _ => Order::new(),
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self
            .global
            .partitionings
            .iter()
            .map(|partitioning| format!("{} on {}", partitioning.name(), show_key(partitioning.key())))
            .collect();
        if self.global.replicated {
            parts.push("FULL_REPLICATION".to_owned());
        }
        parts.extend(self.local.orders.iter().map(|order| format!("ordered by {}", show_order(order))));
        parts.extend(self.local.groupings.iter().map(|key| format!("grouped on {}", show_key(key))));
        if parts.is_empty() {
            parts.push("nothing".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ascending, descending, field};

    fn hash(fields: &[u32]) -> Partitioning {
        Partitioning::Hash { key: fields.iter().map(|&i| field(i)).collect() }
    }

    #[test]
    fn a_partitioning_by_some_fields_of_a_key_keeps_its_groups_together() {
        let global = GlobalProperties::partitioned(hash(&[1]));
        assert!(global.colocates(&[field(0), field(1)]));
        assert!(!global.colocates(&[field(0)]));
        assert!(!GlobalProperties::default().colocates(&[field(0)]));
    }

    #[test]
    fn joins_need_the_same_rule_on_the_same_fields() {
        let (first, second) =
            (GlobalProperties::partitioned(hash(&[0, 1])), GlobalProperties::partitioned(hash(&[2, 3])));
        assert!(first.same_rule(&[field(0), field(1)], &second, &[field(2), field(3)]));
        assert!(!first.same_rule(&[field(1), field(0)], &second, &[field(3), field(2)]));
        assert!(!first.same_rule(&[field(0), field(1)], &second, &[field(3), field(2)]));
        let range = |by| GlobalProperties::partitioned(Partitioning::Range { key: vec![field(0)], by: OperatorId(by) });
        assert!(range(1).same_rule(&[field(0)], &range(1), &[field(0)]));
        assert!(!range(1).same_rule(&[field(0)], &range(2), &[field(0)]));
    }

    #[test]
    fn an_order_groups_by_its_first_fields() {
        let local =
            LocalProperties { orders: vec![vec![descending(1), ascending(0), descending(2)]], groupings: Vec::new() };
        assert!(local.grouped(&[field(0), field(1)], &[]));
        assert!(local.grouped(&[field(1)], &[]));
        assert!(!local.grouped(&[field(0)], &[]));
        assert!(local.grouped(&[field(0), field(1)], &[descending(2)]));
        assert!(!local.grouped(&[field(0), field(1)], &[ascending(2)]));
        assert!(local.ordered(&[descending(1)]));
        assert!(!local.ordered(&[ascending(1)]));
    }

    #[test]
    fn a_grouping_is_of_its_own_fields_only() {
        let local = LocalProperties { orders: Vec::new(), groupings: vec![key_set(&[field(1), field(0)])] };
        assert!(local.grouped(&[field(0), field(1)], &[]));
        assert!(!local.grouped(&[field(0)], &[]));
        assert!(!local.grouped(&[field(0), field(1)], &[ascending(2)]));
        assert!(!local.ordered(&[ascending(0)]));
    }
}
