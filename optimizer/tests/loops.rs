//! Plans of loops: what is kept, what is read again, what travels, and how the number of supersteps flips a choice.

mod common;

use common::golden::check;
use common::testing::{PlanBuilder, field, fields, keeps};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, JoinType, Part, ShipStrategy, Side};
use flinkrs_optimizer::{OptimizerOptions, optimize};
use flinkrs_plan::{ForwardedFields, OperatorKind, Plan};
use flinkrs_protocol::{JobEdge, JobGraph, LoopEnd};

fn graph(plan: &Plan) -> JobGraph {
    optimize(plan, &OptimizerOptions::default()).and_then(|plan| plan.job_graph()).expect("a JobGraph")
}

/// The edges into the vertex whose chain has an operator of that name.
fn edges_into<'a>(graph: &'a JobGraph, name: &str) -> Vec<&'a JobEdge> {
    let has = |edge: &&JobEdge| graph.vertices[edge.to.0 as usize].chain.iter().any(|op| op.name == name);
    graph.edges.iter().filter(has).collect()
}

fn driver(graph: &JobGraph, name: &str) -> Part {
    let mut ops = graph.vertices.iter().flat_map(|vertex| &vertex.chain).filter(|op| op.name == name);
    ops.next().expect("an operator of that name").part
}

/// Connected components; whether the lookup of the solution set says that it keeps the vertex decides what travels.
fn components(keeps_key: bool) -> Plan {
    let mut builder = PlanBuilder::named("components", 4);
    let labels = builder.source(1e6, 16.0);
    let edges = builder.source(2e7, 16.0);
    let solution = builder.add("solution set", OperatorKind::SolutionSet { key: fields(&[0]) }, &[labels]);
    builder.forwards(solution, 0, ForwardedFields::all());
    let workset = builder.add("workset", OperatorKind::LoopInput, &[labels, solution]);
    let offers = builder.join(JoinType::Inner, workset, edges, &[field(0)], &[field(0)]);
    builder.op(offers).name = "offers".into();
    let least = builder.reduce(offers, &[0]);
    let changes = builder.join(JoinType::Inner, least, solution, &[field(0)], &[field(0)]);
    builder.op(changes).name = "changes".into();
    if keeps_key {
        builder.forwards(changes, 0, keeps(&[0]));
    }
    let kind = OperatorKind::DeltaIteration { head: workset, solution, key: fields(&[0]), max_supersteps: 1000 };
    let result = builder.add("components", kind, &[changes]);
    builder.sink(result);
    builder.build()
}

#[test]
fn a_delta_iteration_keeps_its_tables_and_ships_what_has_changed() {
    let plan = components(true);
    check("loop_delta.txt", &optimize(&plan, &OptimizerOptions::default()).expect("a plan").explain());
    let graph = graph(&plan);
    let offers = edges_into(&graph, "offers");
    assert_eq!(offers.len(), 2);
    assert!(offers.iter().any(|edge| edge.ship == ShipStrategy::Forward), "the workset stays where its edges are");
    assert!(offers.iter().all(|edge| !edge.replay), "the table of edges is kept");
    assert_eq!(driver(&graph, "changes"), Part::Driver(DriverStrategy::SolutionSet { side: Side::Second }));
    let tail = &graph.vertices[graph.loops[0].tail.0 as usize];
    let names: Vec<&str> = tail.chain.iter().map(|op| op.name.as_str()).collect();
    assert_eq!(names, ["reduce", "changes", "components"], "lookup and update are in one task");
    assert_eq!(graph.loops[0].end, LoopEnd::EmptyWorkset);
}

#[test]
fn all_of_a_loop_is_in_the_slot_sharing_group_of_what_it_begins_with() {
    let mut plan = components(true);
    plan.operators[0].slot_sharing_group = Some("loops".to_owned());
    for vertex in graph(&plan).vertices {
        let is_constant = vertex.chain.iter().all(|op| op.operator == OperatorId(1));
        assert_eq!(vertex.slot_sharing_group, if is_constant { "default" } else { "loops" }, "{}", vertex.name);
    }
    let optimized = optimize(&plan, &OptimizerOptions::default()).expect("a plan");
    assert!(optimized.explain().contains(", slot sharing group 'loops', in each superstep of 'components'"));
    let nodes = optimized.explain_json()["nodes"].as_array().expect("nodes").clone();
    let ungrouped = nodes.iter().filter(|node| node["slot_sharing_group"] != "loops");
    assert_eq!(ungrouped.map(|node| &node["id"]).collect::<Vec<_>>(), [1], "the constant edges");
    let offers = plan.operators.iter_mut().find(|op| op.name == "offers").expect("it is there");
    offers.slot_sharing_group = Some("other".to_owned());
    let error = optimize(&plan, &OptimizerOptions::default()).expect_err("a loop shares slots").to_string();
    assert!(
        error.contains("operator 'offers' is in slot sharing group 'other', and iteration 'components'"),
        "{error}"
    );
}

