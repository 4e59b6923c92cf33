//! The plan as JSON, with the keys that Flink's plan visualizer reads.

use super::{cumulative_costs, format, names};
use crate::cost::Cost;
use crate::optimized::OptimizedPlan;
use crate::physical::Link;
use crate::properties::{Properties, show_key, show_order};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, ExchangeMode, ShipStrategy};
use flinkrs_plan::{OperatorKind, PlanOperator, SizeHints};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Renders all operators and combiners; ids are those of the plan, combiners follow after the largest.
pub(crate) fn render(plan: &OptimizedPlan) -> Value {
    let cumulative = cumulative_costs(plan);
    let modes = modes(plan);
    let mut next_id = plan.context.plan.operators.len();
    let mut nodes = Vec::new();
    for &id in &plan.context.reachable {
        let op = plan.context.operator(id);
        let combiner = plan.choice(id).combine.map(|_| {
            next_id += 1;
            next_id - 1
        });
        if let Some(combiner) = combiner {
            nodes.push(combiner_node(plan, op, combiner));
        }
        nodes.push(operator_node(plan, op, combiner, &modes, &cumulative));
    }
    json!({ "nodes": nodes })
}

/// The exchange mode of each input. A range partitioned one waits for its bounds, so it counts as blocking.
fn modes(plan: &OptimizedPlan) -> HashMap<(OperatorId, u32), ExchangeMode> {
    let mode = |link: &Link| {
        if link.ship == ShipStrategy::PartitionRange { ExchangeMode::Blocking } else { link.mode }
    };
    plan.physical.links.iter().filter_map(|link| Some((link.ships?, mode(link)))).collect()
}

fn operator_node(
    plan: &OptimizedPlan,
    op: &PlanOperator,
    combiner: Option<usize>,
    modes: &HashMap<(OperatorId, u32), ExchangeMode>,
    cumulative: &[Cost],
) -> Value {
    let context = &plan.context;
    let choice = plan.choice(op.id);
    let kind = match op.kind {
        OperatorKind::Source { .. } => "source",
        OperatorKind::Sink => "sink",
        _ => "pact",
    };
    let sides = op.inputs.len() + op.broadcast_inputs.len() > 1;
    let mut predecessors = Vec::new();
    for (i, input) in op.inputs.iter().enumerate() {
        let mode = modes.get(&(op.id, i as u32)).copied().unwrap_or(ExchangeMode::Pipelined);
        let mut predecessor = Map::new();
        predecessor.insert("id".into(), json!(combiner.unwrap_or(input.0 as usize)));
        if sides {
            predecessor.insert("side".into(), json!(if i == 0 { "first" } else { "second" }));
        }
        predecessor.insert("ship_strategy".into(), json!(names::json_ship(op, choice, i)));
        if let Some(local) = names::local_strategy(op, choice, i) {
            predecessor.insert("local_strategy".into(), json!(local));
        }
        predecessor.insert("exchange_mode".into(), json!(mode.to_string()));
        predecessors.push(Value::Object(predecessor));
    }
    for (_, set) in &op.broadcast_inputs {
        let mode = ExchangeMode::Pipelined.to_string();
        predecessors.push(json!({
            "id": set.0, "side": "second", "ship_strategy": "Broadcast", "exchange_mode": mode
        }));
    }
    let mut node = node(op.id.0 as usize, kind, op.kind.pact(), &op.name, context.parallelism(op.id), predecessors);
    show_group(&mut node, &context.group(op.id));
    node.insert("driver_strategy".into(), json!(names::driver(op, choice.driver)));
    let properties = &plan.properties[op.id.0 as usize];
    node.insert("global_properties".into(), global(properties));
    node.insert("local_properties".into(), local(properties));
    let size = context.size(op.id);
    let estimates =
        [("Est. Output Size", format::bytes(size.bytes())), ("Est. Cardinality", format::number(size.records))];
    node.insert("estimates".into(), named(&estimates));
    node.insert("costs".into(), costs(&plan.costs[op.id.0 as usize], &cumulative[op.id.0 as usize]));
    node.insert("compiler_hints".into(), hints(&op.hints));
    Value::Object(node)
}

