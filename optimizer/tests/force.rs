//! Hints and pins: the other plan can be had, and what is impossible is an error that names the operator.

mod common;

use common::testing::{PlanBuilder, field};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, JoinType, ShipStrategy, Side};
use flinkrs_optimizer::{Force, OptimizerOptions, enumerate_plans, optimize};
use flinkrs_plan::{JoinHint, Plan};

const JOIN: OperatorId = OperatorId(2);

fn join(join_type: JoinType, hint: JoinHint) -> Plan {
    let mut builder = PlanBuilder::new(4);
    let (a, b) = (builder.source(1e3, 100.0), builder.source(1e6, 100.0));
    let join = builder.join(join_type, a, b, &[field(0)], &[field(0)]);
    builder.op(join).name = "orders with parts".into();
    builder.join_hint(join, hint);
    builder.sink(join);
    builder.build()
}

fn forced(force: Vec<Force>) -> OptimizerOptions {
    OptimizerOptions { force, ..OptimizerOptions::default() }
}

#[test]
fn join_hints_restrict_the_alternatives() {
    let wanted = [
        (JoinHint::BroadcastHashFirst, "HYBRIDHASH_BUILD_FIRST", "BROADCAST"),
        (JoinHint::BroadcastHashSecond, "HYBRIDHASH_BUILD_SECOND", "BROADCAST"),
        (JoinHint::RepartitionHashFirst, "HYBRIDHASH_BUILD_FIRST", "PARTITION_HASH"),
        (JoinHint::RepartitionHashSecond, "HYBRIDHASH_BUILD_SECOND", "PARTITION_HASH"),
        (JoinHint::RepartitionSortMerge, "INNER_MERGE", "PARTITION_HASH"),
    ];
    for (hint, driver, ship) in wanted {
        let text = optimize(&join(JoinType::Inner, hint), &OptimizerOptions::default()).expect("a plan").explain();
        assert!(text.contains(driver) && text.contains(ship), "{hint:?}: {text}");
    }
}

#[test]
fn impossible_hints_name_the_operator() {
    let impossible = [
        (JoinType::LeftOuter, JoinHint::BroadcastHashFirst),
        (JoinType::FullOuter, JoinHint::BroadcastHashFirst),
        (JoinType::Semi, JoinHint::BroadcastHashFirst),
        (JoinType::Anti, JoinHint::BroadcastHashFirst),
        (JoinType::RightOuter, JoinHint::BroadcastHashSecond),
        (JoinType::FullOuter, JoinHint::BroadcastHashSecond),
    ];
    for (join_type, hint) in impossible {
        let error = optimize(&join(join_type, hint), &OptimizerOptions::default()).expect_err("impossible");
        assert!(error.to_string().contains("'orders with parts'"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn every_join_type_has_all_its_drivers() {
    use JoinType::{Anti, FullOuter, Inner, LeftOuter, RightOuter, Semi};
    for join_type in [Inner, LeftOuter, RightOuter, FullOuter, Semi, Anti] {
        let plan = join(join_type, JoinHint::OptimizerChooses);
        for driver in [
            DriverStrategy::HybridHash { build: Side::First },
            DriverStrategy::HybridHash { build: Side::Second },
            DriverStrategy::Merge { sort_first: true, sort_second: true },
        ] {
            optimize(&plan, &forced(vec![Force::Driver { operator: JOIN, driver }])).expect("a plan");
        }
        let plans = enumerate_plans(&plan, &OptimizerOptions::default(), 100, 1).expect("plans");
        let broadcasts = match join_type {
            Inner => 2,
            FullOuter => 0,
            LeftOuter | RightOuter | Semi | Anti => 1,
        };
        assert_eq!(plans.len(), 3 + broadcasts, "{join_type:?}");
    }
}

#[test]
fn pins_give_the_other_plan() {
    let plan = join(JoinType::Inner, JoinHint::OptimizerChooses);
    let best = optimize(&plan, &OptimizerOptions::default()).expect("a plan");
    assert!(best.explain().contains("BROADCAST"));
    let options = forced(vec![Force::Ship { operator: JOIN, input: 0, ship: ShipStrategy::PartitionHash }]);
    let other = optimize(&plan, &options).expect("a plan");
    assert!(!other.explain().contains("BROADCAST"));
    assert!(best.cost().total(&options) < other.cost().total(&options));
    assert!(other.explain_alternatives().contains("another choice is forced"));
}

#[test]
fn combiners_can_be_pinned() {
    let mut builder = PlanBuilder::new(4);
    let source = builder.source(1e6, 20.0);
    let reduce = builder.reduce(source, &[0]);
    builder.sink(reduce);
    let plan = builder.build();
    for combine in [true, false] {
        let options = forced(vec![Force::Combiner { operator: reduce, combine }]);
        let text = optimize(&plan, &options).expect("a plan").explain();
        assert_eq!(text.contains("PARTIAL_REDUCE"), combine);
    }
}

#[test]
fn impossible_pins_name_the_operator() {
    let plan = join(JoinType::Inner, JoinHint::OptimizerChooses);
    let options = forced(vec![Force::Driver { operator: JOIN, driver: DriverStrategy::HashGroup }]);
    for error in [
        optimize(&plan, &options).expect_err("impossible"),
        enumerate_plans(&plan, &options, 10, 0).map(|_| ()).expect_err("impossible"),
    ] {
        assert!(error.to_string().contains("'orders with parts'"), "{error}");
    }
    let options = forced(vec![Force::Combiner { operator: OperatorId(77), combine: true }]);
    assert!(optimize(&plan, &options).is_err());
}

#[test]
fn enumeration_keeps_to_pins() {
    let plan = join(JoinType::Inner, JoinHint::OptimizerChooses);
    let options = forced(vec![Force::Ship { operator: JOIN, input: 1, ship: ShipStrategy::PartitionHash }]);
    let plans = enumerate_plans(&plan, &options, 100, 3).expect("plans");
    assert_eq!(plans.len(), 3, "build either side, or merge");
}
