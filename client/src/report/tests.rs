//! The page of a small job: well-formed, complete, and with its strings escaped.

use super::{drawing, html, layout, page, plan};
use flinkrs_core::function::AccumulatorValue;
use flinkrs_runtime::{JobResult, LoopReport, OperatorReport, SubtaskReport, SuperstepReport, VertexReport};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A join of an input with an aggregate of itself.
fn small_plan() -> Value {
    let edge = |id: u32, ship: &str, mode: &str| json!({"id": id, "ship_strategy": ship, "exchange_mode": mode});
    json!({"nodes": [
        {"id": 0, "type": "source", "pact": "Data Source", "contents": "clicks <raw> & \"more\"", "parallelism": "4"},
        {"id": 1, "pact": "GroupReduce", "contents": "sum(1)", "parallelism": "4", "driver_strategy": "Hash Group",
         "estimates": [{"name": "Est. Output Size", "value": "1.5 MB"}],
         "predecessors": [edge(0, "PARTITION_HASH", "PIPELINED")]},
        {"id": 2, "pact": "Join", "contents": "join", "parallelism": 2, "driver_strategy": "Hybrid Hash",
         "predecessors": [edge(0, "REBALANCE", "BLOCKING"), edge(1, "FORWARD", "PIPELINED"), edge(9, "LOST", "")]}
    ]})
}

fn small_result() -> JobResult {
    let subtask = |millis, records| SubtaskReport { busy: Duration::from_millis(millis), done: true, records };
    let operator = |name: &str, spilled_bytes| OperatorReport {
        name: name.to_owned(),
        records_in: 1_234_567,
        spilled_bytes,
        ..OperatorReport::default()
    };
    let vertex = VertexReport {
        name: "sum(1) -> <map>".to_owned(),
        operators: vec![operator("sum(1)", 3 << 20), operator("<map>", 0)],
        subtasks: vec![subtask(300, 3000), subtask(100, 1000)],
    };
    JobResult {
        name: "Clicks & <joins>".to_owned(),
        runtime: Duration::from_millis(1500),
        accumulators: BTreeMap::from([("bad \"lines\"".to_owned(), AccumulatorValue::Long(-7))]),
        vertices: vec![vertex],
        loops: vec![LoopReport {
            name: "Ranks <again>".to_owned(),
            max_supersteps: 1000,
            resumed_after: 20,
            snapshots: 2,
            skipped_snapshots: 7,
            supersteps: (21..=23)
                .map(|superstep| SuperstepReport {
                    superstep,
                    duration: Duration::from_micros(50 * u64::from(superstep - 20)),
                    workset: 5000 / u64::from(superstep - 20),
                    updates: 10,
                })
                .collect(),
            duration: Duration::from_micros(300),
            converged: true,
        }],
    }
}

/// Checks that every tag is closed, in order, and that `<` and `&` stand only where they may.
fn check_tags(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!doctype html>").expect("a page says what it is");
    while let Some(start) = rest.find('<') {
        let (tag, after) = rest[start + 1..].split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).expect("a tag has a name");
        assert!(!tag.contains('<') && tag.matches('"').count() % 2 == 0, "<{tag}>");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty(), "{open:?} stay open");
    for (at, _) in page.match_indices('&') {
        let entity = page[at..].split_once(';').map_or("", |(entity, _)| entity);
        assert!(["&amp", "&lt", "&gt", "&quot", "&#39"].contains(&entity), "{}", &page[at..at + 10]);
    }
}

#[test]
fn is_well_formed_and_names_everything() {
    let page = page(&small_plan(), "Sink <a>\n  Map", &small_result());
    check_tags(&page);
    for text in [
        "<title>Clicks &amp; &lt;joins&gt;</title>",
        "1.500 s",
        "clicks &lt;raw&gt; &amp; &quot;more&quot;",
        "PARTITION_HASH",
        "Hybrid Hash",
        "parallelism 2",
        "Est. Output Size: 1.5 MB",
        "Sink &lt;a&gt;",
        "1,234,567",
        "3.0 MB",
        "1.50 of records, 1.50 of busy time",
        "bad &quot;lines&quot;",
        "Ranks &lt;again&gt;",
        "3 supersteps of at most 1,000 in 0.000 s; it converged. It went on after superstep 20.",
        "Snapshots: 2; left out while another was being written: 7.",
        "Records fed back per superstep, at most 5,000 records",
        "Changes to the solution set per superstep, at most 10 records",
        "Time per superstep, at most 150 µs",
        "-7",
    ] {
        assert!(page.contains(text), "no {text}");
    }
    assert_eq!(page.matches("<path class=\"blocking\"").count(), 1);
    assert!(!page.contains("http"), "the page needs nothing from elsewhere");
}

#[test]
fn a_job_without_anything_has_a_page() {
    let result = JobResult { accumulators: BTreeMap::new(), vertices: Vec::new(), ..small_result() };
    check_tags(&page(&Value::Null, "", &result));
}

#[test]
fn layers_follow_the_longest_path() {
    let layout = layout::layout(4, &[(0, 1), (1, 2), (0, 2), (3, 2)], 100.0, 10.0);
    let layers: Vec<usize> = layout.places.iter().map(|place| place.layer).collect();
    assert_eq!(layers, [0, 1, 2, 0, 1, 1], "two edges pass the middle layer");
    assert_eq!(layout.routes[2].len(), 3);
    for (i, a) in layout.places.iter().enumerate() {
        assert!((0.0..=layout.width).contains(&a.x));
        let same_layer = layout.places[..i].iter().filter(|b| b.layer == a.layer);
        assert!(same_layer.into_iter().all(|b| (a.x - b.x).abs() > 30.0), "{:?}", layout.places);
    }
}

#[test]
fn an_edge_to_nowhere_is_left_out() {
    let nodes = plan::nodes(&small_plan());
    assert_eq!(nodes[2].inputs.len(), 2);
    assert!(!drawing::draw(&nodes).contains("LOST"));
}

#[test]
fn numbers_are_grouped_and_names_cut() {
    assert_eq!([0, 999, 1000, 1_234_567].map(html::grouped), ["0", "999", "1,000", "1,234,567"]);
    assert_eq!(html::cut("äöüß", 4), "äöüß");
    assert_eq!(html::cut("äöüßa", 4), "äöü…");
}
