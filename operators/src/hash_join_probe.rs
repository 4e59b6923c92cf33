//! The inner loops of a hash join: look up, and show to the function what the join type keeps.

use crate::hash_chunks::NO_POSITION;
use crate::hash_join_table::{BLOCK, Hashed, JoinTable};
use crate::hash_key::{hash_of, number_of};
use flinkrs_core::Collector;
use flinkrs_core::strategy::{JoinType, Side};
use flinkrs_core::types::{Data, KeySelector};

/// The user function, with the built side first.
pub(crate) trait Emit<B, P, O: Data>: Send + 'static {
    fn emit(&mut self, build: Option<&B>, probe: Option<&P>, out: &mut Collector<'_, O>);
}

/// What a join type means for the built and the probing side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    /// Pairs are shown.
    pub(crate) pairs: bool,
    /// Built records that have a partner are shown alone, once.
    pub(crate) matched_build: bool,
    /// Probing records that have a partner are shown alone, once.
    pub(crate) matched_probe: bool,
    /// Built records without a partner are shown.
    pub(crate) lone_build: bool,
    /// Probing records without a partner are shown.
    pub(crate) lone_probe: bool,
}

impl Keeps {
    pub(crate) fn new(join_type: JoinType, build: Side) -> Keeps {
        let pairs = !matches!(join_type, JoinType::Semi | JoinType::Anti);
        let matched_first = join_type == JoinType::Semi;
        let lone_first = matches!(join_type, JoinType::LeftOuter | JoinType::FullOuter | JoinType::Anti);
        let lone_second = matches!(join_type, JoinType::RightOuter | JoinType::FullOuter);
        let first = build == Side::First;
        Keeps {
            pairs,
            matched_build: first && matched_first,
            matched_probe: !first && matched_first,
            lone_build: if first { lone_first } else { lone_second },
            lone_probe: if first { lone_second } else { lone_first },
        }
    }

    /// Whether the table must note which of its keys have met a partner.
    pub(crate) fn tracks_build(self) -> bool {
        self.matched_build || self.lone_build
    }

    /// Whether it matters which probing records have met a partner.
    pub(crate) fn tracks_probe(self) -> bool {
        self.matched_probe || self.lone_probe
    }
}

/// What doesn't change while the join runs.
pub(crate) struct Logic<SB, SP, E> {
    pub(crate) keeps: Keeps,
    pub(crate) build_key: SB,
    pub(crate) probe_key: SP,
    pub(crate) emit: E,
}

/// Which probing records have met a partner, where they pass several tables one after the other.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    bits: Vec<u64>,
    /// The number of the next record.
    pub(crate) number: usize,
    /// Whether no other table follows.
    pub(crate) is_last: bool,
}

impl Matched {
    /// Room for so many records; none has met a partner.
    pub(crate) fn new(records: usize) -> Matched {
        Matched { bits: vec![0; records.div_ceil(64)], number: 0, is_last: false }
    }

