//! Sinks: where the records of a data set go, and results that come back into the program.

use crate::dataset::DataSet;
use crate::dataset::results::{Collect, Count, Results};
use crate::program::Code;
use flinkrs_core::resource::ByteSize;
use flinkrs_core::sink::{Committer, OutputFormat, ResultSink};
use flinkrs_core::strategy::Part;
use flinkrs_core::types::Data;
use flinkrs_core::{Error, Operator, Result};
use flinkrs_operators::{CommitterOf, SinkOperator};
use flinkrs_plan::OperatorKind;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

struct SinkCode<T, F> {
    format: Arc<F>,
    result: Option<Arc<dyn ResultSink>>,
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

    fn result(&self) -> Option<Arc<dyn ResultSink>> {
        self.result.as_ref().map(Arc::clone)
    }
}

impl<T: Data> DataSet<T> {
    /// Writes the records through `format` at the next execution. The handle that comes back is for naming the sink
    /// and setting its parallelism.
    pub fn output<F: OutputFormat<T>>(&self, format: F) -> DataSet<T> {
        self.sink(format, None)
    }

    fn sink<F: OutputFormat<T>>(&self, format: F, result: Option<Arc<dyn ResultSink>>) -> DataSet<T> {
        let code = SinkCode { format: Arc::new(format), result, records: std::marker::PhantomData };
        let sink = self.env.add("Sink", OperatorKind::Sink, &[self.id], code);
        self.env.add_sink(sink.id);
        sink
    }

    /// Executes the program so far and returns the records, those of each subtask in their order.
    ///
    /// Runs all other sinks defined so far, too. Errors when the records take more memory than
    /// [`set_collect_limit`](crate::ExecutionEnvironment::set_collect_limit) allows.
    pub fn collect(&self) -> Result<Vec<T>> {
        let results = Arc::new(Results::new(self.env.collect_limit()));
        let sink = self.sink(Collect(Arc::clone(&results)), Some(Arc::clone(&results) as _)).name("Collect");
        // As many subtasks as the data set has, so that a sorted one stays sorted.
        let parallelism = self.env.explicit_parallelism(self.id);
        self.env.change(sink.id, |operator| operator.parallelism = parallelism);
        self.env.execute("collect")?;
        Ok(results.take())
    }

    /// Executes the program so far and returns how many records there are.
    pub fn count(&self) -> Result<u64> {
        let results = Arc::new(Results::new(ByteSize(u64::MAX)));
        let _ = self.sink(Count(Arc::clone(&results)), Some(Arc::clone(&results) as _)).name("Count");
        self.env.execute("count")?;
        Ok(results.take().iter().sum())
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
