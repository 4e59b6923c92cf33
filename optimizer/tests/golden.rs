//! Explain texts of plans, in pairs that differ only in statistics or hints: what flips the choice?

mod common;

use common::golden::check;
use common::testing::{PlanBuilder, ascending, field, fields, keeps, moves};
use flinkrs_core::strategy::{DriverStrategy, ExchangeMode, JoinType, Part, ShipStrategy, Side};
use flinkrs_optimizer::{OptimizedPlan, OptimizerOptions, optimize};
use flinkrs_plan::{CombineHint, JoinHint, OperatorKind, PartitionMethod, Plan};
use flinkrs_protocol::{JobEdge, JobGraph};

fn optimized(name: &str, plan: &Plan) -> OptimizedPlan {
    let optimized = optimize(plan, &OptimizerOptions::default()).expect("a plan");
    check(&format!("{name}.txt"), &optimized.explain());
    optimized
}

fn graph(plan: &OptimizedPlan) -> JobGraph {
    plan.job_graph().expect("a JobGraph")
}

/// The driver of the only operator of a kind that has a choice.
fn driver(graph: &JobGraph, name: &str) -> DriverStrategy {
    let ops = graph.vertices.iter().flat_map(|vertex| &vertex.chain);
    let mut drivers = ops.filter(|op| op.name == name).filter_map(|op| match op.part {
        Part::Driver(driver) => Some(driver),
        _ => None,
    });
    drivers.next().expect("an operator of that name")
}

fn has(graph: &JobGraph, part: Part) -> bool {
    graph.vertices.iter().flat_map(|vertex| &vertex.chain).any(|op| op.part == part)
}

fn edges_with(graph: &JobGraph, what: impl Fn(&JobEdge) -> bool) -> usize {
    graph.edges.iter().filter(|edge| what(edge)).count()
}

fn join(first: f64, second: f64, parallelism: u32) -> Plan {
    let mut builder = PlanBuilder::named("join", parallelism);
    let (a, b) = (builder.source(first, 100.0), builder.source(second, 100.0));
    let join = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
    builder.sink(join);
    builder.build()
}

#[test]
fn the_smaller_side_of_a_join_is_built() {
    let first = optimized("build_first", &join(1e6, 2e6, 4));
    assert_eq!(driver(&graph(&first), "join"), DriverStrategy::HybridHash { build: Side::First });
    let second = optimized("build_second", &join(2e6, 1e6, 4));
    assert_eq!(driver(&graph(&second), "join"), DriverStrategy::HybridHash { build: Side::Second });
}

#[test]
fn a_small_side_is_broadcast_and_a_large_one_partitioned() {
    let small = graph(&optimized("join_broadcast", &join(1e3, 1e6, 4)));
    assert_eq!(edges_with(&small, |edge| edge.ship == ShipStrategy::Broadcast), 1);
    let large = graph(&optimized("join_repartition", &join(9e5, 1e6, 4)));
    assert_eq!(edges_with(&large, |edge| edge.ship == ShipStrategy::PartitionHash), 2);
}

#[test]
fn a_join_far_larger_than_memory_is_sorted_and_merged() {
    let hash = graph(&optimized("join_hash", &join(1e7, 1e7, 4)));
    assert!(matches!(driver(&hash, "join"), DriverStrategy::HybridHash { .. }));
    let merge = graph(&optimized("join_merge", &join(5e9, 5e9, 4)));
    assert_eq!(driver(&merge, "join"), DriverStrategy::Merge { sort_first: true, sort_second: true });
}

#[test]
fn inputs_that_are_sorted_anyway_are_merged() {
    let plan = |sorted: bool| {
        let mut builder = PlanBuilder::named("sorted join", 4);
        let (a, b) = (builder.source(1e6, 100.0), builder.source(1e6, 100.0));
        let group = |builder: &mut PlanBuilder, input| {
            let id = if sorted { builder.group_reduce(input, &[0], &[], false) } else { builder.reduce(input, &[0]) };
            builder.op(id).hints.distinct_keys = Some(1e6);
            id
        };
        let (a, b) = (group(&mut builder, a), group(&mut builder, b));
        let join = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
        builder.sink(join);
        builder.build()
    };
    let merge = graph(&optimized("join_of_sorted", &plan(true)));
    assert_eq!(driver(&merge, "join"), DriverStrategy::Merge { sort_first: false, sort_second: false });
    let hash = graph(&optimized("join_of_hashed", &plan(false)));
    assert!(matches!(driver(&hash, "join"), DriverStrategy::HybridHash { .. }));
    for graph in [merge, hash] {
        assert_eq!(edges_with(&graph, |edge| edge.ship == ShipStrategy::PartitionHash), 2, "partitioning is reused");
    }
}

