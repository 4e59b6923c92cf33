//! The loops of a plan: which operators run in every superstep, and what is wrong with a loop.

use crate::operator::{OperatorKind, PlanOperator};
use crate::plan_graph::Plan;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;

/// One loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The operator that closes it.
    pub close: OperatorId,
    /// Where its supersteps begin.
    pub head: OperatorId,
    /// The solution set of a delta iteration.
    pub solution: Option<OperatorId>,
    /// Supersteps at most.
    pub max_supersteps: u32,
}

/// All loops that the sinks need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loops {
    /// In the order in which they are closed.
    pub list: Vec<Loop>,
    /// By operator: the position in `list` of the loop in whose supersteps it runs, its *dynamic path*.
    pub of: Vec<Option<usize>>,
}

impl Loops {
    /// Finds the loops of a plan; an error names the operator.
    pub fn of(plan: &Plan) -> Result<Loops> {
        let mut loops = Loops { list: Vec::new(), of: vec![None; plan.operators.len()] };
        let reachable = plan.reachable();
        for id in &reachable {
            loops.list.extend(closed_by(plan.operator(*id))?);
        }
        for id in &reachable {
            loops.place(plan.operator(*id))?;
        }
        for sink in &plan.sinks {
            if let Some(at) = loops.of[sink.0 as usize] {
                return Err(leaves(plan, plan.operator(*sink), &loops.list[at]));
            }
        }
        loops.check_solution_sets(plan, &reachable)?;
        Ok(loops)
    }

    /// The loop of an operator.
    pub fn get(&self, id: OperatorId) -> Option<&Loop> {
        self.of[id.0 as usize].map(|at| &self.list[at])
    }

    /// The loop that an operator closes.
    pub fn closed_by(&self, id: OperatorId) -> Option<&Loop> {
        self.list.iter().find(|found| found.close == id)
    }

    /// Whether the operator runs in every superstep and so does its input: not if the input is the same in all.
    pub fn feeds_anew(&self, input: OperatorId, operator: OperatorId) -> bool {
        let (from, to) = (self.of[input.0 as usize], self.of[operator.0 as usize]);
        from.is_some() && from == to && self.closed_by(input).is_none()
    }

    /// Finds the loop that an operator runs in from those of its inputs, which have been placed.
    fn place(&mut self, op: &PlanOperator) -> Result<()> {
        if matches!(op.kind, OperatorKind::LoopInput) {
            let Some(at) = self.list.iter().position(|found| found.head == op.id) else {
                return Err(Error::plan(format!(
                    "the loop that begins with operator '{}' is used outside of itself or never closed; call \
                     close_with, and use its result",
                    op.name
                )));
            };
            if op.inputs.iter().any(|input| self.inside(*input).is_some()) {
                return Err(Error::plan(format!(
                    "operator '{}' begins a loop inside of a loop, which isn't possible; make one loop of the two, or \
                     run the inner one in a program of its own",
                    op.name
                )));
            }
            self.of[op.id.0 as usize] = Some(at);
            return Ok(());
        }
        let sets = op.broadcast_inputs.iter().map(|(_, set)| set);
        let mut found = None;
        for at in op.inputs.iter().chain(sets).filter_map(|input| self.inside(*input)) {
            if found.is_some_and(|other| other != at) {
                return Err(Error::plan(format!("operator '{}' combines data of two loops that both run", op.name)));
            }
            found = Some(at);
        }
        if let Some(closed) = self.list.iter().position(|closed| closed.close == op.id) {
            let result = op.inputs.iter().map(|input| self.inside(*input));
            if result.into_iter().any(|at| at != Some(closed)) {
                return Err(Error::plan(format!(
                    "the result of the step of iteration '{}' doesn't depend on what the step begins with",
                    op.name
                )));
            }
        }
        self.of[op.id.0 as usize] = found;
        Ok(())
    }

    /// The loop on whose dynamic path the output of an operator is.
    fn inside(&self, input: OperatorId) -> Option<usize> {
        self.of[input.0 as usize].filter(|_| self.closed_by(input).is_none())
    }

    /// A solution set can be looked up, and nothing else.
    fn check_solution_sets(&self, plan: &Plan, reachable: &[OperatorId]) -> Result<()> {
        for op in reachable.iter().map(|id| plan.operator(*id)) {
            let sets = op.broadcast_inputs.iter().map(|(_, set)| (usize::MAX, *set));
            for (position, input) in op.inputs.iter().copied().enumerate().chain(sets) {
                let OperatorKind::SolutionSet { key } = &plan.operator(input).kind else { continue };
                let by = match &op.kind {
                    OperatorKind::Join { first_key, second_key, .. }
                    | OperatorKind::CoGroup { first_key, second_key, .. } => {
                        [first_key, second_key].get(position).copied()
                    }
                    OperatorKind::LoopInput => Some(key),
                    _ => None,
                };
                let inside = self.list.iter().position(|found| found.solution == Some(input));
                if by != Some(key) || inside.is_none() || self.of[op.id.0 as usize] != inside {
                    return Err(Error::plan(format!(
                        "operator '{}' uses a solution set in another way than by a join or coGroup on the key of the \
                         iteration, with data of its loop",
                        op.name
                    )));
                }
            }
        }
        Ok(())
    }
}

fn closed_by(op: &PlanOperator) -> Result<Option<Loop>> {
    let (head, solution, max_supersteps) = match op.kind {
        OperatorKind::BulkIteration { head, max_supersteps } => (head, None, max_supersteps),
        OperatorKind::DeltaIteration { head, solution, max_supersteps, .. } => (head, Some(solution), max_supersteps),
        _ => return Ok(None),
    };
    if max_supersteps == 0 {
        return Err(Error::plan(format!("iteration '{}' has 0 supersteps; it has to have at least 1", op.name)));
    }
    Ok(Some(Loop { close: op.id, head, solution, max_supersteps }))
}

fn leaves(plan: &Plan, sink: &PlanOperator, found: &Loop) -> Error {
    Error::plan(format!(
        "sink '{}' writes data of the inside of iteration '{}'; only the iteration's result can be used outside of it",
        sink.name,
        plan.operator(found.close).name
    ))
}
