//! The last resort of a hash join: one key has more records than fit into memory, so that partitioning doesn't help.

use crate::hash_join_build::{BuildSide, Fate};
use crate::hash_join_probe::{Emit, Keeps, Logic, Matched, emit_lone, probe};
use crate::hash_join_round::Pair;
use crate::hash_join_table::JoinTable;
use crate::hash_memory::Memory;
use crate::hash_spill::SpillPlan;
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Collector, Progress, Result};
use flinkrs_memory::{SpillReader, SpillRun};

/// Joins two partitions by reading the probing one again for every part of the built one that fits into memory.
pub(crate) struct Nested<B, P> {
    build_reader: SpillReader<B>,
    /// What the last part had no room for, last first.
    rest: Vec<B>,
    probe: Option<SpillRun<P>>,
    matched: Matched,
    matched_bytes: usize,
    part: Option<Part<B, P>>,
}

/// A part of the built side.
struct Part<B, P> {
    table: JoinTable<B>,
    probe_reader: Option<SpillReader<P>>,
    bucket: usize,
}

impl<B: Data, P: Data> Nested<B, P> {
    pub(crate) fn new(pair: Pair<B, P>, keeps: Keeps, memory: &mut Memory, plan: &SpillPlan) -> Nested<B, P> {
        let records = pair.probe.as_ref().filter(|_| keeps.tracks_probe()).map_or(0, SpillRun::records) as usize;
        let matched_bytes = records / 8;
        memory.force(matched_bytes);
        Nested {
            build_reader: pair.build.reader(plan.read_bytes()),
            rest: Vec::new(),
            probe: pair.probe,
            matched: Matched::new(records),
            matched_bytes,
            part: None,
        }
    }

    /// Goes on by a part of the built side or a block of the probing one.
    pub(crate) fn step<O, SB, SP, E>(
        &mut self,
        logic: &mut Logic<SB, SP, E>,
        memory: &mut Memory,
        plan: &SpillPlan,
        out: &mut Collector<'_, O>,
    ) -> Result<Progress>
    where
        O: Data,
        SB: KeySelector<B>,
        SP: KeySelector<P, Key = SB::Key>,
        E: Emit<B, P, O>,
    {
        let Some(part) = &mut self.part else {
            self.part = Some(self.fill(logic, memory, plan)?);
            return Ok(Progress::More);
        };
        if let Some(reader) = &mut part.probe_reader {
            match reader.next_block()? {
                Some(block) => probe(logic, &mut part.table, &block, Some(&mut self.matched), out),
                None => part.probe_reader = None,
            }
            return Ok(Progress::More);
        }
        if emit_lone(logic, &part.table, &mut part.bucket, out) {
            return Ok(Progress::More);
        }
        if let Some(part) = self.part.take() {
            part.table.release(memory);
        }
        if self.matched.is_last {
            memory.shrink(self.matched_bytes);
            return Ok(Progress::Done);
        }
        Ok(Progress::More)
    }

    /// Reads as much of the built side as fits.
    fn fill<SB, SP, E>(&mut self, logic: &Logic<SB, SP, E>, memory: &mut Memory, plan: &SpillPlan) -> Result<Part<B, P>>
    where
        SB: KeySelector<B>,
    {
        let mut build = BuildSide::new(memory, 0);
        let is_last = loop {
            match self.rest.pop() {
                Some(record) => {
                    if let Some(record) = build.try_add(record, memory, &logic.build_key) {
                        self.rest.push(record);
                        break false;
                    }
                }
                None => match self.build_reader.next_block()? {
                    Some(mut block) => {
                        block.reverse();
                        self.rest = block;
                    }
                    None => break true,
                },
            }
        };
        let mut table = build.seal(memory, plan, &logic.build_key, Fate::Whole)?.table;
        if logic.keeps.tracks_build() {
            table.track_matches();
        }
        (self.matched.number, self.matched.is_last) = (0, is_last);
        let probe_reader = self.probe.as_ref().map(|run| run.reader(plan.read_bytes()));
        Ok(Part { table, probe_reader, bucket: 0 })
    }
}
