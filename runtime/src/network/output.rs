//! The way out of a task: the writers of all its edges.

use crate::iteration::OutputLoop;
use crate::network::EdgeWriter;
use crate::network::writer::Control;
use flinkrs_core::element::{Barrier, Superstep, Watermark};
use flinkrs_core::{Batch, Result, RuntimeContext};

/// The edges of one subtask: those of the main output and those of side outputs.
#[derive(Default)]
pub(crate) struct TaskOutput {
    pub(crate) main: Vec<EdgeWriter>,
    pub(crate) side: Vec<(u8, EdgeWriter)>,
    /// The loop that the task is in.
    pub(crate) looping: Option<OutputLoop>,
}

impl TaskOutput {
    pub(crate) fn open(&mut self, context: &RuntimeContext) -> Result<()> {
        self.writers().try_for_each(|writer| writer.open(context))
    }

    /// Sends a batch along every edge of the main output; the last one gets the records themselves, the others clones.
    pub(crate) fn push(&mut self, batch: &mut Batch) -> Result<()> {
        if let Some(looping) = &mut self.looping
            && looping.feed_back(batch)?
        {
            return Ok(());
        }
        let Some((last, others)) = self.main.split_last_mut() else {
            batch.clear();
            return Ok(());
        };
        for writer in others {
            writer.push(&mut batch.clone())?;
        }
        last.push(batch)
    }

    /// Sends a batch along the edges of side output `tag`.
    pub(crate) fn side(&mut self, tag: u8, batch: &mut Batch) -> Result<()> {
        for (_, writer) in self.side.iter_mut().filter(|(edge, _)| *edge == tag) {
            writer.push(&mut batch.clone())?;
        }
        batch.clear();
        Ok(())
    }

    pub(crate) fn watermark(&mut self, watermark: Watermark) -> Result<()> {
        self.control(&Control::Watermark(watermark))
    }

    pub(crate) fn barrier(&mut self, barrier: Barrier) -> Result<()> {
        self.control(&Control::Barrier(barrier))
    }

    pub(crate) fn superstep_end(&mut self, superstep: Superstep) -> Result<()> {
        if let Some(looping) = &mut self.looping
            && looping.superstep_end()?
        {
            return Ok(());
        }
        self.control(&Control::SuperstepEnd(superstep))
    }

    /// Nothing follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.control(&Control::End)
    }

    fn control(&mut self, control: &Control) -> Result<()> {
        self.writers().try_for_each(|writer| writer.control(control))
    }

    /// Sends everything that waits for company.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.writers().try_for_each(EdgeWriter::flush)
    }

    /// Tries to send what found no room; whether all is sent.
    pub(crate) fn drain(&mut self) -> Result<bool> {
        let mut empty = true;
        for writer in self.writers() {
            empty &= writer.drain()?;
        }
        Ok(empty)
    }

    /// Whether nothing waits for room.
    pub(crate) fn has_room(&self) -> bool {
        self.main.iter().all(EdgeWriter::has_room) && self.side.iter().all(|(_, writer)| writer.has_room())
    }

    fn writers(&mut self) -> impl Iterator<Item = &mut EdgeWriter> {
        self.main.iter_mut().chain(self.side.iter_mut().map(|(_, writer)| writer))
    }
}
