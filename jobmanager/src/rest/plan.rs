//! A job's plan: its vertices as nodes, with what the optimizer has said of their operators.

use crate::rest::route::{Answer, Call, Context, ok};
use crate::rest::seen::JobSeen;
use flinkrs_core::strategy::ExchangeMode;
use flinkrs_protocol::JobVertex;
use flinkrs_rpc::metrics::vertex_id;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Of an operator in the optimizer's plan: what the optimizer has found out about it.
const PROPERTIES: [&str; 5] = ["global_properties", "local_properties", "estimates", "costs", "compiler_hints"];

pub(super) async fn answer(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    ok(json!({ "plan": plan(&job) }))
}

/// The plan as a value; consumers before their producers, as Flink has them.
pub(super) fn plan(job: &JobSeen) -> Value {
    let operators: Value = serde_json::from_str(&job.submission.plan_json).unwrap_or_default();
    let nodes: Vec<Value> = job.graph.vertices.iter().rev().map(|vertex| node(job, vertex, &operators)).collect();
    json!({ "jid": job.job().to_string(), "name": &*job.view.name, "type": "BATCH", "nodes": nodes })
}

fn node(job: &JobSeen, vertex: &JobVertex, operators: &Value) -> Value {
    let nodes = operators["nodes"].as_array();
    let find = |id: u32| nodes.and_then(|nodes| nodes.iter().find(|node| node["id"].as_u64() == Some(u64::from(id))));
    let chain: Vec<Option<&Value>> = vertex.chain.iter().map(|operator| find(operator.operator.0)).collect();
    let text =
        |node: &Option<&Value>, key: &str| node.and_then(|node| node[key].as_str()).unwrap_or("(none)").to_owned();
    let of_chain = |key: &str| chain.iter().map(|node| text(node, key)).collect::<Vec<_>>().join(" -> ");
    let first = chain.first().copied().flatten();
    let properties: Map<String, Value> =
        PROPERTIES.into_iter().map(|key| (key.to_owned(), first.map_or(json!([]), |node| node[key].clone()))).collect();
    let mut node = json!({
        "id": vertex_id(job.job(), vertex.id),
        "parallelism": vertex.parallelism,
        "operator": of_chain("pact"),
        "operator_strategy": of_chain("driver_strategy"),
        "description": vertex.name,
        "optimizer_properties": properties,
    });
    let inputs = inputs(job, vertex, first);
    if !inputs.is_empty() {
        node["inputs"] = inputs.into();
    }
    node
}

fn inputs(job: &JobSeen, vertex: &JobVertex, first: Option<&Value>) -> Vec<Value> {
    let into = job.graph.edges.iter().filter(|edge| edge.to == vertex.id);
    let input = |(number, edge): (usize, &flinkrs_protocol::JobEdge)| {
        let known = first.map(|node| &node["predecessors"][edge.input as usize]);
        let of = |key: &str| known.and_then(|known| known[key].as_str());
        let mode = if edge.mode == ExchangeMode::Blocking { "blocking" } else { "pipelined" };
        let mut input = json!({
            "num": number,
            "id": vertex_id(job.job(), edge.from),
            "ship_strategy": of("ship_strategy").map_or_else(|| edge.ship.to_string(), str::to_owned),
            "exchange": mode,
        });
        if let Some(local) = of("local_strategy") {
            input["local_strategy"] = local.into();
        }
        input
    };
    into.enumerate().map(input).collect()
}
