//! The chosen plan as a graph of parts: operators, and the combiners, sorts and samplers put in between.

use crate::choice::Choice;
use crate::context::Context;
use crate::iteration::solution_side;
use crate::rules::{combine, range_partition};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::{DriverStrategy, ExchangeMode, Part, ShipStrategy, Side};
use flinkrs_plan::{ChainingPolicy, OperatorKind, PlanOperator};
use std::sync::Arc;

/// A part of an operator, at some parallelism.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) operator: OperatorId,
    pub(crate) part: Part,
    pub(crate) name: String,
    pub(crate) parallelism: u32,
    /// Its slot sharing group; that of the producer for what was put into the producer's task.
    pub(crate) group: Arc<str>,
    pub(crate) memory_weight: u32,
    /// Whether it may follow another part in a task, and others it.
    pub(crate) chaining: ChainingPolicy,
    /// Whether it was put before the operator and isn't the operator itself.
    pub(crate) inserted: bool,
}

/// Records from one node to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The logical input of the consumer.
    pub(crate) input: u8,
    /// The producer's side output, if it isn't the main one.
    pub(crate) side: Option<u8>,
    pub(crate) ship: ShipStrategy,
    pub(crate) mode: ExchangeMode,
    /// For a broadcast set: its index among the operator's, and its name.
    pub(crate) broadcast: Option<(u8, String)>,
    /// The input of the plan's operator whose ship strategy this is; inserted links have none.
    pub(crate) ships: Option<(OperatorId, u32)>,
    /// Whose key spreads the records, if it isn't that of `ships`.
    pub(crate) by: Option<(OperatorId, u8)>,
}

/// The whole graph, producers before consumers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Physical {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
}

impl Link {
    /// A plain pipelined FORWARD link to input 0.
    pub(crate) fn forward(from: usize, to: usize) -> Link {
        Link {
            from,
            to,
            input: 0,
            side: None,
            ship: ShipStrategy::Forward,
            mode: ExchangeMode::Pipelined,
            broadcast: None,
            ships: None,
            by: None,
        }
    }
}

impl Physical {
    pub(crate) fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Appends a node that is fed by `from` alone, FORWARD.
    pub(crate) fn append(&mut self, from: usize, node: Node) -> usize {
        let to = self.add(node);
        self.links.push(Link::forward(from, to));
        to
    }

    /// The links that leave each node.
    pub(crate) fn outputs(&self) -> Vec<Vec<usize>> {
        self.by(|link| link.from)
    }

    /// The links that lead to each node.
    pub(crate) fn inputs(&self) -> Vec<Vec<usize>> {
        self.by(|link| link.to)
    }

    fn by(&self, end: impl Fn(&Link) -> usize) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.nodes.len()];
        for (i, link) in self.links.iter().enumerate() {
            lists[end(link)].push(i);
        }
        lists
    }
}

/// Expands every operator with its choice into parts.
pub(crate) fn build(context: &Context, choices: &[Option<Choice>]) -> Physical {
    let mut physical = Physical::default();
    let mut last_part = vec![usize::MAX; context.plan.operators.len()];
    for &id in &context.reachable {
        let op = context.operator(id);
        let choice = choices[id.0 as usize].as_ref().expect("every reachable operator has been decided");
        let producers: Vec<usize> = op
            .inputs
            .iter()
            .enumerate()
            .map(|(i, input)| prepare(context, op, choice, i, last_part[input.0 as usize], &mut physical))
            .collect();
        let (first, last) = own_parts(context, op, choice, &mut physical);
        // A combiner runs the same user function, so it sees the same sets.
        let combiner = choice.combine.and_then(|_| producers.first().copied());
        let solution = solution_side(&context.plan, op).map(Side::index);
        for (i, producer) in producers.into_iter().enumerate().filter(|(i, _)| Some(*i) != solution) {
            // A union has one input, and so has a lookup of a solution set, to which nothing flows.
            let one_input = matches!(op.kind, OperatorKind::Union) || solution.is_some();
            physical.links.push(Link {
                input: if one_input { 0 } else { i as u8 },
                ship: choice.ships[i],
                ships: Some((id, i as u32)),
                by: choice.by.filter(|_| carried(op, i)),
                ..Link::forward(producer, first)
            });
        }
        for (i, (name, set)) in op.broadcast_inputs.iter().enumerate() {
            for user in [combiner, Some(last)].into_iter().flatten() {
                physical.links.push(Link {
                    ship: ShipStrategy::Broadcast,
                    broadcast: Some((i as u8, name.clone())),
                    ..Link::forward(last_part[set.0 as usize], user)
                });
            }
        }
        last_part[id.0 as usize] = last;
    }
    physical
}

