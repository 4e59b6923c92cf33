//! The unit that moves: a vector of records whose type the runtime doesn't know.

use crate::error::Result;
use crate::types::{Data, codec, hash_key, heap_bytes, shape};
use std::any::Any;
use std::fmt;

/// Records per batch at most: enough to pay one virtual call and one queue operation by the thousand, few enough
/// that a batch of small records stays in the first-level cache.
pub const BATCH_RECORDS: usize = 1024;

/// Bytes per batch at most, unless a single record is larger.
pub const BATCH_BYTES: usize = 256 << 10;

/// A longer description of a type is shown by its hash.
const SHAPE_SHOWN: usize = 200;

/// How many records of type `T` a batch takes before their heap is counted; at least one.
pub const fn batch_capacity<T>() -> usize {
    let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    let fit = BATCH_BYTES / size;
    if fit == 0 {
        1
    } else if fit < BATCH_RECORDS {
        fit
    } else {
        BATCH_RECORDS
    }
}

/// A vector of records with its type erased: one virtual call per batch, none per record.
pub struct Batch(Box<dyn ErasedBatch>);

impl Batch {
    /// Erases the type of `records`.
    pub fn new<T: Data>(records: Vec<T>) -> Batch {
        Batch(Box::new(records))
    }

    /// Erases the type of an already boxed vector; costs nothing.
    pub fn from_boxed<T: Data>(records: Box<Vec<T>>) -> Batch {
        Batch(records)
    }

    /// The records.
    ///
    /// Panics when the batch holds another type: the plan connected two operators wrongly.
    pub fn records<T: Data>(&mut self) -> &mut Vec<T> {
        let found = self.0.type_name();
        let any: &mut dyn Any = self.0.as_any_mut();
        match any.downcast_mut::<Vec<T>>() {
            Some(records) => records,
            None => wrong_type::<T>(found),
        }
    }

    /// The records as the boxed vector that they are; costs nothing.
    ///
    /// Panics when the batch holds another type.
    pub fn into_boxed<T: Data>(self) -> Box<Vec<T>> {
        let found = self.0.type_name();
        match self.0.into_any().downcast::<Vec<T>>() {
            Ok(records) => records,
            Err(_) => wrong_type::<T>(found),
        }
    }

    /// Whether the records are of type `T`.
    pub fn holds<T: Data>(&self) -> bool {
        self.0.as_any().is::<Vec<T>>()
    }

    /// Takes the records out and leaves an empty batch of the same type without capacity.
    #[must_use]
    pub fn take(&mut self) -> Batch {
        let empty = self.empty_like();
        std::mem::replace(self, empty)
    }

    /// An empty batch of the same type.
    #[must_use]
    pub fn empty_like(&self) -> Batch {
        Batch(self.0.empty_like())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The type of the records, its size, and what it reads: all that a snapshot's records have to be equal in.
    pub fn record_type(&self) -> String {
        self.0.record_type()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the records and keeps the capacity.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Moves the records of `other`, which must be of the same type, to the end.
    pub fn append(&mut self, other: &mut Batch) {
        self.0.append(&mut *other.0);
    }

    /// Takes the records from `at` on out, as a batch of their own.
    ///
    /// Panics when there are fewer.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Batch {
        Batch(self.0.split_off(at))
    }

    /// Memory that the records take, inline and on the heap, in bytes; walks the records if they own heap.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Deals the records out in turn: record `i` goes to `targets[(first + i) % targets.len()]`.
    ///
    /// Every target must be a batch of the same type. The batch is left empty.
    pub fn deal(&mut self, targets: &mut [Batch], first: usize) {
        self.0.deal(targets, first);
    }

    /// Appends the records, serialized, to `out`; the batch keeps them.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.0.encode(out)
    }

    /// A batch of the same type with the records that [`Batch::encode`] wrote.
    pub fn decode_like(&self, bytes: &[u8]) -> Result<Batch> {
        self.0.decode_like(bytes)
    }
}

impl Clone for Batch {
    fn clone(&self) -> Batch {
        Batch(self.0.clone_box())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} × {})", self.len(), self.0.type_name())
    }
}

#[cold]
fn wrong_type<T>(found: &str) -> ! {
    panic!("a batch of {found} reached an operator of {}", std::any::type_name::<T>())
}

