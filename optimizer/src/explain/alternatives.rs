//! What was chosen for each operator and what was not, with the reason.

use super::{format, names};
use crate::choice::{Choice, alternatives, output};
use crate::context::Context;
use crate::cost::{Cost, operator_cost};
use crate::enumerate::best_choices_with;
use crate::iteration::decided_before;
use crate::local;
use crate::optimized::OptimizedPlan;
use crate::properties::Properties;
use crate::ship;
use flinkrs_plan::PlanOperator;
use std::fmt::Write;

/// Plans up to this size are optimized again for each alternative, to say what the whole would cost with it.
const OPERATORS_MAX: usize = 64;

/// Renders every operator that has more than one way to work; the others are left out.
pub(crate) fn render(plan: &OptimizedPlan) -> String {
    let context = &plan.context;
    let mut text = format!("plan '{}': cost {}\n", context.plan.name, format::cost(&plan.cost(), &context.options));
    for &id in &context.reachable {
        let op = context.operator(id);
        let inputs: Vec<&Properties> =
            decided_before(op).iter().map(|input| &plan.properties[input.0 as usize]).collect();
        let rejected = rejected(plan, op, &inputs);
        let notes = notes(context, op, &inputs);
        if rejected.is_empty() && notes.is_empty() {
            continue;
        }
        let chosen = plan.choice(id);
        let cost = &plan.costs[id.0 as usize];
        line(&mut text, &format!("\n{} [{id}] {}", op.name, op.kind.pact()));
        line(&mut text, &format!("  chosen: {}", names::choice(op, chosen)));
        line(&mut text, &format!("      cost {}", format::cost(cost, &context.options)));
        for (choice, cost) in rejected {
            line(&mut text, &format!("  rejected: {}", names::choice(op, &choice)));
            line(&mut text, &format!("      cost {}", format::cost(&cost, &context.options)));
            line(&mut text, &format!("      {}", reason(plan, op, &choice, &cost, &inputs)));
        }
        for note in notes {
            line(&mut text, &format!("  impossible: {note}"));
        }
    }
    text
}

/// All other choices that the chosen inputs allow, whether pinned away or not, the cheapest first.
fn rejected(plan: &OptimizedPlan, op: &PlanOperator, inputs: &[&Properties]) -> Vec<(Choice, Cost)> {
    let context = &plan.context;
    let chosen = plan.choice(op.id);
    let mut choices = Vec::new();
    for ships in ship::alternatives(context, op, inputs) {
        let channels = crate::choice::channels(context, op, &ships, inputs);
        choices.extend(local::alternatives(context, op, &ships, inputs, &channels));
    }
    choices.retain(|choice| choice != chosen);
    let mut rejected: Vec<(Choice, Cost)> =
        choices.into_iter().map(|choice| (choice.clone(), operator_cost(context, op, &choice))).collect();
    rejected.sort_by(|a, b| a.1.total(&context.options).total_cmp(&b.1.total(&context.options)));
    rejected
}

fn reason(plan: &OptimizedPlan, op: &PlanOperator, choice: &Choice, cost: &Cost, inputs: &[&Properties]) -> String {
    let context = &plan.context;
    let options = &context.options;
    if !alternatives(context, op, inputs).contains(choice) {
        return "another choice is forced".to_owned();
    }
    let (here, chosen) = (cost.total(options), plan.costs[op.id.0 as usize].total(options));
    let provided = output(context, op, choice, inputs);
    let otherwise = if provided == plan.properties[op.id.0 as usize] {
        String::new()
    } else {
        format!(", its output would be: {provided}")
    };
    let here = match here.total_cmp(&chosen) {
        std::cmp::Ordering::Less => format!("{} cheaper here", format::number(chosen - here)),
        std::cmp::Ordering::Equal => "as cheap here; the first of equals is taken".to_owned(),
        std::cmp::Ordering::Greater => format!("{} dearer here", format::number(here - chosen)),
    };
    let whole = whole(plan, op, choice).map(|total| {
        let (more, plan_total) = (total - plan.cost().total(options), format::number(total));
        if more > 0.0 {
            format!(", the whole plan {} dearer ({plan_total})", format::number(more))
        } else {
            format!(", the whole plan no cheaper ({plan_total})")
        }
    });
    format!("{here}{}{otherwise}", whole.unwrap_or_default())
}

/// What the best plan with this choice costs.
fn whole(plan: &OptimizedPlan, op: &PlanOperator, choice: &Choice) -> Option<f64> {
    let context: &Context = &plan.context;
    if context.reachable.len() > OPERATORS_MAX {
        return None;
    }
    let choices = best_choices_with(context, Some((op.id, choice))).ok()?;
    let costs = context.reachable.iter().map(|id| {
        let choice = choices[id.0 as usize].as_ref().expect("every reachable operator has been decided");
        operator_cost(context, context.operator(*id), choice).total(&context.options)
    });
    Some(costs.sum())
}

/// Why some strategies aren't among the alternatives.
fn notes(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<String> {
    use flinkrs_core::strategy::ShipStrategy;
    use flinkrs_plan::OperatorKind;
    let mut notes = Vec::new();
    let ships = ship::alternatives(context, op, inputs);
    let keyed = |input: usize| crate::properties::pass::input_key(op, input);
    for input in 0..op.inputs.len().min(2) {
        let shuffled = ships.iter().any(|ships| ships[input] == ShipStrategy::PartitionHash);
        let stays = ships.iter().any(|ships| ships[input] == ShipStrategy::Forward);
        if !shuffled || stays {
            continue;
        }
        let key = crate::properties::show_key(keyed(input));
        notes.push(if context.equal_parallelism(op, input) {
            format!("input {input} FORWARD: it isn't partitioned by {key} already (it is: {})", inputs[input])
        } else {
            let (from, to) = (context.input_parallelism(op, input), context.parallelism(op.id));
            format!("input {input} FORWARD: its parallelism is {from}, the operator's {to}")
        });
    }
    if let OperatorKind::Join { join_type, .. } = &op.kind {
        let broadcasts =
            [crate::context::may_broadcast_first(*join_type), crate::context::may_broadcast_second(*join_type)];
        for (input, _) in broadcasts.iter().enumerate().filter(|(_, may)| !**may) {
            let pact = op.kind.pact();
            notes
                .push(format!("input {input} BROADCAST: a {pact} emits records of it by themselves, once per subtask"));
        }
    }
    notes
}

fn line(text: &mut String, what: &str) {
    writeln!(text, "{what}").expect("a string takes all that is written");
}