    /// Whether the record that is `offset` behind the next has met a partner.
    fn is_marked(&self, offset: usize) -> bool {
        let number = self.number + offset;
        self.bits.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Notes that it has.
    fn mark(&mut self, offset: usize) {
        let number = self.number + offset;
        if let Some(word) = self.bits.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }
}

/// The records of a block that have found partners, and where; then those that haven't.
struct Found {
    hits: [(u32, u32); BLOCK],
    misses: [u32; BLOCK],
}

/// Looks up the records of the probing side.
///
/// `matched` is there when the table is only a part of the built side.
pub(crate) fn probe<B, P, O, SB, SP, E>(
    logic: &mut Logic<SB, SP, E>,
    table: &mut JoinTable<B>,
    records: &[P],
    mut matched: Option<&mut Matched>,
    out: &mut Collector<'_, O>,
) where
    B: Data,
    P: Data,
    O: Data,
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
    E: Emit<B, P, O>,
{
    let mut found = Found { hits: [(0, 0); BLOCK], misses: [0; BLOCK] };
    for block in records.chunks(BLOCK) {
        let hits = look_up(logic, table, block, &mut found);
        let Logic { keeps, emit, .. } = logic;
        if keeps.lone_probe && matched.as_ref().is_none_or(|matched| matched.is_last) {
            for miss in &found.misses[..block.len() - hits] {
                if !matched.as_ref().is_some_and(|matched| matched.is_marked(*miss as usize)) {
                    emit.emit(None, Some(&block[*miss as usize]), out);
                }
            }
        }
        for (hit, head) in &found.hits[..hits] {
            let record = &block[*hit as usize];
            let first = keeps.tracks_build() && table.mark(*head);
            if keeps.pairs {
                table.for_each(*head, |other| emit.emit(Some(other), Some(record), out));
            } else if keeps.matched_probe {
                if !matched.as_ref().is_some_and(|matched| matched.is_marked(*hit as usize)) {
                    emit.emit(None, Some(record), out);
                }
            } else if keeps.matched_build && first {
                table.for_each(*head, |other| emit.emit(Some(other), None, out));
            }
            if let Some(matched) = &mut matched {
                matched.mark(*hit as usize);
            }
        }
        if let Some(matched) = &mut matched {
            matched.number += block.len();
        }
    }
}

/// Finds the partners of a block, and says how many records have some.
///
/// Hits and misses are told apart without a branch, which would often be mispredicted.
fn look_up<B, P, SB, SP, E>(logic: &Logic<SB, SP, E>, table: &JoinTable<B>, block: &[P], found: &mut Found) -> usize
where
    B: Clone,
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
{
    if let Some((base, heads)) = table.direct() {
        let hits = look_up_direct(&logic.probe_key, base, heads, block, found);
        if table.is_large() {
            found.hits[..hits].iter().for_each(|(_, head)| table.prefetch(*head));
        }
        return hits;
    }
    table.hashed().map_or(0, |table| look_up_hashed(logic, &table, block, found))
}

/// Finds partners by hash.
///
/// First hashes only are compared and nothing else of the built side is touched; then the keys of what was found, so
/// that the processor waits for many built records at once.
fn look_up_hashed<B, P, SB, SP, E>(
    logic: &Logic<SB, SP, E>,
    table: &Hashed<'_, B>,
    block: &[P],
    found: &mut Found,
) -> usize
where
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
{
    let Logic { build_key, probe_key, .. } = logic;
    let mut hashes = [0u64; BLOCK];
    block.iter().zip(&mut hashes).for_each(|(record, hash)| *hash = hash_of(probe_key, record));
    let mut candidates = 0;
    for (i, hash) in hashes[..block.len()].iter().enumerate() {
        let head = table.candidate(*hash);
        found.hits[candidates] = (i as u32, head);
        found.misses[i - candidates] = i as u32;
        candidates += usize::from(head != NO_POSITION);
    }
    let mut hits = 0;
    for candidate in 0..candidates {
        let (i, mut head) = found.hits[candidate];
        let record = &block[i as usize];
        if !same_key(build_key, table.record(head), probe_key, record) {
            head = table.find(hashes[i as usize], |other| same_key(build_key, other, probe_key, record));
            found.misses[block.len() - candidates + candidate - hits] = i;
        }
        found.hits[hits] = (i, head);
        hits += usize::from(head != NO_POSITION);
    }
    hits
}

/// Finds partners of integer keys in an array.
fn look_up_direct<P, SP>(probe_key: &SP, base: u64, heads: &[u32], block: &[P], found: &mut Found) -> usize
where
    SP: KeySelector<P>,
{
    let mut hits = 0;
    for (i, record) in block.iter().enumerate() {
        let place = number_of(probe_key, record).and_then(|key| usize::try_from(key.wrapping_sub(base)).ok());
        let head = place.and_then(|place| heads.get(place)).copied().unwrap_or(NO_POSITION);
        found.hits[hits] = (i as u32, head);
        found.misses[i - hits] = i as u32;
        hits += usize::from(head != NO_POSITION);
    }
    hits
}

#[inline(always)]
fn same_key<B, P, SB, SP>(build_key: &SB, build: &B, probe_key: &SP, probe: &P) -> bool
where
    SB: KeySelector<B>,
    SP: KeySelector<P, Key = SB::Key>,
{
    probe_key.with_key(probe, |probe| build_key.with_key(build, |build| build == probe))
}

/// Buckets that are looked through for built records without partner before the output is asked whether it has room.
const STEP_BUCKETS: usize = 1024;

/// Shows built records without partner, from bucket `bucket` on; false once there are no more.
pub(crate) fn emit_lone<B, P, O, SB, SP, E>(
    logic: &mut Logic<SB, SP, E>,
    table: &JoinTable<B>,
    bucket: &mut usize,
    out: &mut Collector<'_, O>,
) -> bool
where
    B: Data,
    O: Data,
    E: Emit<B, P, O>,
{
    if !logic.keeps.lone_build {
        return false;
    }
    if table.has_unique_keys() {
        return emit_lone_in_order(logic, table, bucket, out);
    }
    while *bucket < table.bucket_end() {
        let end = (*bucket + STEP_BUCKETS).min(table.bucket_end());
        for head in (*bucket..end).filter_map(|bucket| table.head(bucket)).filter(|head| !table.is_marked(*head)) {
            table.for_each(head, |other| logic.emit.emit(Some(other), None, out));
        }
        *bucket = end;
        if !out.has_room() {
            return true;
        }
    }
    false
}

/// Does the same where every record is the only one of its key: by position, from `position` on.
fn emit_lone_in_order<B, P, O, SB, SP, E>(
    logic: &mut Logic<SB, SP, E>,
    table: &JoinTable<B>,
    position: &mut usize,
    out: &mut Collector<'_, O>,
) -> bool
where
    B: Data,
    O: Data,
    E: Emit<B, P, O>,
{
    while *position < table.position_end() {
        *position = table.for_each_unmarked(*position, |other| logic.emit.emit(Some(other), None, out));
        if !out.has_room() {
            return true;
        }
    }
    false
}
