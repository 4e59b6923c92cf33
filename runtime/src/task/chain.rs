//! The operators of one task: each pushes into the next, the last one into the exchanges.

use crate::network::TaskOutput;
use crate::snapshot::StateFiles;
use crate::task::guard::as_operator;
use flinkrs_core::element::{Barrier, Superstep, Watermark};
use flinkrs_core::function::OperatorMetrics;
use flinkrs_core::{Batch, Operator, Output, Progress, Result, RuntimeContext};
use std::sync::atomic::Ordering;

/// One operator of a chain and what belongs to it.
pub(crate) struct Link {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) context: RuntimeContext,
    /// Whether `open` was called, so that `close` is due.
    opened: bool,
}

impl Link {
    pub(crate) fn new(operator: Box<dyn Operator>, context: RuntimeContext) -> Link {
        Link { operator, context, opened: false }
    }
}

/// The operators of a task, first to last, and the way out.
pub(crate) struct Chain {
    pub(crate) links: Vec<Link>,
    pub(crate) output: TaskOutput,
    /// Which operator takes its state over from a snapshot when it has been opened, and the state.
    pub(crate) restored: Option<(usize, StateFiles)>,
}

impl Chain {
    /// Opens the operators, last first, so that each may push as soon as it is open.
    pub(crate) fn open(&mut self) -> Result<()> {
        for (i, link) in self.links.iter_mut().enumerate().rev() {
            link.opened = true;
            as_operator(i, || link.operator.open(&link.context))
                .map_err(|error| error.in_operator(&link.context.name, link.context.subtask))?;
        }
        if let Some(link) = self.links.first() {
            self.output.open(&link.context)?;
        }
        if let Some((at, mut state)) = self.restored.take() {
            let link = &mut self.links[at];
            as_operator(at, || link.operator.restore(&mut state))
                .map_err(|error| error.in_operator(&link.context.name, link.context.subtask))?;
        }
        Ok(())
    }

    /// Tells the operators that another superstep begins, last first.
    pub(crate) fn begin_superstep(&mut self) -> Result<()> {
        for (i, link) in self.links.iter_mut().enumerate().rev() {
            as_operator(i, || link.operator.superstep_begin(&link.context))
                .map_err(|error| error.in_operator(&link.context.name, link.context.subtask))?;
        }
        if let Some(link) = self.links.first() {
            self.output.open(&link.context)?;
        }
        Ok(())
    }

    /// Ends a superstep: every operator emits what it holds, and the consumers of the task are told.
    pub(crate) fn end_superstep(&mut self, superstep: Superstep) -> Result<()> {
        self.call(0, |operator, _, out| operator.superstep_end(superstep, out))?;
        let (Some(looping), Some(link)) = (&mut self.output.looping, self.links.last_mut()) else { return Ok(()) };
        looping.arrive(&mut *link.operator).map_err(|error| error.in_operator(&link.context.name, link.context.subtask))
    }

    /// Closes what was opened; every operator gets its turn, the first error is returned.
    pub(crate) fn close(&mut self) -> Result<()> {
        let mut result = Ok(());
        for (i, link) in self.links.iter_mut().enumerate() {
            if std::mem::take(&mut link.opened) {
                let closed = as_operator(i, || link.operator.close())
                    .map_err(|error| error.in_operator(&link.context.name, link.context.subtask));
                result = result.and(closed);
            }
        }
        result
    }

    /// Gives a batch to the first operator.
    pub(crate) fn process(&mut self, input: usize, batch: &mut Batch) -> Result<()> {
        self.call(0, |operator, metrics, out| {
            metrics.records_in.fetch_add(batch.len() as u64, Ordering::Relaxed);
            operator.process(input, batch, out)
        })
    }

    /// Tells operator `link` that one of its inputs has ended.
    pub(crate) fn end_input(&mut self, link: usize, input: usize) -> Result<()> {
        self.call(link, |operator, _, out| operator.end_input(input, out))
    }

    /// Lets operator `link` work on without input.
    pub(crate) fn advance(&mut self, link: usize) -> Result<Progress> {
        self.call(link, |operator, _, out| operator.advance(out))
    }

    /// Calls operator `index` with an output that leads to the operators after it.
    pub(crate) fn call<R>(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut dyn Operator, &OperatorMetrics, &mut dyn Output) -> Result<R>,
    ) -> Result<R> {
        let (link, rest) = self.links[index..].split_first_mut().expect("the chain has that operator");
        let metrics = &link.context.metrics;
        let mut out = ChainOutput { next: index + 1, from: metrics, rest, tail: &mut self.output };
        as_operator(index, || f(&mut *link.operator, metrics, &mut out))
            .map_err(|error| error.in_operator(&link.context.name, link.context.subtask))
    }
}

/// What an operator pushes into: the operators after it, and behind them the exchanges.
struct ChainOutput<'a> {
    /// Position of the first operator of `rest`.
    next: usize,
    from: &'a OperatorMetrics,
    rest: &'a mut [Link],
    tail: &'a mut TaskOutput,
}

impl ChainOutput<'_> {
    #[inline]
    fn hand_on<R>(
        &mut self,
        operator: impl FnOnce(&mut dyn Operator, &OperatorMetrics, &mut dyn Output) -> R,
        tail: impl FnOnce(&mut TaskOutput) -> R,
    ) -> R {
        match self.rest.split_first_mut() {
            None => tail(self.tail),
            Some((link, rest)) => {
                let metrics = &link.context.metrics;
                let mut out = ChainOutput { next: self.next + 1, from: metrics, rest, tail: self.tail };
                as_operator(self.next, || operator(&mut *link.operator, metrics, &mut out))
            }
        }
    }
}

impl Output for ChainOutput<'_> {
    fn push(&mut self, batch: &mut Batch) -> Result<()> {
        let records = batch.len() as u64;
        if records == 0 {
            return Ok(());
        }
        self.from.records_out.fetch_add(records, Ordering::Relaxed);
        let Some((link, rest)) = self.rest.split_first_mut() else {
            return self.tail.push(batch);
        };
        let metrics = &link.context.metrics;
        metrics.records_in.fetch_add(records, Ordering::Relaxed);
        let mut out = ChainOutput { next: self.next + 1, from: metrics, rest, tail: self.tail };
        as_operator(self.next, || link.operator.process(0, batch, &mut out))
            .map_err(|error| error.in_operator(&link.context.name, link.context.subtask))
    }

    fn side(&mut self, tag: u8, batch: &mut Batch) -> Result<()> {
        self.tail.side(tag, batch)
    }

    fn watermark(&mut self, watermark: Watermark) -> Result<()> {
        self.hand_on(|operator, _, out| operator.watermark(0, watermark, out), |tail| tail.watermark(watermark))
    }

    fn barrier(&mut self, barrier: Barrier) -> Result<()> {
        self.hand_on(|operator, _, out| operator.barrier(barrier, out), |tail| tail.barrier(barrier))
    }

    fn superstep_end(&mut self, superstep: Superstep) -> Result<()> {
        self.hand_on(|operator, _, out| operator.superstep_end(superstep, out), |tail| tail.superstep_end(superstep))
    }

    fn has_room(&self) -> bool {
        self.tail.has_room()
    }
}
