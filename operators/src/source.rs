//! The operator that reads a bounded source, split by split.

use flinkrs_core::id::Subtask;
use flinkrs_core::function::OperatorMetrics;
use flinkrs_core::source::{InputFormat, SplitProvider, SplitReader};
use flinkrs_core::types::{Data, codec};
use flinkrs_core::{Batch, Error, Operator, Output, Progress, Result, RuntimeContext};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The description of a split as [`Split::payload`](flinkrs_core::source::Split::payload) carries it.
pub fn encode_split<S: Data>(split: &S) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    codec::encode(std::slice::from_ref(split), &mut payload)?;
    Ok(payload)
}

/// The split that [`encode_split`] described.
pub fn decode_split<S: Data>(payload: &[u8]) -> Result<S> {
    codec::decode(payload)?.pop().ok_or_else(|| Error::internal("the payload of a split holds no split"))
}

/// Reads the splits that its provider hands out, a batch per step.
pub struct SourceOperator<Fmt: InputFormat> {
    format: Arc<Fmt>,
    reader: Option<Fmt::Reader>,
    buffer: Batch,
    splits: Option<Arc<dyn SplitProvider>>,
    subtask: Subtask,
    metrics: Arc<OperatorMetrics>,
}

impl<Fmt: InputFormat<Split: Data>> SourceOperator<Fmt> {
    /// A source of the records of `format`.
    pub fn new(format: Arc<Fmt>) -> Self {
        SourceOperator {
            format,
            reader: None,
            buffer: Batch::new(Vec::<Fmt::Item>::new()),
            splits: None,
            subtask: Subtask { index: 0, parallelism: 1 },
            metrics: Arc::default(),
        }
    }

    /// Opens the next split; false when all are handed out.
    fn open_next(&mut self) -> Result<bool> {
        let provider = self.splits.as_ref().ok_or_else(|| Error::internal("a source was opened without splits"))?;
        let Some(split) = provider.next_split(self.subtask.index) else {
            return Ok(false);
        };
        self.reader = Some(self.format.open(decode_split(&split.payload)?)?);
        Ok(true)
    }
}

impl<Fmt: InputFormat<Split: Data>> Operator for SourceOperator<Fmt> {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.splits = context.splits.clone();
        self.subtask = context.subtask;
        self.metrics = Arc::clone(&context.metrics);
        Ok(())
    }

    fn process(&mut self, _input: usize, _batch: &mut Batch, _out: &mut dyn Output) -> Result<()> {
        Err(Error::internal("a source has no input, but was pushed a batch"))
    }

    fn advance(&mut self, out: &mut dyn Output) -> Result<Progress> {
        if self.reader.is_none() && !self.open_next()? {
            return Ok(Progress::Done);
        }
        let reader = self.reader.as_mut().expect("a split was just opened");
        if !reader.read(self.buffer.records::<Fmt::Item>())? {
            self.reader = None;
        }
        if !self.buffer.is_empty() {
            self.metrics.records_out.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
            let result = out.push(&mut self.buffer);
            self.buffer.clear();
            result?;
        }
        Ok(Progress::More)
    }

    fn close(&mut self) -> Result<()> {
        self.reader = None;
        Ok(())
    }
}
