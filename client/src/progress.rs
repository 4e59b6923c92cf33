//! What a terminal shows of a job: a line per running vertex, and a summary at the end.

use flinkrs_core::resource::ByteSize;
use flinkrs_runtime::{JobResult, LoopReport, SuperstepReport, VertexReport};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Names are cut to this width, so that a line stays a line.
const NAME_WIDTH: usize = 48;

/// Of a loop's supersteps the summary shows so many at the beginning, and so many at the end.
const SUPERSTEPS_SHOWN: usize = 8;

/// How often a log that isn't a terminal gets a line per vertex.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of one job on standard error.
pub(crate) struct Progress {
    started: Instant,
    terminal: bool,
    /// Lines on the terminal that the next picture replaces.
    shown: usize,
    logged: Instant,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let now = Instant::now();
        Progress { started: now, terminal: std::io::stderr().is_terminal(), shown: 0, logged: now }
    }

    /// Replaces the lines on a terminal; writes new ones to anything else, less often.
    pub(crate) fn show(&mut self, vertices: &[VertexReport], loops: &[LoopReport]) {
        if !self.terminal && self.logged.elapsed() < LOG_INTERVAL {
            return;
        }
        self.logged = Instant::now();
        let seconds = self.started.elapsed().as_secs_f64();
        let running = vertices.iter().filter(|vertex| vertex.subtasks.iter().any(|subtask| !subtask.done));
        let looping = loops.iter().filter(|of| !of.supersteps.is_empty()).map(loop_line);
        let lines: Vec<String> = running.map(|vertex| line(vertex, seconds)).chain(looping).collect();
        self.replace(&lines);
    }

    fn replace(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.terminal && self.shown > 0 {
            let _ = write!(text, "\x1b[{}A\x1b[J", self.shown);
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.shown = lines.len();
        // A closed standard error is no reason to fail the job.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Removes the lines and writes what each operator did.
    pub(crate) fn summary(mut self, result: &JobResult) {
        self.shown = if self.terminal { self.shown } else { 0 };
        let mut lines = vec![format!("job '{}' finished in {:.3} s", result.name, result.runtime.as_secs_f64())];
        lines.push(format!("{:<NAME_WIDTH$} {:>14} {:>14} {:>10}", "operator", "records in", "records out", "spilled"));
        for operator in result.vertices.iter().flat_map(|vertex| &vertex.operators) {
            lines.push(format!(
                "{:<NAME_WIDTH$} {:>14} {:>14} {:>10}",
                cut(&operator.name),
                operator.records_in,
                operator.records_out,
                ByteSize(operator.spilled_bytes).to_string(),
            ));
        }
        result.loops.iter().for_each(|of| lines.extend(loop_summary(of)));
        for (name, value) in &result.accumulators {
            lines.push(format!("accumulator {name}: {value}"));
        }
        self.replace(&lines);
    }
}

fn line(vertex: &VertexReport, seconds: f64) -> String {
    let records: u64 = vertex.subtasks.iter().map(|subtask| subtask.records).sum();
    let bytes: u64 = vertex.operators.iter().map(|operator| operator.bytes_in + operator.bytes_out).sum();
    let done = vertex.subtasks.iter().filter(|subtask| subtask.done).count();
    let rate = records as f64 / seconds.max(0.001);
    let all = vertex.subtasks.len();
    let name = cut(&vertex.name);
    let mut line = format!("{name:<NAME_WIDTH$} {done:>4}/{all:<4} {records:>13} records {rate:>12.0}/s");
    if bytes > 0 {
        let _ = write!(line, " {:>10}", ByteSize(bytes).to_string());
    }
    line
}

/// How far a loop is.
fn loop_line(of: &LoopReport) -> String {
    let Some(last) = of.supersteps.last() else { return String::new() };
    format!("{:<NAME_WIDTH$} superstep {}", cut(&of.name), superstep(last))
}

fn superstep(report: &SuperstepReport) -> String {
    let millis = report.duration.as_secs_f64() * 1e3;
    format!("{:>7} {:>13} fed back {:>13} changed {millis:>10.3} ms", report.superstep, report.workset, report.updates)
}

/// The supersteps of a loop: of many the first and the last.
fn loop_summary(of: &LoopReport) -> Vec<String> {
    let (count, seconds) = (of.count(), of.duration.as_secs_f64());
    let end = if of.converged { "converged" } else { "ended by its limit" };
    let mut line = format!("loop '{}': {count} supersteps in {seconds:.3} s, {end}", of.name);
    // A string takes all that is written.
    if of.resumed_after > 0 {
        let _ = write!(line, "; it went on after superstep {}", of.resumed_after);
    }
    if of.snapshots > 0 || of.skipped_snapshots > 0 {
        let _ = write!(line, "; {} snapshots, {} left out", of.snapshots, of.skipped_snapshots);
    }
    let mut lines = vec![line];
    for (i, report) in of.supersteps.iter().enumerate() {
        if i < SUPERSTEPS_SHOWN || i + SUPERSTEPS_SHOWN >= of.supersteps.len() {
            lines.push(format!("  superstep {}", superstep(report)));
        } else if i == SUPERSTEPS_SHOWN {
            lines.push("  …".to_owned());
        }
    }
    lines
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_WIDTH {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_WIDTH - 1).collect();
    kept + "…"
}
