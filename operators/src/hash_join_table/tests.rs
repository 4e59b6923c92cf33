//! Tables of every layout against a map, and which layout is chosen.

use super::*;
use crate::hash_join_build::{BuildSide, Fate};
use crate::hash_join_index::KeyRange;
use crate::hash_key::number_of;
use crate::hash_spill::SpillPlan;
use flinkrs_core::RuntimeContext;
use flinkrs_core::types::{Key, f0};
use flinkrs_memory::SpillSpace;
use std::collections::BTreeMap;
use std::fmt::Debug;

fn model<K: Key, V: Clone + Ord>(records: &[(K, V)]) -> BTreeMap<K, Vec<V>> {
    let mut groups: BTreeMap<K, Vec<V>> = BTreeMap::new();
    records.iter().for_each(|(key, value)| groups.entry(key.clone()).or_default().push(value.clone()));
    groups.values_mut().for_each(|values| values.sort());
    groups
}

/// The groups of a table, by its buckets.
fn groups<K: Key, V: Clone + Ord>(table: &JoinTable<(K, V)>) -> BTreeMap<K, Vec<V>> {
    let mut groups = BTreeMap::new();
    for head in (0..table.bucket_end()).filter_map(|bucket| table.head(bucket)) {
        let mut group = Vec::new();
        table.for_each(head, |record| group.push(record.clone()));
        assert!(group.iter().all(|record| record.0 == group[0].0), "a group has one key");
        let mut values: Vec<V> = group.iter().map(|record| record.1.clone()).collect();
        values.sort();
        assert!(groups.insert(group[0].0.clone(), values).is_none(), "a key has one group");
    }
    groups
}

fn chunks<T: Clone>(records: &[T]) -> Chunks<T> {
    let mut chunks = Chunks::for_memory(1 << 30);
    for record in records {
        if !chunks.has_room() {
            chunks.add_chunk();
        }
        chunks.push(record.clone());
    }
    chunks
}

/// Builds tables of all layouts that are possible, and says how many those are.
fn check<K: Key + Debug, V: flinkrs_core::types::Data + Ord + Debug>(records: &[(K, V)]) -> usize {
    let context = RuntimeContext::standalone(1 << 30, &std::env::temp_dir());
    let mut range = KeyRange::empty();
    records.iter().for_each(|record| range.add(number_of(&f0, record)));
    let mut count = 0;
    for layout in Layout::candidates(records.len(), 4, range, false) {
        let mut memory = Memory::new(context.budget());
        let available = memory.available();
        let chunks = chunks(records);
        memory.force(chunks.bytes() + layout.index_bytes(chunks.len(), chunks.position_end()));
        let mut table = JoinTable::build(chunks, 0, &layout, &f0, &mut memory);
        assert_eq!(groups(&table), model(records), "{layout:?}");
        assert_eq!(table.direct().is_some(), layout.direct.is_some());
        table.track_matches();
        for head in (0..table.bucket_end()).filter_map(|bucket| table.head(bucket)).collect::<Vec<_>>() {
            assert!(table.mark(head) && !table.mark(head) && table.is_marked(head));
        }
        let mut left = 0;
        while let Some(chunk) = table.take_chunk(&mut memory) {
            left += chunk.len();
        }
        assert_eq!((left, memory.available()), (records.len(), available), "{layout:?}");
        count += 1;
    }
    count
}

#[test]
fn all_layouts_hold_the_same_groups() {
    let mut seed = 7u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 30) % below
    };
    for (count, keys) in [(1, 1), (100, 7), (3_000, 3_000), (200_000, 900), (200_000, 150_000), (80_000, 1)] {
        let dense: Vec<(u64, u64)> = (0..count).map(|i| (u64::MAX - next(keys), i)).collect();
        assert_eq!(check(&dense), 4);
        let far: Vec<(u64, u64)> = dense.iter().map(|r| (r.0.wrapping_mul(0x9e37_79b9_7f4a_7c15), r.1)).collect();
        assert_eq!(check(&far), if keys == 1 { 4 } else { 2 });
        let signed: Vec<(i32, u8)> = dense.iter().map(|r| ((u64::MAX - r.0) as i32 - 500, r.1 as u8)).collect();
        assert_eq!(check(&signed), 4);
        let heap: Vec<(u16, String)> = dense.iter().map(|r| (r.0 as u16, r.1.to_string())).collect();
        check(&heap[..heap.len() / 10]);
        let text: Vec<(String, u64)> = dense.iter().map(|r| (r.0.to_string(), r.1)).collect();
        assert_eq!(check(&text[..text.len() / 10]), 2);
    }
    // One key has half of all records: its bucket is much larger than the others.
    let skewed: Vec<(u64, u64)> = (0..300_000).map(|i| (if i % 2 == 0 { 5 } else { next(50_000) }, i)).collect();
    assert_eq!(check(&skewed), 4);
}

