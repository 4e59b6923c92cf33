//! The plan as a DOT graph.

use super::text::{shipping, strategy};
use crate::optimized::OptimizedPlan;
use flinkrs_core::strategy::ExchangeMode;
use std::fmt::Write;

/// Renders tasks as clusters of nodes, and links as edges; those that block are bold.
pub(crate) fn render(plan: &OptimizedPlan) -> String {
    let mut dot = String::from("digraph plan {\n  node [shape=box];\n");
    write(&mut dot, &format!("  label={};\n", quoted(&plan.context.plan.name)));
    for (task, nodes) in plan.chains.tasks.iter().enumerate() {
        let parallelism = plan.physical.nodes[nodes[0]].parallelism;
        write(&mut dot, &format!("  subgraph cluster_{task} {{\n    label=\"task {task} (x{parallelism})\";\n"));
        for &node in nodes {
            let part = &plan.physical.nodes[node];
            let strategy = strategy(plan, plan.context.operator(part.operator), part);
            write(&mut dot, &format!("    n{node} [label={}];\n", quoted(&format!("{}\n{strategy}", part.name))));
        }
        dot.push_str("  }\n");
    }
    for link in &plan.physical.links {
        let style = match link.mode {
            _ if plan.chains.inside(link) => ", style=dotted",
            ExchangeMode::Blocking => ", style=bold",
            ExchangeMode::Pipelined => "",
        };
        let mut label = if plan.chains.inside(link) { String::new() } else { shipping(plan, link) };
        if link.mode == ExchangeMode::Blocking {
            label.push_str("\nBLOCKING");
        }
        write(&mut dot, &format!("  n{} -> n{} [label={}{style}];\n", link.from, link.to, quoted(&label)));
    }
    dot.push_str("}\n");
    dot
}

fn write(dot: &mut String, text: &str) {
    dot.write_str(text).expect("a string takes all that is written");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
