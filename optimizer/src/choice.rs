//! One alternative of one operator: how its inputs travel, what is sorted, how it works, what is combined.

use crate::context::Context;
use crate::iteration;
use crate::local;
use crate::options::Force;
use crate::properties::{Properties, pass};
use crate::ship;
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, ShipStrategy};
use flinkrs_plan::{OperatorKind, PlanOperator};

/// A way to execute an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Choice {
    /// Per input.
    pub(crate) ships: Vec<ShipStrategy>,
    /// Whether input 0 is sorted by a [`Part::Sort`](flinkrs_core::strategy::Part::Sort) before the driver.
    pub(crate) sort: bool,
    pub(crate) driver: DriverStrategy,
    /// Pre-aggregation before input 0 is shipped.
    pub(crate) combine: Option<Combiner>,
    /// Where a loop begins or closes: whose key, of which input, spreads what the loop carries around.
    pub(crate) by: Option<(OperatorId, u8)>,
}

/// Pre-aggregation at the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Combiner {
    pub(crate) driver: DriverStrategy,
    /// Whether the producer's records are sorted first.
    pub(crate) sort: bool,
}

impl Choice {
    /// The choice of an operator that works in only one way.
    pub(crate) fn only(ships: Vec<ShipStrategy>) -> Choice {
        Choice { ships, sort: false, driver: DriverStrategy::Only, combine: None, by: None }
    }

    /// The input that [`sort`](Choice::sort) is about.
    pub(crate) fn sorted_input(&self) -> usize {
        match self.driver {
            DriverStrategy::SolutionSet { side } => side.other().index(),
            _ => 0,
        }
    }

    /// Whether the choice agrees with all that is pinned for the operator.
    pub(crate) fn agrees_with(&self, operator: OperatorId, forces: &[Force]) -> bool {
        forces.iter().filter(|force| force.operator() == operator).all(|force| match *force {
            Force::Ship { input, ship, .. } => self.ships.get(usize::from(input)) == Some(&ship),
            Force::Driver { driver: DriverStrategy::Merge { .. }, .. } => {
                matches!(self.driver, DriverStrategy::Merge { .. })
            }
            Force::Driver { driver, .. } => self.driver == driver,
            Force::Combiner { combine, .. } => self.combine.is_some() == combine,
        })
    }
}

/// All valid choices for inputs with these properties, in a fixed order; the first of equally cheap ones wins.
///
/// Without pins there is always at least one, whatever the inputs.
pub(crate) fn alternatives(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<Choice> {
    let mut choices = match op.kind {
        OperatorKind::LoopInput => iteration::begin(context, op, inputs),
        OperatorKind::BulkIteration { .. } | OperatorKind::DeltaIteration { .. } => {
            iteration::close(context, op, inputs)
        }
        _ => shipped(context, op, inputs),
    };
    choices.retain(|choice| choice.agrees_with(op.id, &context.options.force));
    choices
}

/// All combinations of ship and local strategies.
fn shipped(context: &Context, op: &PlanOperator, inputs: &[&Properties]) -> Vec<Choice> {
    let mut choices = Vec::new();
    for ships in ship::alternatives(context, op, inputs) {
        let channels = channels(context, op, &ships, inputs);
        choices.extend(local::alternatives(context, op, &ships, inputs, &channels));
    }
    choices
}

/// What arrives at each input.
pub(crate) fn channels(
    context: &Context,
    op: &PlanOperator,
    ships: &[ShipStrategy],
    inputs: &[&Properties],
) -> Vec<Properties> {
    let parallelism = context.parallelism(op.id);
    ships
        .iter()
        .zip(inputs)
        .enumerate()
        .map(|(i, (ship, input))| pass::channel(op, i, *ship, parallelism, input))
        .collect()
}

/// What the operator's output is known to be.
pub(crate) fn output(context: &Context, op: &PlanOperator, choice: &Choice, inputs: &[&Properties]) -> Properties {
    if matches!(op.kind, OperatorKind::LoopInput) {
        return iteration::promised(context, choice);
    }
    let channels = channels(context, op, &choice.ships, inputs);
    pass::output(op, choice, channels, context.parallelism(op.id))
}
