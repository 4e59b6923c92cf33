//! The rounds of a hash join: the inputs first, then each pair of partitions that went to disk.

use crate::hash_join_build::{BuildSide, Fate};
use crate::hash_join_nested::Nested;
use crate::hash_join_probe::{Emit, Logic, emit_lone, probe};
use crate::hash_join_table::JoinTable;
use crate::hash_key::hash_of;
use crate::hash_memory::Memory;
use crate::hash_spill::{LEVELS, Partitions, SpillPlan, partition_of};
use flinkrs_core::types::{Data, KeySelector};
use flinkrs_core::{Collector, Error, Progress, Result, RuntimeContext};
use flinkrs_memory::{SpillReader, SpillRun, SpillSpace};
use std::sync::Arc;

/// What a round is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Gathers the built side.
    Build,
    /// Looks up the probing side.
    Probe,
    /// Shows built records without partner.
    Lone,
    /// Nothing more.
    Done,
}

/// The join of two inputs or of two partitions of them.
pub(crate) struct Round<B, P> {
    pub(crate) stage: Stage,
    level: u32,
    build: BuildSide<B>,
    build_reader: Option<SpillReader<B>>,
    pub(crate) table: JoinTable<B>,
    /// A bit for each partition that is on disk.
    spilled: u32,
    build_files: Vec<Option<Arc<SpillRun<B>>>>,
    build_records: u64,
    probe_run: Option<SpillRun<P>>,
    probe_reader: Option<SpillReader<P>>,
    probe_files: Partitions<P>,
    /// How far [`Stage::Lone`] has come.
    bucket: usize,
}

impl<B: Data, P: Data> Round<B, P> {
    fn new(memory: &Memory, level: u32) -> Round<B, P> {
        Round {
            stage: Stage::Build,
            level,
            build: BuildSide::new(memory, level),
            build_reader: None,
            table: JoinTable::empty(),
            spilled: 0,
            build_files: Vec::new(),
            build_records: 0,
            probe_run: None,
            probe_reader: None,
            probe_files: Partitions::new(),
            bucket: 0,
        }
    }
}

/// Two partitions that wait to be joined.
pub(crate) struct Pair<B, P> {
    pub(crate) build: Arc<SpillRun<B>>,
    pub(crate) probe: Option<SpillRun<P>>,
    level: u32,
    /// Partitioning hasn't made the built side much smaller: it has few keys.
    is_stuck: bool,
}

/// What exists while the operator is open.
pub(crate) struct State<B, P> {
    pub(crate) memory: Memory,
    pub(crate) plan: SpillPlan,
    pub(crate) round: Round<B, P>,
    nested: Option<Nested<B, P>>,
    pending: Vec<Pair<B, P>>,
    /// Probing records whose partition is in memory, of a batch of which some are not.
    resident: Vec<P>,
    /// Nothing will be added to the built side, in later supersteps neither.
    pub(crate) build_ended: bool,
    pub(crate) looping: bool,
    /// The round of the inputs, while its partitions on disk are joined before the next superstep.
    kept: Option<Round<B, P>>,
}

impl<B: Data, P: Data> State<B, P> {
    pub(crate) fn new(context: &RuntimeContext) -> State<B, P> {
        let mut memory = Memory::new(context.budget());
        let plan = SpillPlan::new(SpillSpace::of(context), &memory);
        plan.reserve(&mut memory);
        let round = Round::new(&memory, 0);
        State {
            memory,
            plan,
            round,
            nested: None,
            pending: Vec::new(),
            resident: Vec::new(),
            build_ended: false,
            looping: context.iteration.is_some(),
            kept: None,
        }
    }

    /// Adds records to the built side.
    pub(crate) fn add<SB: KeySelector<B>, SP, E>(
        &mut self,
        logic: &Logic<SB, SP, E>,
        records: &mut Vec<B>,
    ) -> Result<()> {
        let State { memory, plan, round, .. } = self;
        if round.stage != Stage::Build {
            return Err(Error::internal("a join got records of the built side after the first of the other"));
        }
        round.build.add_all(records, memory, plan, &logic.build_key)
    }

    /// The built side is complete: makes the table.
    pub(crate) fn seal<SB: KeySelector<B>, SP, E>(&mut self, logic: &Logic<SB, SP, E>) -> Result<()> {
        let fate = if self.looping && self.build_ended { Fate::Kept } else { Fate::Once };
        let State { memory, plan, round, .. } = self;
        let build = std::mem::replace(&mut round.build, BuildSide::new(memory, round.level));
        round.build_records = build.records();
        let sealed = build.seal(memory, plan, &logic.build_key, fate)?;
        round.table = sealed.table;
        round.spilled = sealed.spilled;
        round.build_files = sealed.files.into_iter().map(|file| file.map(Arc::new)).collect();
        if logic.keeps.tracks_build() {
            round.table.track_matches();
        }
        round.probe_reader = round.probe_run.take().map(|run| run.reader(plan.read_bytes()));
        round.stage = Stage::Probe;
        Ok(())
    }

