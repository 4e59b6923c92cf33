//! The life of a task: gather broadcast sets, open, read all input, let the operators finish, end; in a loop again
//! and again.

use crate::control::TaskStatus;
use crate::iteration::{LoopResult, Next, TaskLoop};
use crate::task::broadcast::Gathered;
use crate::task::gate::{Arrival, PulledGate};
use crate::task::{BroadcastGather, Chain, Gate, Runnable, Verdict, guard};
use flinkrs_core::element::Superstep;
use flinkrs_core::error::Error;
use flinkrs_core::function::CancelFlag;
use flinkrs_core::operator::Input;
use flinkrs_core::{Progress, Result};
use flinkrs_memory::BatchSpillBuffer;
use std::sync::Arc;
use std::time::Instant;

/// Batches that a task takes, or steps that it makes, before others get their turn: about a millisecond of work.
const BATCHES_PER_RUN: usize = 16;

/// Told once when a task has ended, with its error if it failed.
pub(crate) trait TaskEnd: Send {
    fn ended(&self, result: Result<()>);
}

enum Phase {
    /// Broadcast sets are gathered: before the operators open, and in a loop before each superstep.
    Broadcast,
    Reading,
    /// In the head of a loop: waits for what is fed back, and emits it.
    Feedback,
    /// This operator has no input any more and may still emit.
    Finishing(usize),
    /// In the tail of a bulk iteration that is over: emits what was fed back last.
    Result(Box<BatchSpillBuffer>),
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
    pub(crate) looping: Option<TaskLoop>,
    phase: Phase,
    opened: bool,
}

impl Task {
    pub(crate) fn new(
        chain: Chain,
        gate: Gate,
        broadcast: Vec<BroadcastGather>,
        looping: Option<TaskLoop>,
        cancelled: CancelFlag,
        status: Arc<TaskStatus>,
        end: Box<dyn TaskEnd>,
    ) -> Task {
        Task { chain, gate, broadcast, cancelled, status, end, looping, phase: Phase::Broadcast, opened: false }
    }

    fn step(&mut self) -> Result<Verdict> {
        self.cancelled.check()?;
        self.gate.absorb()?;
        self.broadcast.iter().try_for_each(BroadcastGather::absorb)?;
        if !self.chain.output.drain()? {
            return Ok(Verdict::Wait);
        }
        match self.phase {
            Phase::Broadcast => self.gather_broadcast_sets(),
            Phase::Reading => self.read(),
            Phase::Feedback => self.feed(),
            Phase::Finishing(link) => self.finish(link),
            Phase::Result(_) => self.emit_result(),
            Phase::Ended => Ok(Verdict::Done),
        }
    }

    fn gather_broadcast_sets(&mut self) -> Result<Verdict> {
        let superstep = self.looping.as_ref().map_or(1, |looping| looping.superstep);
        for set in self.broadcast.iter_mut().filter(|set| set.is_due(superstep)) {
            match set.poll(superstep)? {
                None => return Ok(Verdict::Wait),
                Some(Gathered::Set(value)) => {
                    self.chain.links[set.link].context.broadcast_sets.insert(set.name.clone(), value);
                }
                Some(Gathered::LoopOver) => return self.loop_over(),
            }
        }
        let is_source = self.chain.links[0].context.splits.is_some();
        if !self.opened {
            self.chain.open()?;
            self.opened = true;
        }
        self.phase = match &self.looping {
            _ if is_source => Phase::Finishing(0),
            Some(looping) if looping.is_head && !looping.reads_initial => Phase::Feedback,
            _ => Phase::Reading,
        };
        Ok(Verdict::Again)
    }

    fn read(&mut self) -> Result<Verdict> {
        if self.looping.as_ref().is_some_and(|looping| !looping.may_begin()) {
            return Ok(Verdict::Wait);
        }
        if self.chain.links[0].operator.as_pull().is_some() {
            return self.pull();
        }
        let restored = self.looping.as_ref().is_some_and(|looping| looping.restored.is_some());
        for _ in 0..BATCHES_PER_RUN {
            let preferred = match &self.looping {
                // A delta iteration's solution set, the last input, has to be complete first.
                Some(looping) if looping.is_head => Some(self.gate.last_input()),
                _ => self.chain.links[0].operator.preferred_input(),
            };
            let arrival = self.gate.next(preferred)?;
            self.begin_superstep_with(&arrival)?;
            match arrival {
                Arrival::Batch { input, mut batch, inbox } => {
                    if !restored {
                        self.chain.process(input, &mut batch)?;
                    }
                    batch.clear();
                    inbox.recycle(batch);
                }
                Arrival::End { input } => self.chain.end_input(0, input)?,
                Arrival::Empty => {
                    self.chain.output.flush()?;
                    return Ok(Verdict::Wait);
                }
                Arrival::AllEnded if self.looping.is_none() => {
                    self.phase = Phase::Finishing(0);
                    return Ok(Verdict::Again);
                }
                Arrival::AllEnded if restored => {
                    self.phase = Phase::Feedback;
                    return Ok(Verdict::Again);
                }
                // The head has read the loop's initial input.
                Arrival::AllEnded | Arrival::SuperstepEnd => return self.end_superstep(),
                Arrival::LoopOver => return self.loop_over(),
            }
            if !self.chain.output.has_room() {
                // The channel that was full has this task on its list.
                return Ok(if self.chain.output.drain()? { Verdict::Again } else { Verdict::Wait });
            }
        }
        Ok(Verdict::Again)
    }

