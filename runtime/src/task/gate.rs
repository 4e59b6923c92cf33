//! The inputs of a task: which queue to read next, and when an input has ended.

use crate::network::{Inbox, Taken};
use crate::task::block_until;
use flinkrs_core::element::Element;
use flinkrs_core::error::Error;
use flinkrs_core::function::CancelFlag;
use flinkrs_core::operator::Input;
use flinkrs_core::{Batch, Result};
use flinkrs_memory::BatchSpillBuffer;
use std::collections::VecDeque;
use std::sync::Arc;

/// What an edge brings to the supersteps of a loop.
pub(crate) enum Course {
    /// The consumer is in no loop, or keeps what comes: the edge is read once.
    Once,
    /// The edge comes from inside the loop: something else in each superstep.
    Anew,
    /// The same in each superstep, kept here; the flag says whether it has all come.
    Again(Box<BatchSpillBuffer>, bool),
}

/// One logical input: several edges feed it when it is a union.
pub(crate) struct GateInput {
    edges: Vec<Edge>,
    /// The edge to look at first, so that each gets its turn.
    turn: usize,
}

struct Edge {
    inbox: Arc<Inbox>,
    course: Course,
    taken: VecDeque<Element>,
    /// Nothing comes any more.
    ended: bool,
    /// Nothing comes any more in this superstep.
    paused: bool,
    /// Ends of this superstep that have come.
    superstep_ends: usize,
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
    /// All inputs have ended their superstep.
    SuperstepEnd,
    /// The loop is over: no superstep follows.
    LoopOver,
}

/// All logical inputs of a task.
pub(crate) struct Gate {
    inputs: Vec<GateInput>,
    states: Vec<InputState>,
    turn: usize,
}

/// How far a logical input has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InputState {
    Open,
    /// Its superstep is over.
    Paused,
    Ended,
}

impl Edge {
    fn new((inbox, course): (Arc<Inbox>, Course)) -> Edge {
        Edge { inbox, course, taken: VecDeque::new(), ended: false, paused: false, superstep_ends: 0 }
    }

    /// The next batch.
    fn next(&mut self) -> Result<Found> {
        if let Course::Again(kept, true) = &mut self.course {
            return Ok(match kept.next_kept()? {
                Some(batch) => Found::Batch(batch),
                None => Found::Paused,
            });
        }
        loop {
            if self.taken.is_empty() {
                match self.inbox.take(&mut self.taken)? {
                    Taken::Some => {}
                    Taken::Empty => return Ok(Found::Empty),
                    Taken::Ended => return self.end(),
                }
            }
            match self.taken.pop_front() {
                Some(Element::Batch(batch)) => {
                    if let Course::Again(kept, _) = &mut self.course {
                        kept.push(batch.clone())?;
                    }
                    return Ok(Found::Batch(batch));
                }
                Some(Element::SuperstepEnd(_)) => {
                    self.superstep_ends += 1;
                    if self.superstep_ends == self.inbox.producers() {
                        self.superstep_ends = 0;
                        return Ok(Found::Paused);
                    }
                }
                Some(element) => return Err(Error::internal(format!("{element:?} arrived in a batch job"))),
                None => {}
            }
        }
    }

    fn end(&mut self) -> Result<Found> {
        Ok(match &mut self.course {
            Course::Once => Found::Ended,
            Course::Anew => Found::LoopOver,
            Course::Again(kept, complete) => {
                kept.seal()?;
                *complete = true;
                Found::Paused
            }
        })
    }
}

impl GateInput {
    pub(crate) fn new(edges: Vec<(Arc<Inbox>, Course)>) -> GateInput {
        GateInput { edges: edges.into_iter().map(Edge::new).collect(), turn: 0 }
    }

    /// The next batch of any of the edges.
    fn next(&mut self) -> Result<(Found, usize)> {
        let count = self.edges.len();
        let mut waits = false;
        for i in 0..count {
            let at = (self.turn + i) % count;
            let edge = &mut self.edges[at];
            if edge.ended || edge.paused {
                continue;
            }
            match edge.next()? {
                Found::Empty => waits = true,
                Found::Ended => edge.ended = true,
                Found::Paused => edge.paused = true,
                found => {
                    // Stay with an edge while it has something: its records are in the cache.
                    self.turn = if edge.taken.is_empty() { (at + 1) % count } else { at };
                    return Ok((found, at));
                }
            }
        }
        let found = match self.edges.iter().any(|edge| edge.paused) {
            _ if waits => Found::Empty,
            true => Found::Paused,
            false => Found::Ended,
        };
        Ok((found, 0))
    }