    /// Sends the records whose partition is on disk there, and returns the others.
    pub(crate) fn resident<'a, SB, SP: KeySelector<P>, E>(
        &'a mut self,
        logic: &Logic<SB, SP, E>,
        records: &'a mut Vec<P>,
    ) -> Result<Probing<'a, B, P>> {
        let State { plan, round, resident, .. } = self;
        if round.spilled == 0 {
            return Ok(Probing { table: &mut round.table, records });
        }
        resident.clear();
        for record in records.drain(..) {
            let partition = partition_of(hash_of(&logic.probe_key, &record), round.level);
            if round.spilled >> partition & 1 == 1 {
                round.probe_files.push(partition, record, plan)?;
            } else {
                resident.push(record);
            }
        }
        Ok(Probing { table: &mut round.table, records: resident })
    }

    /// Does one step of what is left when all input of the round has come.
    pub(crate) fn step<O, SB, SP, E>(
        &mut self,
        logic: &mut Logic<SB, SP, E>,
        out: &mut Collector<'_, O>,
    ) -> Result<Progress>
    where
        O: Data,
        SB: KeySelector<B>,
        SP: KeySelector<P, Key = SB::Key>,
        E: Emit<B, P, O>,
    {
        if let Some(nested) = &mut self.nested {
            if nested.step(logic, &mut self.memory, &self.plan, out)? == Progress::Done {
                self.nested = None;
            }
            return Ok(Progress::More);
        }
        match self.round.stage {
            Stage::Build => match next_block(&mut self.round.build_reader)? {
                Some(mut block) => self.add(logic, &mut block)?,
                None => self.seal(logic)?,
            },
            Stage::Probe => match next_block(&mut self.round.probe_reader)? {
                Some(mut block) => {
                    let Probing { table, records } = self.resident(logic, &mut block)?;
                    probe(logic, table, records, None, out);
                }
                None => self.round.stage = Stage::Lone,
            },
            Stage::Lone => {
                if !emit_lone(logic, &self.round.table, &mut self.round.bucket, out) {
                    self.end_round(logic)?;
                }
            }
            Stage::Done => match self.pending.pop() {
                Some(pair) => self.begin_pair(pair, logic),
                None => return Ok(Progress::Done),
            },
        }
        Ok(Progress::More)
    }

    fn begin_pair<SB, SP, E>(&mut self, pair: Pair<B, P>, logic: &Logic<SB, SP, E>) {
        if pair.probe.is_none() && !logic.keeps.lone_build {
            return;
        }
        if pair.level >= LEVELS || pair.is_stuck {
            self.nested = Some(Nested::new(pair, logic.keeps, &mut self.memory, &self.plan));
            return;
        }
        self.round = Round::new(&self.memory, pair.level);
        self.round.build_reader = Some(pair.build.reader(self.plan.read_bytes()));
        self.round.probe_run = pair.probe;
    }

    /// Puts the round's partitions on disk into line and lets its table go, unless the next superstep needs it.
    fn end_round<SB: KeySelector<B>, SP, E>(&mut self, logic: &Logic<SB, SP, E>) -> Result<()> {
        let round = &mut self.round;
        let probe_files = round.probe_files.finish()?;
        for (build, probe) in round.build_files.iter().zip(probe_files) {
            if let Some(build) = build {
                let is_stuck = build.records() > round.build_records / 8 * 7;
                self.pending.push(Pair { build: Arc::clone(build), probe, level: round.level + 1, is_stuck });
            }
        }
        round.stage = Stage::Done;
        round.bucket = 0;
        let keeps_round = self.looping && self.build_ended && self.kept.is_none();
        if keeps_round && round.spilled > 0 {
            self.unload(logic)?;
        }
        let ended = std::mem::replace(&mut self.round, Round::new(&self.memory, 0));
        self.round.stage = Stage::Done;
        if keeps_round {
            self.kept = Some(ended);
        } else {
            ended.table.release(&mut self.memory);
        }
        Ok(())
    }

    /// Moves what is in memory of a built side that is needed again to disk, like the rest of it: the partitions need
    /// the memory.
    fn unload<SB: KeySelector<B>, SP, E>(&mut self, logic: &Logic<SB, SP, E>) -> Result<()> {
        let State { memory, plan, round, .. } = self;
        let mut files = Partitions::new();
        while let Some(chunk) = round.table.take_chunk(memory) {
            for record in chunk {
                let partition = partition_of(hash_of(&logic.build_key, &record), round.level);
                files.push(partition, record, plan)?;
            }
        }
        for (kept, file) in round.build_files.iter_mut().zip(files.finish()?) {
            *kept = kept.take().or(file.map(Arc::new));
        }
        // A partition of which there is no file has no records: its probing records find nothing in the table.
        round.spilled = round.build_files.iter().enumerate().map(|(i, file)| u32::from(file.is_some()) << i).sum();
        Ok(())
    }

    /// Gets ready for another superstep.
    pub(crate) fn begin_again<SB, SP, E>(&mut self, logic: &Logic<SB, SP, E>) {
        self.round = match self.kept.take() {
            Some(mut round) => {
                round.stage = Stage::Probe;
                if logic.keeps.tracks_build() {
                    round.table.track_matches();
                }
                round
            }
            None => Round::new(&self.memory, 0),
        };
    }
}

/// Probing records and the table in which to look them up.
pub(crate) struct Probing<'a, B, P> {
    pub(crate) table: &'a mut JoinTable<B>,
    pub(crate) records: &'a [P],
}

fn next_block<T: Data>(reader: &mut Option<SpillReader<T>>) -> Result<Option<Vec<T>>> {
    match reader {
        Some(reader) => reader.next_block(),
        None => Ok(None),
    }
}
