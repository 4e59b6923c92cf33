//! Hash group: reduces the records of each key to one, in a table that spills, or before a shuffle as far as it fits.

use crate::hash_dense::DenseTable;
use crate::hash_gauge::Gauge;
use crate::hash_group_spill::GroupSpill;
use crate::hash_key::{hash_of, number_of};
use crate::hash_memory::Memory;
use crate::hash_spill::SpillPlan;
use crate::hash_table::{GroupTable, Leaving, TableOf};
use crate::prefetch::AHEAD;
use flinkrs_core::element::Superstep;
use flinkrs_core::types::{Data, KeySelector, heap_bytes, own_heap};
use flinkrs_core::{Batch, Collector, Operator, Output, Progress, Result, RuntimeContext};
use flinkrs_memory::SpillSpace;
use std::vec::Drain;

/// What a hash group does when its memory is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMode {
    /// Emits what it has and begins anew: a key may come out more than once, for a [`GroupMode::Final`] behind it.
    Combine,
    /// Spills: each key comes out once.
    Final,
}

/// Reduces the records of each key to one; the order of what comes out is not specified.
pub struct HashGroup<T, S: KeySelector<T>, F> {
    grouping: Grouping<S, F>,
    mode: GroupMode,
    state: Option<State<T, S::Rest>>,
    buffer: Batch,
}

/// How records are grouped; apart from the state, so that both can be borrowed at once.
struct Grouping<S, F> {
    selector: S,
    reduce: F,
}

/// What exists while the operator is open.
struct State<T, R> {
    table: GroupTable<T, R>,
    /// Records on their way out at the end.
    leaving: Option<Leaving<T>>,
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
            sink.emit_all(state, &grouping.selector)?;
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
        if sink.emit_some(state, &grouping.selector)? || state.spill.open_next(&mut state.table) {
            return Ok(Progress::More);
        }
        Ok(Progress::Done)
    }

    fn superstep_end(&mut self, superstep: Superstep, out: &mut dyn Output) -> Result<()> {
        let HashGroup { grouping, mode, state, buffer } = self;
        if let Some(state) = state {
            let mut sink = Sink { mode: *mode, out: &mut *out, buffer };
            loop {
                while let Some(mut block) = state.spill.next_block()? {
                    group(grouping, state, &mut block, &mut sink)?;
                }
                state.spill.settle(&mut state.table)?;
                sink.emit_superstep(state, &grouping.selector)?;
                if !state.spill.open_next(&mut state.table) {
                    break;
                }
            }
        }
        out.superstep_end(superstep)
    }

    fn close(&mut self) -> Result<()> {
        self.state = None;
        Ok(())
    }
}

/// Merges the records into the table.
fn group<T, S, F>(
    grouping: &mut Grouping<S, F>,
    state: &mut State<T, S::Rest>,
    records: &mut Vec<T>,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let mut records = records.drain(..);
    while records.len() > 0 {
        match state.table.dense() {
            Some(dense) => {
                if let Some(record) = merge_dense(grouping, &mut records, dense) {
                    merge_elsewhere(grouping, state, record, sink)?;
                }
            }
            None => group_block(grouping, state, &mut records, sink)?,
        }
    }
    Ok(())
}

/// Merges records into the array as long as they have a place there, and returns the one that has none.
#[inline(always)]
fn merge_dense<T, S, F>(
    grouping: &mut Grouping<S, F>,
    records: &mut Drain<'_, T>,
    dense: &mut DenseTable<S::Rest>,
) -> Option<T>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let Grouping { selector, reduce } = grouping;
    let looks_ahead = dense.is_large();
    let mut places = [0; AHEAD];
    while records.len() > 0 {
        let mut count = 0;
        for (record, place) in records.as_slice().iter().zip(&mut places) {
            let Some(found) = number_of(selector, record).and_then(|key| dense.place(key)) else { break };
            if looks_ahead {
                dense.prefetch(found);
            }
            *place = found;
            count += 1;
        }
        for (place, record) in places[..count].iter().zip(records.by_ref()) {
            match dense.get_mut(*place) {
                Some(found) => selector.change(selector.key(&record), found, |found| reduce(found, record)),
                None => dense.put(*place, selector.rest(record)),
            }
        }
        if count == 0 {
            return records.next();
        }
    }
    None
}

