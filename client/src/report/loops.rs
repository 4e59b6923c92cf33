//! What each loop did, superstep by superstep: how it ended, and charts of its work and its time.

use crate::report::html::{escape, grouped, seconds};
use flinkrs_runtime::{LoopReport, SuperstepReport};
use std::fmt::Write;

/// The chart's size, in the units of its view box.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;

/// Points of a curve: of more supersteps, each point is the largest of a few.
const POINTS: usize = 720;

/// All loops, in order; nothing if there are none.
pub(super) fn describe(loops: &[LoopReport]) -> String {
    if loops.is_empty() {
        return String::new();
    }
    let sections: String = loops.iter().map(section).collect();
    format!("<h2>Loops</h2>\n{sections}")
}

fn section(of: &LoopReport) -> String {
    let end = if of.converged { "it converged" } else { "its limit ended it" };
    let mut text = format!(
        "<h3>{}</h3>\n<p>{} supersteps of at most {} in {}; {end}.{}</p>\n",
        escape(&of.name),
        grouped(u64::from(of.count())),
        grouped(u64::from(of.max_supersteps)),
        seconds(of.duration),
        snapshots(of),
    );
    text += &chart("Records fed back", "records", &of.supersteps, |superstep| superstep.workset as f64);
    if of.supersteps.iter().any(|superstep| superstep.updates > 0) {
        text += &chart("Changes to the solution set", "records", &of.supersteps, |superstep| superstep.updates as f64);
    }
    text + &chart("Time", "µs", &of.supersteps, |superstep| superstep.duration.as_secs_f64() * 1e6)
}

/// What there is to say of a loop's snapshots.
fn snapshots(of: &LoopReport) -> String {
    let mut text = String::new();
    // A string takes all that is written.
    if of.resumed_after > 0 {
        let _ = write!(text, " It went on after superstep {}.", grouped(u64::from(of.resumed_after)));
    }
    if of.snapshots > 0 || of.skipped_snapshots > 0 {
        let (complete, skipped) = (grouped(u64::from(of.snapshots)), grouped(u64::from(of.skipped_snapshots)));
        let _ = write!(text, " Snapshots: {complete}; left out while another was being written: {skipped}.");
    }
    text
}

/// A curve over the supersteps; the vertical axis is logarithmic, since worksets shrink by orders of magnitude.
fn chart(title: &str, unit: &str, supersteps: &[SuperstepReport], value: impl Fn(&SuperstepReport) -> f64) -> String {
    let largest = supersteps.iter().map(&value).fold(0.0, f64::max);
    let scale = |value: f64| (1.0 + value).ln() / (1.0 + largest).ln().max(f64::MIN_POSITIVE);
    let step = supersteps.len().div_ceil(POINTS).max(1);
    let first = supersteps.first().map_or(0, |first| first.superstep);
    let last = supersteps.last().map_or(first, |last| last.superstep).max(first + 1);
    let mut path = String::new();
    for (i, chunk) in supersteps.chunks(step).enumerate() {
        let highest = chunk.iter().map(&value).fold(0.0, f64::max);
        let place = f64::from(chunk[0].superstep - first) / f64::from(last - first);
        let (x, y) = (place * WIDTH, HEIGHT * (1.0 - scale(highest)));
        let command = if i == 0 { 'M' } else { 'L' };
        // A string takes all that is written.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    format!(
        "<p>{title} per superstep, at most {} {unit} <span class=\"faint\">(logarithmic)</span></p>\n\
         <div class=\"wide\"><svg viewBox=\"0 -4 {WIDTH} {}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{title}\">\
         <path d=\"{path}\"/></svg></div>\n",
        grouped(largest.round() as u64),
        HEIGHT + 8.0,
    )
}
