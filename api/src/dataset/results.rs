//! Records that come back into the program: kept by subtask, in the process that ran its writer or in the program's.

#[cfg(test)]
mod tests;

use flinkrs_core::resource::ByteSize;
use flinkrs_core::sink::{OutputFormat, RecordWriter, ResultSink, WriterContext};
use flinkrs_core::types::{Data, codec, heap_bytes, own_heap};
use flinkrs_core::{Error, Result};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records of a block take about so many bytes in memory: some frames of a network, little beside the result.
const BLOCK_BYTES: usize = 256 << 10;

/// The records of all subtasks.
pub(crate) struct Results<T> {
    parts: Mutex<BTreeMap<u32, Arc<Part<T>>>>,
    used: Arc<AtomicU64>,
    limit: ByteSize,
}

/// What one attempt of a subtask left.
#[derive(Clone)]
struct Part<T> {
    attempt: u32,
    records: Vec<T>,
    /// Given back when the last who holds the records drops them.
    charge: Arc<Charge>,
}

/// Bytes of a result that are in use.
struct Charge {
    used: Arc<AtomicU64>,
    bytes: AtomicU64,
    limit: ByteSize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Charge {
    /// Counts records, which own their heap afterwards.
    fn add<T: Data>(&self, records: &mut [T]) -> Result<()> {
        let heap: usize = records.iter_mut().map(own_heap).sum();
        let bytes = (heap + size_of_val(records)) as u64;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let total = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > self.limit.0 {
            let limit = self.limit;
            let message = format!(
                "a collected result takes more than {limit} of memory (option --collect-limit); write it to files \
                 instead"
            );
            return Err(Error::Resource { message });
        }
        Ok(())
    }
}

impl<T: Data> Results<T> {
    /// No records yet; all together may take so much memory.
    pub(crate) fn new(limit: ByteSize) -> Results<T> {
        Results { parts: Mutex::default(), used: Arc::default(), limit }
    }

    /// Takes all records, those of the first subtask first.
    pub(crate) fn take(&self) -> Vec<T> {
        let parts = std::mem::take(&mut *self.parts());
        parts.into_values().flat_map(|part| Arc::unwrap_or_clone(part).records).collect()
    }

    fn part(&self, attempt: u32) -> Part<T> {
        let charge = Charge { used: Arc::clone(&self.used), bytes: AtomicU64::new(0), limit: self.limit };
        Part { attempt, records: Vec::new(), charge: Arc::new(charge) }
    }

    /// A writer has finished.
    fn finished(&self, subtask: u32, part: Part<T>) {
        let mut parts = self.parts();
        if parts.get(&subtask).is_none_or(|there| there.attempt <= part.attempt) {
            parts.insert(subtask, Arc::new(part));
        }
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Part<T>>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Data> ResultSink for Results<T> {
    fn read(&self, subtask: u32, to: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        let part = self.parts().get(&subtask).map(Arc::clone);
        let part =
            part.ok_or_else(|| Error::internal(format!("subtask {} of a result has not finished here", subtask + 1)))?;
        let mut rest = &part.records[..];
        let mut bytes = Vec::new();
        loop {
            let (block, after) = rest.split_at(block_length(rest));
            bytes.clear();
            codec::encode(block, &mut bytes)?;
            to(part.attempt, &bytes)?;
            if after.is_empty() {
                return Ok(());
            }
            rest = after;
        }
    }

    fn put(&self, subtask: u32, attempt: u32, block: &[u8]) -> Result<()> {
        let mut records = codec::decode::<T>(block)?;
        let mut parts = self.parts();
        let part = match parts.entry(subtask) {
            Entry::Occupied(there) if there.get().attempt > attempt => return Ok(()),
            Entry::Occupied(there) if there.get().attempt == attempt => there.into_mut(),
            Entry::Occupied(mut older) => {
                older.insert(Arc::new(self.part(attempt)));
                older.into_mut()
            }
            Entry::Vacant(nothing) => nothing.insert(Arc::new(self.part(attempt))),
        };
        part.charge.add(&mut records)?;
        Arc::make_mut(part).records.append(&mut records);
        Ok(())
    }

    fn reset(&self) {
        self.parts().clear();
    }
}

/// How many of the records make the next block: at least one, if there are any.
fn block_length<T: Data>(records: &[T]) -> usize {
    let mut bytes = 0;
    let ends = |record: &T| {
        bytes += size_of::<T>() + heap_bytes(record, BLOCK_BYTES);
        bytes >= BLOCK_BYTES
    };
    records.iter().position(ends).map_or(records.len(), |last| last + 1)
}

/// Keeps the records.
pub(crate) struct Collect<T>(pub(crate) Arc<Results<T>>);

pub(crate) struct CollectWriter<T> {
    subtask: u32,
    part: Part<T>,
    results: Arc<Results<T>>,
}

impl<T: Data> OutputFormat<T> for Collect<T> {
    type Writer = CollectWriter<T>;

    fn open(&self, context: &WriterContext<'_>) -> Result<CollectWriter<T>> {
        let part = self.0.part(context.attempt);
        // What an earlier attempt left is void, and its memory is needed.
        self.0.parts().retain(|subtask, there| *subtask != context.subtask.index || there.attempt >= context.attempt);
        Ok(CollectWriter { subtask: context.subtask.index, part, results: Arc::clone(&self.0) })
    }
}

impl<T: Data> RecordWriter<T> for CollectWriter<T> {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        self.part.charge.add(records)?;
        self.part.records.append(records);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let empty = self.results.part(self.part.attempt);
        self.results.finished(self.subtask, std::mem::replace(&mut self.part, empty));
        Ok(())
    }
}

/// Counts the records: each subtask leaves how many it had.
pub(crate) struct Count(pub(crate) Arc<Results<u64>>);

pub(crate) struct CountWriter {
    count: u64,
    writer: CollectWriter<u64>,
}

impl<T: Data> OutputFormat<T> for Count {
    type Writer = CountWriter;

    fn open(&self, context: &WriterContext<'_>) -> Result<CountWriter> {
        Ok(CountWriter { count: 0, writer: Collect(Arc::clone(&self.0)).open(context)? })
    }
}

impl<T: Data> RecordWriter<T> for CountWriter {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        self.count += records.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.writer.write(&mut vec![self.count])?;
        self.writer.finish()
    }
}
