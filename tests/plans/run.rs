//! Runs every way to execute a program that the optimizer finds, and compares the results.

use crate::build::build;
use crate::program::{Op, Program};
use crate::reference;
use crate::semantics::{Key, Rec};
use flinkrs::prelude::*;
use flinkrs_api::Executor;
use flinkrs_core::function::FunctionSource;
use flinkrs_core::sink::{OutputFormat, RecordWriter, WriterContext};
use flinkrs_core::source::{InputFormat, SplitReader};
use flinkrs_optimizer::{OptimizedPlan, OptimizerOptions, enumerate_plans};
use flinkrs_plan::Plan;
use flinkrs_runtime::{Job, RuntimeOptions};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What has been written: by sink, the records of each subtask.
type Written = Arc<Mutex<BTreeMap<usize, Vec<(u32, Vec<Rec>)>>>>;

/// What a function of a program that fails panics with.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Why a lock can't be poisoned.
const LOCKED: &str = "nothing panics while it holds the lock";

/// Sinks that gather what is written.
#[derive(Clone, Default)]
pub(crate) struct Gather(Written, Arc<AtomicBool>);

impl Gather {
    /// The sink of that step.
    pub(crate) fn sink(&self, step: usize) -> GatherSink {
        GatherSink(step, Arc::clone(&self.0))
    }

    fn clear(&self) {
        self.0.lock().expect(LOCKED).clear();
        self.1.store(false, Ordering::Release);
    }

    /// Remembers that a function panics.
    pub(crate) fn panicked(&self) {
        self.1.store(true, Ordering::Release);
    }

    /// The records of a sink, those of the first subtask first.
    fn records(&self, step: usize) -> Vec<Rec> {
        let mut parts = self.0.lock().expect(LOCKED).remove(&step).unwrap_or_default();
        parts.sort_by_key(|(subtask, _)| *subtask);
        parts.into_iter().flat_map(|(_, records)| records).collect()
    }
}

/// One sink.
pub(crate) struct GatherSink(usize, Written);

/// The part of a sink that one subtask writes.
pub(crate) struct GatherWriter {
    step: usize,
    subtask: u32,
    records: Vec<Rec>,
    written: Written,
}

impl OutputFormat<Rec> for GatherSink {
    type Writer = GatherWriter;

    fn open(&self, context: &WriterContext<'_>) -> Result<GatherWriter> {
        let written = Arc::clone(&self.1);
        Ok(GatherWriter { step: self.0, subtask: context.subtask.index, records: Vec::new(), written })
    }
}

impl RecordWriter<Rec> for GatherWriter {
    fn write(&mut self, records: &mut Vec<Rec>) -> Result<()> {
        self.records.append(records);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        let part = (self.subtask, std::mem::take(&mut self.records));
        self.written.lock().expect(LOCKED).entry(self.step).or_default().push(part);
        Ok(())
    }
}

/// A source that gives few records at a time, so that queues fill with small batches.
pub(crate) struct Trickle {
    pub(crate) records: Vec<Rec>,
    pub(crate) step: usize,
}

/// Reads one split of a [`Trickle`].
pub(crate) struct TrickleReader(std::vec::IntoIter<Rec>, usize);

impl InputFormat for Trickle {
    type Item = Rec;
    type Split = Vec<Rec>;
    type Reader = TrickleReader;

    fn splits(&self, wanted: usize) -> Result<Vec<(Vec<Rec>, u64)>> {
        let length = self.records.len().div_ceil(wanted.max(1)).max(1);
        Ok(self.records.chunks(length).map(|chunk| (chunk.to_vec(), 0)).collect())
    }

    fn open(&self, split: Vec<Rec>) -> Result<TrickleReader> {
        Ok(TrickleReader(split.into_iter(), self.step))
    }
}

impl SplitReader<Rec> for TrickleReader {
    fn read(&mut self, records: &mut Vec<Rec>) -> Result<bool> {
        let before = records.len();
        records.extend(self.0.by_ref().take(self.1));
        Ok(records.len() > before)
    }
}

/// Keeps what it is asked to execute.
#[derive(Default)]
struct Capture(Mutex<Option<(Plan, Arc<dyn FunctionSource>)>>);

