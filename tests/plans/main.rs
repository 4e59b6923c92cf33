//! Every way to execute a random program gives the same result on the real engine: that of a plain evaluation.
//!
//! `FLINKRS_PROGRAMS=5000` runs more programs, `FLINKRS_SEED=17` one of them.

mod build;
mod program;
mod reference;
mod run;
mod semantics;
mod shrink;

use run::{Seen, check};
use std::time::Duration;

/// Ways to execute a program that are run.
const PLANS: usize = 6;

/// How long one job may take.
const TIMEOUT: Duration = Duration::from_secs(60);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn check_all(seeds: std::ops::Range<u64>, operators: usize) {
    let seeds = number("FLINKRS_SEED").map_or(seeds.clone(), |seed| {
        let mine = seeds.start / 1_000_000 == seed / 1_000_000;
        if mine { seed..seed + 1 } else { 0..0 }
    });
    let (mut seen, one) = (Seen::default(), seeds.end - seeds.start <= 1);
    for seed in seeds {
        let program = program::random(seed, operators);
        match check(&program, PLANS, TIMEOUT) {
            Ok(more) => (seen.plans, seen.spilling) = (seen.plans + more.plans, seen.spilling + more.spilling),
            Err(message) => fail(&program, &message),
        }
    }
    eprintln!("{} plans, {} of them spilled", seen.plans, seen.spilling);
    assert!(one || seen.spilling > 0, "of {} plans none spilled", seen.plans);
}

fn fail(program: &program::Program, message: &str) -> ! {
    eprintln!("{message}\n\n{}\n\nthe smallest program that fails:", shrink::describe(program));
    let smallest = shrink::shrink(program, PLANS);
    let message = check(&smallest, PLANS, TIMEOUT).err().unwrap_or("fails only sometimes".to_owned());
    panic!("{message}\n{}\nFLINKRS_SEED={} runs the program again", shrink::describe(&smallest), program.seed)
}

#[test]
fn small_programs() {
    check_all(0..number("FLINKRS_PROGRAMS").unwrap_or(150), 8);
}

#[test]
fn large_programs() {
    let count = number("FLINKRS_PROGRAMS").map_or(50, |count| count / 2);
    check_all(1_000_000..1_000_000 + count, 30);
}