fn combiner_node(plan: &OptimizedPlan, op: &PlanOperator, id: usize) -> Value {
    let combiner = plan.choice(op.id).combine.expect("only operators with a combiner get a node for it");
    let mut predecessor = Map::new();
    predecessor.insert("id".into(), json!(op.inputs[0].0));
    predecessor.insert("ship_strategy".into(), json!("Forward"));
    if combiner.sort {
        let order = show_order(&crate::properties::sort_order(op, 0));
        predecessor.insert("local_strategy".into(), json!(format!("Sort on {order}")));
    }
    predecessor.insert("exchange_mode".into(), json!(ExchangeMode::Pipelined.to_string()));
    let parallelism = plan.context.input_parallelism(op, 0);
    let mut node = node(id, "pact", "Combine", &op.name, parallelism, vec![Value::Object(predecessor)]);
    show_group(&mut node, &plan.context.group(op.inputs[0]));
    node.insert("driver_strategy".into(), json!(names::combiner(op, combiner)));
    Value::Object(node)
}

/// Adds the slot sharing group of a node, unless it is that of all who say nothing.
fn show_group(node: &mut Map<String, Value>, group: &str) {
    if group != DEFAULT_SLOT_SHARING_GROUP {
        node.insert("slot_sharing_group".into(), json!(group));
    }
}

fn node(id: usize, kind: &str, pact: &str, contents: &str, parallelism: u32, inputs: Vec<Value>) -> Map<String, Value> {
    let mut node = Map::new();
    node.insert("id".into(), json!(id));
    node.insert("type".into(), json!(kind));
    node.insert("pact".into(), json!(pact));
    node.insert("contents".into(), json!(contents));
    node.insert("parallelism".into(), json!(parallelism.to_string()));
    if !inputs.is_empty() {
        node.insert("predecessors".into(), Value::Array(inputs));
    }
    node
}

fn global(properties: &Properties) -> Value {
    let mut list = Vec::new();
    for partitioning in &properties.global.partitionings {
        list.push(("Partitioning", partitioning.name().to_owned()));
        list.push(("Partitioned on", show_key(partitioning.key())));
    }
    if list.is_empty() {
        list.push(("Partitioning", "RANDOM_PARTITIONED".to_owned()));
    }
    named(&list)
}

fn local(properties: &Properties) -> Value {
    let local = &properties.local;
    let mut list: Vec<(&str, String)> = local.orders.iter().map(|order| ("Order", show_order(order))).collect();
    if list.is_empty() {
        list.push(("Order", "(none)".to_owned()));
    }
    list.extend(local.groupings.iter().map(|key| ("Grouped on", show_key(key))));
    if local.groupings.is_empty() {
        list.push(("Grouping", "not grouped".to_owned()));
    }
    named(&list)
}

fn costs(own: &Cost, cumulative: &Cost) -> Value {
    named(&[
        ("Network", format::bytes(own.network)),
        ("Disk I/O", format::bytes(own.disk)),
        ("CPU", format::number(own.cpu)),
        ("Cumulative Network", format::bytes(cumulative.network)),
        ("Cumulative Disk I/O", format::bytes(cumulative.disk)),
        ("Cumulative CPU", format::number(cumulative.cpu)),
    ])
}

fn hints(hints: &SizeHints) -> Value {
    let show = |value: Option<f64>| value.map_or("(none)".to_owned(), |value| value.to_string());
    let bytes = hints.records.zip(hints.record_bytes).map(|(records, bytes)| records * bytes);
    named(&[
        ("Output Size (bytes)", show(bytes)),
        ("Output Cardinality", show(hints.records)),
        ("Avg. Output Record Size (bytes)", show(hints.record_bytes)),
        ("Filter Factor", show(hints.selectivity)),
        ("Distinct Keys", show(hints.distinct_keys)),
    ])
}

fn named(list: &[(&str, String)]) -> Value {
    list.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}
