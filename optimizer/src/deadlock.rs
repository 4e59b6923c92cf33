//! Pipeline breakers: blocking edges where bounded queues would wait for each other in a circle.
//!
//! A hash join reads its build side to the end before it touches its probe side; whoever writes the probe side
//! meanwhile fills a bounded queue and stops. If that producer also has to run for the build side to end, nothing
//! moves again. The common case is a diamond:
//!
//! ```text
//!          ┌─▶ map ─▶ build ┐
//! source ──┤                ├ join          source waits for room in the queue to the probe side,
//!          └─▶ probe ───────┘               the join waits for the end of the source
//! ```
//!
//! but circles over several joins exist too, also without a common ancestor. So this builds the graph of what has to
//! happen before what can happen, and looks for circles in it:
//! - a task is *done* when its producers are done and all its output has found room;
//! - there is lasting *room* on an edge once its consumer reads it and, if that consumer emits while it reads, once
//!   there is room behind it; a blocking edge has room at once, and so has one into a full dam such as a sort;
//! - a consumer reads an edge once what it reads first is done: the build side, the inner side, broadcast sets.
//!
//! Every circle contains an edge that has to wait for such a first reading. One of these becomes BLOCKING, the one
//! with the fewest bytes, until no circle is left. It is assumed that queues hold nothing and that each edge may
//! carry any number of records, so a breaker may be put where a run would have got by without.

use crate::chain::Chains;
use crate::context::Context;
use crate::physical::{Link, Physical};
use flinkrs_core::strategy::{DriverStrategy, ExchangeMode, Part, ShipStrategy};

/// Rounds that break one edge per knot of circles; then all candidates of a knot are broken at once, so that long
/// rows of diamonds take linear time.
const CAREFUL_ROUNDS: usize = 8;

/// Makes the exchanges outside of loops BLOCKING; a FORWARD edge is none.
pub(crate) fn block_exchanges(context: &Context, physical: &mut Physical) {
    let of_loop = |node: usize| context.loops.get(physical.nodes[node].operator).map(|of| of.close);
    let exchange = |link: &Link| {
        let inside = of_loop(link.from).is_some() && of_loop(link.from) == of_loop(link.to);
        link.ship != ShipStrategy::Forward && !inside
    };
    let blocked: Vec<usize> = (0..physical.links.len()).filter(|link| exchange(&physical.links[*link])).collect();
    blocked.into_iter().for_each(|link| physical.links[link].mode = ExchangeMode::Blocking);
}

/// Makes edges BLOCKING until no circle is left; returns the links it changed.
pub(crate) fn break_pipelines(context: &Context, physical: &mut Physical, chains: &Chains) -> Vec<usize> {
    let tasks = Tasks::new(physical, chains);
    let mut broken = Vec::new();
    for round in 0.. {
        let knots = knots(&tasks.requirements(physical));
        let mut candidates: Vec<(usize, usize)> = tasks
            .waiting
            .iter()
            .filter(|link| physical.links[**link].mode == ExchangeMode::Pipelined)
            .filter_map(|link| Some((knots[tasks.room(*link)]?, *link)))
            .collect();
        if candidates.is_empty() {
            break;
        }
        if round < CAREFUL_ROUNDS {
            let bytes = |link: usize| context.size(physical.nodes[physical.links[link].from].operator).bytes();
            candidates.sort_by(|a, b| a.0.cmp(&b.0).then(bytes(a.1).total_cmp(&bytes(b.1))).then(a.1.cmp(&b.1)));
            candidates.dedup_by_key(|(knot, _)| *knot);
        }
        for (_, link) in candidates {
            physical.links[link].mode = ExchangeMode::Blocking;
            broken.push(link);
        }
    }
    broken
}

/// What each task reads, and when.
struct Tasks<'a> {
    chains: &'a Chains,
    links: usize,
    /// Links between tasks.
    between: Vec<usize>,
    /// Links whose reading waits for something else.
    waiting: Vec<usize>,
    /// Per task: whether it emits while it reads.
    streams: Vec<bool>,
    /// Per task: links whose end the first reading of records waits for.
    broadcasts: Vec<Vec<usize>>,
    /// Per task: links whose end the reading of the second input waits for.
    first: Vec<Vec<usize>>,
}

