//! Finds the cheapest choice for every operator: dynamic programming over the plan, from the sources to the sinks.
//!
//! Operators are decided one after the other, inputs first. What the undecided ones have to know of the decided ones
//! is only the properties of those that still have consumers to come: the *open* operators. So a partial plan is
//! described by the properties of its open operators, and of all partial plans with equal ones the cheapest is kept.
//! A partial plan holds exactly one choice per operator, so all consumers of a branching operator see the same.
//!
//! ```text
//!   source ─▶ reduce ─▶ map ─┬─▶ join ─▶ sink        after `reduce`: two partial plans, one with its output sorted;
//!                    └──────▶┘                       `map` and `reduce` are open together, in one component
//! ```
//!
//! Open operators that share no undecided past are independent, so they lie in *components* that are enumerated
//! apart and multiplied only when an operator joins them. Properties that nobody downstream is interested in are
//! forgotten first (see [`interest`](crate::properties::interest)), which makes most operators single-state.
//!
//! # Bounds
//!
//! On trees, and on graphs where few operators are open together, the search is exhaustive. In general
//! - a component keeps at most [`PARTIAL_PLANS_MAX`] partial plans, the cheapest,
//! - two components are multiplied to at most [`PRODUCT_MAX`], the cheapest,
//! - a component with more than [`OPEN_MAX`] open operators is settled: its cheapest partial plan is taken,
//! - an operator has at most [`INTERESTS_MAX`](crate::properties::interest) interests of each sort.
//!
//! So the work is linear in the number of operators. Pipeline breakers are placed after the choice and not costed.

mod component;
mod random;

pub(crate) use random::{Random, random_choices};

use crate::choice::{Choice, alternatives, output};
use crate::context::Context;
use crate::cost::operator_cost;
use crate::iteration::decided_before;
use crate::properties::Properties;
use crate::properties::interest::{Interests, interests};
use component::{Component, Entry};
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::OperatorId;
use flinkrs_plan::PlanOperator;
use std::collections::HashMap;

/// Partial plans that a component keeps.
const PARTIAL_PLANS_MAX: usize = 64;
/// Partial plans that come out of multiplying two components.
const PRODUCT_MAX: usize = 256;
/// Open operators that a component may have.
const OPEN_MAX: usize = 12;

/// The cheapest choices found, by operator id; `None` where an operator isn't reachable.
pub(crate) fn best_choices(context: &Context) -> Result<Vec<Option<Choice>>> {
    best_choices_with(context, None)
}

/// The same with the choice of one operator given.
pub(crate) fn best_choices_with(
    context: &Context,
    given: Option<(OperatorId, &Choice)>,
) -> Result<Vec<Option<Choice>>> {
    let mut search = Search::new(context);
    search.given = given;
    for &id in &context.depth_first {
        search.decide(context.operator(id))?;
    }
    Ok(search.result())
}

/// Properties by number, so that partial plans compare quickly.
#[derive(Default)]
struct Interner {
    numbers: HashMap<Properties, u32>,
    list: Vec<Properties>,
}

impl Interner {
    fn number(&mut self, properties: Properties) -> u32 {
        if let Some(number) = self.numbers.get(&properties) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(properties.clone());
        self.numbers.insert(properties, number);
        number
    }
}

/// How a partial plan came about.
enum Past {
    /// `operator` was decided on top of `before`.
    Decided { operator: OperatorId, choice: u32, before: Option<u32> },
    /// Two independent partial plans.
    Both(u32, u32),
}

/// An alternative of the operator at hand, for one combination of its inputs' properties.
#[derive(Clone, Copy)]
struct Alternative {
    choice: u32,
    properties: u32,
    cost: f64,
}

struct Search<'a> {
    context: &'a Context,
    given: Option<(OperatorId, &'a Choice)>,
    interests: Vec<Interests>,
    interner: Interner,
    choices: Vec<Choice>,
    pasts: Vec<Past>,
    components: Vec<Option<Component>>,
    /// Per operator: the component in which it is open.
    component_of: Vec<usize>,
    /// Per operator: inputs of undecided operators that it feeds.
    open_uses: Vec<u32>,
    /// Ends of the pasts of components without open operators.
    finished: Vec<u32>,
}

