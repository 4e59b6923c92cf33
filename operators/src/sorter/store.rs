//! Records in chunks of equal size, reached by position and moved out one by one.

/// An append-only array in chunks: it grows without copying, and a record can leave from any position.
///
/// A position is the number of a chunk and, in the low bits, a place in it. Records that own nothing are copied out;
/// others lie in `Option`s and are taken.
pub(super) struct RecordStore<T> {
    plain: Vec<Vec<T>>,
    slots: Vec<Vec<Option<T>>>,
    chunk_records: usize,
    /// Bits of a position that are the place in a chunk.
    place_bits: u32,
    /// Full chunks.
    full: usize,
    len: usize,
}

impl<T: Clone> RecordStore<T> {
    /// Whether a record owns nothing, so that a copy is as good as the record.
    pub(super) const PLAIN: bool = !std::mem::needs_drop::<T>();

    /// Memory of one record without its heap, in bytes.
    pub(super) const SLOT_BYTES: usize = if Self::PLAIN { size_of::<T>() } else { size_of::<Option<T>>() };

    /// An empty store whose chunks take at most `chunk_bytes`, or a single record.
    pub(super) fn new(chunk_bytes: usize) -> RecordStore<T> {
        let chunk_records = (chunk_bytes / Self::SLOT_BYTES.max(1)).max(1);
        let place_bits = usize::BITS - (chunk_records - 1).leading_zeros();
        RecordStore { plain: Vec::new(), slots: Vec::new(), chunk_records, place_bits, full: 0, len: 0 }
    }

    /// Records per chunk.
    pub(super) fn chunk_records(&self) -> usize {
        self.chunk_records
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bits that hold every position.
    pub(super) fn position_bits(&self) -> u32 {
        usize::BITS - self.full.leading_zeros() + self.place_bits
    }

    #[inline(always)]
    pub(super) fn push(&mut self, record: T) {
        let len = if Self::PLAIN {
            push_to(&mut self.plain, self.full, self.chunk_records, record)
        } else {
            push_to(&mut self.slots, self.full, self.chunk_records, Some(record))
        };
        self.full += usize::from(len == self.chunk_records);
        self.len += 1;
    }

    #[inline(always)]
    fn place(&self, position: u64) -> (usize, usize) {
        ((position >> self.place_bits) as usize, (position & ((1 << self.place_bits) - 1)) as usize)
    }

    /// The record at `position`, which was not taken.
    #[inline(always)]
    pub(super) fn get(&self, position: u64) -> &T {
        let (chunk, place) = self.place(position);
        if Self::PLAIN {
            &self.plain[chunk][place]
        } else {
            self.slots[chunk][place].as_ref().expect("a record is looked at before it is taken")
        }
    }

    /// Moves the record at `position` out.
    #[inline(always)]
    pub(super) fn take(&mut self, position: u64) -> T {
        let (chunk, place) = self.place(position);
        if Self::PLAIN {
            self.plain[chunk][place].clone()
        } else {
            self.slots[chunk][place].take().expect("a record is taken once")
        }
    }

    /// Shows all records, none of which was taken, with their positions to `f`.
    #[inline(always)]
    pub(super) fn for_each(&self, mut f: impl FnMut(u64, &T)) {
        let start = |chunk: usize| (chunk as u64) << self.place_bits;
        for (chunk, records) in self.plain.iter().enumerate() {
            (start(chunk)..).zip(records).for_each(|(position, record)| f(position, record));
        }
        for (chunk, records) in self.slots.iter().enumerate() {
            (start(chunk)..).zip(records.iter().flatten()).for_each(|(position, record)| f(position, record));
        }
    }

    /// Removes all records and keeps the chunks.
    pub(super) fn clear(&mut self) {
        self.plain.iter_mut().for_each(Vec::clear);
        self.slots.iter_mut().for_each(Vec::clear);
        (self.full, self.len) = (0, 0);
    }
}

/// Pushes into chunk `chunk`, the last or a new one, and returns how many records are in it then.
#[inline(always)]
fn push_to<S>(chunks: &mut Vec<Vec<S>>, chunk: usize, chunk_records: usize, slot: S) -> usize {
    if chunk == chunks.len() {
        chunks.push(Vec::with_capacity(chunk_records));
    }
    chunks[chunk].push(slot);
    chunks[chunk].len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_records_from_any_position() {
        let mut store = RecordStore::new(100);
        for round in 0..2 {
            (0..1000u32).for_each(|i| store.push(i.to_string()));
            let mut positions = Vec::new();
            store.for_each(|position, record| positions.push((position, record.clone())));
            assert!(
                positions.iter().map(|(_, record)| record).eq(&(0..1000).map(|i| i.to_string()).collect::<Vec<_>>())
            );
            for (position, record) in positions.into_iter().rev() {
                assert!(position < 1 << store.position_bits(), "round {round}");
                assert_eq!(*store.get(position), record);
                assert_eq!(store.take(position), record);
            }
            store.clear();
        }
    }

    #[test]
    fn a_chunk_holds_at_least_one_record() {
        let mut store = RecordStore::<[u8; 32]>::new(1);
        assert_eq!((store.chunk_records(), RecordStore::<[u8; 32]>::SLOT_BYTES), (1, 32));
        store.push([1; 32]);
        store.push([2; 32]);
        assert_eq!(store.take(1), [2; 32]);
    }
}
