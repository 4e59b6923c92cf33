//! Inputs without files: sequences of numbers, collections of a program, and iterators.

use flinkrs_core::batch::{BATCH_BYTES, batch_capacity};
use flinkrs_core::error::Result;
use flinkrs_core::source::{InputFormat, SplitReader, Statistics};
use flinkrs_core::types::{Data, codec, heap_bytes};
use std::marker::PhantomData;

/// A type of which [`SequenceInput`] makes sequences: `i64` or `u64`.
pub trait SequenceNumber: Data + Copy + Ord + sealed::Number {}

impl SequenceNumber for i64 {}
impl SequenceNumber for u64 {}

mod sealed {
    /// Numbers that fit a wider one.
    pub trait Number: Sized {
        /// The same number.
        fn widen(self) -> i128;
        /// The number, if it fits.
        fn narrow(wide: i128) -> Option<Self>;
        /// The number that is `distance` larger; wraps around.
        fn later(self, distance: u64) -> Self;
    }

    macro_rules! numbers {
        ($($type:ty)*) => {$(
            impl Number for $type {
                #[inline(always)]
                fn widen(self) -> i128 {
                    i128::from(self)
                }
                #[inline(always)]
                fn narrow(wide: i128) -> Option<$type> {
                    <$type>::try_from(wide).ok()
                }
                #[inline(always)]
                fn later(self, distance: u64) -> $type {
                    self.wrapping_add(distance as $type)
                }
            }
        )*};
    }

    numbers! { i64 u64 }
}

/// All numbers from `from` to `to`, both included, in order within a split; none if `to` is smaller.
///
/// ```
/// use flinkrs_connectors::SequenceInput;
/// let numbers = SequenceInput { from: 1u64, to: 1_000_000 };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SequenceInput<N> {
    /// The first number.
    pub from: N,
    /// The last number.
    pub to: N,
}

impl<N: SequenceNumber> SequenceInput<N> {
    fn count(&self) -> i128 {
        (self.to.widen() - self.from.widen() + 1).max(0)
    }

    fn number(&self, index: i128) -> N {
        N::narrow(self.from.widen() + index).expect("a number between two of its type fits the type")
    }
}

impl<N: SequenceNumber> InputFormat for SequenceInput<N> {
    type Item = N;
    type Split = (N, N);
    type Reader = SequenceReader<N>;

    fn splits(&self, wanted: usize) -> Result<Vec<((N, N), u64)>> {
        let count = self.count();
        let pieces = count.min(wanted.max(1) as i128);
        let bound = |i: i128| count / pieces * i + (count % pieces).min(i);
        let split = |i| {
            let (first, end) = (bound(i), bound(i + 1));
            let bytes = (end - first).saturating_mul(size_of::<N>() as i128);
            ((self.number(first), self.number(end - 1)), u64::try_from(bytes).unwrap_or(u64::MAX))
        };
        Ok((0..pieces).map(split).collect())
    }

    fn statistics(&self) -> Result<Statistics> {
        let (records, size) = (self.count() as f64, size_of::<N>() as f64);
        Ok(Statistics { records: Some(records), bytes: Some(records * size), record_bytes: Some(size) })
    }

    fn open(&self, (from, to): (N, N)) -> Result<SequenceReader<N>> {
        Ok(SequenceReader { next: from.widen(), last: to.widen(), numbers: PhantomData })
    }
}

/// Counts through one split of a sequence.
#[derive(Debug)]
pub struct SequenceReader<N> {
    next: i128,
    last: i128,
    numbers: PhantomData<fn() -> N>,
}

impl<N: SequenceNumber> SplitReader<N> for SequenceReader<N> {
    fn read(&mut self, records: &mut Vec<N>) -> Result<bool> {
        let room = batch_capacity::<N>().saturating_sub(records.len()).max(1) as u64;
        let Some(first) = N::narrow(self.next).filter(|_| self.next <= self.last) else { return Ok(false) };
        let count = u64::try_from(self.last - self.next + 1).map_or(room, |left| left.min(room));
        records.extend((0..count).map(|i| first.later(i)));
        self.next += i128::from(count);
        Ok(true)
    }
}

/// Serialized bytes of a collection that travel in one split.
const CHUNK_BYTES: usize = 1 << 20;

/// The records of a collection, which travel in the splits.
///
/// Only the process that plans the job needs the records; where the readers run the collection may be empty.
#[derive(Clone, Debug)]
pub struct CollectionInput<T> {
    records: Vec<T>,
}