fn word_count(keys: Option<f64>) -> Plan {
    let mut builder = PlanBuilder::named("word count", 4);
    let source = builder.source(1e6, 20.0);
    let words = builder.flat_map(source);
    let count = builder.reduce(words, &[0]);
    builder.op(count).hints.distinct_keys = keys;
    builder.sink(count);
    builder.build()
}

#[test]
fn a_combiner_is_used_unless_keys_are_nearly_distinct() {
    let combine = Part::Combine(DriverStrategy::HashGroup);
    assert!(has(&graph(&optimized("combine_unknown_keys", &word_count(None))), combine));
    assert!(has(&graph(&optimized("combine_few_keys", &word_count(Some(1e4)))), combine));
    assert!(!has(&graph(&optimized("combine_many_keys", &word_count(Some(1.9e6)))), combine));
}

/// Where shipping costs next to nothing, it still costs something.
#[test]
fn choices_flip_inside_a_process_as_well() {
    let chosen = |plan: &Plan| graph(&optimize(plan, &OptimizerOptions::in_process()).expect("a plan"));
    let combine = Part::Combine(DriverStrategy::HashGroup);
    for (keys, combined) in [(None, true), (Some(1e4), true), (Some(1e6), false), (Some(2e6), false)] {
        assert_eq!(has(&chosen(&word_count(keys)), combine), combined, "{keys:?}");
    }
    for (first, ship) in [(1e3, ShipStrategy::Broadcast), (5e5, ShipStrategy::PartitionHash)] {
        let graph = chosen(&join(first, 1e6, 4));
        assert!(edges_with(&graph, |edge| edge.ship == ship) > 0, "{first}");
        assert_eq!(driver(&graph, "join"), DriverStrategy::HybridHash { build: Side::First });
    }
}

