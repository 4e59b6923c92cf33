//! A panic in each kind of user function.

use clap::ValueEnum;
use flinkrs::prelude::*;

/// The function that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In `map`
    Map,
    /// In `flat_map`, after some records
    FlatMap,
    /// In `filter`
    Filter,
    /// In `map_batches`
    MapBatches,
    /// In `map_partition`
    MapPartition,
    /// In `reduce`
    Reduce,
    /// In `reduce_group`
    ReduceGroup,
    /// In the combiner of `reduce_group_combinable`
    Combine,
    /// In `join`
    Join,
    /// In `cross`
    Cross,
    /// In `co_group`
    CoGroup,
    /// In a key selector
    Key,
    /// In the key of a grouping
    GroupKey,
    /// In a key of a join
    JoinKey,
    /// In a partitioner
    Partitioner,
    /// In a `map` between two others
    Chained,
    /// In the function that makes a `map`'s function
    Open,
    /// In a value that isn't text
    Value,
    /// In a message of several lines
    Lines,
}

/// The number that is too much.
const UNLUCKY: u64 = 13;

fn check(n: u64) -> u64 {
    assert!(n != UNLUCKY, "{UNLUCKY} is an unlucky number");
    n
}

/// A data flow over `numbers` with one function, named `Unlucky`, that panics at the number 13.
pub(crate) fn build(place: Place, numbers: &DataSet<u64>) -> DataSet<u64> {
    let rows = || numbers.map(|n| (n % 100, n)).name("Rows");
    let key = |n: &u64| *n;
    match place {
        Place::Map => numbers.map(check).name("Unlucky"),
        Place::FlatMap => numbers.flat_map(|n, out| (0..n).for_each(|i| out.collect(check(i)))).name("Unlucky"),
        Place::Filter => numbers.filter(|n| check(*n) > 0).name("Unlucky"),
        Place::MapBatches => {
            numbers.map_batches(|all, out| all.drain(..).for_each(|n| out.collect(check(n)))).name("Unlucky")
        }
        Place::MapPartition => {
            numbers.map_partition(|all, out| all.for_each(|n| out.collect(check(n)))).name("Unlucky")
        }
        Place::Reduce => {
            let reduced = rows().group_by(f0).reduce(|into, next| into.1 = check(next.0).max(into.1)).name("Unlucky");
            reduced.map(|row| row.1)
        }
        Place::ReduceGroup => {
            let sums = rows().group_by(f0).reduce_group(|group, out| {
                let sum = group.iter().map(|row| check(row.0)).sum::<u64>();
                out.collect(sum);
            });
            sums.name("Unlucky")
        }
        Place::Combine => combine(&rows()),
        Place::Join => rows().join(&rows()).on(f0, f0).map(|left, right| check(left.0) + right.1).name("Unlucky"),
        Place::Cross => numbers.cross(&numbers.first(20)).map(|left, right| check(*left) + right).name("Unlucky"),
        Place::CoGroup => {
            let grouped = numbers.co_group(numbers).on(key, key);
            grouped.with(|left, _, out| left.iter().for_each(|n| out.collect(check(*n)))).name("Unlucky")
        }
        Place::Key => numbers.partition_by_hash(|n: &u64| check(*n)).name("Unlucky"),
        Place::GroupKey => {
            let grouped = numbers.group_by(|n: &u64| check(*n));
            grouped.reduce_group(|group, out| out.collect(group.iter().count() as u64)).name("Unlucky")
        }
        Place::JoinKey => {
            let joined = numbers.join(numbers).hint(JoinHint::RepartitionSortMerge).on(key, |n: &u64| check(*n));
            joined.map(|left, _| *left).name("Unlucky")
        }
        Place::Partitioner => numbers.partition_custom(key, |n, count| check(*n) as usize % count).name("Unlucky"),
        Place::Chained => numbers.map(|n| n).name("Before").map(check).name("Unlucky").map(|n| n).name("After"),
        Place::Open => {
            let rich = numbers.map_rich(|context| {
                let index = u64::from(context.subtask.index);
                check(UNLUCKY + index);
                Ok(|n| n)
            });
            rich.name("Unlucky")
        }
        Place::Value => numbers.map(|n| if n == UNLUCKY { std::panic::panic_any(n) } else { n }).name("Unlucky"),
        Place::Lines => {
            numbers.map(|n| if n == UNLUCKY { panic!("first line\nsecond line") } else { n }).name("Unlucky")
        }
    }
}

fn combine(rows: &DataSet<(u64, u64)>) -> DataSet<u64> {
    let grouped = rows.group_by(f0).reduce_group_combinable(
        |group, out| {
            let records: Vec<(u64, u64)> = group.iter().map(|row| (check(row.0), row.1)).collect();
            records.into_iter().for_each(|row| out.collect(row));
        },
        |group, out| out.collect(group.iter().map(|row| row.1).sum::<u64>()),
    );
    grouped.name("Unlucky")
}
