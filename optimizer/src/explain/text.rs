//! The plan as text, task by task.

use super::{cumulative_costs, format, names};
use crate::cost::Cost;
use crate::jobgraph;
use crate::optimized::OptimizedPlan;
use crate::physical::{Link, Node};
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, Part};
use flinkrs_plan::{OperatorKind, PlanOperator};
use std::fmt::Write;

/// Renders the whole plan.
pub(crate) fn render(plan: &OptimizedPlan) -> String {
    let context = &plan.context;
    let cumulative = cumulative_costs(plan);
    let inputs = plan.physical.inputs();
    let mut text = format!(
        "plan '{}': {} operators in {} tasks, cost {}\n",
        context.plan.name,
        context.reachable.len(),
        plan.chains.tasks.len(),
        format::cost(&plan.cost(), &context.options)
    );
    for (task, nodes) in plan.chains.tasks.iter().enumerate() {
        let parallelism = plan.physical.nodes[nodes[0]].parallelism;
        let (group, in_loop) = (in_group(plan, nodes), in_loop(plan, nodes));
        line(&mut text, 0, &format!("\ntask {task}, parallelism {parallelism}{group}{in_loop}"));
        for &node in nodes {
            let links = inputs[node].iter().map(|link| &plan.physical.links[*link]);
            render_node(&mut text, plan, &cumulative, &plan.physical.nodes[node], links);
        }
    }
    text
}

/// The slot sharing group of a task, unless it is that of all who say nothing.
fn in_group(plan: &OptimizedPlan, nodes: &[usize]) -> String {
    let group = &plan.physical.nodes[nodes[0]].group;
    if **group == *DEFAULT_SLOT_SHARING_GROUP { String::new() } else { format!(", slot sharing group '{group}'") }
}

/// What a task is to a loop.
fn in_loop(plan: &OptimizedPlan, nodes: &[usize]) -> String {
    let loops = &plan.context.loops;
    let Some(of) = loops.get(plan.physical.nodes[nodes[0]].operator) else { return String::new() };
    let has = |id| nodes.iter().any(|node| plan.physical.nodes[*node].operator == id);
    let end = if has(of.close) { "; supersteps end here, and synchronise" } else { "" };
    let begin = if has(of.head) { "; supersteps begin here" } else { "" };
    format!(", in each superstep of '{}'{begin}{end}", plan.context.operator(of.close).name)
}

fn render_node<'a>(
    text: &mut String,
    plan: &OptimizedPlan,
    cumulative: &[Cost],
    node: &Node,
    links: impl Iterator<Item = &'a Link>,
) {
    let context = &plan.context;
    let op = context.operator(node.operator);
    line(text, 2, &format!("{} [{}] {}", node.name, op.id, strategy(plan, op, node)));
    for link in links {
        line(text, 6, &input(plan, link));
    }
    if node.inserted {
        return;
    }
    let size = context.size(op.id);
    let guess = if size.known { "" } else { ", a guess" };
    let records = format::number(size.records);
    line(text, 6, &format!("output: {records} records, {}{guess}", format::bytes(size.bytes())));
    let properties = &plan.properties[op.id.0 as usize];
    if *properties != Default::default() {
        line(text, 6, &format!("output is: {properties}"));
    }
    let (own, all) = (&plan.costs[op.id.0 as usize], &cumulative[op.id.0 as usize]);
    line(text, 6, &format!("cost: {}", format::cost(own, &context.options)));
    line(text, 6, &format!("cost with its inputs: {}", format::cost(all, &context.options)));
}

/// The strategy and kind of a node.
pub(crate) fn strategy(plan: &OptimizedPlan, op: &PlanOperator, node: &Node) -> String {
    let choice = plan.choice(op.id);
    match node.part {
        Part::Driver(driver) => format!("{}: {}", op.kind.pact(), names::driver(op, driver)),
        Part::Combine(_) => match choice.combine {
            Some(combiner) => format!("Combine: {}", names::combiner(op, combiner)),
            None => "Combine".to_owned(),
        },
        Part::Sort { input } => {
            let order = crate::properties::show_order(&crate::properties::sort_order(op, usize::from(input)));
            format!("Sort: on {order}")
        }
        Part::Sample { .. } => "Range Partition: sample of the keys".to_owned(),
        Part::RangeBounds { .. } => "Range Partition: bounds from all samples".to_owned(),
        Part::NoOp if node.inserted => "Range Partition: records wait for the bounds".to_owned(),
        Part::LoopHead | Part::NoOp => format!("{}: {}", op.kind.pact(), names::driver(op, choice.driver)),
    }
}

fn input(plan: &OptimizedPlan, link: &Link) -> String {
    let from = &plan.physical.nodes[link.from];
    let side = link.side.map(|tag| format!(" side output {tag}")).unwrap_or_default();
    let how = if plan.chains.inside(link) {
        "in the same task".to_owned()
    } else {
        format!("task {}, {}, {}", plan.chains.task_of[link.from], shipping(plan, link), link.mode)
    };
    let what = match &link.broadcast {
        Some((_, name)) => format!("broadcast set '{name}'"),
        None => format!("input {}", link.ships.map_or(0, |(_, input)| input)),
    };
    let sort = match (link.ships, link.broadcast.is_some()) {
        (Some((id, input)), false) => local_sort(plan, id, input as usize),
        _ => String::new(),
    };
    format!("{what}: {}{side} [{}], {how}{sort}{}", from.name, from.operator, constant(plan, link))
}

/// What becomes of a link that brings the same to every superstep of a loop.
fn constant(plan: &OptimizedPlan, link: &Link) -> &'static str {
    let loops = &plan.context.loops;
    let to = &plan.physical.nodes[link.to];
    let comes_once = !loops.feeds_anew(plan.physical.nodes[link.from].operator, to.operator);
    match loops.get(to.operator) {
        Some(_) if to.part == Part::LoopHead => "",
        Some(_) if comes_once && jobgraph::replays(&plan.context, &plan.physical, link) => {
            ", cached and read again in each superstep"
        }
        Some(_) if comes_once => ", cached: built once, kept over supersteps",
        _ => "",
    }
}

/// A sort inside a driver; other sorts are nodes of their own.
fn local_sort(plan: &OptimizedPlan, id: flinkrs_core::id::OperatorId, input: usize) -> String {
    let (op, choice) = (plan.context.operator(id), plan.choice(id));
    if choice.sort || matches!(op.kind, OperatorKind::SortPartition { .. }) {
        return String::new();
    }
    names::local_strategy(op, choice, input).map(|sort| format!(", {sort}")).unwrap_or_default()
}

/// The ship strategy of a link, with its key if it is that of an operator's input.
pub(crate) fn shipping(plan: &OptimizedPlan, link: &Link) -> String {
    match link.ships {
        Some((id, input)) => names::ship(plan.context.operator(id), plan.choice(id), input as usize),
        None => link.ship.to_string(),
    }
}

fn line(text: &mut String, indent: usize, what: &str) {
    writeln!(text, "{:indent$}{what}", "").expect("a string takes all that is written");
}
