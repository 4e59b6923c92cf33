//! Chaining: which neighbouring parts become one task.

use crate::context::Context;
use crate::physical::{Link, Physical};
use flinkrs_core::strategy::{ExchangeMode, Part, ShipStrategy};
use flinkrs_plan::{ChainingPolicy, OperatorKind, PlanOperator};

/// The most nodes of a task, parts of one operator aside: each hands its records on by a call, and all the calls lie on
/// a thread's stack at once, with what the functions of the program need.
const MOST_CHAINED: usize = 256;

/// The tasks of a physical plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chains {
    /// The nodes of each task, first to last; producing tasks before consuming ones.
    pub(crate) tasks: Vec<Vec<usize>>,
    /// Per node: its task.
    pub(crate) task_of: Vec<usize>,
}

impl Chains {
    /// Whether records of this link are handed over within a task.
    pub(crate) fn inside(&self, link: &Link) -> bool {
        self.task_of[link.from] == self.task_of[link.to]
    }
}

/// Puts every node behind its producer where that is possible, else at the head of a task.
pub(crate) fn chain(context: &Context, physical: &Physical) -> Chains {
    let (inputs, outputs) = (physical.inputs(), physical.outputs());
    let mut tasks: Vec<Vec<usize>> = Vec::new();
    let mut task_of = vec![usize::MAX; physical.nodes.len()];
    for node in 0..physical.nodes.len() {
        let mut records = inputs[node].iter().map(|link| &physical.links[*link]).filter(|l| l.broadcast.is_none());
        let follows = match (records.next(), records.next()) {
            (Some(link), None) if may_follow(context, physical, link, outputs[link.from].len()) => Some(link.from),
            _ => None,
        };
        let same_operator = |from: usize| physical.nodes[from].operator == physical.nodes[node].operator;
        let follows = follows.filter(|from| tasks[task_of[*from]].len() < MOST_CHAINED || same_operator(*from));
        let task = match follows {
            Some(producer) => task_of[producer],
            None => {
                tasks.push(Vec::new());
                tasks.len() - 1
            }
        };
        tasks[task].push(node);
        task_of[node] = task;
    }
    in_order(tasks, task_of)
}

/// A task's records all leave by its last node, and no later node feeds an earlier one: so tasks sorted by their last
/// nodes are in topological order, even where a broadcast set enters in the middle.
fn in_order(mut tasks: Vec<Vec<usize>>, mut task_of: Vec<usize>) -> Chains {
    tasks.sort_by_key(|nodes| nodes.last().copied());
    for (task, nodes) in tasks.iter().enumerate() {
        for node in nodes {
            task_of[*node] = task;
        }
    }
    Chains { tasks, task_of }
}

fn may_follow(context: &Context, physical: &Physical, link: &Link, consumers: usize) -> bool {
    let (from, to) = (&physical.nodes[link.from], &physical.nodes[link.to]);
    let operator = context.operator(to.operator);
    let producer = context.operator(from.operator);
    let closes = |op: &PlanOperator| context.loops.closed_by(op.id).is_some();
    // Supersteps end for a whole task at once: a loop's operators share none with others, and what closes it is last.
    let leaves = context.loops.of[producer.id.0 as usize] != context.loops.of[operator.id.0 as usize]
        || to.part == Part::LoopHead
        || closes(producer);
    let own_task = match operator.kind {
        // It pulls its input.
        OperatorKind::MapPartition => matches!(to.part, Part::Driver(_)),
        OperatorKind::Union => true,
        _ => false,
    };
    let forward = link.ship == ShipStrategy::Forward
        && link.mode == ExchangeMode::Pipelined
        && link.side.is_none()
        && from.parallelism == to.parallelism
        && from.group == to.group;
    // "Never" keeps other operators away, not the parts of one operator from each other.
    let allowed =
        from.operator == to.operator || from.chaining != ChainingPolicy::Never && to.chaining == ChainingPolicy::Always;
    forward && consumers == 1 && !own_task && !leaves && allowed && !matches!(from.part, Part::Sample { .. })
}

#[cfg(test)]
mod tests {
    use crate::context::Context;
    use crate::options::OptimizerOptions;
    use crate::testing::PlanBuilder;

    #[test]
    fn a_chain_that_would_take_too_much_stack_is_cut() {
        let mut builder = PlanBuilder::new(2);
        let mut last = builder.source(10.0, 8.0);
        for _ in 0..1000 {
            last = builder.map(last);
        }
        builder.sink(last);
        let plan = builder.build();
        let graph = crate::optimize(&plan, &OptimizerOptions::default()).and_then(|plan| plan.job_graph());
        let lengths: Vec<usize> = graph.expect("a plan").vertices.iter().map(|vertex| vertex.chain.len()).collect();
        assert_eq!(lengths, [256, 256, 256, 234]);
    }

    #[test]
    fn operators_of_different_groups_are_different_tasks() {
        let mut builder = PlanBuilder::new(2);
        let first = builder.source(10.0, 8.0);
        let heavy = builder.map(first);
        builder.op(heavy).slot_sharing_group = Some("heavy".to_owned());
        let after = builder.map(heavy);
        let last = builder.map(after);
        builder.op(last).slot_sharing_group = Some("default".to_owned());
        builder.sink(last);
        let plan = builder.build();
        let graph = crate::optimize(&plan, &OptimizerOptions::default()).and_then(|plan| plan.job_graph());
        let graph = graph.expect("a plan");
        let shape = graph.vertices.iter().map(|vertex| (vertex.name.as_str(), vertex.slot_sharing_group.as_str()));
        let expected = [("source", "default"), ("map -> map", "heavy"), ("map -> sink", "default")];
        assert_eq!(shape.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_task_comes_after_the_set_that_enters_in_its_middle() {
        let mut builder = PlanBuilder::new(2);
        let first = builder.source(10.0, 8.0);
        let second = builder.source(10.0, 8.0);
        let map = builder.map(first);
        builder.broadcast(map, "set", second);
        builder.sink(map);
        let plan = builder.build();
        let context = Context::new(&plan, &OptimizerOptions::default()).expect("a valid plan");
        let optimized = crate::optimize(&plan, &context.options).expect("a plan");
        let graph = optimized.job_graph().expect("a JobGraph");
        let names: Vec<&str> = graph.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
        assert_eq!(names, ["source", "source -> map -> sink"]);
        assert_eq!(graph.vertices[1].broadcast_inputs[0].operator, map);
    }
}