impl Executor for Capture {
    fn execute(&self, plan: Plan, program: Arc<dyn FunctionSource>) -> Result<JobExecutionResult> {
        *self.0.lock().expect(LOCKED) = Some((plan, program));
        Ok(JobExecutionResult::default())
    }
}

/// What has been seen of programs that gave the right results.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) plans: usize,
    pub(crate) spilling: usize,
}

/// Runs `program` in up to `plans` ways; errors with what went wrong and the plan.
pub(crate) fn check(program: &Program, plans: usize, timeout: Duration) -> std::result::Result<Seen, String> {
    let capture = Arc::new(Capture::default());
    let env = ExecutionEnvironment::new(program.parallelism, Arc::clone(&capture) as Arc<dyn Executor>);
    let gathered = Gather::default();
    build(program, &env, &gathered);
    env.execute(&format!("random {}", program.seed)).map_err(|error| format!("no plan: {error}"))?;
    let (plan, functions) = capture.0.lock().expect(LOCKED).take().expect("the executor was asked");
    let mut expected = reference::run(program);
    expected.iter_mut().for_each(|records| records.sort());

    let slot = (program.memory_bytes / program.parallelism as usize) as u64;
    let options = OptimizerOptions { memory_bytes: slot, ..OptimizerOptions::default() };
    let all = enumerate_plans(&plan, &options, plans, program.seed).map_err(|error| format!("no plan: {error}"))?;
    let mut seen = Seen::default();
    for optimized in &all {
        gathered.clear();
        let failed = |what: String| format!("{what}\n{}", optimized.explain());
        let spilled = match run(program, optimized, &*functions, timeout) {
            Err(message) if message.contains(ON_PURPOSE) && gathered.1.load(Ordering::Acquire) => continue,
            Ok(_) if gathered.1.load(Ordering::Acquire) => return Err(failed("the panic is lost".to_owned())),
            other => other.map_err(failed)?,
        };
        for sink in &program.sinks {
            compare(program, *sink, gathered.records(*sink), &expected[*sink]).map_err(failed)?;
        }
        seen.plans += 1;
        seen.spilling += usize::from(spilled > 0);
    }
    Ok(seen)
}

/// Runs one plan to its end; how many bytes it spilled.
fn run(
    program: &Program,
    optimized: &OptimizedPlan,
    functions: &dyn FunctionSource,
    timeout: Duration,
) -> std::result::Result<u64, String> {
    let options = RuntimeOptions {
        job: Arc::from("test"),
        threads: 2,
        memory_bytes: program.memory_bytes,
        temp_dir: std::env::temp_dir(),
        snapshots: None,
    };
    let graph = optimized.job_graph().map_err(|error| format!("no JobGraph: {error}"))?;
    let job = Job::start(&graph, functions, &options).map_err(|error| format!("not started: {error}"))?;
    if !job.wait(timeout) {
        let report = job.report();
        job.cancel();
        // To drop it would wait for it.
        std::mem::forget(job);
        return Err(format!("the job hangs: {report:#?}"));
    }
    let result = job.finish().map_err(|error| format!("the job failed: {error}"))?;
    Ok(result.vertices.iter().flat_map(|vertex| &vertex.operators).map(|operator| operator.spilled_bytes).sum())
}

fn compare(program: &Program, sink: usize, got: Vec<Rec>, expected: &[Rec]) -> std::result::Result<(), String> {
    if let Some(key) = sorted_by(program, sink)
        && !got.is_sorted_by_key(|r| key.of(r))
    {
        return Err(format!("the sink of {sink} isn't sorted by {key:?}: {:?}", numbers(&got)));
    }
    let mut got = got;
    got.sort();
    if got == expected {
        return Ok(());
    }
    Err(format!("the sink of {sink} has\n  {:?}\nand should have\n  {:?}", numbers(&got), numbers(expected)))
}

/// The key that a sink's records are sorted by over all subtasks.
fn sorted_by(program: &Program, sink: usize) -> Option<Key> {
    match program.nodes[sink].op {
        Op::RangeSort(key) => Some(key),
        _ => None,
    }
}

fn numbers(records: &[Rec]) -> Vec<(u64, i64, u64)> {
    records.iter().take(40).map(|r| (r.0, r.1, r.2)).collect()
}