#[test]
fn a_combine_hint_decides() {
    let plan = |hint| {
        let mut builder = PlanBuilder::named("hinted", 4);
        let source = builder.source(1e6, 20.0);
        let count = builder.reduce_hinted(source, &[0], hint);
        builder.sink(count);
        graph(&optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan"))
    };
    assert!(has(&plan(CombineHint::Hash), Part::Combine(DriverStrategy::HashGroup)));
    assert!(has(&plan(CombineHint::Sort), Part::Combine(DriverStrategy::SortedGroup)));
    let none = plan(CombineHint::None);
    assert!(!none.vertices.iter().flat_map(|v| &v.chain).any(|op| matches!(op.part, Part::Combine(_))));
}

#[test]
fn a_partitioning_is_reused_if_fields_are_forwarded() {
    let plan = |forwarded: &[u32]| {
        let mut builder = PlanBuilder::named("reuse", 4);
        let source = builder.source(1e6, 20.0);
        let first = builder.reduce(source, &[0]);
        let map = builder.map(first);
        builder.forwards(map, 0, keeps(forwarded));
        let second = builder.group_reduce(map, &[1, 0], &[], false);
        builder.sink(second);
        builder.build()
    };
    let reused = graph(&optimized("partitioning_reused", &plan(&[0])));
    assert_eq!(edges_with(&reused, |edge| edge.ship == ShipStrategy::PartitionHash), 1);
    let lost = graph(&optimized("partitioning_lost", &plan(&[])));
    assert_eq!(edges_with(&lost, |edge| edge.ship == ShipStrategy::PartitionHash), 2);
}

#[test]
fn a_partitioning_is_not_reused_at_another_parallelism() {
    let mut builder = PlanBuilder::new(4);
    let source = builder.source(1e6, 20.0);
    let first = builder.reduce(source, &[0]);
    let second = builder.group_reduce(first, &[0], &[], false);
    builder.parallelism(second, 3);
    builder.sink(second);
    let graph = graph(&optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan"));
    assert_eq!(edges_with(&graph, |edge| edge.ship == ShipStrategy::PartitionHash), 2);
}

#[test]
fn a_diamond_is_consistent_and_has_a_blocking_edge() {
    let mut builder = PlanBuilder::named("diamond", 4);
    let source = builder.source(1e6, 20.0);
    let shared = builder.reduce(source, &[0]);
    let map = builder.map(shared);
    builder.forwards(map, 0, moves(&[(0, 1)]));
    let join = builder.join(JoinType::Inner, map, shared, &[field(1)], &[field(0)]);
    builder.sink(join);
    let plan = optimized("diamond", &builder.build());
    check("diamond.dot", &plan.explain_dot());
    let graph = graph(&plan);
    // Both ways from the reduce stay where they are.
    assert_eq!(edges_with(&graph, |edge| edge.ship == ShipStrategy::PartitionHash), 1);
    assert_eq!(edges_with(&graph, |edge| edge.mode == ExchangeMode::Blocking), 1);
    let blocking = graph.edges.iter().find(|edge| edge.mode == ExchangeMode::Blocking).expect("there is one");
    let DriverStrategy::HybridHash { build } = driver(&graph, "join") else { panic!("a hash join") };
    assert_eq!(usize::from(blocking.input), build.other().index(), "the probe side waits");
}

#[test]
fn joins_that_wait_for_each_other_get_a_blocking_edge() {
    let mut builder = PlanBuilder::named("crossed joins", 4);
    let (a, b) = (builder.source(1e6, 20.0), builder.source(1e6, 20.0));
    let first = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
    let second = builder.join(JoinType::Inner, b, a, &[field(0)], &[field(0)]);
    builder.join_hint(first, JoinHint::RepartitionHashFirst);
    builder.join_hint(second, JoinHint::RepartitionHashFirst);
    builder.sink(first);
    builder.sink(second);
    let graph = graph(&optimized("crossed_joins", &builder.build()));
    assert_eq!(edges_with(&graph, |edge| edge.mode == ExchangeMode::Blocking), 1);
    common::queues::ends(&graph).expect("no deadlock");
    let mut unbroken = graph.clone();
    unbroken.edges.iter_mut().for_each(|edge| edge.mode = ExchangeMode::Pipelined);
    common::queues::ends(&unbroken).expect_err("the blocking edge is needed");
}

#[test]
fn a_broadcast_set_from_the_same_source_makes_its_consumer_wait() {
    let mut builder = PlanBuilder::named("broadcast set", 4);
    let source = builder.source(1e6, 20.0);
    let mean = builder.reduce(source, &[]);
    let map = builder.map(source);
    builder.broadcast(map, "mean", mean);
    builder.sink(map);
    let graph = graph(&optimized("broadcast_set", &builder.build()));
    assert_eq!(edges_with(&graph, |edge| edge.mode == ExchangeMode::Blocking), 1);
    let mapping = graph.vertices.iter().find(|v| v.chain[0].name == "map").expect("map heads its task");
    assert_eq!((mapping.broadcast_inputs[0].name.as_str(), mapping.broadcast_inputs[0].index), ("mean", 0));
}

#[test]
fn range_partitioning_samples_first() {
    let mut builder = PlanBuilder::named("range", 4);
    let source = builder.source(1e6, 20.0);
    let map = builder.map(source);
    let range = builder.partition(map, PartitionMethod::Range, &[0]);
    let sort = builder.sort_partition(range, &[ascending(0)]);
    builder.sink(sort);
    let plan = optimized("range_partition", &builder.build());
    let graph = graph(&plan);
    let names: Vec<&str> = graph.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "source -> map -> Sample (partition)",
            "Range Bounds (partition)",
            "Range Split (partition)",
            "partition -> sort partition -> sink"
        ]
    );
    assert_eq!((graph.vertices[1].parallelism, graph.vertices[2].parallelism), (1, 4));
    let ranged = graph.edges.iter().find(|edge| edge.ship == ShipStrategy::PartitionRange).expect("a range edge");
    assert_eq!(ranged.partitioner, Some((range, 0)));
    let bounds = &graph.vertices[2].broadcast_inputs[0];
    assert_eq!((bounds.operator, bounds.index, bounds.name.as_str()), (range, 255, "range-bounds"));
    let sampled = graph.edges.iter().find(|edge| edge.side == Some(0)).expect("a side output");
    assert_eq!(sampled.ship, ShipStrategy::Rebalance);
    let waiting = graph.edges.iter().find(|edge| edge.mode == ExchangeMode::Blocking).expect("a blocking edge");
    assert_eq!(waiting.ship, ShipStrategy::Forward);
}

