//! What can be seen of a job while it runs and afterwards.

use crate::iteration::LoopControl;
use flinkrs_core::function::{Accumulators, OperatorMetrics};
use flinkrs_protocol::{ExecutionId, OperatorCounts, TaskReport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far a task is; written by the worker, read by whoever watches.
#[derive(Debug)]
pub(crate) struct TaskStatus {
    since: Instant,
    busy_nanos: AtomicU64,
    backpressured_nanos: AtomicU64,
    idle_nanos: AtomicU64,
    /// While it waits: when it began to, in nanoseconds since `since`, times two, and one more if it waits for room.
    waits: AtomicU64,
    done: AtomicBool,
}

/// Of a task that doesn't wait.
const RUNS: u64 = u64::MAX;

impl Default for TaskStatus {
    /// Of a task that has not begun.
    fn default() -> TaskStatus {
        TaskStatus {
            since: Instant::now(),
            busy_nanos: AtomicU64::new(0),
            backpressured_nanos: AtomicU64::new(0),
            idle_nanos: AtomicU64::new(0),
            waits: AtomicU64::new(RUNS),
            done: AtomicBool::new(false),
        }
    }
}

impl TaskStatus {
    /// A turn begins.
    pub(crate) fn runs(&self, now: Instant) {
        let waits = self.waits.swap(RUNS, Ordering::Relaxed);
        if let Some((counter, nanos)) = self.waited(waits, now) {
            counter.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// A turn has ended, and whether the task waits now; if so, whether for room.
    pub(crate) fn ran(&self, busy: Duration, waits_for_room: Option<bool>, done: bool) {
        self.busy_nanos.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
        if let Some(for_room) = waits_for_room {
            let now = self.since.elapsed().as_nanos() as u64;
            self.waits.store(now * 2 + u64::from(for_room), Ordering::Relaxed);
        }
        if done {
            self.done.store(true, Ordering::Release);
        }
    }

    /// What a wait that began at `waits` has come to, and where it is counted.
    fn waited(&self, waits: u64, now: Instant) -> Option<(&AtomicU64, u64)> {
        if waits == RUNS {
            return None;
        }
        let counter = if waits % 2 == 1 { &self.backpressured_nanos } else { &self.idle_nanos };
        let now = now.saturating_duration_since(self.since).as_nanos() as u64;
        Some((counter, now.saturating_sub(waits / 2)))
    }

    /// How long it has waited for room, and for input, until now.
    fn waits(&self) -> (Duration, Duration) {
        let present = self.waited(self.waits.load(Ordering::Relaxed), Instant::now());
        let total = |counter: &AtomicU64| {
            let more = present.filter(|(of, _)| std::ptr::eq(*of, counter)).map_or(0, |(_, nanos)| nanos);
            Duration::from_nanos(counter.load(Ordering::Relaxed) + more)
        };
        (total(&self.backpressured_nanos), total(&self.idle_nanos))
    }
}

/// The counters of one operator, summed over its subtasks.
#[derive(Clone, Debug, Default)]
pub struct OperatorReport {
    /// The operator's name.
    pub name: String,
    /// Records received.
    pub records_in: u64,
    /// Records emitted.
    pub records_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes spilled to local disk.
    pub spilled_bytes: u64,
}

/// One subtask of a vertex.
#[derive(Clone, Debug, Default)]
pub struct SubtaskReport {
    /// How long it ran on a thread.
    pub busy: Duration,
    /// Whether it has ended.
    pub done: bool,
    /// Records that its first operator received; for a source, emitted.
    pub records: u64,
}

/// One vertex, with its operators and subtasks.
#[derive(Clone, Debug, Default)]
pub struct VertexReport {
    /// The names of its operators.
    pub name: String,
    /// Its operators in order.
    pub operators: Vec<OperatorReport>,
    /// Its subtasks in order.
    pub subtasks: Vec<SubtaskReport>,
}

/// Where the counters of a vertex are found.
pub(crate) struct VertexCounters {
    pub(crate) name: String,
    pub(crate) operators: Vec<String>,
    pub(crate) subtasks: Vec<SubtaskCounters>,
}

#[derive(Clone)]
pub(crate) struct SubtaskCounters {
    pub(crate) execution: ExecutionId,
    pub(crate) status: Arc<TaskStatus>,
    pub(crate) metrics: Vec<Arc<OperatorMetrics>>,
    pub(crate) accumulators: Accumulators,
    /// The loop that it is in, and its position in the graph.
    pub(crate) looping: Option<(u32, Arc<LoopControl>)>,
}

impl VertexCounters {
    pub(crate) fn report(&self) -> VertexReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let operators = self.operators.iter().enumerate().map(|(i, name)| {
            let mut report = OperatorReport { name: name.clone(), ..OperatorReport::default() };
            for metrics in self.subtasks.iter().map(|subtask| &subtask.metrics[i]) {
                report.records_in += read(&metrics.records_in);
                report.records_out += read(&metrics.records_out);
                report.bytes_in += read(&metrics.bytes_in);
                report.bytes_out += read(&metrics.bytes_out);
                report.spilled_bytes += read(&metrics.spilled_bytes);
            }
            report
        });
        let subtasks = self.subtasks.iter().map(SubtaskCounters::report);
        VertexReport { name: self.name.clone(), operators: operators.collect(), subtasks: subtasks.collect() }
    }
}

impl SubtaskCounters {
    /// What the subtask has done so far, for other processes.
    pub(crate) fn task_report(&self) -> TaskReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let operators = self.metrics.iter().map(|metrics| OperatorCounts {
            records_in: read(&metrics.records_in),
            records_out: read(&metrics.records_out),
            bytes_in: read(&metrics.bytes_in),
            bytes_out: read(&metrics.bytes_out),
            spilled_bytes: read(&metrics.spilled_bytes),
        });
        let SubtaskReport { busy, done, .. } = self.report();
        let (backpressured, idle) = self.status.waits();
        TaskReport { execution: self.execution, busy, backpressured, idle, done, operators: operators.collect() }
    }

    pub(crate) fn report(&self) -> SubtaskReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SubtaskReport {
            busy: Duration::from_nanos(read(&self.status.busy_nanos)),
            done: self.status.done.load(Ordering::Acquire),
            records: read(&self.metrics[0].records_in).max(read(&self.metrics[0].records_out)),
        }
    }
}
