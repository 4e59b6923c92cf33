//! The part of a hash group that is on disk: partitions evicted from the table, grouped one after the other.

use crate::hash_spill::{LEVELS, PARTITIONS, Partitions, SpillPlan};
use crate::hash_table::GroupTable;
use flinkrs_core::Result;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_memory::{SpillReader, SpillRun};

/// Groups that left the table before the end of their input.
pub(crate) struct GroupSpill<T> {
    plan: SpillPlan,
    /// Which bits of the hash partition the input that is being grouped.
    level: u32,
    partitions: Partitions<T>,
    /// A bit for each partition of which something is on disk.
    evicted: u32,
    /// What is still to be grouped, with its level.
    pending: Vec<(SpillRun<T>, u32)>,
    reader: Option<SpillReader<T>>,
}

/// A bit for each partition.
const ALL_EVICTED: u32 = (1 << PARTITIONS) - 1;

impl<T: Data> GroupSpill<T> {
    pub(crate) fn new(plan: SpillPlan) -> GroupSpill<T> {
        let partitions = Partitions::new();
        GroupSpill { plan, level: 0, partitions, evicted: 0, pending: Vec::new(), reader: None }
    }

    /// Whether the input must be grouped in memory, however much that takes.
    pub(crate) fn is_last_level(&self) -> bool {
        self.level >= LEVELS
    }

    /// Moves at least half of the records to disk: first those of partitions of which something is there already.
    pub(crate) fn evict<S: KeySelector<T>>(&mut self, table: &mut GroupTable<T, S::Rest>, selector: &S) -> Result<()> {
        table.ensure_split(selector);
        let counts: Vec<usize> = table.partition_lens().collect();
        let total: usize = counts.iter().sum();
        let is_out = |evicted: u32, partition: usize| evicted >> partition & 1 == 1;
        while counts.iter().enumerate().filter(|(i, _)| is_out(self.evicted, *i)).map(|(_, n)| n).sum::<usize>() * 2
            < total
        {
            let largest = (0..PARTITIONS).filter(|i| !is_out(self.evicted, *i)).max_by_key(|i| counts[*i]);
            self.evicted |= 1 << largest.expect("all partitions together have more than half of the records");
        }
        self.write_evicted(table)
    }

    fn write_evicted<R: Clone>(&mut self, table: &mut GroupTable<T, R>) -> Result<()> {
        let GroupSpill { plan, partitions, evicted, .. } = self;
        let mut write = |partition: usize, record: T| partitions.push(partition, record, plan);
        for partition in (0..PARTITIONS).filter(|partition| *evicted >> partition & 1 == 1) {
            if *evicted == ALL_EVICTED && table.is_well_filled(partition) {
                // No partition grows at another's cost any more: growing anew would only cost time.
                table.drain_partition(partition).try_for_each(|record| write(partition, record))?;
            } else {
                table.take_partition(partition).into_iter().try_for_each(|record| write(partition, record))?;
            }
        }
        table.recount_heap();
        Ok(())
    }

    /// The input has ended: leaves in the table only what is complete, and closes the files of the rest.
    pub(crate) fn settle<R: Clone>(&mut self, table: &mut GroupTable<T, R>) -> Result<()> {
        if self.evicted == 0 {
            return Ok(());
        }
        self.write_evicted(table)?;
        let runs = self.partitions.finish()?;
        self.pending.extend(runs.into_iter().flatten().map(|run| (run, self.level + 1)));
        self.evicted = 0;
        Ok(())
    }

    /// Begins to read the next partition into the empty table; false when there is none.
    pub(crate) fn open_next<R: Clone>(&mut self, table: &mut GroupTable<T, R>) -> bool {
        let next = self.pending.pop();
        if next.is_none() && self.level == 0 {
            return false;
        }
        self.level = next.as_ref().map_or(0, |(_, level)| *level);
        table.begin_level(self.level);
        self.reader = next.map(|(run, _)| run.reader(self.plan.read_bytes()));
        self.reader.is_some()
    }

    /// The next records of the partition that is being read, or `None` at its end.
    pub(crate) fn next_block(&mut self) -> Result<Option<Vec<T>>> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let block = reader.next_block()?;
        if block.is_none() {
            self.reader = None;
        }
        Ok(block)
    }
}
