//! A cluster in virtual time: crashes, broken connections, slow messages, and jobs that survive them.
//!
//! Each seed is a world of its own. A failing one prints its seed; `SIMULATION_SEED=N` runs that one alone, and with
//! `SIMULATION_TRACE=1` it says what happens. `SIMULATION_SEEDS=N` runs so many instead of the usual number.

mod checks;
mod client;
mod executor;
mod graphs;
mod jobmanager;
mod network;
mod rng;
mod worker;
mod world;

use executor::ExecutorProcess;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Action, World};

/// How many seeds run in a test.
const SEEDS: u64 = 5_000;

/// How long after the last fault all jobs have to have ended, in milliseconds.
const PATIENCE: u64 = 600_000;

/// How long it takes until what was given back has arrived, in milliseconds.
const AFTERMATH: u64 = 20_000;

/// A cluster that has just been switched on.
fn world(seed: u64) -> World {
    let mut world = World::empty(seed);
    let hosts = world.rng.range(1, 5) as usize;
    let names: Vec<String> = (0..hosts).map(|host| format!("host{host}")).collect();
    world.cut_off_until = vec![0; hosts];
    let mut slots = 0;
    for host in 0..hosts {
        let of_host = world.rng.range(1, 4);
        slots += of_host;
        world.executors.push(ExecutorProcess {
            start: 0,
            slots: of_host as u32,
            machine: None,
            connection: None,
            workers: BTreeMap::new(),
            files: BTreeMap::new(),
            files_of: 0,
        });
        let delay = world.rng.range(0, 500);
        world.after(delay, Action::StartExecutor(host));
    }
    for client in 0..world.rng.range(1, 3) as usize {
        world.add_client(client, slots.min(5), &names);
    }
    world.at(0, Action::StartJobManager);
    if world.rng.chance(90) {
        world.after(100, Action::Fault);
    } else {
        world.faults_until = 0;
    }
    world
}

/// Runs a world until all its jobs have ended, and looks for what has stayed behind.
fn run(seed: u64) {
    let mut world = world(seed);
    let deadline = world.faults_until + PATIENCE;
    while !(world.now > world.faults_until && world.is_over()) {
        let goes_on = world.step(deadline);
        assert!(goes_on, "some jobs never end: {:?}", stuck(&world));
    }
    let end = world.now + AFTERMATH;
    while world.step(end) {}
    world.check_end();
}

/// What hasn't ended.
fn stuck(world: &World) -> Vec<String> {
    let views = world.jm.iter().flat_map(|jm| jm.masters.values()).filter_map(|master| master.view());
    views.map(|view| format!("{view:?}")).collect()
}

#[test]
fn jobs_survive() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed)));
        if result.is_err() {
            panic!("seed {seed} fails; run it alone with SIMULATION_SEED={seed} SIMULATION_TRACE=1");
        }
    }
}
