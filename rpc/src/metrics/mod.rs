//! What is measured, under Flink's names, and the text format of Prometheus.

mod process;
mod text;

pub use process::of_this_process;
pub use text::Families;

use flinkrs_core::config::PortRange;
use flinkrs_core::error::{Error, Result};
use flinkrs_core::id::VertexId;
use flinkrs_protocol::{JobId, OperatorCounts, ProcessUse, TaskReport, WorkerUse};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::net::{IpAddr, TcpListener};

/// A name and its present value.
pub type Measure = (Cow<'static, str>, u64);

fn fixed<const N: usize>(measures: [(&'static str, u64); N]) -> Vec<Measure> {
    measures.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
}

/// What tasks have read and written, and how long they ran and waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that their operators have read.
    pub read_bytes: u64,
    /// Bytes that their operators have written.
    pub write_bytes: u64,
    /// Records that their first operator has received.
    pub read_records: u64,
    /// Records that their last operator has emitted.
    pub write_records: u64,
    /// Milliseconds on a thread.
    pub busy_ms: u64,
    /// Milliseconds of waiting for room.
    pub backpressured_ms: u64,
    /// Milliseconds of waiting for input.
    pub idle_ms: u64,
}

impl Counts {
    /// Of a task.
    pub fn of(report: &TaskReport) -> Counts {
        let operators = &report.operators;
        Counts {
            read_bytes: operators.iter().map(|operator| operator.bytes_in).sum(),
            write_bytes: operators.iter().map(|operator| operator.bytes_out).sum(),
            read_records: operators.first().map_or(0, |first| first.records_in),
            write_records: operators.last().map_or(0, |last| last.records_out),
            busy_ms: report.busy.as_millis() as u64,
            backpressured_ms: report.backpressured.as_millis() as u64,
            idle_ms: report.idle.as_millis() as u64,
        }
    }

    /// Adds those of another task.
    pub fn add(&mut self, other: Counts) {
        self.read_bytes += other.read_bytes;
        self.write_bytes += other.write_bytes;
        self.read_records += other.read_records;
        self.write_records += other.write_records;
        self.busy_ms += other.busy_ms;
        self.backpressured_ms += other.backpressured_ms;
        self.idle_ms += other.idle_ms;
    }
}

/// Of a task.
pub fn of_task(report: &TaskReport) -> Vec<Measure> {
    let counts = Counts::of(report);
    fixed([
        ("numRecordsIn", counts.read_records),
        ("numRecordsOut", counts.write_records),
        ("numBytesIn", counts.read_bytes),
        ("numBytesOut", counts.write_bytes),
        ("numBytesSpilled", report.operators.iter().map(|operator| operator.spilled_bytes).sum()),
        ("accumulateBusyTimeMs", counts.busy_ms),
        ("accumulateBackPressuredTimeMs", counts.backpressured_ms),
        ("accumulateIdleTimeMs", counts.idle_ms),
    ])
}

/// Of an operator of a task.
pub fn of_operator(counts: &OperatorCounts) -> Vec<Measure> {
    fixed([
        ("numRecordsIn", counts.records_in),
        ("numRecordsOut", counts.records_out),
        ("numBytesIn", counts.bytes_in),
        ("numBytesOut", counts.bytes_out),
        ("numBytesSpilled", counts.spilled_bytes),
    ])
}

/// Of a process, or of several together.
pub fn of_process(of: &ProcessUse) -> Vec<Measure> {
    fixed([
        ("Status.Process.Memory.Used", of.memory_bytes),
        ("Status.Process.CPU.TimeMs", of.cpu.as_millis() as u64),
        ("Status.Process.Threads.Count", of.threads),
        ("Status.Process.OpenFiles.Count", of.open_files),
    ])
}

/// Of a TaskExecutor with `slots` slots of `slot_bytes` bytes: its own process, and its workers together.
pub fn of_task_executor(slots: u32, slot_bytes: u64, process: &ProcessUse, workers: &WorkerUse) -> Vec<Measure> {
    let network = &workers.network;
    let used = network.credit_bytes + network.held_bytes + network.spare_bytes;
    let mut measures = of_process(process);
    measures.extend(fixed([
        ("Status.Workers.Memory.Used", workers.process.memory_bytes),
        ("Status.Workers.CPU.TimeMs", workers.process.cpu.as_millis() as u64),
        ("Status.Workers.Threads.Count", workers.process.threads),
        ("Status.Flink.Memory.Managed.Total", slot_bytes * u64::from(slots)),
        ("Status.Flink.Memory.Managed.Used", workers.managed_bytes.iter().sum()),
        ("Status.Shuffle.Netty.TotalMemory", network.total_bytes),
        ("Status.Shuffle.Netty.UsedMemory", used),
        ("Status.Shuffle.Netty.AvailableMemory", network.total_bytes.saturating_sub(used)),
        ("Status.Shuffle.Netty.CreditMemory", network.credit_bytes),
        ("Status.Shuffle.Netty.HeldMemory", network.held_bytes),
        ("Status.Shuffle.Netty.ChannelsIn", network.channels_in),
        ("Status.Shuffle.Netty.ChannelsOut", network.channels_out),
    ]));
    let of_slot = |slot: u32| workers.managed_bytes.get(slot as usize).copied().unwrap_or(0);
    let name = |slot: u32| Cow::Owned(format!("Status.Flink.Memory.Managed.Slot{slot}.Used"));
    measures.extend((0..slots).map(|slot| (name(slot), of_slot(slot))));
    measures
}

/// 32 hexadecimal digits that name a vertex in all jobs, as Flink's clients expect them.
pub fn vertex_id(job: JobId, vertex: VertexId) -> String {
    digest(job, b"vertex", vertex.0)
}

/// The same for an operator, by its position in the plan.
pub fn operator_id(job: JobId, operator: u32) -> String {
    digest(job, b"operator", operator)
}

/// The same for a group of vertices that share slots, by its number.
pub fn sharing_group_id(job: JobId, group: u32) -> String {
    digest(job, b"slots", group)
}

/// As Flink writes the id of an attempt.
pub fn attempt_id(job: JobId, vertex: &str, subtask: u32, attempt: u32) -> String {
    format!("{job}_{vertex}_{subtask}_{attempt}")
}

fn digest(job: JobId, what: &[u8], number: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(job.0.to_be_bytes());
    hash.update(number.to_be_bytes());
    hash.update(what);
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Listens at the first port of a range that is free (`metrics.reporter.prom.port`).
///
/// Errors when none is.
pub fn listen(ip: IpAddr, ports: PortRange) -> Result<TcpListener> {
    let mut last = None;
    for port in ports.first..=ports.last {
        match TcpListener::bind((ip, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(String::new, |error| format!(": {error}"));
    Err(Error::Resource {
        message: format!("cannot listen for Prometheus on {ip}, port {ports}{why} (option metrics.reporter.prom.port)"),
    })
}
