//! The inputs of a task: which queue to read next, and when an input has ended.

use crate::network::{Inbox, Taken};
use crate::task::block_until;
use flinkrs_core::element::Element;
use flinkrs_core::error::Error;
use flinkrs_core::function::CancelFlag;
use flinkrs_core::operator::Input;
use flinkrs_core::{Batch, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// One logical input: several edges feed it when it is a union.
pub(crate) struct GateInput {
    inboxes: Vec<Source>,
    /// The inbox to look at first, so that each gets its turn.
    turn: usize,
}

struct Source {
    inbox: Arc<Inbox>,
    taken: VecDeque<Element>,
    ended: bool,
}

/// What a gate has for its task.
pub(crate) enum Arrival {
    /// Records of an input, and the inbox to give the empty batch back to.
    Batch { input: usize, batch: Batch, inbox: Arc<Inbox> },
    /// An input has ended.
    End { input: usize },
    /// Nothing now.
    Empty,
    /// All inputs have ended.
    AllEnded,
}

/// All logical inputs of a task.
pub(crate) struct Gate {
    inputs: Vec<GateInput>,
    ended: Vec<bool>,
    turn: usize,
}

impl GateInput {
    pub(crate) fn new(inboxes: Vec<Arc<Inbox>>) -> GateInput {
        let source = |inbox| Source { inbox, taken: VecDeque::new(), ended: false };
        GateInput { inboxes: inboxes.into_iter().map(source).collect(), turn: 0 }
    }

    /// The next element of any of the edges; `None` inside when nothing is there now, an error when all have ended.
    fn next(&mut self) -> Result<Found> {
        let count = self.inboxes.len();
        let mut all_ended = true;
        for i in 0..count {
            let at = (self.turn + i) % count;
            let source = &mut self.inboxes[at];
            if source.ended {
                continue;
            }
            if source.taken.is_empty() {
                match source.inbox.take(&mut source.taken)? {
                    Taken::Some => {}
                    Taken::Empty => {
                        all_ended = false;
                        continue;
                    }
                    Taken::Ended => {
                        source.ended = true;
                        continue;
                    }
                }
            }
            all_ended = false;
            if let Some(element) = source.taken.pop_front() {
                // Stay with an inbox while it has something: its records are in the cache.
                self.turn = if source.taken.is_empty() { (at + 1) % count } else { at };
                return Ok(Found::Element(element, Arc::clone(&source.inbox)));
            }
        }
        Ok(if all_ended { Found::Ended } else { Found::Empty })
    }

    fn abandon(&self) {
        self.inboxes.iter().for_each(|source| source.inbox.abandon());
    }
}

enum Found {
    Element(Element, Arc<Inbox>),
    Empty,
    Ended,
}

impl Gate {
    pub(crate) fn new(inputs: Vec<GateInput>) -> Gate {
        Gate { ended: vec![false; inputs.len()], inputs, turn: 0 }
    }

    /// The next arrival; of the preferred input only, until that has ended.
    pub(crate) fn next(&mut self, preferred: Option<usize>) -> Result<Arrival> {
        if let Some(input) = preferred.filter(|input| !self.ended[*input]) {
            return self.next_of(input);
        }
        let count = self.inputs.len();
        for i in 0..count {
            let input = (self.turn + i) % count;
            if self.ended[input] {
                continue;
            }
            match self.next_of(input)? {
                Arrival::Empty => {}
                arrival => {
                    self.turn = input;
                    return Ok(arrival);
                }
            }
        }
        Ok(if self.ended.iter().all(|ended| *ended) { Arrival::AllEnded } else { Arrival::Empty })
    }

    fn next_of(&mut self, input: usize) -> Result<Arrival> {
        Ok(match self.inputs[input].next()? {
            Found::Element(Element::Batch(batch), inbox) => Arrival::Batch { input, batch, inbox },
            Found::Element(element, _) => {
                return Err(Error::internal(format!("{element:?} arrived in a batch job")));
            }
            Found::Empty => Arrival::Empty,
            Found::Ended => {
                self.ended[input] = true;
                Arrival::End { input }
            }
        })
    }

    /// Reads no further: what producers still send is dropped.
    pub(crate) fn abandon(&self) {
        self.inputs.iter().for_each(GateInput::abandon);
    }
}

/// A gate as a pulling operator reads it: waiting blocks the task.
pub(crate) struct PulledGate<'a> {
    pub(crate) gate: &'a mut Gate,
    pub(crate) cancelled: CancelFlag,
}

impl Input for PulledGate<'_> {
    fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            let mut arrival = Ok(Arrival::Empty);
            block_until(|| {
                arrival = self.cancelled.check().and_then(|()| self.gate.next(None));
                !matches!(arrival, Ok(Arrival::Empty))
            });
            match arrival? {
                Arrival::Batch { batch, .. } => return Ok(Some(batch)),
                Arrival::End { .. } | Arrival::Empty => {}
                Arrival::AllEnded => return Ok(None),
            }
        }
    }
}
