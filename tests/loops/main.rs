//! Bulk and delta iterations against plain computations, at several parallelisms and with little memory.

mod bulk;
mod delta;
mod mistakes;
mod snapshots;

use flinkrs::prelude::*;
use flinkrs::resource::ByteSize;
use std::collections::BTreeMap;

const PARALLELISMS: [u32; 3] = [1, 3, 8];

/// An environment with the least memory that a process may have.
fn env(parallelism: u32) -> ExecutionEnvironment {
    LocalEnvironment::new().parallelism(parallelism).memory(ByteSize(32 << 20)).create().expect("an environment")
}

/// Calls `check` with every parallelism.
fn everywhere(check: impl Fn(&ExecutionEnvironment)) {
    PARALLELISMS.into_iter().for_each(|parallelism| check(&env(parallelism)));
}

fn sorted<T: Ord + Data>(set: &DataSet<T>) -> Vec<T> {
    let mut records = set.collect().expect("the job runs");
    records.sort();
    records
}

/// Bits that follow from `number` and look random.
fn bits(number: u64) -> u64 {
    flinkrs::types::hash_key(&number)
}

/// Edges of a random graph; self loops and parallel edges occur.
fn random_edges(vertices: u64, edges: u64) -> Vec<(u64, u64)> {
    (0..edges).map(|i| (bits(2 * i) % vertices, bits(2 * i + 1) % vertices)).collect()
}

/// The smallest vertex that each vertex is connected with.
fn components(vertices: impl IntoIterator<Item = u64>, edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut labels: BTreeMap<u64, u64> = vertices.into_iter().map(|vertex| (vertex, vertex)).collect();
    loop {
        let mut changed = false;
        for (a, b) in edges {
            let least = labels[a].min(labels[b]);
            changed |= labels.insert(*a, least) != Some(least);
            changed |= labels.insert(*b, least) != Some(least);
        }
        if !changed {
            return labels.into_iter().collect();
        }
    }
}
