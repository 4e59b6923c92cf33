//! The operator that reads a bounded source, split by split.

use flinkrs_core::function::OperatorMetrics;
use flinkrs_core::id::Subtask;
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
        let Some(split) = provider.next_split(self.subtask.index)? else {
            return Ok(false);
        };
        self.metrics.bytes_in.fetch_add(split.bytes, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run_with;
    use flinkrs_core::source::Split;
    use std::sync::Mutex;

    /// The numbers of a range, a few at a time.
    struct Numbers;

    struct Counter(std::ops::Range<u64>);

    impl InputFormat for Numbers {
        type Item = u64;
        type Split = (u64, u64);
        type Reader = Counter;

        fn splits(&self, wanted: usize) -> Result<Vec<((u64, u64), u64)>> {
            Ok((0..wanted as u64).map(|i| ((10 * i, 10 * i + 10), 80)).collect())
        }

        fn open(&self, (start, end): (u64, u64)) -> Result<Counter> {
            if start == 990 { Err(Error::data("split 99 is damaged")) } else { Ok(Counter(start..end)) }
        }
    }

    impl SplitReader<u64> for Counter {
        fn read(&mut self, records: &mut Vec<u64>) -> Result<bool> {
            records.extend(self.0.by_ref().take(4));
            Ok(!self.0.is_empty())
        }
    }

    struct Queue(Mutex<Vec<Split>>);

    impl SplitProvider for Queue {
        fn next_split(&self, subtask: u32) -> Result<Option<Split>> {
            assert_eq!(subtask, 0);
            Ok(self.0.lock().expect("no test panics with the lock").pop())
        }
    }

    fn read(splits: usize) -> Result<(Vec<u64>, u64)> {
        let splits = Numbers
            .splits(splits)?
            .into_iter()
            .map(|(split, bytes)| Ok(Split { payload: encode_split(&split)?, bytes, hosts: Vec::new() }));
        let mut context = RuntimeContext::standalone(1 << 20, &std::env::temp_dir());
        context.splits = Some(Arc::new(Queue(Mutex::new(splits.collect::<Result<_>>()?))));
        let records = run_with::<u64>(&mut SourceOperator::new(Arc::new(Numbers)), &context, Vec::new())?.records;
        Ok((records, context.metrics.bytes_in.load(Ordering::Relaxed)))
    }

    #[test]
    fn reads_every_split_once() {
        let (mut records, bytes) = read(25).expect("it works");
        records.sort_unstable();
        assert_eq!(records, (0..250).collect::<Vec<_>>());
        assert_eq!(bytes, 25 * 80);
        assert!(read(0).expect("it works").0.is_empty());
    }

    #[test]
    fn a_split_that_cannot_be_opened_is_an_error() {
        assert_eq!(read(100).expect_err("the last split is damaged").to_string(), "split 99 is damaged");
    }

    #[test]
    fn a_payload_that_is_no_split_is_an_error() {
        assert!(decode_split::<(u64, String)>(&[1, 2, 3, 250]).is_err());
    }
}
