//! Range partitioning by sampled bounds: the records wait behind a blocking edge until the bounds are known.
//!
//! ```text
//! before   map ── PARTITION_RANGE ──▶ partition
//!
//! after    map ─▶ sample ── FORWARD, BLOCKING ─────────────────▶ split ── PARTITION_RANGE ──▶ partition
//!                   └─ side 0, REBALANCE ─▶ bounds ─ BROADCAST ──┘
//! ```

use crate::context::Context;
use crate::physical::{Link, Node, Physical};
use flinkrs_core::strategy::{ExchangeMode, Part, ShipStrategy};
use flinkrs_plan::{ChainingPolicy, PlanOperator};

/// The index of the bounds among the broadcast sets of the node that splits; no operator has so many of its own.
pub(crate) const BOUNDS_INDEX: u8 = 255;
/// The name of the bounds as a broadcast set.
pub(crate) const BOUNDS_NAME: &str = "range-bounds";

/// Appends sampling, bounds and splitting to the producer of `op`; returns the node that ships.
pub(crate) fn insert(context: &Context, op: &PlanOperator, producer: usize, physical: &mut Physical) -> usize {
    let producers = context.input_parallelism(op, 0);
    let node = |part, what: &str, parallelism, chaining| Node {
        operator: op.id,
        part,
        name: format!("{what} ({})", op.name),
        parallelism,
        group: context.group(op.inputs[0]),
        memory_weight: 0,
        chaining,
        inserted: true,
    };
    let chaining = match op.chaining {
        ChainingPolicy::Never => ChainingPolicy::Never,
        ChainingPolicy::Always | ChainingPolicy::StartNewChain => ChainingPolicy::Always,
    };
    let sample = physical.append(producer, node(Part::Sample { input: 0 }, "Sample", producers, chaining));
    let bounds = physical.add(node(Part::RangeBounds { input: 0 }, "Range Bounds", 1, ChainingPolicy::StartNewChain));
    physical.links.push(Link { side: Some(0), ship: ShipStrategy::Rebalance, ..Link::forward(sample, bounds) });
    let split = physical.add(node(Part::NoOp, "Range Split", producers, ChainingPolicy::StartNewChain));
    physical.links.push(Link { mode: ExchangeMode::Blocking, ..Link::forward(sample, split) });
    physical.links.push(Link {
        ship: ShipStrategy::Broadcast,
        broadcast: Some((BOUNDS_INDEX, BOUNDS_NAME.to_owned())),
        ..Link::forward(bounds, split)
    });
    split
}
