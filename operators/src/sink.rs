//! The operator that writes records to an output format, and what commits the format.

use flinkrs_core::sink::{CommitContext, Committer, OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Error, Operator, Output, Progress, Result, RuntimeContext};
use std::marker::PhantomData;
use std::path::PathBuf;
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
        let writer = WriterContext { job: &context.job, subtask: context.subtask, attempt: context.attempt };
        self.writer = Some(self.format.open(&writer)?);
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

/// The part of an output format that runs once per execution, without the type of its records.
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
    fn target(&self) -> Option<PathBuf> {
        self.format.target()
    }

    fn begin(&self, context: &CommitContext<'_>) -> Result<()> {
        self.format.begin(context)
    }

    fn commit(&self, context: &CommitContext<'_>) -> Result<()> {
        self.format.commit(context)
    }

    fn abort(&self, context: &CommitContext<'_>) {
        self.format.abort(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batches, run_with};
    use std::sync::Mutex;

    /// Keeps what is written, and what happens to it.
    #[derive(Default)]
    struct Memory {
        written: Arc<Mutex<Vec<u64>>>,
        events: Arc<Mutex<Vec<String>>>,
    }

    struct Writer(Arc<Mutex<Vec<u64>>>, Arc<Mutex<Vec<String>>>);

    impl OutputFormat<u64> for Memory {
        type Writer = Writer;

        fn open(&self, of: &WriterContext<'_>) -> Result<Writer> {
            let event = format!("open {} {}-{}", of.job, of.subtask, of.attempt);
            self.events.lock().expect("unpoisoned").push(event);
            Ok(Writer(Arc::clone(&self.written), Arc::clone(&self.events)))
        }
        fn commit(&self, of: &CommitContext<'_>) -> Result<()> {
            self.events.lock().expect("unpoisoned").push(format!("commit {} {:?}", of.job, of.attempts));
            Ok(())
        }
        fn abort(&self, _context: &CommitContext<'_>) {
            self.events.lock().expect("unpoisoned").push("abort".to_owned());
        }
    }

    impl RecordWriter<u64> for Writer {
        fn write(&mut self, records: &mut Vec<u64>) -> Result<()> {
            if records.contains(&13) {
                return Err(Error::data("13 is not written"));
            }
            self.0.lock().expect("unpoisoned").extend_from_slice(records);
            Ok(())
        }
        fn finish(&mut self) -> Result<()> {
            self.1.lock().expect("unpoisoned").push("finish".to_owned());
            Ok(())
        }
    }

    #[test]
    fn writes_each_record_and_finishes_once() {
        let format = Arc::new(Memory::default());
        let mut context = RuntimeContext::standalone(1 << 20, &std::env::temp_dir());
        context.attempt = 2;
        let records: Vec<u64> = (100..2000).collect();
        let mut sink = SinkOperator::new(Arc::clone(&format));
        let out = run_with::<u64>(&mut sink, &context, vec![batches(&records, 64)]).expect("it works");
        assert!(out.records.is_empty());
        assert_eq!(sink.advance(&mut { out }).expect("it works"), Progress::Done);
        let committer = CommitterOf::new(Arc::clone(&format));
        let of = CommitContext { job: "j", attempts: &[2, 0, 1] };
        committer.begin(&of).expect("it works");
        committer.commit(&of).expect("it works");
        assert_eq!(*format.written.lock().expect("unpoisoned"), records);
        assert_eq!(
            *format.events.lock().expect("unpoisoned"),
            ["open standalone 1/1-2", "finish", "commit j [2, 0, 1]"]
        );
    }

    #[test]
    fn a_failed_write_leaves_the_writer_unfinished() {
        let format = Arc::new(Memory::default());
        let context = RuntimeContext::standalone(1 << 20, &std::env::temp_dir());
        let mut sink = SinkOperator::new(Arc::clone(&format));
        let result = run_with::<u64>(&mut sink, &context, vec![batches(&[1u64, 13, 2], 1)]);
        assert_eq!(result.err().map(|error| error.to_string()).as_deref(), Some("13 is not written"));
        sink.close().expect("it closes");
        CommitterOf::new(Arc::clone(&format)).abort(&CommitContext { job: "j", attempts: &[0] });
        assert_eq!(*format.events.lock().expect("unpoisoned"), ["open standalone 1/1-0", "abort"]);
    }
}
