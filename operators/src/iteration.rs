//! The end of a bulk iteration's step.

use flinkrs_core::function::IterationContext;
use flinkrs_core::{Batch, Error, Operator, Output, Result, RuntimeContext};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Passes the step's result on, to be fed back, and counts the records of the termination data set.
#[derive(Default)]
pub struct BulkIterationOperator {
    iteration: Option<Arc<IterationContext>>,
}

/// The loop that a context belongs to.
pub(crate) fn iteration(context: &RuntimeContext) -> Result<Arc<IterationContext>> {
    context.iteration.clone().ok_or_else(|| Error::internal("an operator that closes a loop runs outside of it"))
}

impl Operator for BulkIterationOperator {
    fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.iteration = Some(iteration(context)?);
        Ok(())
    }

    fn process(&mut self, input: usize, batch: &mut Batch, out: &mut dyn Output) -> Result<()> {
        if input == 0 {
            return out.push(batch);
        }
        if let Some(iteration) = &self.iteration {
            iteration.counts().termination.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        batch.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