/// Merges a record that has no place in the array.
#[inline(never)]
fn merge_elsewhere<T, S, F>(
    grouping: &mut Grouping<S, F>,
    state: &mut State<T, S::Rest>,
    record: T,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let Grouping { selector, reduce } = &mut *grouping;
    let hash = hash_of(selector, &record);
    if let Some(found) = state.table.table_of(hash).find_mut(hash, |other| selector.same_key(other, &record)) {
        reduce(found, record);
        return Ok(());
    }
    insert(grouping, state, hash, record, sink)
}

/// Merges a block of records into the hash table, or as many as come before there is an array.
fn group_block<T, S, F>(
    grouping: &mut Grouping<S, F>,
    state: &mut State<T, S::Rest>,
    records: &mut Drain<'_, T>,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
    F: FnMut(&mut T, T),
{
    let block = records.as_slice();
    let count = block.len().min(BLOCK);
    let mut heap = 0;
    for (record, hash) in block[..count].iter().zip(&mut state.hashes) {
        *hash = hash_of(&grouping.selector, record);
        heap += heap_bytes(record, usize::MAX);
    }
    let mut done = 0;
    while done < count && state.table.dense().is_none() {
        // Stops where there is no room for a record, which comes back.
        let hashes = &state.hashes[done..count];
        let (passed, left) = match state.table.single() {
            Some(table) => merge(grouping, hashes, records, table),
            None => merge(grouping, hashes, records, &mut state.table),
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
    Ok(())
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
    state: &mut State<T, S::Rest>,
    hash: u64,
    mut record: T,
    sink: &mut Sink<'_>,
) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
{
    while !state.table.make_room(hash, &record, state.spill.is_last_level(), &grouping.selector) {
        make_space(grouping, state, sink)?;
    }
    own_heap(&mut record);
    state.table.insert(hash, record, &grouping.selector);
    Ok(())
}

/// Empties the table, or a good part of it.
#[cold]
fn make_space<T, S, F>(grouping: &Grouping<S, F>, state: &mut State<T, S::Rest>, sink: &mut Sink<'_>) -> Result<()>
where
    T: Data,
    S: KeySelector<T>,
{
    match sink.mode {
        GroupMode::Combine => {
            sink.emit_all(state, &grouping.selector)?;
            state.table.give_dense_up();
            Ok(())
        }
        GroupMode::Final => state.spill.evict(&mut state.table, &grouping.selector),
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
    fn emit_some<T: Data, S: KeySelector<T>>(&mut self, state: &mut State<T, S::Rest>, selector: &S) -> Result<bool> {
        let mut collector = Collector::new(self.buffer, self.out);
        let mut more = true;
        while more && collector.has_room() {
            if state.leaving.is_none() {
                state.leaving = state.table.take_any(selector);
            }
            more = state.leaving.is_some();
            state.leaving.take_if(|leaving| !leaving.take(STEP_RECORDS, |record| collector.collect(record)));
        }
        collector.finish()?;
        Ok(more)
    }

    /// Emits the whole table and keeps its capacity.
    fn emit_all<T: Data, S: KeySelector<T>>(&mut self, state: &mut State<T, S::Rest>, selector: &S) -> Result<()> {
        state.gauge.emitted(state.table.len());
        self.drain(state, selector)?;
        Ok(())
    }

    /// Emits the whole table at the end of a superstep, and says how many places it looked at for that.
    fn emit_superstep<T: Data, S: KeySelector<T>>(
        &mut self,
        state: &mut State<T, S::Rest>,
        selector: &S,
    ) -> Result<usize> {
        let groups = state.table.len();
        state.gauge.superstep_ended(groups);
        let looked_at = self.drain(state, selector)?;
        state.table.begin_again(groups, looked_at);
        Ok(looked_at)
    }

    fn drain<T: Data, S: KeySelector<T>>(&mut self, state: &mut State<T, S::Rest>, selector: &S) -> Result<usize> {
        let mut collector = Collector::new(self.buffer, self.out);
        let looked_at = state.table.drain(selector, |record| collector.collect(record));
        collector.finish()?;
        Ok(looked_at)
    }
}

/// Records that are emitted at the end before the output is asked again whether it has room.
const STEP_RECORDS: usize = 1024;

#[cfg(test)]
mod tests;
