//! What every stage of the optimizer looks up: the plan, its options, sizes and parallelisms.

use crate::iteration;
use crate::options::{self, OptimizerOptions};
use crate::stats::{self, Size};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DEFAULT_SLOT_SHARING_GROUP, JoinType};
use flinkrs_plan::{JoinHint, Loops, OperatorKind, Plan, PlanOperator};
use std::sync::Arc;

/// A checked plan with everything that is known before a choice is made.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) plan: Plan,
    pub(crate) options: OptimizerOptions,
    /// The operators that the sinks need, in the order in which the program built them.
    pub(crate) reachable: Vec<OperatorId>,
    /// The same, depth first from the sinks: an operator follows its inputs as closely as possible.
    pub(crate) depth_first: Vec<OperatorId>,
    /// Per operator of the plan: the size of its output.
    pub(crate) sizes: Vec<Size>,
    /// Per operator of the plan: how many of the reachable operators' inputs and broadcast sets it feeds.
    pub(crate) consumers: Vec<u32>,
    /// The loops of the plan.
    pub(crate) loops: Loops,
    parallelism: Vec<u32>,
    groups: Vec<Arc<str>>,
}

impl Context {
    pub(crate) fn new(plan: &Plan, options: &OptimizerOptions) -> Result<Context> {
        plan.validate()?;
        validate(plan)?;
        options::validate(options, plan)?;
        iteration::validate(plan)?;
        let loops = Loops::of(plan)?;
        let reachable = plan.reachable();
        let parallelism: Vec<u32> = plan.operators.iter().map(|op| effective_parallelism(plan, &loops, op)).collect();
        let groups = groups(plan, &loops)?;
        let sizes = stats::estimate(plan, &reachable, &parallelism);
        let mut consumers = vec![0; plan.operators.len()];
        for &id in &reachable {
            for input in all_inputs(plan.operator(id)) {
                consumers[input.0 as usize] += 1;
            }
        }
        let depth_first = depth_first(plan);
        Ok(Context {
            plan: plan.clone(),
            options: options.clone(),
            reachable,
            depth_first,
            loops,
            sizes,
            consumers,
            parallelism,
            groups,
        })
    }

    pub(crate) fn operator(&self, id: OperatorId) -> &PlanOperator {
        self.plan.operator(id)
    }

    pub(crate) fn parallelism(&self, id: OperatorId) -> u32 {
        self.parallelism[id.0 as usize]
    }

    /// The slot sharing group of an operator.
    pub(crate) fn group(&self, id: OperatorId) -> Arc<str> {
        Arc::clone(&self.groups[id.0 as usize])
    }

    pub(crate) fn size(&self, id: OperatorId) -> &Size {
        &self.sizes[id.0 as usize]
    }

    /// The parallelism of the producer of an input.
    pub(crate) fn input_parallelism(&self, op: &PlanOperator, input: usize) -> u32 {
        self.parallelism(op.inputs[input])
    }

    /// Whether FORWARD can connect the producer of an input with the operator.
    pub(crate) fn equal_parallelism(&self, op: &PlanOperator, input: usize) -> bool {
        self.input_parallelism(op, input) == self.parallelism(op.id)
    }

    /// How often an operator is taken to run: more than once in a loop.
    pub(crate) fn supersteps(&self, id: OperatorId) -> f64 {
        self.loops.get(id).map_or(1.0, iteration::expected_supersteps)
    }

    /// How often an input of an operator is taken to come: more than once on the dynamic path of a loop.
    pub(crate) fn input_supersteps(&self, op: &PlanOperator, input: usize) -> f64 {
        if self.loops.feeds_anew(op.inputs[input], op.id) { self.supersteps(op.id) } else { 1.0 }
    }

    /// An operator's memory for one data structure, in bytes.
    pub(crate) fn memory(&self) -> f64 {
        (self.options.memory_bytes as f64).max(1.0)
    }
}

/// The inputs and then the broadcast sets of an operator.
pub(crate) fn all_inputs(op: &PlanOperator) -> impl Iterator<Item = OperatorId> + '_ {
    op.inputs.iter().copied().chain(op.broadcast_inputs.iter().map(|(_, id)| *id))
}

/// The plan's parallelism, except that a grouping without a key has one group and so one subtask.
///
/// What belongs to a loop's state runs where the loop is closed, subtask by subtask.
fn effective_parallelism(plan: &Plan, loops: &Loops, op: &PlanOperator) -> u32 {
    let state = |set: &OperatorId| loops.list.iter().find(|found| found.head == *set || found.solution == Some(*set));
    let of_loop = match &op.kind {
        OperatorKind::LoopInput | OperatorKind::SolutionSet { .. } => state(&op.id),
        OperatorKind::Join { .. } | OperatorKind::CoGroup { .. } => op
            .inputs
            .iter()
            .filter(|input| matches!(plan.operator(**input).kind, OperatorKind::SolutionSet { .. }))
            .find_map(state),
        _ => None,
    };
    if let Some(found) = of_loop {
        return plan.parallelism(found.close);
    }
    match &op.kind {
        OperatorKind::Reduce { key, .. } | OperatorKind::Distinct { key } | OperatorKind::GroupReduce { key, .. }
            if key.is_empty() =>
        {
            1
        }
        _ => plan.parallelism(op.id),
    }
}

