//! The barrier between supersteps: counters come in, a decision goes out.

use crate::iteration::LoopSnapshots;
use crate::iteration::history::History;
use crate::snapshot::{LoopStore, Manifest, SubtaskState};
use crate::task::TaskCell;
use flinkrs_core::function::{AccumulatorValue, Aggregates, Convergence, IterationContext};
use flinkrs_core::{Error, Result};
use flinkrs_memory::BatchSpillBuffer;
use flinkrs_protocol::LoopEnd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One superstep of a loop, over; of a loop of very many, a few in a row with the largest figure of each kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuperstepReport {
    /// Its number, counted from 1; of several, the last one's.
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
    /// The superstep of the snapshot that it went on from, or 0.
    pub resumed_after: u32,
    /// Those that are over, in order, without those of earlier runs; of very many, several as one.
    pub supersteps: Vec<SuperstepReport>,
    /// How long all of them took.
    pub duration: Duration,
    /// Whether something else than the greatest number of supersteps has ended it.
    pub converged: bool,
    /// Snapshots that are complete.
    pub snapshots: u32,
    /// Snapshots that were due while another was being written, and so were left out.
    pub skipped_snapshots: u32,
}

impl LoopReport {
    /// The supersteps that are over, those of earlier runs among them.
    pub fn superstep(&self) -> u32 {
        self.supersteps.last().map_or(self.resumed_after, |last| last.superstep)
    }

    /// How many supersteps this run has had.
    pub fn count(&self) -> u32 {
        self.superstep() - self.resumed_after
    }
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
    /// The superstep of the snapshot that the loop goes on from, or 0.
    resumed_after: u32,
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
    history: History,
    snapshots: Option<LoopSnapshots>,
}

impl LoopControl {
    pub(crate) fn new(
        name: String,
        rule: LoopRule,
        parallelism: usize,
        snapshots: Option<LoopSnapshots>,
    ) -> Arc<LoopControl> {
        let from = snapshots.as_ref().and_then(|snapshots| snapshots.from.as_ref());
        let resumed_after = from.map_or(0, |from| from.superstep);
        let state = State {
            superstep: resumed_after + 1,
            arrived: 0,
            feedback: (0..parallelism).map(|_| None).collect(),
            heads: Vec::new(),
            outcome: Outcome::default(),
            aggregates: Aggregates::new(),
            previous: Arc::new(from.map(Manifest::aggregates).unwrap_or_default()),
            over: false,
            converged: false,
            begun: Instant::now(),
            history: History::default(),
            snapshots,
        };
        Arc::new(LoopControl { name, rule, resumed_after, state: Mutex::new(state) })
    }

    /// The superstep that the loop begins with: 1, or the one after its snapshot.
    pub(crate) fn first_superstep(&self) -> u32 {
        self.resumed_after + 1
    }

    /// The snapshot that the loop goes on from, and where it lies.
    pub(crate) fn resumed_from(&self) -> Option<(Arc<LoopStore>, Manifest)> {
        let state = self.lock();
        let snapshots = state.snapshots.as_ref()?;
        Some((Arc::clone(&snapshots.store), snapshots.from.clone()?))
    }

    /// Where a subtask of the tail, which has ended the superstep that runs, is to write its state, if it is to.
    pub(crate) fn snapshot_due(&self) -> Option<Arc<LoopStore>> {
        let mut state = self.lock();
        let superstep = state.superstep;
        state.snapshots.as_mut()?.due(superstep)
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

    /// A subtask of the tail has ended a superstep, feeds `feedback` back, and has written `files` if that was due; the
    /// last one decides what follows.
    pub(crate) fn arrive(&self, subtask: usize, feedback: BatchSpillBuffer, files: Option<SubtaskState>) {
        let mut state = self.lock();
        if let (Some(snapshots), Some(files)) = (&mut state.snapshots, files) {
            snapshots.add(subtask, files);
        }
        state.outcome.workset += feedback.records();
        state.feedback[subtask] = Some(feedback);
        state.arrived += 1;
        if state.arrived < state.feedback.len() {
            return;
        }
        let superstep = state.superstep;
        let (outcome, aggregates) = (std::mem::take(&mut state.outcome), std::mem::take(&mut state.aggregates));
        // The criterion is the program's code: while it runs, whoever asks how far the loop is isn't kept waiting.
        drop(state);
        let decision = self.rule.decide(superstep, &outcome, &aggregates);
        let mut state = self.lock();
        state.end_superstep(decision, &outcome, aggregates);
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
        let (snapshots, skipped_snapshots) = state.snapshots.as_ref().map_or((0, 0), LoopSnapshots::counts);
        LoopReport {
            name: self.name.clone(),
            max_supersteps: self.rule.max_supersteps,
            resumed_after: self.resumed_after,
            supersteps: state.history.reports().to_vec(),
            duration: state.history.duration(),
            converged: state.converged,
            snapshots,
            skipped_snapshots,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_superstep(&mut self, decision: Decision, outcome: &Outcome, aggregates: Aggregates) {
        let now = Instant::now();
        self.history.add(SuperstepReport {
            superstep: self.superstep,
            duration: now - self.begun,
            workset: outcome.workset,
            updates: outcome.updates,
        });
        self.begun = now;
        self.arrived = 0;
        self.previous = Arc::new(aggregates);
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.superstep_ended(self.superstep, &self.previous, decision == Decision::Continue);
        }
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