/// Seals a side of these records; says what the table is like and how much of the records is on disk.
fn sealed(records: &[(u64, u64)], bytes: usize) -> (bool, bool, u64) {
    let context = RuntimeContext::standalone(bytes, &std::env::temp_dir());
    let mut memory = Memory::new(context.budget());
    let plan = SpillPlan::new(SpillSpace::of(&context), &memory);
    let mut side = BuildSide::new(&memory, 0);
    for record in records {
        side.add(*record, &mut memory, &plan, &f0).expect("it takes records");
    }
    let sealed = side.seal(&mut memory, &plan, &f0, Fate::Once).expect("it makes a table");
    let is_like = (sealed.table.direct().is_some(), !sealed.table.starts.is_empty());
    let mut all = groups(&sealed.table);
    let on_disk = sealed.files.iter().flatten().map(flinkrs_memory::SpillRun::records).sum();
    for run in sealed.files.into_iter().flatten() {
        let mut reader = run.reader(1 << 16);
        while let Some(block) = reader.next_block().expect("it reads") {
            block.into_iter().for_each(|(key, value)| all.entry(key).or_default().push(value));
        }
    }
    all.values_mut().for_each(|values| values.sort());
    assert!(all == model(records));
    sealed.table.release(&mut memory);
    assert_eq!(memory.available(), bytes);
    (is_like.0, is_like.1, on_disk)
}

#[test]
fn the_layout_follows_from_keys_and_memory() {
    let far = 0x9e37_79b9_7f4a_7c15u64;
    let of = |count: u64, keys: u64, factor: u64| {
        (0..count).map(|i| ((i * 7919 % keys).wrapping_mul(factor), i)).collect::<Vec<(u64, u64)>>()
    };
    assert_eq!(sealed(&of(50_000, 1_000, 1), 1 << 30), (true, true, 0));
    assert_eq!(sealed(&of(50_000, 1_000, far), 1 << 30), (false, true, 0));
    assert_eq!(sealed(&of(50_000, 50_000, 1), 1 << 30), (true, false, 0));
    assert_eq!(sealed(&of(50_000, 50_000, 8), 1 << 30), (true, false, 0));
    assert_eq!(sealed(&of(50_000, 50_000, 9), 1 << 30), (false, false, 0), "too far apart");
    assert_eq!(sealed(&of(50_000, 50_000, far), 1 << 30), (false, false, 0));
    assert_eq!(sealed(&of(50_000, 50_000, 8), 1_700_000), (false, false, 0), "no memory for an array");
    let (direct, _, on_disk) = sealed(&of(50_000, 50_000, 8), 600_000);
    assert!(!direct && on_disk > 0);
    assert!(sealed(&of(50_000, 1_000, far), 600_000).2 > 0);
}

/// Most records are of one key, and memory ends when the copy of its bucket is needed.
#[test]
fn a_bucket_that_cannot_be_copied_is_chained() {
    let records: Vec<(u64, u64)> = (0..200_000).map(|i| (if i % 8 == 0 { i / 8 } else { 3 }, i)).collect();
    let chunks = chunks(&records);
    let layout = Layout { direct: Some((0, 25_000)), is_grouped: true, keys: 25_000 };
    let bytes = chunks.bytes() + layout.index_bytes(chunks.len(), chunks.position_end());
    for (spare, is_grouped) in [(2 << 20, false), (8 << 20, true)] {
        let context = RuntimeContext::standalone(bytes + spare, &std::env::temp_dir());
        let mut memory = Memory::new(context.budget());
        assert!(memory.try_grow(bytes));
        let chunks = self::chunks(&records);
        let table = JoinTable::build(chunks, 0, &layout, &f0, &mut memory);
        assert_eq!(!table.starts.is_empty(), is_grouped);
        assert_eq!(groups(&table), model(&records));
        table.release(&mut memory);
        assert_eq!(memory.available(), bytes + spare);
    }
}
