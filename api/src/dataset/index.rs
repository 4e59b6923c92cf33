//! Numbers for records (zipWithIndex, zipWithUniqueId) and samples.

use crate::dataset::DataSet;
use flinkrs_core::types::{Data, hash_key};
use flinkrs_core::{Collector, Error};
use flinkrs_operators::Records;

/// The name of the broadcast set that holds how many records each subtask has.
const COUNTS: &str = "records per subtask";

impl<T: Data> DataSet<T> {
    /// Numbers the records from 0 without gaps: first those of subtask 0, then those of subtask 1, and so on.
    ///
    /// Reads the data set twice.
    pub fn zip_with_index(&self) -> DataSet<(u64, T)> {
        let counts = self
            .map_partition_rich(|context| {
                let subtask = context.subtask.index;
                Ok(move |records: &mut Records<'_, T>, out: &mut Collector<'_, (u32, u64)>| {
                    out.collect((subtask, records.count() as u64));
                })
            })
            .name("CountPerSubtask");
        self.map_rich(|context| {
            let subtask = context.subtask.index;
            let counts = context.broadcast_set::<(u32, u64)>(COUNTS)?;
            let (counted, here) = (counts.len(), context.subtask.parallelism);
            if counted != here as usize {
                return Err(Error::plan(format!(
                    "zip_with_index counts records in {counted} subtasks and can't number them in {here}; set the \
                     parallelism of its environment, not that of its result"
                )));
            }
            let mut next: u64 = counts.iter().filter(|(other, _)| *other < subtask).map(|(_, count)| count).sum();
            Ok(move |record| {
                next += 1;
                (next - 1, record)
            })
        })
        .name("ZipWithIndex")
        .with_broadcast_set(&counts, COUNTS)
    }

    /// Numbers the records without counting them first: unique, with gaps.
    pub fn zip_with_unique_id(&self) -> DataSet<(u64, T)> {
        self.map_rich(|context| {
            let (step, mut next) = (u64::from(context.subtask.parallelism), u64::from(context.subtask.index));
            Ok(move |record| {
                next += step;
                (next - step, record)
            })
        })
        .name("ZipWithUniqueId")
    }

    /// Each record with probability `fraction`, the same choice for the same seed, data and parallelism.
    pub fn sample(&self, fraction: f64, seed: u64) -> DataSet<T> {
        let bound = (fraction.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        self.filter_rich(move |context| {
            let (subtask, mut number) = (context.subtask.index, 0u64);
            Ok(move |_: &T| {
                number += 1;
                hash_key(&(seed, subtask, number)) < bound
            })
        })
        .name("Sample")
    }
}
