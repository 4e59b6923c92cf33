//! Size estimation: how many records and bytes each operator emits, from source statistics and hints.
//!
//! Every size is a number. Where nothing is known the defaults below stand in, and `known` is false: such a size
//! isn't trusted where being wrong would be expensive (see [`Size::pessimistic`]).

use flinkrs_core::id::OperatorId;
use flinkrs_core::source::{Split, Statistics};
use flinkrs_core::strategy::JoinType;
use flinkrs_plan::{OperatorKind, Plan, PlanOperator};

/// Records of a source that says nothing: large, so that what is cheap for large inputs is preferred.
const SOURCE_RECORDS: f64 = 10_000_000.0;
/// Output per input record of a filter.
const FILTER_SELECTIVITY: f64 = 0.5;
/// Output per input record of a flat map: more than one, for it is rarely used only to filter.
const FLAT_MAP_FACTOR: f64 = 2.0;
/// Distinct keys per record of a grouping: few enough for a combiner to help, as it does more often than not.
const GROUPS_PER_RECORD: f64 = 0.1;
/// Output per input record of a combiner whose number of keys is unknown: so few that it is used, since it gives up by
/// itself where it doesn't help.
pub(crate) const COMBINED_PER_RECORD: f64 = 0.1;
/// How much larger an unknown input may be than its estimate, where that would hurt.
const UNKNOWN_FACTOR: f64 = 1000.0;
/// No estimate grows past this, so that sums and products stay finite.
const RECORDS_MAX: f64 = 1e15;

/// The estimated output of an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) records: f64,
    /// Average bytes per record; at least 1.
    pub(crate) record_bytes: f64,
    /// Whether it derives from statistics or hints and not from a default for sources.
    pub(crate) known: bool,
    /// For a grouping: its distinct keys.
    pub(crate) groups: f64,
    /// Whether a hint gave them.
    pub(crate) groups_known: bool,
}

impl Size {
    pub(crate) fn bytes(&self) -> f64 {
        self.records * self.record_bytes
    }

    /// The size to reckon with where every subtask gets all of it.
    pub(crate) fn pessimistic(&self) -> Size {
        if self.known { *self } else { Size { records: self.records * UNKNOWN_FACTOR, ..*self } }
    }

    fn of(records: f64, record_bytes: f64, known: bool) -> Size {
        Size { records, record_bytes, known, groups: records, groups_known: false }
    }
}

/// The sizes of all operators, by id; those that aren't reachable have size 0.
pub(crate) fn estimate(plan: &Plan, reachable: &[OperatorId], parallelism: &[u32]) -> Vec<Size> {
    let mut sizes = vec![Size::of(0.0, 1.0, true); plan.operators.len()];
    for &id in reachable {
        let op = plan.operator(id);
        let mut inputs: Vec<Size> = op.inputs.iter().map(|input| sizes[input.0 as usize]).collect();
        if let OperatorKind::DeltaIteration { solution, .. } = op.kind {
            inputs[0] = sizes[solution.0 as usize];
        }
        let estimate = derive(op, &inputs, f64::from(parallelism[id.0 as usize]));
        sizes[id.0 as usize] = with_hints(op, &inputs, estimate);
    }
    sizes
}

fn derive(op: &PlanOperator, inputs: &[Size], parallelism: f64) -> Size {
    let first = inputs.first().copied().unwrap_or(Size::of(SOURCE_RECORDS, op.output_bytes, false));
    let second = inputs.get(1).copied().unwrap_or(first);
    let known = inputs.iter().all(|size| size.known);
    let made = |records: f64| Size::of(records, op.output_bytes, known);
    let kept = |records: f64| Size::of(records, first.record_bytes, known);
    match &op.kind {
        OperatorKind::Source { splits, statistics } => source(op, splits, statistics),
        OperatorKind::Map | OperatorKind::MapBatches | OperatorKind::MapPartition => made(first.records),
        OperatorKind::FlatMap => made(first.records * FLAT_MAP_FACTOR),
        OperatorKind::Filter => kept(first.records * FILTER_SELECTIVITY),
        OperatorKind::Limit { count } => Size { known: true, ..kept(first.records.min(*count as f64 * parallelism)) },
        OperatorKind::Partition { .. } | OperatorKind::SortPartition { .. } | OperatorKind::Sink => first,
        // Of a delta iteration the solution set goes in by `estimate`.
        OperatorKind::LoopInput
        | OperatorKind::SolutionSet { .. }
        | OperatorKind::BulkIteration { .. }
        | OperatorKind::DeltaIteration { .. } => first,
        OperatorKind::Reduce { key, .. } => grouped(op, &first, key.is_empty(), op.output_bytes),
        OperatorKind::Distinct { key } => grouped(op, &first, key.is_empty(), first.record_bytes),
        OperatorKind::GroupReduce { key, .. } => grouped(op, &first, key.is_empty(), op.output_bytes),
        OperatorKind::GroupCombine { .. } => made(first.records * COMBINED_PER_RECORD),
        OperatorKind::Join { join_type, .. } => made(joined(op, *join_type, first.records, second.records)),
        OperatorKind::CoGroup { .. } => made(first.records.max(second.records)),
        OperatorKind::Cross { .. } => made(first.records * second.records),
        OperatorKind::Union => {
            let records: f64 = inputs.iter().map(|size| size.records).sum();
            let bytes: f64 = inputs.iter().map(Size::bytes).sum();
            Size::of(records, if records > 0.0 { bytes / records } else { first.record_bytes }, known)
        }
    }
}

