//! Hash group: reduces the records of each key to one, in a table that spills, or before a shuffle as far as it fits.

use crate::hash_group_spill::GroupSpill;
use crate::hash_memory::Memory;
use crate::hash_spill::SpillPlan;
use crate::hash_table::{GroupTable, TableOf};
use flinkrs_core::element::Superstep;
use flinkrs_core::types::{Data, KeySelector, heap_bytes, own_heap, table_hash};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use hashbrown::hash_table::IntoIter;

/// What a hash group does when its memory is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMode {
    /// Emits what it has and begins anew: a key may come out more than once, for a [`GroupMode::Final`] behind it.
    Combine,
    /// Spills: each key comes out once.
    Final,
}

/// Reduces the records of each key to one; the order of what comes out is not specified.
pub struct HashGroup<T, S, F> {
    grouping: Grouping<S, F>,
    mode: GroupMode,
    state: Option<State<T>>,
    buffer: Batch,
}

/// How records are grouped; apart from the state, so that both can be borrowed at once.
struct Grouping<S, F> {
    selector: S,
    reduce: F,
}

/// What exists while the operator is open.
struct State<T> {
    table: GroupTable<T>,
    /// Records on their way out at the end.
    leaving: Option<IntoIter<T>>,
    hashes: [u64; BLOCK],
    gauge: Gauge,
    spill: GroupSpill<T>,
}

impl<T, S, F> HashGroup<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T) + Send + 'static,
{
    /// Groups by the key that `selector` takes out; `reduce` merges its second argument into the first.
    pub fn new(selector: S, reduce: F, mode: GroupMode) -> Self {
        let grouping = Grouping { selector, reduce };
        HashGroup { grouping, mode, state: None, buffer: Batch::new(Vec::<T>::new()) }
    }
}

/// Records that are hashed first and then looked up, so that the processor waits for several lookups at once.
const BLOCK: usize = 128;

impl<T, S, F> Operator for HashGroup<T, S, F>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T) + Send + 'static,
{
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        let mut memory = Memory::new(context.budget());
        let plan = SpillPlan::new(SpillSpace::of(context), &memory);
        let spills = self.mode == GroupMode::Final;
        if spills {
            plan.reserve(&mut memory);
        }
        self.state = Some(State {
            table: GroupTable::new(memory, spills),
            leaving: None,
            hashes: [0; BLOCK],
            gauge: Gauge::default(),
            spill: GroupSpill::new(plan),
        });
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        let HashGroup { grouping, mode, state, buffer } = self;
        let state = state.as_mut().expect("an operator gets no records before it is opened");
        if *mode == GroupMode::Final {
            return group(grouping, state, batch.records::<T>(), &mut Sink { mode: *mode, out, buffer });
        }
        if state.gauge.skips(batch.len()) {
            return out.push(batch);
        }
        let mut sink = Sink { mode: *mode, out, buffer };
        state.gauge.count(batch.len());
        group(grouping, state, batch.records::<T>(), &mut sink)?;
        if state.gauge.is_useless(state.table.len()) {
            sink.emit_all(state)?;
        }
        Ok(())
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let HashGroup { grouping, mode, state, buffer } = self;
        let Some(state) = state.as_mut() else {
            return Ok(Progress::Done);
        };
        let mut sink = Sink { mode: *mode, out, buffer };
        if let Some(mut block) = state.spill.next_block()? {
            group(grouping, state, &mut block, &mut sink)?;
            return Ok(Progress::More);
        }
        state.spill.settle(&mut state.table)?;
        if sink.emit_some(state)? || state.spill.open_next(&mut state.table) {
            return Ok(Progress::More);
        }
        Ok(Progress::Done)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        while self.advance(out)? == Progress::More {}
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

#[inline(always)]
fn hash_of<T, S: KeySelector<T>>(selector: &S, record: &T) -> u64 {
    table_hash(selector.key_hash(record), 0)
}

/// Merges the records into the table, block by block.
fn group<T, S, F>(
    grouping: &mut Grouping<S, F>,
    state: &mut State<T>,
    records: &mut Vec<T>,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let mut records = records.drain(..);
    loop {
        let block = records.as_slice();
        let count = block.len().min(BLOCK);
        if count == 0 {
            return Ok(());
        }
        let mut heap = 0;
        for (record, hash) in block[..count].iter().zip(&mut state.hashes) {
            *hash = hash_of(&grouping.selector, record);
            heap += heap_bytes(record, usize::MAX);
        }
        let mut done = 0;
        while done < count {
            // Stops where there is no room for a record, which comes back.
            let hashes = &state.hashes[done..count];
            let (passed, left) = match state.table.single() {
                Some(table) => merge(grouping, hashes, &mut records, table),
                None => merge(grouping, hashes, &mut records, &mut state.table),
            };
            done += passed;
            if let Some(record) = left {
                insert(grouping, state, state.hashes[done], record, sink)?;
                done += 1;
            }
        }
        while heap > 0 && !state.table.add_heap(heap, state.spill.is_last_level()) {
            make_space(grouping, state, sink)?;
            heap = 0;
        }
    }
}

/// Merges one record per hash as long as there is room for new ones; says how many, and returns the one that had none.
#[inline(always)]
fn merge<T, S, F>(
    grouping: &mut Grouping<S, F>,
    hashes: &[u64],
    records: &mut impl Iterator<Item = T>,
    tables: &mut impl TableOf<T>,
) -> (usize, Option<T>)
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let Grouping { selector, reduce } = grouping;
    for (i, (hash, record)) in hashes.iter().zip(records).enumerate() {
        let table = tables.table_of(*hash);
        if let Some(found) = table.find_mut(*hash, |other| selector.same_key(other, &record)) {
            reduce(found, record);
        } else if table.len() < table.capacity() {
            let mut record = record;
            own_heap(&mut record);
            table.insert_unique(*hash, record, |other| hash_of(selector, other));
        } else {
            return (i, Some(record));
        }
    }
    (hashes.len(), None)
}

