//! The optimized plan, and the ways to get one.

use crate::chain::{Chains, chain};
use crate::choice::{Choice, output};
use crate::context::Context;
use crate::cost::{Cost, operator_cost};
use crate::deadlock::{block_exchanges, break_pipelines};
use crate::enumerate::{Random, best_choices, random_choices};
use crate::explain;
use crate::iteration::decided_before;
use crate::jobgraph;
use crate::options::OptimizerOptions;
use crate::physical::{self, Physical};
use crate::properties::Properties;
use flinkrs_core::error::Result;
use flinkrs_core::id::OperatorId;
use flinkrs_plan::Plan;
use flinkrs_protocol::JobGraph;
use std::collections::HashSet;
use std::sync::Arc;

/// How often in a row [`enumerate_plans`] may find a plan it has before it takes the space for exhausted.
const REPETITIONS_MAX: usize = 256;

/// A plan with a choice made for everything that was left open.
#[derive(Clone, Debug)]
pub struct OptimizedPlan {
    pub(crate) context: Arc<Context>,
    /// By operator id; `None` for operators that no sink needs.
    pub(crate) choices: Vec<Option<Choice>>,
    /// By operator id: what the output is known to be.
    pub(crate) properties: Vec<Properties>,
    /// By operator id: what the operator costs by itself.
    pub(crate) costs: Vec<Cost>,
    pub(crate) physical: Physical,
    pub(crate) chains: Chains,
}

/// Finds the cheapest way to execute a plan.
///
/// A pure function: the same plan and options give the same result. Fails if the plan is invalid, a hint is
/// impossible, or a choice is forced that no valid plan has; the error names the operator.
pub fn optimize(plan: &Plan, options: &OptimizerOptions) -> Result<OptimizedPlan> {
    let context = Arc::new(Context::new(plan, options)?);
    let choices = best_choices(&context)?;
    Ok(OptimizedPlan::new(context, choices))
}

/// Up to `limit` different valid ways to execute a plan, the cheapest first, the others by a pseudo-random walk from
/// `seed` through all that the runtime can execute.
///
/// For tests: all of them give the same result. Fewer than `limit` are returned when there seem to be no more.
pub fn enumerate_plans(plan: &Plan, options: &OptimizerOptions, limit: usize, seed: u64) -> Result<Vec<OptimizedPlan>> {
    let context = Arc::new(Context::new(plan, options)?);
    let mut random = Random::new(seed);
    let mut seen: HashSet<Vec<Option<Choice>>> = HashSet::new();
    let mut plans = Vec::new();
    let mut next = best_choices(&context)?;
    let mut repetitions = 0;
    while plans.len() < limit && repetitions < REPETITIONS_MAX {
        if seen.insert(next.clone()) {
            plans.push(OptimizedPlan::new(Arc::clone(&context), next));
            repetitions = 0;
        } else {
            repetitions += 1;
        }
        match random_choices(&context, &mut random) {
            Ok(choices) => next = choices,
            // Pins that the walk doesn't meet: what was found has to do.
            Err(_) => break,
        }
    }
    Ok(plans)
}

impl OptimizedPlan {
    fn new(context: Arc<Context>, choices: Vec<Option<Choice>>) -> OptimizedPlan {
        let operators = context.plan.operators.len();
        let mut properties = vec![Properties::default(); operators];
        let mut costs = vec![Cost::default(); operators];
        for &id in &context.reachable {
            let op = context.operator(id);
            let choice = choices[id.0 as usize].as_ref().expect("every reachable operator has been decided");
            let inputs: Vec<&Properties> =
                decided_before(op).iter().map(|input| &properties[input.0 as usize]).collect();
            let provided = output(&context, op, choice, &inputs);
            costs[id.0 as usize] = operator_cost(&context, op, choice);
            properties[id.0 as usize] = provided;
        }
        let mut physical = physical::build(&context, &choices);
        let chains = chain(&context, &physical);
        if context.options.blocking_exchanges {
            block_exchanges(&context, &mut physical);
        }
        break_pipelines(&context, &mut physical, &chains);
        OptimizedPlan { context, choices, properties, costs, physical, chains }
    }

    /// The graph of tasks that the runtime executes.
    pub fn job_graph(&self) -> Result<JobGraph> {
        jobgraph::job_graph(&self.context, &self.physical, &self.chains)
    }

    /// The estimated cost of the whole plan.
    pub fn cost(&self) -> Cost {
        self.costs.iter().fold(Cost::default(), |sum, cost| sum + *cost)
    }

    /// The plan as text: tasks, their operators, and for each its strategies, sizes and costs.
    pub fn explain(&self) -> String {
        explain::text::render(self)
    }

    /// The plan as JSON with the keys of Flink's plan dump; combiners are nodes of their own.
    pub fn explain_json(&self) -> serde_json::Value {
        explain::json::render(self)
    }

    /// The plan as a graph in DOT, tasks as clusters.
    pub fn explain_dot(&self) -> String {
        explain::dot::render(self)
    }

    /// For each operator what was chosen and what was not, with costs and the reason.
    pub fn explain_alternatives(&self) -> String {
        explain::alternatives::render(self)
    }

    pub(crate) fn choice(&self, id: OperatorId) -> &Choice {
        self.choices[id.0 as usize].as_ref().expect("every reachable operator has been decided")
    }
}
