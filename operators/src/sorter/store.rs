//! Records in chunks of equal size, reached by position and moved out one by one.

/// An append-only array in chunks: it grows without copying, and a record can leave from any position.
///
/// Records that own nothing are copied out; others lie in `Option`s and are taken.
pub(super) struct RecordStore<T> {
    plain: Vec<Vec<T>>,
    slots: Vec<Vec<Option<T>>>,
    shift: u32,
    len: usize,
}

impl<T: Clone> RecordStore<T> {
    /// Whether a record owns nothing, so that a copy is as good as the record.
    const PLAIN: bool = !std::mem::needs_drop::<T>();

    /// Memory of one record without its heap, in bytes.
    pub(super) const SLOT_BYTES: usize = if Self::PLAIN { size_of::<T>() } else { size_of::<Option<T>>() };

    /// An empty store whose chunks take at most `chunk_bytes`, or a single record.
    pub(super) fn new(chunk_bytes: usize) -> RecordStore<T> {
        let records = (chunk_bytes / Self::SLOT_BYTES.max(1)).clamp(1, 1 << 20);
        RecordStore { plain: Vec::new(), slots: Vec::new(), shift: records.ilog2(), len: 0 }
    }

    /// Records per chunk.
    pub(super) fn chunk_records(&self) -> usize {
        1 << self.shift
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn push(&mut self, record: T) {
        let chunk = self.len >> self.shift;
        if Self::PLAIN {
            if chunk == self.plain.len() {
                self.plain.push(Vec::with_capacity(self.chunk_records()));
            }
            self.plain[chunk].push(record);
        } else {
            if chunk == self.slots.len() {
                self.slots.push(Vec::with_capacity(self.chunk_records()));
            }
            self.slots[chunk].push(Some(record));
        }
        self.len += 1;
    }

    #[inline(always)]
    fn place(&self, position: u32) -> (usize, usize) {
        ((position >> self.shift) as usize, position as usize & ((1 << self.shift) - 1))
    }

    /// The record at `position`, which was not taken.
    #[inline(always)]
    pub(super) fn get(&self, position: u32) -> &T {
        let (chunk, offset) = self.place(position);
        if Self::PLAIN {
            &self.plain[chunk][offset]
        } else {
            self.slots[chunk][offset].as_ref().expect("a record is looked at before it is taken")
        }
    }

    /// Moves the record at `position` out.
    #[inline(always)]
    pub(super) fn take(&mut self, position: u32) -> T {
        let (chunk, offset) = self.place(position);
        if Self::PLAIN {
            self.plain[chunk][offset].clone()
        } else {
            self.slots[chunk][offset].take().expect("a record is taken once")
        }
    }

    /// All records in the order they came, while none was taken.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.plain.iter().flatten().chain(self.slots.iter().flatten().flatten())
    }

    /// Removes all records and keeps the chunks.
    pub(super) fn clear(&mut self) {
        self.plain.iter_mut().for_each(Vec::clear);
        self.slots.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_records_from_any_position() {
        let mut store = RecordStore::new(100);
        for round in 0..2 {
            (0..1000u32).for_each(|i| store.push(i.to_string()));
            assert_eq!(store.iter().count(), 1000, "round {round}");
            for i in (0..1000).rev() {
                assert_eq!(*store.get(i), i.to_string());
                assert_eq!(store.take(i), i.to_string());
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