fn source(op: &PlanOperator, splits: &[Split], statistics: &Statistics) -> Size {
    let split_bytes: f64 = splits.iter().map(|split| split.bytes as f64).sum();
    let bytes = number(statistics.bytes).or((split_bytes > 0.0).then_some(split_bytes));
    let records = number(statistics.records);
    let record_bytes = number(statistics.record_bytes).or(match (bytes, records) {
        (Some(bytes), Some(records)) if records > 0.0 => Some(bytes / records),
        _ => None,
    });
    let record_bytes = record_bytes.unwrap_or(op.output_bytes).max(1.0);
    let records = records.or(bytes.map(|bytes| bytes / record_bytes));
    Size::of(records.unwrap_or(SOURCE_RECORDS), record_bytes, records.is_some())
}

fn grouped(op: &PlanOperator, input: &Size, one_group: bool, record_bytes: f64) -> Size {
    let one_per_group = !matches!(op.kind, OperatorKind::GroupReduce { .. });
    let hint = number(op.hints.distinct_keys).or(number(op.hints.records).filter(|_| one_per_group)).or(number(
        op.hints.selectivity,
    )
    .filter(|_| one_per_group)
    .map(|ratio| ratio * input.records));
    let groups = match hint {
        _ if one_group => 1.0,
        Some(groups) => groups.clamp(1.0, input.records.max(1.0)),
        None => (input.records * GROUPS_PER_RECORD).max(1.0),
    };
    Size {
        groups,
        groups_known: one_group || hint.is_some(),
        ..Size::of(groups, record_bytes, input.known || one_group)
    }
}

fn joined(op: &PlanOperator, join_type: JoinType, first: f64, second: f64) -> f64 {
    let pairs = match number(op.hints.distinct_keys) {
        Some(keys) if keys >= 1.0 => first * second / keys,
        // A foreign key on one side: every record of the larger finds one of the smaller.
        _ => first.max(second),
    };
    match join_type {
        JoinType::Inner => pairs,
        JoinType::LeftOuter => pairs.max(first),
        JoinType::RightOuter => pairs.max(second),
        JoinType::FullOuter => pairs.max(first).max(second),
        JoinType::Semi | JoinType::Anti => first * FILTER_SELECTIVITY,
    }
}

/// What the program says goes before what was derived.
fn with_hints(op: &PlanOperator, inputs: &[Size], mut size: Size) -> Size {
    if let Some(records) = number(op.hints.records) {
        size.records = records;
        size.known = true;
    } else if let Some(ratio) = number(op.hints.selectivity) {
        size.records = ratio * inputs.iter().map(|input| input.records).fold(0.0, f64::max);
    }
    if let Some(bytes) = number(op.hints.record_bytes) {
        size.record_bytes = bytes;
    }
    size.records = size.records.min(RECORDS_MAX);
    size.groups = size.groups.min(RECORDS_MAX);
    size.record_bytes = if size.record_bytes.is_finite() { size.record_bytes.clamp(1.0, 1e12) } else { 1.0 };
    size
}

/// A number that can be reckoned with.
fn number(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use crate::context::Context;
    use crate::options::OptimizerOptions;
    use crate::testing::{PlanBuilder, field};
    use flinkrs_core::strategy::JoinType;

    fn records(build: impl FnOnce(&mut PlanBuilder) -> flinkrs_core::id::OperatorId) -> (f64, f64, bool) {
        let mut builder = PlanBuilder::new(4);
        let id = build(&mut builder);
        builder.sink(id);
        let context = Context::new(&builder.build(), &OptimizerOptions::default()).expect("a valid plan");
        let size = context.size(id);
        (size.records, size.record_bytes, size.known)
    }

    #[test]
    fn statistics_and_hints_make_sizes() {
        assert_eq!(records(|b| b.source(1000.0, 8.0)), (1000.0, 8.0, true));
        assert_eq!(
            records(|b| {
                let source = b.source(1000.0, 8.0);
                b.filter(source)
            }),
            (500.0, 8.0, true)
        );
        assert_eq!(
            records(|b| {
                let source = b.source(1000.0, 8.0);
                let filter = b.filter(source);
                b.op(filter).hints.selectivity = Some(0.01);
                filter
            }),
            (10.0, 8.0, true)
        );
    }

    #[test]
    fn what_is_unknown_is_large_and_says_so() {
        let (records, _, known) = records(|b| b.unknown_source());
        assert_eq!((records, known), (10_000_000.0, false));
    }

    #[test]
    fn a_join_is_as_large_as_its_larger_side() {
        let size = records(|b| {
            let (first, second) = (b.source(1000.0, 8.0), b.source(10.0, 8.0));
            b.join(JoinType::Inner, first, second, &[field(0)], &[field(0)])
        });
        assert_eq!(size.0, 1000.0);
    }

    #[test]
    fn estimates_stay_finite() {
        let size = records(|b| {
            let mut last = b.unknown_source();
            for _ in 0..200 {
                last = b.flat_map(last);
            }
            last
        });
        assert!(size.0.is_finite());
    }
}
