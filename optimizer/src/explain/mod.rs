//! Explain texts: the optimized plan for people and for tools.

pub(crate) mod alternatives;
pub(crate) mod dot;
pub(crate) mod format;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod text;

use crate::context::all_inputs;
use crate::cost::Cost;
use crate::optimized::OptimizedPlan;

/// Per operator: its cost and that of everything before it. What feeds several consumers counts with an equal share
/// for each, so that the sinks' costs add up to the plan's.
pub(crate) fn cumulative_costs(plan: &OptimizedPlan) -> Vec<Cost> {
    let context = &plan.context;
    let mut cumulative = vec![Cost::default(); context.plan.operators.len()];
    for &id in &context.reachable {
        let mut sum = plan.costs[id.0 as usize];
        for input in all_inputs(context.operator(id)) {
            let (cost, share) = (cumulative[input.0 as usize], f64::from(context.consumers[input.0 as usize]));
            sum += Cost { network: cost.network / share, disk: cost.disk / share, cpu: cost.cpu / share };
        }
        cumulative[id.0 as usize] = sum;
    }
    cumulative
}
