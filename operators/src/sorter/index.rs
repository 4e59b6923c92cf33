//! Sorts a store's positions: by prefix, and by the records only where prefixes are equal.

use super::store::RecordStore;
use crate::order::RecordOrder;
use flinkrs_core::types::KeyPrefix;

/// The prefix of a record and its position in the store.
pub(super) type Entry = (u64, u32);

/// What a record costs in the index, in bytes.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Fills `index` with an entry for each record of `store`, sorted.
pub(super) fn sort<T: Clone, O: RecordOrder<T>>(index: &mut Vec<Entry>, store: &RecordStore<T>, order: &O) {
    index.clear();
    if index.capacity() < store.len() {
        *index = Vec::with_capacity(store.len());
    }
    let mut kind = KeyPrefix::Full;
    index.extend(store.iter().zip(0u32..).map(|(record, position)| {
        let (prefix, how) = order.prefix(record);
        kind = how;
        (prefix, position)
    }));
    if kind != KeyPrefix::None {
        index.sort_unstable_by_key(|entry| entry.0);
    }
    if kind != KeyPrefix::Full {
        sort_ties(index, store, order);
    }
}

/// Sorts each run of entries with equal prefixes by their records.
fn sort_ties<T: Clone, O: RecordOrder<T>>(index: &mut [Entry], store: &RecordStore<T>, order: &O) {
    for ties in index.chunk_by_mut(|a, b| a.0 == b.0) {
        if ties.len() > 1 {
            ties.sort_unstable_by(|a, b| order.compare(store.get(a.1), store.get(b.1)));
        }
    }
}
