//! Sources: how a program gets its first data sets.

use crate::dataset::DataSet;
use crate::environment::ExecutionEnvironment;
use crate::program::Code;
use flinkrs_core::source::{InputFormat, Split, Statistics};
use flinkrs_core::strategy::Part;
use flinkrs_core::types::Data;
use flinkrs_core::{Operator, Result};
use flinkrs_operators::{SourceOperator, encode_split};
use flinkrs_plan::OperatorKind;
use std::sync::Arc;

struct SourceCode<F>(Arc<F>);

impl<F: InputFormat<Split: Data>> Code for SourceCode<F> {
    fn operator(&self, part: Part) -> Option<Box<dyn Operator>> {
        matches!(part, Part::Driver(_)).then(|| Box::new(SourceOperator::new(Arc::clone(&self.0))) as Box<dyn Operator>)
    }

    fn enumerate(&self, wanted: usize) -> Result<(Vec<Split>, Statistics)> {
        let split = |(split, bytes)| {
            let hosts = self.0.hosts(&split);
            Ok(Split { payload: encode_split(&split)?, bytes, hosts })
        };
        let splits = self.0.splits(wanted)?.into_iter().map(split).collect::<Result<_>>()?;
        Ok((splits, self.0.statistics()?))
    }
}

impl ExecutionEnvironment {
    /// A data set read through `format`, Flink's `createInput`; whatever is wrong with the input shows at execution.
    pub fn create_input<F: InputFormat<Split: Data>>(&self, format: F) -> DataSet<F::Item> {
        let kind = OperatorKind::Source { splits: Vec::new(), statistics: Statistics::default() };
        self.add("Source", kind, &[], SourceCode(Arc::new(format)))
    }
}
