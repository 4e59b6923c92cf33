//! Makes a failing program smaller as long as it fails.

use crate::program::{Op, Program};
use crate::run::check;
use std::time::Duration;

/// Runs per program: what fails only sometimes fails in one of them.
const TRIES: usize = 3;

fn fails(program: &Program, plans: usize) -> bool {
    (0..TRIES).any(|_| check(program, plans, Duration::from_secs(5)).is_err())
}

/// A smaller program that fails as well.
pub(crate) fn shrink(program: &Program, plans: usize) -> Program {
    let mut smallest = program.clone();
    loop {
        let Some(smaller) = candidates(&smallest).into_iter().find(|candidate| fails(candidate, plans)) else {
            return smallest;
        };
        smallest = smaller;
    }
}

/// Programs with one thing less.
fn candidates(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    for sink in &program.sinks {
        if program.sinks.len() > 1 {
            all.push(Program { sinks: vec![*sink], ..program.clone() });
        }
    }
    for i in (0..program.nodes.len()).filter(|i| needed(program)[*i]) {
        let mut change = |change: &dyn Fn(&mut crate::program::Node)| {
            let mut smaller = program.clone();
            change(&mut smaller.nodes[i]);
            all.push(smaller);
        };
        let node = &program.nodes[i];
        for input in node.inputs.iter().filter(|_| node.op != Op::Same) {
            change(&|node| (node.op, node.inputs, node.parallelism) = (Op::Same, vec![*input], None));
        }
        if let Op::Source(records, step) = &node.op
            && !records.is_empty()
        {
            let (first, second) = records.split_at(records.len() / 2);
            change(&|node| node.op = Op::Source(first.to_vec(), *step));
            change(&|node| node.op = Op::Source(second.to_vec(), *step));
            if step.is_some() {
                change(&|node| node.op = Op::Source(records.clone(), None));
            }
        }
        if node.parallelism.is_some() || node.records.is_some() || node.chaining != 0 {
            change(&|node| (node.parallelism, node.records, node.chaining) = (None, None, 0));
        }
    }
    all
}

/// The steps that sinks need.
fn needed(program: &Program) -> Vec<bool> {
    let mut needed = vec![false; program.nodes.len()];
    program.sinks.iter().for_each(|sink| needed[*sink] = true);
    for i in (0..needed.len()).rev().filter(|i| *i < program.nodes.len()) {
        if needed[i] {
            program.nodes[i].inputs.iter().for_each(|input| needed[*input] = true);
        }
    }
    needed
}

/// The program without the steps that nothing needs, for people.
pub(crate) fn describe(program: &Program) -> String {
    let steps = program.nodes.iter().enumerate().zip(needed(program)).filter(|(_, needed)| *needed);
    let lines: Vec<String> = steps.map(|((i, node), _)| format!("  {i}: {node:?}")).collect();
    let Program { seed, parallelism, memory_bytes, filler, sinks, panics, .. } = program;
    let head = format!(
        "seed {seed}, parallelism {parallelism}, {memory_bytes} bytes of memory, filler of {filler}, sinks {sinks:?}, \
         panics {panics:?}"
    );
    format!("{head}\n{}", lines.join("\n"))
}
