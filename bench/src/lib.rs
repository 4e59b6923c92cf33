//! Inputs and shared code of the benchmark: the baselines (plain threaded programs that do by hand what the engine's
//! jobs do), the engine's own programs, and the driver that compares them.

pub mod cli;
pub mod csv;
pub mod driver;
pub mod files;
pub mod hdfs;
pub mod in_process;
pub mod join_input;
pub mod loops;
pub mod masks;
pub mod parallel;
pub mod records;
pub mod rng;
pub mod tbl;
pub mod text;
pub mod tpch;

/// The hasher of every table: fast, and the same in every run.
pub type Hasher = foldhash::fast::FixedState;

/// A hash map with the fixed [`Hasher`]; make one with [`map`].
pub type Map<K, V> = hashbrown::HashMap<K, V, Hasher>;

/// The fixed [`Hasher`].
pub fn hasher() -> Hasher {
    Hasher::with_seed(42)
}

/// An empty [`Map`] with room for `capacity` entries.
pub fn map<K, V>(capacity: usize) -> Map<K, V> {
    Map::with_capacity_and_hasher(capacity, hasher())
}
