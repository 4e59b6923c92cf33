//! Sinks: where the records of a data set go, and results that come back into the program.

use crate::dataset::DataSet;
use crate::program::Code;
use flinkrs_core::sink::{Committer, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::strategy::Part;
use flinkrs_core::types::{Data, own_heap};
use flinkrs_core::{Error, Operator, Result};
use flinkrs_operators::{CommitterOf, SinkOperator};
use flinkrs_plan::OperatorKind;
use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a collected result may take in memory, in bytes.
const COLLECT_BYTES: u64 = 4 << 30;

struct SinkCode<T, F> {
    format: Arc<F>,
    records: std::marker::PhantomData<fn(T)>,
}

impl<T: Data, F: OutputFormat<T>> Code for SinkCode<T, F> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Driver(_))
            .then(|| Box::new(SinkOperator::<T, F>::new(Arc::clone(&self.format))) as Box<dyn Operator>)
    }

    fn committer(&self) -> Option<Arc<dyn Committer>> {
        Some(Arc::new(CommitterOf::<T, F>::new(Arc::clone(&self.format))))
    }
}

impl<T: Data> DataSet<T> {
    /// Writes the records through `format` at the next execution. The handle that comes back is for naming the sink
    /// and setting its parallelism.
    pub fn output<F: OutputFormat<T>>(&self, format: F) -> DataSet<T> {
        let code = SinkCode { format: Arc::new(format), records: std::marker::PhantomData };
        let sink = self.env.add("Sink", OperatorKind::Sink, &[self.id], code);
        self.env.add_sink(sink.id);
        sink
    }

    /// Executes the program so far and returns the records, those of each subtask in their order.
    ///
    /// Runs all other sinks defined so far, too. Errors when the records take more than 4 GB.
    pub fn collect(&self) -> Result<Vec<T>> {
        let collected = Collected::default();
        let sink = self.output(Collect(Arc::clone(&collected.0))).name("Collect");
        // As many subtasks as the data set has, so that a sorted one stays sorted.
        let parallelism = self.env.explicit_parallelism(self.id);
        self.env.change(sink.id, |operator| operator.parallelism = parallelism);
        self.env.execute("collect")?;
        let mut parts = std::mem::take(&mut *collected.0.parts.lock().unwrap_or_else(PoisonError::into_inner));
        parts.sort_by_key(|(subtask, _)| *subtask);
        Ok(parts.into_iter().flat_map(|(_, records)| records).collect())
    }

    /// Executes the program so far and returns how many records there are.
    pub fn count(&self) -> Result<u64> {
        let count = Arc::new(AtomicU64::new(0));
        let _ = self.output(Count(Arc::clone(&count))).name("Count");
        self.env.execute("count")?;
        Ok(count.load(Ordering::Acquire))
    }

    /// Executes the program so far and prints the records to standard output, a line each.
    pub fn print(&self) -> Result<()>
    where
        T: Display,
    {
        let records = self.collect()?;
        let mut out = std::io::stdout().lock();
        records
            .iter()
            .try_for_each(|record| writeln!(out, "{record}"))
            .and_then(|()| out.flush())
            .map_err(|error| Error::io("write to", "standard output", error))
    }
}

struct Parts<T> {
    parts: Mutex<Vec<(u32, Vec<T>)>>,
    bytes: AtomicU64,
}

struct Collected<T>(Arc<Parts<T>>);

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Collected(Arc::new(Parts { parts: Mutex::new(Vec::new()), bytes: AtomicU64::new(0) }))
    }
}

struct Collect<T>(Arc<Parts<T>>);

struct CollectWriter<T> {
    subtask: u32,
    records: Vec<T>,
    parts: Arc<Parts<T>>,
}

impl<T: Data> OutputFormat<T> for Collect<T> {
    type Writer = CollectWriter<T>;

    fn open(&self, context: &WriterContext<'_>) -> Result<CollectWriter<T>> {
        Ok(CollectWriter { subtask: context.subtask.index, records: Vec::new(), parts: Arc::clone(&self.0) })
    }
}

impl<T: Data> RecordWriter<T> for CollectWriter<T> {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        let heap: usize = records.iter_mut().map(own_heap).sum();
        let bytes = (heap + records.len() * size_of::<T>()) as u64;
        let total = self.parts.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > COLLECT_BYTES {
            let message = format!("a collected result has more than {COLLECT_BYTES} bytes; write it to files instead");
            return Err(Error::Resource { message });
        }
        self.records.append(records);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let mut parts = self.parts.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push((self.subtask, std::mem::take(&mut self.records)));
        Ok(())
    }
}

struct Count(Arc<AtomicU64>);

struct CountWriter(Arc<AtomicU64>);

impl<T: Data> OutputFormat<T> for Count {
    type Writer = CountWriter;

    fn open(&self, _context: &WriterContext<'_>) -> Result<CountWriter> {
        Ok(CountWriter(Arc::clone(&self.0)))
    }
}

impl<T: Data> RecordWriter<T> for CountWriter {
    fn write(&mut self, records: &mut Vec<T>) -> Result<()> {
        self.0.fetch_add(records.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
