//! Every enumerated plan of a random program is valid, ends, gives the right result, and is unlike the others.

mod common;

use common::{interpreter, queues, random_plan};
use flinkrs_optimizer::{OptimizedPlan, OptimizerOptions, enumerate_plans};
use random_plan::Program;

fn check(program: &Program, optimized: &OptimizedPlan) {
    let graph = optimized.job_graph().expect("a JobGraph");
    graph.validate().expect("a valid JobGraph");
    if let Err(stuck) = queues::ends(&graph) {
        panic!("{}: {stuck}\n{}", program.plan.name, optimized.explain());
    }
    let mut result = interpreter::run(&program.plan, &graph, &program.sources);
    for (sink, expected) in &program.expected {
        let got = result.remove(sink).unwrap_or_default();
        assert!(got == *expected, "{}: sink {sink} differs\n{}", program.plan.name, optimized.explain());
    }
}

fn check_all(seeds: std::ops::Range<u64>, operators: usize, plans: usize) -> usize {
    let mut count = 0;
    for seed in seeds {
        let program = random_plan::program(seed, operators);
        let options = OptimizerOptions::default();
        let all = enumerate_plans(&program.plan, &options, plans, seed).expect("plans");
        for optimized in &all {
            check(&program, optimized);
        }
        for (i, one) in all.iter().enumerate() {
            let graph = one.job_graph().expect("a JobGraph");
            for other in &all[..i] {
                assert!(graph != other.job_graph().expect("a JobGraph"), "seed {seed} has a plan twice");
            }
            let (best, cost) = (all[0].cost().total(&options), one.cost().total(&options));
            assert!(best <= cost * (1.0 + 1e-9), "seed {seed}: a random plan is cheaper: {cost} than {best}");
        }
        count += all.len();
    }
    count
}

/// How many programs; `FLINKRS_PROGRAMS` asks for more.
fn programs(usually: u64) -> u64 {
    std::env::var("FLINKRS_PROGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(usually)
}

#[test]
fn small_programs() {
    let plans = check_all(0..programs(400), 6, 12);
    assert!(plans > 1000, "only {plans} plans");
}

#[test]
fn larger_programs() {
    let plans = check_all(1_000_000..1_000_000 + programs(150), 20, 12);
    assert!(plans > 1000, "only {plans} plans");
}
