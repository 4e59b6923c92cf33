//! A solution set in parts against a plain map, with memories of many sizes.

use super::*;
use crate::solution_set::{put, put_deferred};
use flinkrs_core::state::StateReader;
use flinkrs_core::types::{codec, f0};
use std::collections::BTreeMap;

type Record = (u64, String);

fn context(bytes: usize) -> RuntimeContext {
    RuntimeContext::standalone(bytes, &std::env::temp_dir())
}

fn solution(context: &RuntimeContext) -> (Solution<u64, Record>, Deferred<Record>) {
    let mut solution = Solution::new(Keys::new(&f0));
    solution.open(context);
    (solution, Deferred::new(context))
}

/// Numbers that look random.
fn bits(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// All records that are left.
fn taken(solution: &mut Solution<u64, Record>) -> BTreeMap<u64, String> {
    let mut all = BTreeMap::new();
    for part in 0..solution.parts() {
        let mut from = 0;
        loop {
            let records = solution.take(part, from, 1000).expect("it is on disk");
            from += records.len();
            let count = records.len();
            all.extend(records);
            if count < 1000 {
                break;
            }
        }
    }
    all
}

/// Supersteps of changes, and after each lookups and a snapshot, which together must be what a map has.
fn check(memory: usize, keys: u64, supersteps: u64) -> usize {
    let context = context(memory);
    let (mut solution, mut deferred) = solution(&context);
    let (mut model, mut restored) = (BTreeMap::new(), BTreeMap::new());
    for superstep in 0..supersteps {
        let changes = if superstep == 0 { keys } else { keys / 7 };
        for i in 0..changes {
            let key = if superstep == 0 { i * 3 } else { bits(i + superstep * keys) % (keys * 4) };
            let text = format!("{superstep} {}", "x".repeat((bits(key ^ superstep) % 40) as usize));
            put(&mut solution, &f0, (key, text.clone()), &mut deferred).expect("there is disk");
            model.insert(key, text);
        }
        put_deferred(&mut solution, &f0, &mut deferred).expect("there is disk");
        for i in 0..20 {
            let key = bits(i ^ superstep) % (keys * 4).max(1);
            let found = solution.fetch(&key).expect("it is on disk");
            assert_eq!(found.map(|record| record.1).as_ref(), model.get(&key));
        }
        let mut state = Kept::default();
        let extent = if superstep == 0 { Extent::All } else { Extent::Changes };
        solution.write(extent, &mut state).expect("it is kept");
        let written = state.records();
        assert!(superstep == 0 || written.len() as u64 <= changes, "only changes are written");
        restored.extend(written);
        assert_eq!(restored.len(), model.len());
        assert!(restored == model, "in superstep {superstep}");
    }
    let parts = solution.parts();
    assert!(taken(&mut solution) == model);
    parts
}

/// State in memory.
#[derive(Default)]
struct Kept(Vec<Vec<u8>>, usize);

impl StateWriter for Kept {
    fn block(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.push(bytes.to_vec());
        Ok(())
    }
}

impl StateReader for Kept {
    fn next_block(&mut self) -> Result<Option<&[u8]>> {
        self.1 += 1;
        Ok(self.0.get(self.1 - 1).map(Vec::as_slice))
    }
}

impl Kept {
    fn records(&self) -> Vec<Record> {
        self.0.iter().flat_map(|block| codec::decode::<Record>(block).expect("it was encoded")).collect()
    }
}

#[test]
fn a_set_in_memory_stays_one() {
    assert_eq!(check(64 << 20, 5000, 5), 1);
    assert_eq!(check(64 << 20, 0, 2), 1);
}

#[test]
fn a_set_beyond_its_memory_is_in_parts_and_keeps_all_records() {
    assert_eq!(check(600 << 10, 6000, 6), PARTS);
}

#[test]
fn a_set_far_beyond_its_memory_is_in_many_parts() {
    assert!(check(100 << 10, 20_000, 4) >= 4 * PARTS);
}

#[test]
fn parts_that_fit_stay_in_memory() {
    let context = context(600 << 10);
    let (mut solution, mut deferred) = solution(&context);
    for key in 0..9000u64 {
        put(&mut solution, &f0, (key, String::new()), &mut deferred).expect("there is disk");
    }
    put_deferred(&mut solution, &f0, &mut deferred).expect("there is disk");
    let inside = |solution: &Solution<u64, Record>| (0..PARTS).filter(|part| solution.index(*part).is_some()).count();
    let before = inside(&solution);
    assert!((4..PARTS).contains(&before), "{before} parts are in memory");
    let spilled = SpillSpace::of(&context).spilled_bytes();
    for part in 0..PARTS {
        solution.load(part).expect("it is on disk");
    }
    assert!(inside(&solution) + 2 > before, "the others took turns");
    assert!(SpillSpace::of(&context).spilled_bytes() - spilled < 80 << 10, "what hasn't changed isn't written again");
}

#[test]
fn a_memory_of_nothing_is_enough() {
    assert!(check(1, 3000, 3) > PARTS);
}
