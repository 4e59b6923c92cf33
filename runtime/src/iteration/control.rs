//! The barrier between supersteps: counters come in, a decision goes out.

use crate::task::TaskCell;
use flinkrs_core::function::{AccumulatorValue, Aggregates, Convergence, IterationContext};
use flinkrs_core::{Error, Result};
use flinkrs_memory::BatchSpillBuffer;
use flinkrs_protocol::LoopEnd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One superstep of a loop, over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuperstepReport {
    /// Its number, counted from 1.
    pub superstep: u32,
    /// How long it took.
    pub duration: Duration,
    /// Records fed back: the next partial solution or workset.
    pub workset: u64,
    /// Records of the solution set that were added or changed.
    pub updates: u64,
}

/// A loop, while it runs or afterwards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoopReport {
    /// The name of the operator that closes it.
    pub name: String,
    /// Supersteps at most.
    pub max_supersteps: u32,
    /// Those that are over, in order.
    pub supersteps: Vec<SuperstepReport>,
    /// Whether something else than the greatest number of supersteps has ended it.
    pub converged: bool,
}

/// When a loop ends.
pub(crate) struct LoopRule {
    pub(crate) max_supersteps: u32,
    pub(crate) end: LoopEnd,
    pub(crate) convergence: Option<Arc<Convergence>>,
}

/// What a superstep came to.
#[derive(Clone, Debug, Default, PartialEq)]
struct Outcome {
    workset: u64,
    updates: u64,
    termination: u64,
}

/// What follows a superstep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Continue,
    /// The criterion is met.
    Converged,
    /// There were as many supersteps as there may be.
    Exhausted,
}

impl LoopRule {
    fn decide(&self, superstep: u32, outcome: &Outcome, aggregates: &Aggregates) -> Decision {
        let empty = match self.end {
            LoopEnd::Supersteps => false,
            LoopEnd::EmptyTermination => outcome.termination == 0,
            LoopEnd::EmptyWorkset => outcome.workset == 0,
        };
        if empty || self.convergence.as_ref().is_some_and(|converged| converged(superstep, aggregates)) {
            Decision::Converged
        } else if superstep >= self.max_supersteps {
            Decision::Exhausted
        } else {
            Decision::Continue
        }
    }
}

/// What the head finds when it asks for the next superstep.
pub(crate) enum Next {
    /// The superstep isn't over; the head is woken.
    Pending,
    /// Another one: what was fed back.
    Superstep(Box<BatchSpillBuffer>),
    /// The loop is over.
    Over,
}

/// What the tasks of one loop share.
pub(crate) struct LoopControl {
    name: String,
    rule: LoopRule,
    state: Mutex<State>,
}

struct State {
    /// The superstep that runs.
    superstep: u32,
    /// Subtasks of the tail that have ended it.
    arrived: usize,
    /// By subtask of the tail: what it has fed back.
    feedback: Vec<Option<BatchSpillBuffer>>,
    heads: Vec<Arc<TaskCell>>,
    outcome: Outcome,
    aggregates: Aggregates,
    previous: Arc<Aggregates>,
    over: bool,
    converged: bool,
    begun: Instant,
    reports: Vec<SuperstepReport>,
}

impl LoopControl {
    pub(crate) fn new(name: String, rule: LoopRule, parallelism: usize) -> Arc<LoopControl> {
        let state = State {
            superstep: 1,
            arrived: 0,
            feedback: (0..parallelism).map(|_| None).collect(),
            heads: Vec::new(),
            outcome: Outcome::default(),
            aggregates: Aggregates::new(),
            previous: Arc::default(),
            over: false,
            converged: false,
            begun: Instant::now(),
            reports: Vec::new(),
        };
        Arc::new(LoopControl { name, rule, state: Mutex::new(state) })
    }

    /// Says whom to wake when a superstep begins; before anything runs.
    pub(crate) fn add_head(&self, head: Arc<TaskCell>) {
        self.lock().heads.push(head);
    }

    /// The aggregates of the superstep before the one that runs.
    pub(crate) fn previous(&self) -> Arc<Aggregates> {
        Arc::clone(&self.lock().previous)
    }

    /// Takes what a task of the loop has aggregated and counted in a superstep.
    pub(crate) fn merge(&self, context: &IterationContext) -> Result<()> {
        let counts = context.counts();
        let (termination, updates) =
            (counts.termination.swap(0, Ordering::Relaxed), counts.updates.swap(0, Ordering::Relaxed));
        let aggregates = context.aggregators().take();
        if aggregates.is_empty() && termination == 0 && updates == 0 {
            return Ok(());
        }
        let mut state = self.lock();
        state.outcome.termination += termination;
        state.outcome.updates += updates;
        for (name, value) in aggregates {
            add(&mut state.aggregates, name, value)?;
        }
        Ok(())
    }

