//! The barrier between supersteps: counters come in, a decision goes out.

use crate::iteration::LoopSnapshots;
use crate::iteration::history::History;
use crate::iteration::members::{Decided, Ended, LoopMessage, Members};
use crate::snapshot::{LoopStore, Manifest, SubtaskState};
use crate::task::{TaskCell, catch_inside, current_task};
use flinkrs_core::function::{AccumulatorValue, Aggregates, Convergence, IterationContext};
use flinkrs_core::{Error, Result};
use flinkrs_memory::BatchSpillBuffer;
use flinkrs_protocol::LoopEnd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One superstep of a loop, over; of a loop of very many, a few in a row with the largest figure of each kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    workset: u64,
    updates: u64,
    termination: u64,
}

impl Outcome {
    fn add(&mut self, other: Outcome) {
        self.workset += other.workset;
        self.updates += other.updates;
        self.termination += other.termination;
    }
}

/// What follows a superstep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Decision {
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
    /// The other processes that have tasks of the loop.
    members: Option<Members>,
    state: Mutex<State>,
}

struct State {
    /// The superstep that runs.
    superstep: u32,
    /// Subtasks of the tail in this process that have ended it.
    arrived: usize,
    /// Tasks of the loop in this process that have ended it; counted in a loop of several processes only.
    ended: usize,
    /// In the process that decides: the members that have ended it.
    members_ended: usize,
    /// By subtask of the tail in this process: what it has fed back.
    feedback: BTreeMap<u32, Option<BatchSpillBuffer>>,
    heads: Vec<Arc<TaskCell>>,
    /// Tasks that have heard of a superstep from another process before this one has.
    waiting: Vec<Arc<TaskCell>>,
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
        tails: Vec<u32>,
        snapshots: Option<LoopSnapshots>,
        members: Option<Members>,
    ) -> Result<Arc<LoopControl>> {
        let from = snapshots.as_ref().and_then(|snapshots| snapshots.from.as_ref());
        let resumed_after = from.map_or(0, |from| from.superstep);
        let state = State {
            superstep: resumed_after + 1,
            arrived: 0,
            ended: 0,
            members_ended: 0,
            feedback: tails.into_iter().map(|subtask| (subtask, None)).collect(),
            heads: Vec::new(),
            waiting: Vec::new(),
            outcome: Outcome::default(),
            aggregates: Aggregates::new(),
            previous: Arc::new(from.map(Manifest::aggregates).unwrap_or_default()),
            over: false,
            converged: false,
            begun: Instant::now(),
            history: History::default(),
            snapshots,
        };
        let control = Arc::new(LoopControl { name, rule, resumed_after, members, state: Mutex::new(state) });
        control.members.iter().try_for_each(|members| members.listen(&control))?;
        Ok(control)
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

    /// Whether this process decides about it.
    pub(crate) fn leads(&self) -> bool {
        self.members.as_ref().is_none_or(|members| members.leads)
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
        if aggregates.is_empty() && termination == 0 && updates == 0 && self.members.is_none() {
            return Ok(());
        }
        let mut state = self.lock();
        state.outcome.termination += termination;
        state.outcome.updates += updates;
        for (name, value) in aggregates {
            add(&mut state.aggregates, name, value)?;
        }
        state.ended += 1;
        match &self.members {
            Some(members) => self.member_ended(members, state),
            None => Ok(()),
        }
    }

    /// A subtask of the tail has ended a superstep, feeds `feedback` back, and has written `files` if that was due; the
    /// last one decides what follows.
    pub(crate) fn arrive(&self, subtask: usize, feedback: BatchSpillBuffer, files: Option<SubtaskState>) -> Result<()> {
        let mut state = self.lock();
        if let (Some(snapshots), Some(files)) = (&mut state.snapshots, files) {
            snapshots.add(subtask, files);
        }
        state.outcome.workset += feedback.records();
        state.feedback.insert(subtask as u32, Some(feedback));
        state.arrived += 1;
        match &self.members {
            Some(members) => self.member_ended(members, state),
            None if state.arrived < state.feedback.len() => Ok(()),
            None => self.decide(state).map(drop),
        }
    }

    /// A task of a loop of several processes has ended a superstep; the last one here tells the process that decides.
    fn member_ended(&self, members: &Members, mut state: MutexGuard<'_, State>) -> Result<()> {
        if state.ended < members.tasks || state.arrived < state.feedback.len() {
            return Ok(());
        }
        if members.leads {
            return self.all_ended(members, state);
        }
        let ended = Ended {
            outcome: std::mem::take(&mut state.outcome),
            aggregates: std::mem::take(&mut state.aggregates).into_iter().collect(),
            states: state.snapshots.as_mut().map(LoopSnapshots::take_states).unwrap_or_default(),
        };
        drop(state);
        members.tell_leader(ended)
    }

    /// A member, maybe this one, has ended a superstep; once all have, what follows is decided.
    fn all_ended(&self, members: &Members, mut state: MutexGuard<'_, State>) -> Result<()> {
        state.members_ended += 1;
        if state.members_ended < members.count {
            return Ok(());
        }
        let decided = self.decide(state)?;
        members.tell_members(&decided)
    }

    /// Ends the superstep.
    ///
    /// Errors when the criterion panics, on whatever thread the superstep ends.
    fn decide(&self, mut state: MutexGuard<'_, State>) -> Result<Decided> {
        let superstep = state.superstep;
        let (outcome, aggregates) = (std::mem::take(&mut state.outcome), std::mem::take(&mut state.aggregates));
        // The criterion is the program's code: while it runs, whoever asks how far the loop is isn't kept waiting.
        drop(state);
        let decision = catch_inside(|| Ok(self.rule.decide(superstep, &outcome, &aggregates)));
        let decision =
            decision.map_err(|error| Error::function(format!("criterion of loop '{}': {error}", self.name)))?;
        let told = self.members.as_ref().map(|_| aggregates.clone().into_iter().collect());
        let mut state = self.lock();
        state.end_superstep(decision, &outcome, aggregates);
        let next = state.superstep;
        let snapshot_next = match &mut state.snapshots {
            Some(snapshots) if self.members.is_some() && decision == Decision::Continue => {
                snapshots.due(next).is_some()
            }
            _ => false,
        };
        self.wake(state);
        Ok(Decided { decision, outcome, aggregates: told.unwrap_or_default(), snapshot_next })
    }

    /// Takes what another process of the loop says.
    pub(crate) fn receive(&self, message: LoopMessage) -> Result<()> {
        let members = self.members.as_ref().ok_or_else(|| Error::internal("a message for a loop of one process"))?;
        let mut state = self.lock();
        match message {
            LoopMessage::Ended(ended) => {
                state.outcome.add(ended.outcome);
                for (name, value) in ended.aggregates {
                    add(&mut state.aggregates, name, value)?;
                }
                if let Some(snapshots) = &mut state.snapshots {
                    ended.states.into_iter().for_each(|(subtask, files)| snapshots.add(subtask, files));
                }
                self.all_ended(members, state)
            }
            LoopMessage::Decided(decided) => {
                state.end_superstep(decided.decision, &decided.outcome, decided.aggregates.into_iter().collect());
                if let Some(snapshots) = &mut state.snapshots {
                    snapshots.set_due(decided.snapshot_next);
                }
                self.wake(state);
                Ok(())
            }
        }
    }

    /// Wakes whoever waits for the next superstep.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let heads = state.heads.clone();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        heads.iter().chain(&waiting).for_each(TaskCell::wake);
    }

    /// Whether this process knows what follows the superstep before `superstep`: records of another one may be faster
    /// than its word. If not, the current task is woken when it does.
    pub(crate) fn knows(&self, superstep: u32) -> bool {
        if self.members.is_none() {
            return true;
        }
        let mut state = self.lock();
        let knows = state.over || state.superstep >= superstep;
        if !knows {
            state.waiting.extend(current_task());
        }
        knows
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
        let fed_back = state.feedback.get_mut(&(subtask as u32)).and_then(Option::take);
        fed_back.map_or(Next::Pending, |fed_back| Next::Superstep(Box::new(fed_back)))
    }

    /// What a subtask of the tail has fed back last: the result of a bulk iteration that is over.
    pub(crate) fn take_result(&self, subtask: usize) -> Option<BatchSpillBuffer> {
        self.lock().feedback.get_mut(&(subtask as u32)).and_then(Option::take)
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
        (self.arrived, self.ended, self.members_ended) = (0, 0, 0);
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
