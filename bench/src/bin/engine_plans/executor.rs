//! Runs a program in this process, as the optimizer chooses or with choices pinned, and keeps what was chosen.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use flinkrs::prelude::{DataSet, Error, ExecutionEnvironment, JobExecutionResult, Result};
use flinkrs_api::Executor;
use flinkrs_bench::in_process::{PARALLELISM, optimizer_options, runtime_options};
use flinkrs_core::function::FunctionSource;
use flinkrs_optimizer::optimize;
use flinkrs_plan::Plan;
use flinkrs_runtime::{Job, Sinks};

use crate::programs::{Pair, Pin, Program};

/// One execution.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// From before the job's deployment to after its end.
    pub(crate) seconds: f64,
    /// CPU time of the process meanwhile, in steps of 10 ms.
    pub(crate) cpu: f64,
    /// What the optimizer thinks the plan costs.
    pub(crate) cost: f64,
    /// The plan as text: the chosen strategies and those that were rejected.
    pub(crate) plan: String,
    /// How many records came out, and their checksum.
    pub(crate) answer: Pair,
}

impl Run {
    /// The strategy of the operator of this name.
    pub(crate) fn strategy(&self, operator: &str) -> Option<&str> {
        let start = format!("{operator} [");
        let mut lines = self.plan.lines().skip_while(|line| !line.starts_with(&start));
        lines.nth(1)?.trim_start().strip_prefix("chosen: ")
    }
}

/// Executes plans with pinned choices.
struct Forcing {
    pins: &'static [Pin],
    last: Mutex<Run>,
}

impl Executor for Forcing {
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        let mut options = optimizer_options();
        for (name, pin) in self.pins {
            let operator = plan.operators.iter().find(|operator| operator.name == *name);
            let operator = operator.ok_or_else(|| Error::usage(format!("there is no operator '{name}'")))?;
            options.force.push(pin(operator.id));
        }
        let optimized = optimize(&plan, &options)?;
        let runtime = runtime_options();
        let graph = optimized.job_graph()?;
        let sinks = Sinks::new(&graph, &*program, &runtime.job);
        sinks.begin()?;
        let (start, cpu) = (Instant::now(), cpu_seconds()?);
        let result = Job::start(&graph, &*program, &runtime)?.finish()?;
        let run = Run {
            seconds: start.elapsed().as_secs_f64(),
            cpu: cpu_seconds()? - cpu,
            cost: optimized.cost().total(&options),
            plan: optimized.explain_alternatives(),
            answer: (0, 0),
        };
        sinks.commit()?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = run;
        Ok(JobExecutionResult {
            job_name: result.name,
            net_runtime: result.runtime,
            accumulators: result.accumulators,
            ..JobExecutionResult::default()
        })
    }
}

/// Runs a program, as it is or the other way, with inputs of a `divisor`th of their size.
pub(crate) fn run(program: &Program, divisor: u64, other: bool) -> Result<Run> {
    let (build, pins): (_, &[_]) =
        if other { (program.other.unwrap_or(program.build), program.pins) } else { (program.build, &[]) };
    let executor = Arc::new(Forcing { pins, last: Mutex::default() });
    let env = ExecutionEnvironment::new(PARALLELISM, Arc::clone(&executor) as Arc<dyn Executor>);
    let answer = answer(&build(&env, divisor))?;
    let run = executor.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Run { answer, ..run })
}

/// How many records there are, and a checksum that doesn't depend on their order.
fn answer(records: &DataSet<Pair>) -> Result<Pair> {
    let summary = records
        .map(|(key, value)| (1u64, key.wrapping_mul(31) ^ value))
        .reduce(|sum, next| *sum = (sum.0 + next.0, sum.1.wrapping_add(next.1)))
        .collect()?;
    Ok(summary.first().copied().unwrap_or_default())
}

/// CPU time of this process, user and system, as the kernel has counted it.
fn cpu_seconds() -> Result<f64> {
    let file = "/proc/self/stat";
    let text = fs::read_to_string(file).map_err(|error| Error::io("read", file, error))?;
    // The second field is a name in parentheses and may have blanks; fields 14 and 15 are hundredths of a second.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / 100.0)
}
