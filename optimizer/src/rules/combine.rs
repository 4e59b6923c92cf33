//! Combiner insertion: a grouping pre-aggregates in its producer's task, so that less is shipped.
//!
//! ```text
//! before   map ── PARTITION_HASH ──▶ reduce
//! after    map ─▶ [sort ─▶] combine ── PARTITION_HASH ──▶ reduce
//! ```

use crate::choice::Combiner;
use crate::context::Context;
use crate::physical::{Node, Physical, continued, memory_weight, sort_node};
use flinkrs_core::strategy::Part;
use flinkrs_plan::{ChainingPolicy, PlanOperator};

/// Appends the combiner of `op` to its producer; returns the node that ships.
pub(crate) fn insert(
    context: &Context,
    op: &PlanOperator,
    combiner: Combiner,
    producer: usize,
    physical: &mut Physical,
) -> usize {
    let parallelism = context.input_parallelism(op, 0);
    // Where the operator's own task begins says nothing of its combiner, which runs in another.
    let chaining = match op.chaining {
        ChainingPolicy::Never => ChainingPolicy::Never,
        ChainingPolicy::Always | ChainingPolicy::StartNewChain => ChainingPolicy::Always,
    };
    let mut before = producer;
    if combiner.sort {
        before = physical.append(before, Node { chaining, ..sort_node(op, parallelism, context.group(op.inputs[0])) });
    }
    let part = Part::Combine(combiner.driver);
    physical.append(
        before,
        Node {
            operator: op.id,
            part,
            name: format!("Combine ({})", op.name),
            parallelism,
            group: context.group(op.inputs[0]),
            memory_weight: memory_weight(part),
            chaining: continued(chaining),
            inserted: true,
        },
    )
}
