//! Plans of 10,000 operators: no stack overflow, and about a second each (the limits are for slow, busy machines).

mod common;

use common::testing::{PlanBuilder, field, keeps};
use flinkrs_core::strategy::{ExchangeMode, JoinType};
use flinkrs_optimizer::{OptimizedPlan, OptimizerOptions, enumerate_plans, optimize};
use flinkrs_plan::Plan;
use std::time::{Duration, Instant};

const OPERATORS: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(10);

fn timed(name: &str, plan: &Plan) -> OptimizedPlan {
    let start = Instant::now();
    let optimized = optimize(plan, &OptimizerOptions::default()).expect("a plan");
    let graph = optimized.job_graph().expect("a JobGraph");
    let taken = start.elapsed();
    eprintln!("{name}: {taken:?}, {} vertices", graph.vertices.len());
    assert!(taken < LIMIT, "{name} takes {taken:?}");
    optimized
}

#[test]
fn a_chain_of_maps() {
    let mut builder = PlanBuilder::new(4);
    let mut last = builder.source(1e6, 8.0);
    for _ in 0..OPERATORS {
        last = builder.map(last);
    }
    builder.sink(last);
    let optimized = timed("chained", &builder.build());
    // Source, maps and sink, in tasks of at most 256 operators.
    assert_eq!(optimized.job_graph().expect("a JobGraph").vertices.len(), (OPERATORS + 2).div_ceil(256));
    optimized.explain();
    optimized.explain_json();
}

#[test]
fn a_chain_of_groupings() {
    let mut builder = PlanBuilder::new(4);
    let mut last = builder.source(1e6, 8.0);
    for i in 0..OPERATORS as u32 {
        last = match i % 3 {
            0 => builder.reduce(last, &[i % 7, 8]),
            1 => builder.distinct(last, &[8]),
            _ => builder.filter(last),
        };
    }
    builder.sink(last);
    timed("groupings", &builder.build());
}

#[test]
fn one_source_with_thousands_of_sinks() {
    let mut builder = PlanBuilder::new(4);
    let source = builder.source(1e6, 8.0);
    let shared = builder.reduce(source, &[0]);
    for _ in 0..OPERATORS / 3 {
        let reduce = builder.reduce(shared, &[0, 1]);
        let map = builder.map(reduce);
        builder.sink(map);
    }
    timed("fan-out", &builder.build());
}

#[test]
fn a_union_of_thousands() {
    let mut builder = PlanBuilder::new(4);
    let source = builder.source(1e6, 8.0);
    let parts: Vec<_> = (0..OPERATORS / 2)
        .map(|_| {
            let map = builder.map(source);
            builder.reduce(map, &[0])
        })
        .collect();
    let union = builder.union(&parts);
    let total = builder.reduce(union, &[0]);
    builder.sink(total);
    timed("union", &builder.build());
}

#[test]
fn a_row_of_diamonds() {
    let mut builder = PlanBuilder::new(4);
    let mut last = builder.source(1e6, 8.0);
    for _ in 0..OPERATORS / 3 {
        let (a, b) = (builder.filter(last), builder.map(last));
        builder.forwards(b, 0, keeps(&[0]));
        last = builder.join(JoinType::Inner, a, b, &[field(0)], &[field(0)]);
        builder.forwards(last, 0, keeps(&[0]));
    }
    builder.sink(last);
    let optimized = timed("diamonds", &builder.build());
    let graph = optimized.job_graph().expect("a JobGraph");
    let blocking = graph.edges.iter().filter(|edge| edge.mode == ExchangeMode::Blocking).count();
    assert!(blocking <= OPERATORS / 3, "{blocking} blocking edges");
    let plans = enumerate_plans(&builder_again(), &OptimizerOptions::default(), 3, 7).expect("plans");
    assert_eq!(plans.len(), 3);
}

/// Many joins that all need each other's inputs.
fn builder_again() -> Plan {
    let mut builder = PlanBuilder::new(4);
    let sources: Vec<_> = (0..25).map(|_| builder.source(1e6, 8.0)).collect();
    for a in &sources {
        for b in &sources {
            let join = builder.join(JoinType::Inner, *a, *b, &[field(0)], &[field(1)]);
            builder.sink(join);
        }
    }
    builder.build()
}

#[test]
fn every_source_joined_with_every_other() {
    let optimized = timed("all pairs", &builder_again());
    common::queues::ends(&optimized.job_graph().expect("a JobGraph")).expect("no deadlock");
}

#[test]
fn layers_that_are_all_connected() {
    let mut builder = PlanBuilder::new(4);
    let mut layer: Vec<_> = (0..10).map(|_| builder.source(1e6, 8.0)).collect();
    for _ in 0..OPERATORS / 20 {
        layer = (0..10)
            .map(|i| {
                let join = builder.join(JoinType::Inner, layer[i], layer[(i + 3) % 10], &[field(0)], &[field(0)]);
                builder.forwards(join, 0, keeps(&[0]));
                builder.reduce(join, &[0])
            })
            .collect();
    }
    for id in layer {
        builder.sink(id);
    }
    timed("layers", &builder.build());
}