trait ErasedBatch: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
    fn type_name(&self) -> &'static str;
    fn record_type(&self) -> String;
    fn empty_like(&self) -> Box<dyn ErasedBatch>;
    fn clone_box(&self) -> Box<dyn ErasedBatch>;
    fn len(&self) -> usize;
    fn clear(&mut self);
    fn append(&mut self, other: &mut dyn ErasedBatch);
    fn split_off(&mut self, at: usize) -> Box<dyn ErasedBatch>;
    fn bytes(&self) -> usize;
    fn deal(&mut self, targets: &mut [Batch], first: usize);
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;
    fn decode_like(&self, bytes: &[u8]) -> Result<Batch>;
}

impl<T: Data> ErasedBatch for Vec<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
    fn record_type(&self) -> String {
        let shape = shape::<T>();
        let shown = if shape.len() <= SHAPE_SHOWN { shape } else { format!("{:016x}", hash_key(&shape)) };
        format!("{} of {} bytes as {shown}", std::any::type_name::<T>(), size_of::<T>())
    }
    fn empty_like(&self) -> Box<dyn ErasedBatch> {
        Box::new(Vec::<T>::new())
    }
    fn clone_box(&self) -> Box<dyn ErasedBatch> {
        Box::new(self.clone())
    }
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn clear(&mut self) {
        Vec::clear(self);
    }
    fn append(&mut self, other: &mut dyn ErasedBatch) {
        let found = other.type_name();
        match other.as_any_mut().downcast_mut::<Vec<T>>() {
            Some(other) => Vec::append(self, other),
            None => wrong_type::<T>(found),
        }
    }
    fn split_off(&mut self, at: usize) -> Box<dyn ErasedBatch> {
        Box::new(Vec::split_off(self, at))
    }
    fn bytes(&self) -> usize {
        let inline = Vec::len(self) * size_of::<T>();
        if std::mem::needs_drop::<T>() {
            inline + self.iter().map(|record| heap_bytes(record, usize::MAX)).sum::<usize>()
        } else {
            inline
        }
    }
    fn deal(&mut self, targets: &mut [Batch], first: usize) {
        let count = targets.len();
        let mut outs: Vec<&mut Vec<T>> = targets.iter_mut().map(Batch::records::<T>).collect();
        for (i, record) in self.drain(..).enumerate() {
            outs[(first + i) % count].push(record);
        }
    }
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        codec::encode(self, out)
    }
    fn decode_like(&self, bytes: &[u8]) -> Result<Batch> {
        codec::decode::<T>(bytes).map(Batch::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_records_in_turn_from_the_first_target() {
        let mut batch = Batch::new(vec![1u32, 2, 3, 4, 5]);
        let mut targets = vec![Batch::new(Vec::<u32>::new()), Batch::new(Vec::<u32>::new())];
        batch.deal(&mut targets, 1);
        assert_eq!(*targets[0].records::<u32>(), [2, 4]);
        assert_eq!(*targets[1].records::<u32>(), [1, 3, 5]);
        assert!(batch.is_empty());
    }

    #[test]
    fn splits_where_it_is_told() {
        let mut batch = Batch::new(vec![1u32, 2, 3]);
        assert_eq!(*batch.split_off(1).records::<u32>(), [2, 3]);
        assert_eq!(*batch.records::<u32>(), [1]);
    }

    #[test]
    fn encodes_and_decodes_through_the_erased_form() {
        let batch = Batch::new(vec![(String::from("a"), 1u64), (String::from("b"), 2)]);
        let mut bytes = Vec::new();
        batch.encode(&mut bytes).expect("strings and numbers encode");
        let mut back = batch.decode_like(&bytes).expect("what was encoded decodes");
        assert_eq!(back.records::<(String, u64)>(), &[("a".to_owned(), 1), ("b".to_owned(), 2)]);
    }

    #[test]
    #[should_panic(expected = "a batch of u8 reached an operator of u64")]
    fn names_both_types_when_they_differ() {
        Batch::new(vec![1u8]).records::<u64>();
    }

    #[test]
    fn a_batch_takes_at_least_one_record_of_any_size() {
        assert_eq!(batch_capacity::<[u8; 1 << 20]>(), 1);
        assert_eq!(batch_capacity::<u64>(), BATCH_RECORDS);
        assert_eq!(batch_capacity::<()>(), BATCH_RECORDS);
    }
}