    /// The first arrival of a superstep says that there is one.
    fn begin_superstep_with(&mut self, arrival: &Arrival) -> Result<()> {
        if let Some(looping) = &mut self.looping
            && !looping.begun
            && !matches!(arrival, Arrival::Empty | Arrival::LoopOver)
        {
            looping.begin_superstep();
            self.chain.begin_superstep()?;
        }
        Ok(())
    }

    fn end_superstep(&mut self) -> Result<Verdict> {
        let looping = self.looping.as_mut().ok_or_else(|| Error::internal("a superstep ended outside of a loop"))?;
        self.chain.end_superstep(Superstep(looping.superstep))?;
        looping.end_superstep();
        self.gate.begin_superstep();
        self.phase = Phase::Broadcast;
        Ok(Verdict::Again)
    }

    /// Emits what the tail has fed back.
    fn feed(&mut self) -> Result<Verdict> {
        let subtask = self.chain.links[0].context.subtask.index as usize;
        let looping = self.looping.as_mut().ok_or_else(|| Error::internal("a head without a loop"))?;
        if let Some(restored) = looping.restored.take() {
            looping.replay = Some(Box::new(restored.load()?));
        }
        if looping.replay.is_none() {
            match looping.control.next(looping.superstep - 1, subtask) {
                Next::Pending => return Ok(Verdict::Wait),
                Next::Over => return self.loop_over(),
                Next::Superstep(fed_back) => {
                    looping.replay = Some(fed_back);
                    looping.begin_superstep();
                    self.chain.begin_superstep()?;
                }
            }
        }
        for _ in 0..BATCHES_PER_RUN {
            let replay = self.looping.as_mut().and_then(|looping| looping.replay.as_mut());
            match replay.map_or(Ok(None), |replay| replay.pop())? {
                Some(mut batch) => self.chain.process(0, &mut batch)?,
                None => {
                    self.looping.iter_mut().for_each(|looping| looping.replay = None);
                    return self.end_superstep();
                }
            }
            if !self.chain.output.has_room() {
                return Ok(if self.chain.output.drain()? { Verdict::Again } else { Verdict::Wait });
            }
        }
        Ok(Verdict::Again)
    }

    /// No superstep follows: the tail emits the loop's result, and the others end.
    fn loop_over(&mut self) -> Result<Verdict> {
        self.gate.abandon();
        self.broadcast.iter().for_each(BroadcastGather::abandon);
        let last = self.chain.links.len() - 1;
        let Some(looping) = &mut self.chain.output.looping else {
            return Err(Error::internal("a loop ended that the task isn't in"));
        };
        match looping.over() {
            LoopResult::Elsewhere => return self.next_link(last),
            LoopResult::InOperator => self.phase = Phase::Finishing(last),
            LoopResult::FedBack(result) => self.phase = Phase::Result(result),
        }
        Ok(Verdict::Again)
    }

    fn emit_result(&mut self) -> Result<Verdict> {
        let Phase::Result(result) = &mut self.phase else { return Ok(Verdict::Again) };
        for _ in 0..BATCHES_PER_RUN {
            let Some(mut batch) = result.pop()? else {
                self.phase = Phase::Finishing(self.chain.links.len() - 1);
                return Ok(Verdict::Again);
            };
            self.chain.output.push(&mut batch)?;
            if !self.chain.output.has_room() {
                return Ok(if self.chain.output.drain()? { Verdict::Again } else { Verdict::Wait });
            }
        }
        Ok(Verdict::Again)
    }

    fn pull(&mut self) -> Result<Verdict> {
        let arrival = self.gate.next(None)?;
        self.begin_superstep_with(&arrival)?;
        match arrival {
            Arrival::Empty => return Ok(Verdict::Wait),
            Arrival::LoopOver => return self.loop_over(),
            _ => {}
        }
        let (gate, cancelled) = (&mut self.gate, self.cancelled.clone());
        let is_looping = self.looping.is_some();
        self.chain.call(0, |operator, _, out| {
            let mut input = PulledGate { gate, cancelled, first: Some(arrival), ended: false };
            match operator.as_pull() {
                Some(pull) => pull.run(&mut input, out)?,
                None => return Err(Error::internal("an operator stopped pulling")),
            }
            // A superstep has to be read to its end.
            while is_looping && input.next()?.is_some() {}
            Ok(())
        })?;
        if is_looping {
            return self.end_superstep();
        }
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
        self.status.runs(start);
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
        let waits_for_room = (verdict == Verdict::Wait).then(|| !self.chain.output.has_room());
        self.status.ran(start.elapsed(), waits_for_room, verdict == Verdict::Done);
        verdict
    }
}