/// The slot sharing group of each operator: its own, or that of its inputs if they are all in the same. All of a loop
/// is where the loop begins, with its solution set: it is looked up in the memory of the same slots.
fn groups(plan: &Plan, loops: &Loops) -> Result<Vec<Arc<str>>> {
    let default: Arc<str> = DEFAULT_SLOT_SHARING_GROUP.into();
    let mut groups: Vec<Arc<str>> = Vec::with_capacity(plan.operators.len());
    for op in &plan.operators {
        let of_loop = loops.get(op.id).filter(|found| found.head != op.id);
        let mut inputs = op.inputs.iter().map(|input| &groups[input.0 as usize]);
        let group = match (of_loop, &op.slot_sharing_group) {
            (Some(found), own) => {
                let group = &groups[found.head.0 as usize];
                if let Some(own) = own.as_ref().filter(|own| own.as_str() != group.as_ref()) {
                    return Err(Error::plan(format!(
                        "operator '{}' is in slot sharing group '{own}', and iteration '{}' that it is part of in \
                         '{group}'; set the group of what goes into the iteration",
                        op.name,
                        plan.operator(found.close).name
                    )));
                }
                Arc::clone(group)
            }
            (None, Some(own)) => own.as_str().into(),
            (None, None) => match inputs.next() {
                Some(first) if inputs.all(|other| other == first) => Arc::clone(first),
                _ => Arc::clone(&default),
            },
        };
        groups.push(group);
    }
    for found in &loops.list {
        if let Some(solution) = found.solution {
            groups[solution.0 as usize] = Arc::clone(&groups[found.head.0 as usize]);
        }
    }
    Ok(groups)
}

/// Post-order from the sinks, with a stack of its own: plans may be 10,000 operators deep.
fn depth_first(plan: &Plan) -> Vec<OperatorId> {
    let mut seen = vec![false; plan.operators.len()];
    let mut order = Vec::new();
    for &sink in &plan.sinks {
        let mut stack = vec![(sink, false)];
        while let Some((id, inputs_done)) = stack.pop() {
            if inputs_done {
                order.push(id);
            } else if !std::mem::replace(&mut seen[id.0 as usize], true) {
                stack.push((id, true));
                let inputs: Vec<OperatorId> = all_inputs(plan.operator(id)).collect();
                stack.extend(inputs.into_iter().rev().map(|input| (input, false)));
            }
        }
    }
    order
}

/// What [`Plan::validate`] leaves to the optimizer.
fn validate(plan: &Plan) -> Result<()> {
    if let Some(sink) = plan.sinks.iter().find(|sink| sink.0 as usize >= plan.operators.len()) {
        return Err(Error::plan(format!("sink {sink} isn't an operator of the plan")));
    }
    for op in &plan.operators {
        if op.broadcast_inputs.iter().any(|(_, input)| *input >= op.id) {
            return Err(Error::plan(format!("operator '{}' uses a broadcast set before it is built", op.name)));
        }
        if op.broadcast_inputs.len() > usize::from(crate::rules::range_partition::BOUNDS_INDEX) {
            return Err(Error::plan(format!(
                "operator '{}' has {} broadcast sets; at most {} are possible",
                op.name,
                op.broadcast_inputs.len(),
                crate::rules::range_partition::BOUNDS_INDEX
            )));
        }
        if let OperatorKind::Join { join_type, hint, first_key, second_key } = &op.kind {
            if first_key.is_empty() || second_key.is_empty() {
                return Err(Error::plan(format!("operator '{}' joins without a key; use a cross instead", op.name)));
            }
            check_hint(op, *join_type, *hint)?;
        }
    }
    Ok(())
}

fn check_hint(op: &PlanOperator, join_type: JoinType, hint: JoinHint) -> Result<()> {
    let (possible, side) = match hint {
        JoinHint::BroadcastHashFirst => (may_broadcast_first(join_type), "first"),
        JoinHint::BroadcastHashSecond => (may_broadcast_second(join_type), "second"),
        _ => (true, ""),
    };
    if possible {
        return Ok(());
    }
    Err(Error::plan(format!(
        "operator '{}' is hinted to broadcast its {side} input, but a {} keeps records of that input: \
         each subtask would emit them again; hint another strategy or none",
        op.name,
        op.kind.pact()
    )))
}

/// Whether every subtask may hold all of input 0: not if the join emits records of it by themselves.
pub(crate) fn may_broadcast_first(join_type: JoinType) -> bool {
    matches!(join_type, JoinType::Inner | JoinType::RightOuter)
}

/// Whether every subtask may hold all of input 1.
pub(crate) fn may_broadcast_second(join_type: JoinType) -> bool {
    !matches!(join_type, JoinType::RightOuter | JoinType::FullOuter)
}
