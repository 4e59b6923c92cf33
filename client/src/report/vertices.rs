//! What each vertex did: its operators' counters, the busy time of its subtasks, and how unequal they were.

use crate::report::html::{escape, grouped, seconds};
use flinkrs_core::resource::ByteSize;
use flinkrs_runtime::{OperatorReport, SubtaskReport, VertexReport};
use std::time::Duration;

/// Subtasks that get a bar; of more, only the busiest do.
const BARS: usize = 64;

/// All vertices, in order.
pub(super) fn describe(vertices: &[VertexReport]) -> String {
    let busiest = vertices.iter().flat_map(|vertex| &vertex.subtasks).map(|subtask| subtask.busy).max();
    let busiest = busiest.unwrap_or_default();
    vertices.iter().map(|vertex| section(vertex, busiest)).collect()
}

fn section(vertex: &VertexReport, busiest: Duration) -> String {
    let busy: Duration = vertex.subtasks.iter().map(|subtask| subtask.busy).sum();
    let records: u64 = vertex.subtasks.iter().map(|subtask| subtask.records).sum();
    let rows: String = vertex.operators.iter().map(operator).collect();
    format!(
        "<h3>{}</h3>\n<p>{} subtasks, busy for {} together, {} records. Skew (largest share to mean): \
         {} of records, {} of busy time.</p>\n\
         <div class=\"wide\"><table><tr><th>operator</th><th class=\"number\">records in</th>\
         <th class=\"number\">records out</th><th class=\"number\">bytes in</th><th class=\"number\">bytes out</th>\
         <th class=\"number\">spilled</th></tr>\n{rows}</table></div>\n{}",
        escape(&vertex.name),
        vertex.subtasks.len(),
        seconds(busy),
        grouped(records),
        skew(vertex.subtasks.iter().map(|subtask| subtask.records as f64)),
        skew(vertex.subtasks.iter().map(|subtask| subtask.busy.as_secs_f64())),
        bars(&vertex.subtasks, busiest),
    )
}

fn operator(operator: &OperatorReport) -> String {
    let bytes = |bytes: u64| if bytes == 0 { "–".to_owned() } else { ByteSize(bytes).to_string() };
    let numbers = [
        grouped(operator.records_in),
        grouped(operator.records_out),
        bytes(operator.bytes_in),
        bytes(operator.bytes_out),
        bytes(operator.spilled_bytes),
    ];
    let cells: String = numbers.iter().map(|number| format!("<td class=\"number\">{number}</td>")).collect();
    format!("<tr><td>{}</td>{cells}</tr>\n", escape(&operator.name))
}

/// A bar per subtask, as long as it was busy compared to the busiest of the job.
fn bars(subtasks: &[SubtaskReport], busiest: Duration) -> String {
    let mut shown: Vec<(usize, &SubtaskReport)> = subtasks.iter().enumerate().collect();
    let mut note = String::new();
    if shown.len() > BARS {
        shown.sort_by_key(|(_, subtask)| std::cmp::Reverse(subtask.busy));
        shown.truncate(BARS);
        note = format!("<p class=\"faint\">The {BARS} busiest of {} subtasks:</p>\n", subtasks.len());
    }
    let bar = |(index, subtask): &(usize, &SubtaskReport)| {
        let part = subtask.busy.as_secs_f64() / busiest.as_secs_f64().max(f64::MIN_POSITIVE);
        format!(
            "<span>{}/{}</span><i style=\"width:{:.1}%\"></i><span class=\"number\">{}</span>\
             <span class=\"number faint\">{} records</span>\n",
            index + 1,
            subtasks.len(),
            100.0 * part,
            seconds(subtask.busy),
            grouped(subtask.records),
        )
    };
    let bars: String = shown.iter().map(bar).collect();
    format!("{note}<div class=\"bars\">{bars}</div>\n")
}

/// The largest value as a multiple of the mean: 1 when all are equal.
fn skew(values: impl Iterator<Item = f64> + Clone) -> String {
    let mean = values.clone().sum::<f64>() / values.clone().count().max(1) as f64;
    if mean <= 0.0 {
        return "–".to_owned();
    }
    format!("{:.2}", values.fold(0.0, f64::max) / mean)
}