#[test]
fn a_lookup_that_doesnt_say_what_it_keeps_costs_a_shuffle() {
    let graph = graph(&components(false));
    let tail = edges_into(&graph, "components");
    assert_eq!(tail.iter().map(|edge| edge.ship).collect::<Vec<_>>(), [ShipStrategy::PartitionHash]);
}

/// A constant input twice as large as what the loop carries around.
fn joined(supersteps: u32) -> Plan {
    let mut builder = PlanBuilder::named("join in a loop", 4);
    let state = builder.source(3e5, 16.0);
    let constant = builder.source(6e5, 16.0);
    let step = builder.add("step", OperatorKind::LoopInput, &[state]);
    let join = builder.join(JoinType::Inner, step, constant, &[field(0)], &[field(0)]);
    builder.forwards(join, 0, keeps(&[0]));
    let result = builder.add("loop", OperatorKind::BulkIteration { head: step, max_supersteps: supersteps }, &[join]);
    builder.sink(result);
    builder.build()
}

#[test]
fn many_supersteps_build_the_constant_side_once() {
    let once = graph(&joined(1));
    assert_eq!(driver(&once, "join"), Part::Driver(DriverStrategy::HybridHash { build: Side::First }));
    assert!(edges_into(&once, "join").iter().any(|edge| edge.replay), "the other side would be shown again");
    let often = graph(&joined(50));
    assert_eq!(driver(&often, "join"), Part::Driver(DriverStrategy::HybridHash { build: Side::Second }));
    assert!(edges_into(&often, "join").iter().all(|edge| !edge.replay));
    check("loop_bulk.txt", &optimize(&joined(50), &OptimizerOptions::default()).expect("a plan").explain());
}

/// Points are constant and read again in each superstep, the centroids are a set of the loop.
#[test]
fn a_constant_input_beside_a_set_of_the_loop_is_read_again() {
    let mut builder = PlanBuilder::named("k-means", 4);
    let points = builder.source(1e6, 16.0);
    let centroids = builder.source(20.0, 24.0);
    let step = builder.add("step", OperatorKind::LoopInput, &[centroids]);
    let assign = builder.map(points);
    builder.op(assign).name = "assign".into();
    builder.broadcast(assign, "centroids", step);
    let means = builder.reduce(assign, &[0]);
    let kind = OperatorKind::BulkIteration { head: step, max_supersteps: 20 };
    let result = builder.add("loop", kind, &[means]);
    builder.sink(result);
    let graph = graph(&builder.build());
    let (sets, records): (Vec<&JobEdge>, Vec<&JobEdge>) =
        edges_into(&graph, "assign").into_iter().partition(|edge| edge.ship == ShipStrategy::Broadcast);
    assert_eq!((sets.len(), records.len()), (1, 1));
    assert!(records[0].replay && !sets[0].replay);
    let inside: Vec<bool> = graph.vertices.iter().map(|vertex| vertex.of_loop.is_some()).collect();
    assert!(!inside[records[0].from.0 as usize] && inside[records[0].to.0 as usize]);
}

#[test]
fn what_cant_be_looked_up_is_refused() {
    let mut plan = components(true);
    let at = plan.operators.iter().position(|op| op.name == "changes").expect("it is there");
    if let OperatorKind::Join { join_type, .. } = &mut plan.operators[at].kind {
        *join_type = JoinType::RightOuter;
    }
    let error = optimize(&plan, &OptimizerOptions::default()).expect_err("it keeps the solution set");
    assert!(error.to_string().contains("operator 'changes' is a Right Outer Join that keeps records"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

/// Every operator of the loop is told its own loop, and no other is.
#[test]
fn only_the_dynamic_path_is_in_the_loop() {
    let graph = graph(&components(true));
    let inside = |name: &str| {
        let vertex = graph.vertices.iter().find(|vertex| vertex.chain.iter().any(|op| op.name == name));
        vertex.expect("it is there").of_loop.is_some()
    };
    for (name, expected) in [
        ("source", false),
        ("solution set", false),
        ("workset", true),
        ("offers", true),
        ("changes", true),
        ("sink", false),
    ] {
        assert_eq!(inside(name), expected, "{name}");
    }
    assert_eq!(graph.loops[0].close, OperatorId(7));
}
