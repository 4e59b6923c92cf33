//! The plan as its JSON describes it: Flink's plan JSON, of which everything may be missing.

use serde_json::Value;

/// An operator of the optimized plan.
#[derive(Debug, Default)]
pub(super) struct PlanNode {
    pub(super) name: String,
    /// What kind of operator it is, such as `GroupReduce`.
    pub(super) kind: String,
    pub(super) parallelism: String,
    /// How it works, if there is more than one way.
    pub(super) driver: String,
    /// Where its records come from.
    pub(super) inputs: Vec<PlanEdge>,
    /// Estimated sizes and costs, one a line.
    pub(super) details: Vec<String>,
}

/// How the records of one input reach an operator.
#[derive(Debug, Default)]
pub(super) struct PlanEdge {
    /// The producer's position in the list of nodes.
    pub(super) from: usize,
    pub(super) ship: String,
    /// What is done with the records on arrival, such as a sort.
    pub(super) local: String,
    pub(super) blocking: bool,
}

/// The operators that the JSON lists, in its order.
pub(super) fn nodes(plan: &Value) -> Vec<PlanNode> {
    let nodes = items(&plan["nodes"]);
    let ids: Vec<String> = nodes.iter().map(|node| text(&node["id"])).collect();
    nodes.iter().map(|node| node_of(node, &ids)).collect()
}

fn node_of(node: &Value, ids: &[String]) -> PlanNode {
    let mut details = pairs(&node["estimates"]);
    details.extend(pairs(&node["costs"]));
    let inputs = items(&node["predecessors"]).iter().filter_map(|edge| edge_of(edge, ids)).collect();
    PlanNode {
        name: text(&node["contents"]),
        kind: text(&node["pact"]),
        parallelism: text(&node["parallelism"]),
        driver: text(&node["driver_strategy"]),
        inputs,
        details,
    }
}

fn edge_of(edge: &Value, ids: &[String]) -> Option<PlanEdge> {
    let id = text(&edge["id"]);
    Some(PlanEdge {
        from: ids.iter().position(|known| *known == id)?,
        ship: text(&edge["ship_strategy"]),
        local: text(&edge["local_strategy"]),
        blocking: matches!(text(&edge["exchange_mode"]).as_str(), "BLOCKING" | "BATCH"),
    })
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A list of names and values.
fn pairs(value: &Value) -> Vec<String> {
    items(value).iter().map(|pair| format!("{}: {}", text(&pair["name"]), text(&pair["value"]))).collect()
}

/// A string as it is, any other value as JSON writes it, and nothing for what is missing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
