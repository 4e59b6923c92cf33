//! The operator that writes records to an output format, and what commits the format.

use flinkrs_core::sink::{Committer, OutputFormat, RecordWriter};
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Error, Operator, Output, Progress, Result, RuntimeContext};
use std::marker::PhantomData;
use std::sync::Arc;

/// Writes each batch to the writer of its subtask; emits nothing.
pub struct SinkOperator<T: Data, Fmt: OutputFormat<T>> {
    format: Arc<Fmt>,
    writer: Option<Fmt::Writer>,
}

impl<T: Data, Fmt: OutputFormat<T>> SinkOperator<T, Fmt> {
    /// A sink that writes with `format`.
    pub fn new(format: Arc<Fmt>) -> Self {
        SinkOperator { format, writer: None }
    }
}

impl<T: Data, Fmt: OutputFormat<T>> Operator for SinkOperator<T, Fmt> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.writer = Some(self.format.open(context.subtask)?);
        Ok(())
    }

    fn process(&mut self, _input: usize, batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        let writer = self.writer.as_mut().ok_or_else(|| Error::internal("a sink got records when it was not open"))?;
        let result = writer.write(batch.records::<T>());
        batch.clear();
        result
    }

    /// The end of the input: finishes the writer, once.
    fn advance(&mut self, _out: &mut dyn Output) -> Result<Progress> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish()?;
        }
        Ok(Progress::Done)
    }

    /// A writer that is still there belongs to a job that failed; it is dropped unfinished.
    fn close(&mut self) -> Result<()> {
        self.writer = None;
        Ok(())
    }
}

/// The part of an output format that runs where the job was started, without the type of its records.
pub struct CommitterOf<T, Fmt> {
    format: Arc<Fmt>,
    types: PhantomData<fn(T)>,
}

impl<T: Data, Fmt: OutputFormat<T>> CommitterOf<T, Fmt> {
    /// Commits what the writers of `format` wrote.
    pub fn new(format: Arc<Fmt>) -> Self {
        CommitterOf { format, types: PhantomData }
    }
}

impl<T: Data, Fmt: OutputFormat<T>> Committer for CommitterOf<T, Fmt> {
    fn begin(&self, parallelism: u32) -> Result<()> {
        self.format.begin(parallelism)
    }

    fn commit(&self, parallelism: u32) -> Result<()> {
        self.format.commit(parallelism)
    }

    fn abort(&self) {
        self.format.abort();
    }
}