#[test]
fn inputs_ranged_by_the_same_operator_are_joined_where_they_are() {
    let plan = |parallelism: u32| {
        let mut builder = PlanBuilder::named("range join", 4);
        let source = builder.source(1e6, 20.0);
        let range = builder.partition(source, PartitionMethod::Range, &[0]);
        let (a, b) = (builder.filter(range), builder.filter(range));
        let join = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
        builder.parallelism(join, parallelism);
        builder.sink(join);
        graph(&optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan"))
    };
    assert_eq!(edges_with(&plan(4), |edge| edge.ship == ShipStrategy::PartitionHash), 0);
    assert_eq!(edges_with(&plan(3), |edge| edge.ship == ShipStrategy::PartitionHash), 2);
}

#[test]
fn json_has_the_keys_of_flinks_plans() {
    let mut builder = PlanBuilder::named("json", 4);
    let (a, b) = (builder.source(1e6, 20.0), builder.source(1e6, 20.0));
    let reduce = builder.reduce(a, &[0]);
    let group = builder.group_reduce(b, &[0], &[ascending(1)], false);
    let join = builder.join(JoinType::LeftOuter, reduce, group, &fields(&[0]), &fields(&[0]));
    builder.sink(join);
    let plan = optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan");
    let json = plan.explain_json();
    check("plan.json", &format!("{json:#}\n"));
    let node = &json["nodes"][0];
    assert_eq!((&node["type"], &node["pact"]), (&"source".into(), &"Data Source".into()));
}

#[test]
fn alternatives_are_explained() {
    let mut builder = PlanBuilder::named("alternatives", 4);
    let (a, b) = (builder.source(1e6, 20.0), builder.unknown_source());
    let reduce = builder.reduce(a, &[0]);
    let join = builder.join(JoinType::LeftOuter, reduce, b, &fields(&[0]), &fields(&[0]));
    builder.sink(join);
    let plan = optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan");
    check("alternatives.txt", &plan.explain_alternatives());
}

#[test]
fn an_unknown_side_is_not_broadcast() {
    let mut builder = PlanBuilder::new(4);
    let (a, b) = (builder.source(1e9, 100.0), builder.unknown_source());
    let join = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
    builder.sink(join);
    let graph = graph(&optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan"));
    assert_eq!(edges_with(&graph, |edge| edge.ship == ShipStrategy::Broadcast), 0);
}

#[test]
fn chains_follow_policies() {
    use flinkrs_plan::ChainingPolicy::{Never, StartNewChain};
    let names = |set: &dyn Fn(&mut PlanBuilder, [flinkrs_core::id::OperatorId; 3])| {
        let mut builder = PlanBuilder::new(2);
        let source = builder.source(1e3, 8.0);
        let a = builder.map(source);
        let b = builder.filter(a);
        builder.sink(b);
        set(&mut builder, [source, a, b]);
        let graph = graph(&optimize(&builder.build(), &OptimizerOptions::default()).expect("a plan"));
        graph.vertices.into_iter().map(|vertex| vertex.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&|_, _| {}), ["source -> map -> filter -> sink"]);
    assert_eq!(names(&|b, ops| b.op(ops[1]).chaining = StartNewChain), ["source", "map -> filter -> sink"]);
    assert_eq!(names(&|b, ops| b.op(ops[1]).chaining = Never), ["source", "map", "filter -> sink"]);
    assert_eq!(names(&|b, ops| b.op(ops[1]).kind = OperatorKind::MapPartition), ["source", "map -> filter -> sink"]);
    assert_eq!(names(&|b, ops| b.op(ops[1]).parallelism = Some(1)), ["source", "map", "filter -> sink"]);
}