/// Inserts a record of a new key, for which there was no room.
#[inline(never)]
fn insert<T, S, F>(
    grouping: &Grouping<S, F>,
    state: &mut State<T>,
    hash: u64,
    mut record: T,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
{
    let hash_of = |record: &T| hash_of(&grouping.selector, record);
    while !state.table.make_room(hash, state.spill.is_last_level(), hash_of) {
        make_space(grouping, state, sink)?;
    }
    own_heap(&mut record);
    state.table.table_of(hash).insert_unique(hash, record, hash_of);
    Ok(())
}

/// Empties the table, or a good part of it.
#[cold]
fn make_space<T, S, F>(grouping: &Grouping<S, F>, state: &mut State<T>, sink: &mut Sink<'_>) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
{
    match sink.mode {
        GroupMode::Combine => sink.emit_all(state),
        GroupMode::Final => state.spill.evict(&mut state.table, |record| hash_of(&grouping.selector, record)),
    }
}

/// Where groups go when they leave the table.
struct Sink<'a> {
    mode: GroupMode,
    out: &'a mut dyn Output,
    buffer: &'a mut Batch,
}

impl Sink<'_> {
    /// Emits records at the end until the output is full; false when there are no more.
    fn emit_some<T: Data>(&mut self, state: &mut State<T>) -> Result<bool> {
        let mut collector = Collector::new(self.buffer, self.out);
        let mut more = true;
        while more && collector.has_room() {
            if state.leaving.is_none() {
                state.leaving = state.table.take_any();
            }
            more = state.leaving.is_some();
            for record in state.leaving.iter_mut().flatten().take(STEP_RECORDS) {
                collector.collect(record);
            }
            state.leaving.take_if(|leaving| leaving.len() == 0);
        }
        collector.finish()?;
        Ok(more)
    }

    /// Emits the whole table.
    fn emit_all<T: Data>(&mut self, state: &mut State<T>) -> Result<()> {
        state.gauge.emitted(state.table.len());
        let mut collector = Collector::new(self.buffer, self.out);
        state.table.drain().for_each(|record| collector.collect(record));
        collector.finish()
    }
}

/// Records that are emitted at the end before the output is asked again whether it has room.
const STEP_RECORDS: usize = 1024;

/// Decides whether combining is worth it.
#[derive(Debug)]
struct Gauge {
    /// Records since the table was empty.
    seen: usize,
    /// Records to pass on before combining is tried again.
    skip: usize,
    /// How many times the tried records are passed on after the next try in vain.
    factor: usize,
}

/// Records after which combining is given up if it hasn't helped: enough that a table that fits into memory fills.
const TRIED_RECORDS: usize = 1 << 18;

/// A try in vain costs little against 4 to 32 times as many records without one.
const FACTORS: std::ops::RangeInclusive<usize> = 4..=32;

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge { seen: 0, skip: 0, factor: *FACTORS.start() }
    }
}

impl Gauge {
    /// Whether the next `records` are to be passed on as they are.
    fn skips(&mut self, records: usize) -> bool {
        let skips = self.skip > 0;
        self.skip = self.skip.saturating_sub(records);
        skips
    }

    fn count(&mut self, records: usize) {
        self.seen += records;
    }

    /// Whether so many records have become so many groups that combining should stop for a while.
    fn is_useless(&self, groups: usize) -> bool {
        self.seen >= TRIED_RECORDS && groups * 10 > self.seen * 9
    }

    /// The table is emptied of so many groups.
    fn emitted(&mut self, groups: usize) {
        if groups * 10 > self.seen * 9 {
            self.skip = self.seen * self.factor;
            self.factor = (2 * self.factor).min(*FACTORS.end());
        } else {
            self.factor = *FACTORS.start();
        }
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests;