impl<T: Data> CollectionInput<T> {
    /// The records of `records`, in their order within a split.
    pub fn new(records: impl IntoIterator<Item = T>) -> CollectionInput<T> {
        CollectionInput { records: records.into_iter().collect() }
    }

    /// Cuts the records into at least `wanted` pieces, if there are so many, and encodes each.
    fn chunks(&self, wanted: usize) -> Result<Vec<Vec<u8>>> {
        let heap: usize = self.records.iter().map(|record| heap_bytes(record, usize::MAX)).sum();
        let bytes = heap + self.records.len() * size_of::<T>();
        let pieces = wanted.max(bytes.div_ceil(CHUNK_BYTES)).clamp(1, self.records.len().max(1));
        let bound = |i: usize| self.records.len() / pieces * i + (self.records.len() % pieces).min(i);
        let mut chunks = Vec::new();
        for i in (0..pieces).filter(|_| !self.records.is_empty()) {
            let mut chunk = Vec::new();
            codec::encode(&self.records[bound(i)..bound(i + 1)], &mut chunk)?;
            chunks.push(chunk);
        }
        Ok(chunks)
    }
}

impl<T: Data> InputFormat for CollectionInput<T> {
    type Item = T;
    type Split = Vec<u8>;
    type Reader = IteratorReader<std::vec::IntoIter<T>>;

    fn splits(&self, wanted: usize) -> Result<Vec<(Vec<u8>, u64)>> {
        let chunks = self.chunks(wanted)?;
        let sized = |chunk: Vec<u8>| {
            let bytes = chunk.len() as u64;
            (chunk, bytes)
        };
        Ok(chunks.into_iter().map(sized).collect())
    }

    fn statistics(&self) -> Result<Statistics> {
        let bytes: usize = self.chunks(1)?.iter().map(Vec::len).sum();
        let (records, bytes) = (self.records.len() as f64, bytes as f64);
        let record_bytes = (records > 0.0).then(|| bytes / records);
        Ok(Statistics { records: Some(records), bytes: Some(bytes), record_bytes })
    }

    fn open(&self, split: Vec<u8>) -> Result<IteratorReader<std::vec::IntoIter<T>>> {
        Ok(IteratorReader { records: codec::decode::<T>(&split)?.into_iter() })
    }
}

/// The records of an iterator per split, made by a function of the split's number and how many there are.
///
/// ```
/// use flinkrs_connectors::IteratorInput;
/// let squares = IteratorInput::new(|split, splits| (split as u64..1000).step_by(splits).map(|n| n * n));
/// ```
#[derive(Clone, Debug)]
pub struct IteratorInput<F> {
    make: F,
    records: Option<f64>,
}

impl<F> IteratorInput<F> {
    /// Split `i` of `n` gives the records of `make(i, n)`.
    pub fn new<I: Iterator>(make: F) -> IteratorInput<F>
    where
        F: Fn(usize, usize) -> I,
    {
        IteratorInput { make, records: None }
    }

    /// Says how many records all splits give together, for the optimizer.
    #[must_use]
    pub fn records(mut self, records: f64) -> IteratorInput<F> {
        self.records = Some(records);
        self
    }
}

impl<F, I> InputFormat for IteratorInput<F>
where
    F: Fn(usize, usize) -> I + Send + Sync + 'static,
    I: Iterator<Item: Data> + Send + 'static,
{
    type Item = I::Item;
    type Split = (usize, usize);
    type Reader = IteratorReader<I>;

    fn splits(&self, wanted: usize) -> Result<Vec<((usize, usize), u64)>> {
        let count = wanted.max(1);
        Ok((0..count).map(|split| ((split, count), 0)).collect())
    }

    fn statistics(&self) -> Result<Statistics> {
        Ok(Statistics { records: self.records, bytes: None, record_bytes: None })
    }

    fn open(&self, (split, count): (usize, usize)) -> Result<IteratorReader<I>> {
        Ok(IteratorReader { records: (self.make)(split, count) })
    }
}

/// Reads the records of an iterator.
#[derive(Debug)]
pub struct IteratorReader<I> {
    records: I,
}

impl<I: Iterator<Item: Data> + Send + 'static> SplitReader<I::Item> for IteratorReader<I> {
    fn read(&mut self, records: &mut Vec<I::Item>) -> Result<bool> {
        let room = batch_capacity::<I::Item>().saturating_sub(records.len()).max(1);
        let mut bytes = 0;
        for taken in 0..room {
            let Some(record) = self.records.next() else { return Ok(taken > 0) };
            bytes += heap_bytes(&record, BATCH_BYTES);
            records.push(record);
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        Ok(true)
    }
}
