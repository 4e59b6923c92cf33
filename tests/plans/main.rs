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

fn check_all(seeds: std::ops::Range<u64>, operators: usize, panics: bool) {
    let seeds = number("FLINKRS_SEED").map_or(seeds.clone(), |seed| {
        let mine = seeds.start / 1_000_000 == seed / 1_000_000;
        if mine { seed..seed + 1 } else { 0..0 }
    });
    let (mut seen, one) = (Seen::default(), seeds.end - seeds.start <= 1);
    for seed in seeds {
        let mut program = program::random(seed, operators);
        program.panics = panics.then(|| program.nodes.len() * (seed % 10) as usize / 10);
        match check(&program, PLANS, TIMEOUT) {
            Ok(more) => (seen.plans, seen.spilling) = (seen.plans + more.plans, seen.spilling + more.spilling),
            Err(message) => fail(&program, &message),
        }
    }
    eprintln!("{} plans, {} of them spilled", seen.plans, seen.spilling);
    assert!(one || panics || seen.spilling > 0, "of {} plans none spilled", seen.plans);
}

fn fail(program: &program::Program, message: &str) -> ! {
    eprintln!("{message}\n\n{}\n\nthe smallest program that fails:", shrink::describe(program));
    let smallest = shrink::shrink(program, PLANS);
    let message = check(&smallest, PLANS, TIMEOUT).err().unwrap_or("fails only sometimes".to_owned());
    panic!("{message}\n{}\nFLINKRS_SEED={} runs the program again", shrink::describe(&smallest), program.seed)
}

#[test]
fn small_programs() {
    check_all(0..number("FLINKRS_PROGRAMS").unwrap_or(150), 8, false);
}

#[test]
fn large_programs() {
    let count = number("FLINKRS_PROGRAMS").map_or(50, |count| count / 2);
    check_all(1_000_000..1_000_000 + count, 30, false);
}

/// Whatever runs when a function panics, the job ends, with that panic as its error.
#[test]
fn programs_that_panic() {
    let count = number("FLINKRS_PROGRAMS").unwrap_or(100);
    check_all(2_000_000..2_000_000 + count, 20, true);
}
