//! Metrics over REST: without `get` their names, with it their values.

use crate::cluster::now;
use crate::rest::measures::{self, part};
use crate::rest::route::{Answer, Call, Context, Fault, ok};
use crate::rest::seen::{VertexSeen, view_of};
use crate::rest::task_executors;
use flinkrs_rpc::metrics::{self as measured, Measure};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How values of several subtasks, jobs or TaskExecutors become one.
const AGGREGATIONS: [&str; 5] = ["min", "max", "avg", "sum", "skew"];

/// Names and values.
type Named = BTreeMap<String, u64>;

fn named(measures: Vec<Measure>) -> Named {
    measures.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
}

/// The names, or the values of those that `get` lists; what there isn't is left out.
fn answer(call: &Call, all: &Named) -> Answer {
    if call.parameter("get").is_none() {
        return ok(all.keys().map(|name| json!({ "id": name })).collect());
    }
    let wanted = call.list("get").into_iter().filter_map(|name| Some((all.get(&name)?, name)));
    ok(wanted.map(|(value, name)| json!({ "id": name, "value": value.to_string() })).collect())
}

/// The names, or for each that `get` lists what `agg` makes of its values.
fn aggregated(call: &Call, of: &[Named]) -> Answer {
    if call.parameter("get").is_none() {
        let names: BTreeSet<&String> = of.iter().flat_map(BTreeMap::keys).collect();
        return ok(names.into_iter().map(|name| json!({ "id": name })).collect());
    }
    let chosen = match call.parameter("agg") {
        None => AGGREGATIONS.map(str::to_owned).to_vec(),
        Some(_) => call.list("agg"),
    };
    if let Some(unknown) = chosen.iter().find(|name| !AGGREGATIONS.contains(&name.as_str())) {
        return Err(Fault::bad(format!("agg is '{unknown}'; it has to be one of {}", AGGREGATIONS.join(", "))));
    }
    let mut answers = Vec::new();
    for name in call.list("get") {
        let values: Vec<f64> = of.iter().filter_map(|of| of.get(&name)).map(|value| *value as f64).collect();
        if values.is_empty() {
            continue;
        }
        let mut one: Map<String, Value> =
            chosen.iter().map(|how| (how.clone(), json!(aggregate(how, &values)))).collect();
        one.insert("id".to_owned(), name.into());
        answers.push(Value::from(one));
    }
    ok(answers.into())
}

fn aggregate(how: &str, values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let mean = sum / values.len() as f64;
    match how {
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "avg" => mean,
        "sum" => sum,
        // In percent: how far values are from their mean, on average; 0 when all are equal.
        _ if mean == 0.0 => 0.0,
        _ => (values.iter().map(|value| (value - mean).abs()).sum::<f64>() / sum * 100.0).min(100.0),
    }
}

pub(super) async fn of_jobmanager(context: Arc<Context>, call: Call) -> Answer {
    let mut measures = context.look(measures::of_jobmanager).await?;
    measures.extend(measured::of_process(&measured::of_this_process()));
    answer(&call, &named(measures))
}

pub(super) async fn of_job(context: Arc<Context>, call: Call) -> Answer {
    let job = context.job(&call).await?;
    // Flink forgets a job's metrics when it has ended; here they stay.
    answer(&call, &named(measures::of_job(&job.view, job.now)))
}

pub(super) async fn of_jobs(context: Arc<Context>, call: Call) -> Answer {
    let views = context
        .look(|cluster| cluster.dispatcher.jobs().filter_map(|line| view_of(cluster, line)).collect::<Vec<_>>())
        .await?;
    let wanted = call.list("jobs");
    let of = views.iter().filter(|view| wanted.is_empty() || wanted.contains(&view.job.to_string()));
    let now = now();
    aggregated(&call, &of.map(|view| named(measures::of_job(view, now))).collect::<Vec<_>>())
}

pub(super) async fn of_task_executor(context: Arc<Context>, call: Call) -> Answer {
    let one = task_executors::one(&context, call.at("taskmanagerid")).await?;
    answer(&call, &named(one.measures()))
}

pub(super) async fn of_task_executors(context: Arc<Context>, call: Call) -> Answer {
    let all = task_executors::all(&context).await?;
    let wanted = call.list("taskmanagers");
    let is_wanted = |id: String| wanted.is_empty() || wanted.contains(&id);
    let of = all.iter().filter(|of| is_wanted(of.view.registration.task_executor.to_string()));
    aggregated(&call, &of.map(|of| named(of.measures())).collect::<Vec<_>>())
}

/// A subtask's own metrics and those of its operators, which begin with their names.
fn of_one(vertex: &VertexSeen, subtask: u32) -> Named {
    let Some(report) = vertex.reports.get(&subtask) else { return Named::new() };
    let mut all = named(measured::of_task(report));
    for (name, counts) in vertex.operators.iter().zip(&report.operators) {
        let name = part(name);
        all.extend(measured::of_operator(counts).into_iter().map(|(of, value)| (format!("{name}.{of}"), value)));
    }
    all
}

pub(super) async fn of_vertex(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let of = |subtask: u32| {
        of_one(&vertex, subtask).into_iter().map(move |(name, value)| (format!("{subtask}.{name}"), value))
    };
    answer(&call, &vertex.reports.keys().copied().flat_map(of).collect())
}

pub(super) async fn of_subtask(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    answer(&call, &of_one(&vertex, call.number("subtaskindex")?))
}

pub(super) async fn of_subtasks(context: Arc<Context>, call: Call) -> Answer {
    let vertex = context.vertex(&call).await?;
    let wanted = call.list("subtasks");
    let subtasks = vertex.reports.keys().filter(|subtask| wanted.is_empty() || wanted.contains(&subtask.to_string()));
    aggregated(&call, &subtasks.map(|subtask| of_one(&vertex, *subtask)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_summed_up() {
        let of = |how| aggregate(how, &[1.0, 3.0]);
        assert_eq!((of("min"), of("max"), of("avg"), of("sum"), of("skew")), (1.0, 3.0, 2.0, 4.0, 50.0));
        assert_eq!((aggregate("skew", &[0.0, 0.0]), aggregate("skew", &[5.0, 5.0])), (0.0, 0.0));
    }
}
