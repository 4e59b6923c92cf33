//! Numbers for records: zipWithIndex, zipWithUniqueId.

use crate::dataset::DataSet;
use crate::program::Plain;
use flinkrs_core::Collector;
use flinkrs_core::types::Data;
use flinkrs_operators::{NoOpOperator, Records};
use flinkrs_plan::OperatorKind;

/// The name of the broadcast set that holds how many records each subtask has.
const COUNTS: &str = "records per subtask";

impl<T: Data> DataSet<T> {
    /// Numbers the records from 0 without gaps: first those of subtask 0, then those of subtask 1, and so on.
    ///
    /// Reads the data set twice. The records are numbered where they are; a parallelism of the result counts for what
    /// comes after that.
    pub fn zip_with_index(&self) -> DataSet<(u64, T)> {
        let counts = self
            .map_partition_rich(|context| {
                let subtask = context.subtask.index;
                Ok(move |records: &mut Records<'_, T>, out: &mut Collector<'_, (u32, u64)>| {
                    out.collect((subtask, records.count() as u64));
                })
            })
            .name("CountPerSubtask");
        let numbered = self
            .map_rich(|context| {
                let subtask = context.subtask.index;
                let counts = context.broadcast_set::<(u32, u64)>(COUNTS)?;
                let mut next: u64 = counts.iter().filter(|(other, _)| *other < subtask).map(|(_, count)| count).sum();
                Ok(move |record| {
                    next += 1;
                    (next - 1, record)
                })
            })
            .name("Number")
            .with_broadcast_set(&counts, COUNTS);
        // What is numbered in a subtask has to be what was counted in it.
        let parallelism = self.env.explicit_parallelism(self.id);
        for step in [counts.id, numbered.id] {
            self.env.change(step, |operator| operator.parallelism = parallelism);
        }
        self.env.add("ZipWithIndex", OperatorKind::Map, &[numbered.id], Plain(|| NoOpOperator))
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
}
