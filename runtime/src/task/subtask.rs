//! The life of a task: gather broadcast sets, open, read all input, let the operators finish, end.

use crate::control::TaskStatus;
use crate::task::gate::{Arrival, PulledGate};
use crate::task::{BroadcastGather, Chain, Gate, Runnable, Verdict, guard};
use flinkrs_core::error::Error;
use flinkrs_core::function::CancelFlag;
use flinkrs_core::{Progress, Result};
use std::sync::Arc;
use std::time::Instant;

/// Batches that a task takes, or steps that it makes, before others get their turn: about a millisecond of work.
const BATCHES_PER_RUN: usize = 16;

/// Told once when a task has ended, with its error if it failed.
pub(crate) trait TaskEnd: Send {
    fn ended(&self, result: Result<()>);
}

enum Phase {
    Broadcast,
    Reading,
    /// This operator has no input any more and may still emit.
    Finishing(usize),
    Ended,
}

/// One subtask of a vertex.
pub(crate) struct Task {
    pub(crate) chain: Chain,
    pub(crate) gate: Gate,
    pub(crate) broadcast: Vec<BroadcastGather>,
    pub(crate) cancelled: CancelFlag,
    pub(crate) status: Arc<TaskStatus>,
    pub(crate) end: Box<dyn TaskEnd>,
    phase: Phase,
}

impl Task {
    pub(crate) fn new(
        chain: Chain,
        gate: Gate,
        broadcast: Vec<BroadcastGather>,
        cancelled: CancelFlag,
        status: Arc<TaskStatus>,
        end: Box<dyn TaskEnd>,
    ) -> Task {
        Task { chain, gate, broadcast, cancelled, status, end, phase: Phase::Broadcast }
    }

    fn step(&mut self) -> Result<Verdict> {
        self.cancelled.check()?;
        if !self.chain.output.drain()? {
            return Ok(Verdict::Wait);
        }
        match self.phase {
            Phase::Broadcast => self.gather_broadcast_sets(),
            Phase::Reading => self.read(),
            Phase::Finishing(link) => self.finish(link),
            Phase::Ended => Ok(Verdict::Done),
        }
    }

    fn gather_broadcast_sets(&mut self) -> Result<Verdict> {
        while let Some(set) = self.broadcast.last_mut() {
            let Some(value) = set.poll()? else { return Ok(Verdict::Wait) };
            self.chain.links[set.link].context.broadcast_sets.insert(set.name.clone(), value);
            self.broadcast.pop();
        }
        self.chain.open()?;
        self.phase = if self.chain.links[0].context.splits.is_some() { Phase::Finishing(0) } else { Phase::Reading };
        Ok(Verdict::Again)
    }

    fn read(&mut self) -> Result<Verdict> {
        if self.chain.links[0].operator.as_pull().is_some() {
            return self.pull();
        }
        for _ in 0..BATCHES_PER_RUN {
            let preferred = self.chain.links[0].operator.preferred_input();
            match self.gate.next(preferred)? {
                Arrival::Batch { input, mut batch, inbox } => {
                    self.chain.process(input, &mut batch)?;
                    batch.clear();
                    inbox.recycle(batch);
                }
                Arrival::End { input } => self.chain.end_input(0, input)?,
                Arrival::Empty => {
                    self.chain.output.flush()?;
                    return Ok(Verdict::Wait);
                }
                Arrival::AllEnded => {
                    self.phase = Phase::Finishing(0);
                    return Ok(Verdict::Again);
                }
            }
            if !self.chain.output.has_room() {
                // The channel that was full has this task on its list.
                return Ok(if self.chain.output.drain()? { Verdict::Again } else { Verdict::Wait });
            }
        }
        Ok(Verdict::Again)
    }

    fn pull(&mut self) -> Result<Verdict> {
        let (gate, cancelled) = (&mut self.gate, self.cancelled.clone());
        self.chain.call(0, |operator, _, out| match operator.as_pull() {
            Some(pull) => pull.run(&mut PulledGate { gate, cancelled }, out),
            None => Err(Error::internal("an operator stopped pulling")),
        })?;
        self.gate.abandon();
        self.phase = Phase::Finishing(0);
        Ok(Verdict::Again)
    }

    fn finish(&mut self, link: usize) -> Result<Verdict> {
        for _ in 0..BATCHES_PER_RUN {
            if self.chain.advance(link)? == Progress::Done {
                return self.next_link(link);
            }
            if !self.chain.output.has_room() {
                return Ok(if self.chain.output.drain()? { Verdict::Again } else { Verdict::Wait });
            }
        }
        Ok(Verdict::Again)
    }

    fn next_link(&mut self, link: usize) -> Result<Verdict> {
        if link + 1 < self.chain.links.len() {
            self.chain.end_input(link + 1, 0)?;
            self.phase = Phase::Finishing(link + 1);
        } else {
            self.chain.close()?;
            self.chain.output.end()?;
            self.phase = Phase::Ended;
            if !self.chain.output.drain()? {
                return Ok(Verdict::Wait);
            }
            return Ok(Verdict::Done);
        }
        Ok(Verdict::Again)
    }

    fn fail(&mut self, error: Error) {
        let at = guard::failed_operator().min(self.chain.links.len() - 1);
        let context = &self.chain.links[at].context;
        let error = error.in_operator(&context.name, context.subtask);
        // The first error counts; closing is for releasing what the operators hold.
        let _ = guard::catch(|| self.chain.close());
        self.gate.abandon();
        self.broadcast.iter().for_each(BroadcastGather::abandon);
        self.end.ended(Err(error));
    }
}

impl Runnable for Task {
    fn run(&mut self) -> Verdict {
        let start = Instant::now();
        let verdict = match guard::catch(|| self.step()) {
            Ok(Verdict::Done) => {
                self.end.ended(Ok(()));
                Verdict::Done
            }
            Ok(verdict) => verdict,
            Err(error) => {
                self.fail(error);
                Verdict::Done
            }
        };
        self.status.ran(start.elapsed(), verdict == Verdict::Done);
        verdict
    }
}