    /// A subtask of the tail has ended a superstep and feeds `feedback` back; the last one decides what follows.
    pub(crate) fn arrive(&self, subtask: usize, feedback: BatchSpillBuffer) {
        let mut state = self.lock();
        state.outcome.workset += feedback.records();
        state.feedback[subtask] = Some(feedback);
        state.arrived += 1;
        if state.arrived < state.feedback.len() {
            return;
        }
        let decision = self.rule.decide(state.superstep, &state.outcome, &state.aggregates);
        state.end_superstep(decision);
        let heads = state.heads.clone();
        drop(state);
        heads.iter().for_each(TaskCell::wake);
    }

    /// What follows superstep `ended`, for a subtask of the head.
    pub(crate) fn next(&self, ended: u32, subtask: usize) -> Next {
        let mut state = self.lock();
        if state.over {
            return Next::Over;
        }
        if state.superstep == ended {
            return Next::Pending;
        }
        state.feedback[subtask].take().map_or(Next::Pending, |fed_back| Next::Superstep(Box::new(fed_back)))
    }

    /// What a subtask of the tail has fed back last: the result of a bulk iteration that is over.
    pub(crate) fn take_result(&self, subtask: usize) -> Option<BatchSpillBuffer> {
        self.lock().feedback[subtask].take()
    }

    /// How far the loop is.
    pub(crate) fn report(&self) -> LoopReport {
        let state = self.lock();
        LoopReport {
            name: self.name.clone(),
            max_supersteps: self.rule.max_supersteps,
            supersteps: state.reports.clone(),
            converged: state.converged,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_superstep(&mut self, decision: Decision) {
        let now = Instant::now();
        let outcome = std::mem::take(&mut self.outcome);
        self.reports.push(SuperstepReport {
            superstep: self.superstep,
            duration: now - self.begun,
            workset: outcome.workset,
            updates: outcome.updates,
        });
        self.begun = now;
        self.arrived = 0;
        self.previous = Arc::new(std::mem::take(&mut self.aggregates));
        match decision {
            Decision::Continue => self.superstep += 1,
            Decision::Converged => (self.over, self.converged) = (true, true),
            Decision::Exhausted => self.over = true,
        }
    }
}

fn add(aggregates: &mut Aggregates, name: String, value: AccumulatorValue) -> Result<()> {
    let Some(sum) = aggregates.get_mut(&name) else {
        aggregates.insert(name, value);
        return Ok(());
    };
    if sum.merge(&value) {
        Ok(())
    } else {
        Err(Error::function(format!("aggregator '{name}' is of two kinds in one loop")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(end: LoopEnd, max_supersteps: u32) -> LoopRule {
        let convergence: Arc<Convergence> =
            Arc::new(|_, aggregates| aggregates.get("delta") == Some(&AccumulatorValue::Double(0.0)));
        LoopRule { max_supersteps, end, convergence: Some(convergence) }
    }

    #[test]
    fn a_loop_ends_when_its_rule_says_so() {
        let (none, some) = (Outcome::default(), Outcome { workset: 1, updates: 1, termination: 1 });
        let still = Aggregates::from([("delta".to_owned(), AccumulatorValue::Double(0.0))]);
        let moves = Aggregates::from([("delta".to_owned(), AccumulatorValue::Double(0.1))]);
        let decide = |end, superstep, outcome, aggregates| rule(end, 5).decide(superstep, outcome, aggregates);
        assert_eq!(decide(LoopEnd::Supersteps, 4, &none, &moves), Decision::Continue);
        assert_eq!(decide(LoopEnd::Supersteps, 5, &some, &moves), Decision::Exhausted);
        assert_eq!(decide(LoopEnd::Supersteps, 5, &some, &still), Decision::Converged);
        assert_eq!(decide(LoopEnd::EmptyWorkset, 1, &none, &moves), Decision::Converged);
        assert_eq!(decide(LoopEnd::EmptyWorkset, 1, &some, &moves), Decision::Continue);
        assert_eq!(decide(LoopEnd::EmptyTermination, 1, &none, &moves), Decision::Converged);
        assert_eq!(decide(LoopEnd::EmptyTermination, 1, &some, &Aggregates::new()), Decision::Continue);
    }
}