    fn begin_superstep(&mut self) {
        self.edges.iter_mut().for_each(|edge| edge.paused = false);
    }

    fn abandon(&self) {
        self.edges.iter().for_each(|edge| edge.inbox.abandon());
    }
}

enum Found {
    Batch(Batch),
    Empty,
    Paused,
    Ended,
    LoopOver,
}

impl Gate {
    pub(crate) fn new(inputs: Vec<GateInput>) -> Gate {
        Gate { states: vec![InputState::Open; inputs.len()], inputs, turn: 0 }
    }

    /// The number of the last input.
    pub(crate) fn last_input(&self) -> usize {
        self.inputs.len() - 1
    }

    /// Takes in what waits in front of blocking inputs, whichever is read now.
    pub(crate) fn absorb(&self) -> Result<()> {
        self.inputs.iter().flat_map(|input| &input.edges).try_for_each(|edge| edge.inbox.absorb())
    }

    /// The next arrival; of the preferred input only, until that has ended, or has ended its superstep.
    pub(crate) fn next(&mut self, preferred: Option<usize>) -> Result<Arrival> {
        if let Some(input) = preferred.filter(|input| self.states[*input] == InputState::Open) {
            match self.next_of(input)? {
                None => {}
                Some(arrival) => return Ok(arrival),
            }
        }
        let count = self.inputs.len();
        let mut waits = false;
        for i in 0..count {
            let input = (self.turn + i) % count;
            if self.states[input] != InputState::Open {
                continue;
            }
            match self.next_of(input)? {
                None => {}
                Some(Arrival::Empty) => waits = true,
                Some(arrival) => {
                    self.turn = input;
                    return Ok(arrival);
                }
            }
        }
        Ok(match self.states.contains(&InputState::Paused) {
            _ if waits => Arrival::Empty,
            true => Arrival::SuperstepEnd,
            false => Arrival::AllEnded,
        })
    }

    /// The next arrival of an input; `None` when its superstep is over, of which nobody has to be told.
    fn next_of(&mut self, input: usize) -> Result<Option<Arrival>> {
        let (found, edge) = self.inputs[input].next()?;
        Ok(Some(match found {
            Found::Batch(batch) => {
                Arrival::Batch { input, batch, inbox: Arc::clone(&self.inputs[input].edges[edge].inbox) }
            }
            Found::Empty => Arrival::Empty,
            Found::Paused => {
                self.states[input] = InputState::Paused;
                return Ok(None);
            }
            Found::Ended => {
                self.states[input] = InputState::Ended;
                Arrival::End { input }
            }
            Found::LoopOver => Arrival::LoopOver,
        }))
    }

    /// The next superstep may begin.
    pub(crate) fn begin_superstep(&mut self) {
        self.inputs.iter_mut().for_each(GateInput::begin_superstep);
        for state in self.states.iter_mut().filter(|state| **state == InputState::Paused) {
            *state = InputState::Open;
        }
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
    /// What has arrived already.
    pub(crate) first: Option<Arrival>,
    /// Whether the end of the input, or of its superstep, has come.
    pub(crate) ended: bool,
}

impl Input for PulledGate<'_> {
    fn next(&mut self) -> Result<Option<Batch>> {
        while !self.ended {
            let mut arrival = Ok(self.first.take().unwrap_or(Arrival::Empty));
            block_until(|| {
                if matches!(arrival, Ok(Arrival::Empty)) {
                    arrival = self.cancelled.check().and_then(|()| self.gate.next(None));
                }
                !matches!(arrival, Ok(Arrival::Empty))
            });
            match arrival? {
                Arrival::Batch { batch, .. } => return Ok(Some(batch)),
                Arrival::End { .. } | Arrival::Empty => {}
                Arrival::AllEnded | Arrival::SuperstepEnd | Arrival::LoopOver => self.ended = true,
            }
        }
        Ok(None)
    }
}
