//! What can be seen of a job while it runs and afterwards.

use crate::iteration::LoopControl;
use flinkrs_core::function::{Accumulators, OperatorMetrics};
use flinkrs_protocol::{ExecutionId, OperatorCounts, TaskReport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How far a task is; written by the worker, read by whoever watches.
#[derive(Debug, Default)]
pub(crate) struct TaskStatus {
    busy_nanos: AtomicU64,
    done: AtomicBool,
}

impl TaskStatus {
    pub(crate) fn ran(&self, busy: Duration, done: bool) {
        self.busy_nanos.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
        if done {
            self.done.store(true, Ordering::Release);
        }
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
        TaskReport { execution: self.execution, busy, done, operators: operators.collect() }
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
