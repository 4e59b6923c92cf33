//! Runs one operator by hand in tests: feeds batches, gathers what it pushes.

use flinkrs_core::element::{Barrier, Superstep, Watermark};
use flinkrs_core::types::Data;
use flinkrs_core::{Batch, Error, Operator, Output, Progress, Result, RuntimeContext};

/// A function that needs no context, in the form the operators' constructors take.
pub(crate) fn plain<F: Clone + Send + 'static>(function: F) -> crate::Make<F> {
    Box::new(move |_| Ok(function.clone()))
}

/// An output that keeps everything.
#[derive(Default)]
pub(crate) struct Gathered<T> {
    pub(crate) records: Vec<T>,
    pub(crate) side: Vec<Batch>,
}

impl<T: Data> Output for Gathered<T> {
    fn push(&mut self, batch: &mut Batch) -> Result<()> {
        self.records.append(batch.records::<T>());
        Ok(())
    }
    fn side(&mut self, _tag: u8, batch: &mut Batch) -> Result<()> {
        self.side.push(batch.take());
        Ok(())
    }
    fn watermark(&mut self, _watermark: Watermark) -> Result<()> {
        Ok(())
    }
    fn barrier(&mut self, _barrier: Barrier) -> Result<()> {
        Ok(())
    }
    fn superstep_end(&mut self, _superstep: Superstep) -> Result<()> {
        Ok(())
    }
    fn has_room(&self) -> bool {
        true
    }
}

/// Feeds each input's records in batches of `batch_records`, preferred inputs first, and gathers the output.
pub(crate) fn run_with<T: Data>(
    operator: &mut dyn Operator,
    context: &RuntimeContext,
    mut inputs: Vec<Vec<Batch>>,
) -> Result<Gathered<T>> {
    let mut out = Gathered { records: Vec::new(), side: Vec::new() };
    operator.open(context)?;
    let mut ended = vec![false; inputs.len()];
    inputs.iter_mut().for_each(|batches| batches.reverse());
    let mut turn = 0;
    while ended.iter().any(|ended| !ended) {
        let next = operator.preferred_input().filter(|input| !ended[*input]);
        let input = next.unwrap_or_else(|| {
            turn += 1;
            (0..ended.len()).map(|i| (turn + i) % ended.len()).find(|i| !ended[*i]).expect("one has not ended")
        });
        match inputs[input].pop() {
            Some(mut batch) => operator.process(input, &mut batch, &mut out)?,
            None => {
                ended[input] = true;
                operator.end_input(input, &mut out)?;
            }
        }
    }
    let mut steps = 0u64;
    while operator.advance(&mut out)? == Progress::More {
        steps += 1;
        if steps > 100_000_000 {
            return Err(Error::internal("the operator never gets done"));
        }
    }
    operator.close()?;
    Ok(out)
}

/// Cuts records into batches.
pub(crate) fn batches<T: Data>(records: &[T], batch_records: usize) -> Vec<Batch> {
    records.chunks(batch_records.max(1)).map(|chunk| Batch::new(chunk.to_vec())).collect()
}