impl<'a> Tasks<'a> {
    fn new(physical: &Physical, chains: &'a Chains) -> Tasks<'a> {
        let count = chains.tasks.len();
        let between: Vec<usize> =
            (0..physical.links.len()).filter(|link| !chains.inside(&physical.links[*link])).collect();
        let streams = chains.tasks.iter().map(|nodes| nodes.iter().all(|n| streams(physical.nodes[*n].part))).collect();
        let mut tasks = Tasks {
            chains,
            links: physical.links.len(),
            between,
            waiting: Vec::new(),
            streams,
            broadcasts: vec![Vec::new(); count],
            first: vec![Vec::new(); count],
        };
        for &index in &tasks.between {
            let link = &physical.links[index];
            let task = chains.task_of[link.to];
            if link.broadcast.is_some() {
                tasks.broadcasts[task].push(index);
            } else if first_input(physical.nodes[link.to].part) == Some(link.input) {
                tasks.first[task].push(index);
            }
        }
        let waits = |link: &Link| {
            let later = first_input(physical.nodes[link.to].part).is_some_and(|first| first != link.input);
            link.broadcast.is_none() && (later || !tasks.broadcasts[chains.task_of[link.to]].is_empty())
        };
        tasks.waiting = tasks.between.iter().copied().filter(|index| waits(&physical.links[*index])).collect();
        tasks
    }

    fn done(&self, task: usize) -> usize {
        task
    }

    fn room_behind(&self, task: usize) -> usize {
        self.chains.tasks.len() + task
    }

    fn ready(&self, task: usize) -> usize {
        2 * self.chains.tasks.len() + task
    }

    fn first_read(&self, task: usize) -> usize {
        3 * self.chains.tasks.len() + task
    }

    fn room(&self, link: usize) -> usize {
        4 * self.chains.tasks.len() + link
    }

    /// For each event, the events that have to come before it.
    fn requirements(&self, physical: &Physical) -> Vec<Vec<usize>> {
        let mut needs = vec![Vec::new(); 4 * self.chains.tasks.len() + self.links];
        for task in 0..self.chains.tasks.len() {
            needs[self.done(task)].push(self.room_behind(task));
            let producer = |link: &usize| self.done(self.chains.task_of[physical.links[*link].from]);
            needs[self.ready(task)].extend(self.broadcasts[task].iter().map(producer));
            needs[self.first_read(task)].extend(self.first[task].iter().map(producer));
        }
        for &index in &self.between {
            let link = &physical.links[index];
            let (from, to) = (self.chains.task_of[link.from], self.chains.task_of[link.to]);
            needs[self.done(to)].push(self.done(from));
            if link.mode == ExchangeMode::Blocking {
                continue;
            }
            needs[self.room_behind(from)].push(self.room(index));
            if link.broadcast.is_some() {
                continue;
            }
            needs[self.room(index)].push(self.ready(to));
            let first = first_input(physical.nodes[link.to].part);
            if first.is_some_and(|first| first != link.input) {
                needs[self.room(index)].push(self.first_read(to));
            }
            // What is read first is kept, whatever follows in the task.
            if self.streams[to] && first != Some(link.input) {
                needs[self.room(index)].push(self.room_behind(to));
            }
        }
        needs
    }
}

/// The input that a part reads to its end before any other.
fn first_input(part: Part) -> Option<u8> {
    match part {
        Part::Driver(DriverStrategy::HybridHash { build }) => Some(build.index() as u8),
        Part::Driver(DriverStrategy::NestedLoop { inner }) => Some(inner.index() as u8),
        // A delta iteration's solution set.
        Part::LoopHead => Some(1),
        _ => None,
    }
}

/// Whether a part may emit before it has read everything; the others take in all their input whatever follows.
fn streams(part: Part) -> bool {
    match part {
        Part::Sort { .. } | Part::RangeBounds { .. } => false,
        Part::Driver(DriverStrategy::HashGroup | DriverStrategy::Merge { .. }) => false,
        Part::Driver(_) | Part::Combine(_) | Part::Sample { .. } | Part::LoopHead | Part::NoOp => true,
    }
}

/// For each node of a graph, the number of its knot (a strongly connected component of several nodes), if it is in
/// one. Tarjan's algorithm, with a stack of its own.
fn knots(edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    const NEW: usize = usize::MAX;
    let mut index = vec![NEW; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut on_stack = vec![false; edges.len()];
    let mut knot = vec![None; edges.len()];
    let (mut stack, mut counter, mut count) = (Vec::new(), 0, 0);
    for start in 0..edges.len() {
        if index[start] != NEW {
            continue;
        }
        let mut calls = vec![(start, 0)];
        while let Some((node, next)) = calls.pop() {
            if next == 0 {
                index[node] = counter;
                low[node] = counter;
                counter += 1;
                stack.push(node);
                on_stack[node] = true;
            } else {
                let child: usize = edges[node][next - 1];
                low[node] = low[node].min(low[child]);
            }
            let mut descend = None;
            for (i, &child) in edges[node].iter().enumerate().skip(next) {
                if index[child] == NEW {
                    descend = Some((i + 1, child));
                    break;
                }
                if on_stack[child] {
                    low[node] = low[node].min(index[child]);
                }
            }
            if let Some((next, child)) = descend {
                calls.push((node, next));
                calls.push((child, 0));
            } else if low[node] == index[node] {
                let from = stack.iter().rposition(|n| *n == node).expect("a node is on the stack until its root ends");
                let members = stack.split_off(from);
                for member in &members {
                    on_stack[*member] = false;
                    knot[*member] = (members.len() > 1).then_some(count);
                }
                count += 1;
            }
        }
    }
    knot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_knots() {
        let edges = vec![vec![1], vec![2], vec![0, 3], vec![4], vec![], vec![6], vec![5]];
        let knots = knots(&edges);
        assert!(knots[0].is_some() && knots[0] == knots[1] && knots[1] == knots[2]);
        assert!(knots[5].is_some() && knots[5] == knots[6] && knots[5] != knots[0]);
        assert_eq!((knots[3], knots[4]), (None, None));
    }

    #[test]
    fn a_long_path_is_no_knot_and_no_stack_overflow() {
        let edges: Vec<Vec<usize>> = (0..100_000).map(|i| if i < 99_999 { vec![i + 1] } else { vec![] }).collect();
        assert!(knots(&edges).iter().all(Option::is_none));
    }
}