impl<'a> Search<'a> {
    fn new(context: &'a Context) -> Search<'a> {
        let operators = context.plan.operators.len();
        let mut open_uses = vec![0; operators];
        for &id in &context.reachable {
            for input in decided_before(context.operator(id)) {
                open_uses[input.0 as usize] += 1;
            }
        }
        Search {
            context,
            given: None,
            interests: interests(context),
            interner: Interner::default(),
            choices: Vec::new(),
            pasts: Vec::new(),
            components: Vec::new(),
            component_of: vec![usize::MAX; operators],
            open_uses,
            finished: Vec::new(),
        }
    }

    /// Extends the partial plans of the components of its inputs by every alternative of `op`.
    fn decide(&mut self, op: &PlanOperator) -> Result<()> {
        let component = self.gather(op);
        let before = decided_before(op);
        let positions: Vec<usize> = before.iter().map(|input| component.position(*input)).collect();
        for input in &before {
            self.open_uses[input.0 as usize] -= 1;
        }
        let stays: Vec<bool> = component.open.iter().map(|id| self.open_uses[id.0 as usize] > 0).collect();
        let op_stays = self.open_uses[op.id.0 as usize] > 0;
        let mut open: Vec<OperatorId> =
            component.open.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(id, _)| *id).collect();
        open.extend(op_stays.then_some(op.id));
        let mut options: HashMap<Vec<u32>, Vec<Alternative>> = HashMap::new();
        let mut next = Component { open, entries: Vec::new() };
        for entry in &component.entries {
            let inputs: Vec<u32> = positions.iter().map(|position| entry.properties[*position]).collect();
            let options = options.entry(inputs).or_insert_with_key(|inputs| self.options(op, inputs));
            let kept: Vec<u32> =
                entry.properties.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(p, _)| *p).collect();
            for option in options {
                let mut properties = kept.clone();
                properties.extend(op_stays.then_some(option.properties));
                next.entries.push(Entry {
                    properties,
                    cost: entry.cost + option.cost,
                    choice: Some(option.choice),
                    past: entry.past,
                });
            }
        }
        if next.entries.is_empty() {
            return Err(impossible(op));
        }
        next.prune(PARTIAL_PLANS_MAX);
        self.write_down(op.id, &mut next);
        self.file(next);
        Ok(())
    }

    /// Takes the components of the operator's inputs and multiplies them.
    fn gather(&mut self, op: &PlanOperator) -> Component {
        let (mut settled, mut undecided) = (Vec::new(), Vec::new());
        for input in decided_before(op) {
            match self.components[self.component_of[input.0 as usize]].take() {
                Some(component) if component.entries.len() == 1 => settled.push(component),
                Some(component) => undecided.push(component),
                // The same component as that of an earlier input.
                None => {}
            }
        }
        let mut gathered = settled.into_iter().fold(Component::start(), |all, next| self.multiply(all, next));
        let mut open = 0;
        for component in undecided {
            open += component.open.len();
            gathered = self.multiply(gathered, component);
            if open > OPEN_MAX {
                gathered.entries.truncate(1);
            }
        }
        gathered
    }

    fn multiply(&mut self, a: Component, b: Component) -> Component {
        let mut pairs: Vec<(f64, usize, usize)> = Vec::with_capacity(a.entries.len() * b.entries.len());
        for (i, first) in a.entries.iter().enumerate() {
            pairs.extend(b.entries.iter().enumerate().map(|(j, second)| (first.cost + second.cost, i, j)));
        }
        pairs.sort_by(|x, y| x.0.total_cmp(&y.0));
        pairs.truncate(PRODUCT_MAX);
        let entries = pairs
            .into_iter()
            .map(|(cost, i, j)| {
                let (first, second) = (&a.entries[i], &b.entries[j]);
                let past = match (first.past, second.past) {
                    (Some(first), Some(second)) => {
                        self.pasts.push(Past::Both(first, second));
                        Some(self.pasts.len() as u32 - 1)
                    }
                    (one, other) => one.or(other),
                };
                let properties = first.properties.iter().chain(&second.properties).copied().collect();
                Entry { properties, cost, choice: None, past }
            })
            .collect();
        Component { open: a.open.into_iter().chain(b.open).collect(), entries }
    }

    /// The alternatives of an operator for inputs with these properties, with costs and what they provide; of those
    /// that provide the same the cheapest.
    fn options(&mut self, op: &PlanOperator, inputs: &[u32]) -> Vec<Alternative> {
        let context = self.context;
        let inputs: Vec<&Properties> = inputs.iter().map(|number| &self.interner.list[*number as usize]).collect();
        let found: Vec<(Choice, Properties)> = alternatives(context, op, &inputs)
            .into_iter()
            .filter(|choice| self.given.is_none_or(|(id, given)| id != op.id || given == choice))
            .map(|choice| {
                let provided = output(context, op, &choice, &inputs);
                (choice, self.interests[op.id.0 as usize].relevant(provided))
            })
            .collect();
        let mut list: Vec<Alternative> = Vec::new();
        for (choice, properties) in found {
            let cost = operator_cost(context, op, &choice).total(&context.options);
            let properties = self.interner.number(properties);
            let alternative = Alternative { choice: self.choices.len() as u32, properties, cost };
            match list.iter_mut().find(|kept| kept.properties == properties) {
                Some(kept) if kept.cost <= cost => continue,
                Some(kept) => *kept = alternative,
                None => list.push(alternative),
            }
            self.choices.push(choice);
        }
        list
    }

    /// Records the choice of each partial plan that was kept.
    fn write_down(&mut self, operator: OperatorId, component: &mut Component) {
        for entry in &mut component.entries {
            if let Some(choice) = entry.choice.take() {
                self.pasts.push(Past::Decided { operator, choice, before: entry.past });
                entry.past = Some(self.pasts.len() as u32 - 1);
            }
        }
    }

    /// Puts a component back; operators that look the same in all its partial plans become components of their own.
    fn file(&mut self, mut component: Component) {
        let mut settled = component.split_settled();
        if component.open.len() > OPEN_MAX {
            component.entries.truncate(1);
            settled.extend(component.split_settled());
        }
        for (operator, properties) in settled {
            self.put(Component::settled(operator, properties));
        }
        if component.open.is_empty() {
            self.finished.extend(component.entries[0].past);
        } else {
            self.put(component);
        }
    }

    fn put(&mut self, component: Component) {
        for id in &component.open {
            self.component_of[id.0 as usize] = self.components.len();
        }
        self.components.push(Some(component));
    }

    /// Walks back through the pasts of the plan that won.
    fn result(self) -> Vec<Option<Choice>> {
        let mut chosen = vec![None; self.context.plan.operators.len()];
        let mut stack = self.finished;
        while let Some(past) = stack.pop() {
            match &self.pasts[past as usize] {
                Past::Decided { operator, choice, before } => {
                    chosen[operator.0 as usize] = Some(self.choices[*choice as usize].clone());
                    stack.extend(before);
                }
                Past::Both(first, second) => stack.extend([first, second]),
            }
        }
        chosen
    }
}

fn impossible(op: &PlanOperator) -> Error {
    Error::plan(format!(
        "no way to execute operator '{}' ({}) agrees with the choices that are forced for it",
        op.name,
        op.kind.pact()
    ))
}