/// Whether an input of an operator that begins or closes a loop is what the loop carries around.
fn carried(op: &PlanOperator, input: usize) -> bool {
    match op.kind {
        OperatorKind::DeltaIteration { .. } => input == 1,
        _ => input == 0,
    }
}

/// What goes between the producer of an input and the shipping of its records; returns the node that ships.
fn prepare(
    context: &Context,
    op: &PlanOperator,
    choice: &Choice,
    input: usize,
    producer: usize,
    physical: &mut Physical,
) -> usize {
    match (choice.combine, choice.ships[input]) {
        (Some(combiner), _) => combine::insert(context, op, combiner, producer, physical),
        (None, ShipStrategy::PartitionRange) => range_partition::insert(context, op, producer, physical),
        _ => producer,
    }
}

/// The parts at the operator's own parallelism, first and last.
fn own_parts(context: &Context, op: &PlanOperator, choice: &Choice, physical: &mut Physical) -> (usize, usize) {
    let parallelism = context.parallelism(op.id);
    let part = match &op.kind {
        OperatorKind::Union | OperatorKind::Partition { .. } => Part::NoOp,
        OperatorKind::SortPartition { .. } => Part::Sort { input: 0 },
        OperatorKind::LoopInput => Part::LoopHead,
        _ => Part::Driver(choice.driver),
    };
    let node = Node {
        operator: op.id,
        part,
        name: op.name.clone(),
        parallelism,
        group: context.group(op.id),
        memory_weight: match op.kind {
            // The index, and the changes that wait for the end of a superstep.
            OperatorKind::SolutionSet { .. } | OperatorKind::DeltaIteration { .. } => 1,
            _ => memory_weight(part),
        },
        chaining: op.chaining,
        inserted: false,
    };
    if !choice.sort {
        let only = physical.add(node);
        return (only, only);
    }
    let part = Part::Sort { input: choice.sorted_input() as u8 };
    let sort = physical.add(Node { part, ..sort_node(op, parallelism, context.group(op.id)) });
    let driver = physical.append(sort, Node { chaining: continued(op.chaining), ..node });
    (sort, driver)
}

/// The sort of input 0 of an operator.
pub(crate) fn sort_node(op: &PlanOperator, parallelism: u32, group: Arc<str>) -> Node {
    let part = Part::Sort { input: 0 };
    Node {
        operator: op.id,
        part,
        name: format!("Sort ({})", op.name),
        parallelism,
        group,
        memory_weight: memory_weight(part),
        chaining: op.chaining,
        inserted: true,
    }
}

/// The policy of a part behind another one of the same operator, with which it always shares its task.
pub(crate) fn continued(chaining: ChainingPolicy) -> ChainingPolicy {
    match chaining {
        ChainingPolicy::StartNewChain => ChainingPolicy::Always,
        other => other,
    }
}

/// Shares of the slot's managed memory: one for each table or sorter.
pub(crate) fn memory_weight(part: Part) -> u32 {
    match part {
        Part::Sort { .. } => 1,
        Part::Driver(driver) | Part::Combine(driver) => match driver {
            DriverStrategy::HashGroup | DriverStrategy::HybridHash { .. } | DriverStrategy::NestedLoop { .. } => 1,
            DriverStrategy::Merge { sort_first: true, sort_second: true } => 2,
            DriverStrategy::Merge { .. } | DriverStrategy::SolutionSet { .. } => 1,
            DriverStrategy::Only | DriverStrategy::SortedGroup => 0,
        },
        Part::Sample { .. } | Part::RangeBounds { .. } | Part::LoopHead | Part::NoOp => 0,
    }
}
