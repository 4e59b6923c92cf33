//! What a program with a loop prints, and the whole answer that it writes if asked to.

use std::fmt::{Display, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use crate::cli::about;
use crate::files::create;

/// Ranks that are printed.
const TOP: usize = 5;

/// The seconds of a program's two phases: reading the input, and everything from there to the answer.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    read: f64,
    work: f64,
}

impl Times {
    /// Of a program that began to read at `start`, had read at `read`, and has its answer now.
    pub fn until_now(start: Instant, read: Instant) -> Times {
        Times { read: (read - start).as_secs_f64(), work: read.elapsed().as_secs_f64() }
    }

    /// Prints `READ_S=<seconds> LOOP_S=<seconds> PEAK_MB=<megabytes>` and an answer in a line.
    pub fn print(self, answer: &str) {
        println!("READ_S={:.4} LOOP_S={:.4} PEAK_MB={} {answer}", self.read, self.work, peak_megabytes());
    }
}

/// The most memory that this process has had so far, in millions of bytes; 0 where the system doesn't tell.
fn peak_megabytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024 / 1_000_000
}

/// `COMPONENTS=<number> LABELS=<sum>`: how many components, named by their smallest vertex, and the sum of the names
/// over all vertices.
pub fn components(labels: impl IntoIterator<Item = (u32, u32)>) -> String {
    let (mut components, mut sum) = (0u64, 0u64);
    for (vertex, label) in labels {
        components += u64::from(vertex == label);
        sum += u64::from(label);
    }
    format!("COMPONENTS={components} LABELS={sum}")
}

/// `SUM=<sum> TOP=<id>:<rank>,...`: the sum of all ranks, and the vertices of the highest ones, in nine digits each.
pub fn ranks(ranks: impl IntoIterator<Item = (u32, f64)>) -> String {
    let (mut sum, mut top) = (0.0, Vec::with_capacity(TOP + 1));
    for (vertex, rank) in ranks {
        sum += rank;
        let place = top.partition_point(|&(other, higher)| higher > rank || higher == rank && other < vertex);
        if place < TOP {
            top.insert(place, (vertex, rank));
            top.truncate(TOP);
        }
    }
    let top: Vec<String> = top.into_iter().map(|(vertex, rank)| format!("{vertex}:{rank:.8e}")).collect();
    format!("SUM={sum:.8e} TOP={}", top.join(","))
}

/// `CENTERS=<id>:<x>:<y>,...`: all centroids by their ids, with six digits behind the point.
pub fn centers(centers: impl IntoIterator<Item = (u32, f64, f64)>) -> String {
    let mut centers: Vec<_> = centers.into_iter().collect();
    centers.sort_unstable_by_key(|&(id, ..)| id);
    let mut line = "CENTERS=".to_string();
    for (place, (id, x, y)) in centers.into_iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        // Writing to a string doesn't fail.
        let _ = write!(line, "{comma}{id}:{x:.6}:{y:.6}");
    }
    line
}

/// Writes the lines of a whole answer to a new file, if there is a path.
pub fn write(path: Option<&Path>, lines: impl IntoIterator<Item = impl Display>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let mut out = create(path)?;
    for line in lines {
        writeln!(out, "{line}").map_err(about(path.display()))?;
    }
    out.flush().map_err(about(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_a_line() {
        assert_eq!(components([(0, 0), (1, 0), (2, 2), (3, 2)]), "COMPONENTS=2 LABELS=4");
        let ranked = ranks([(7, 0.125), (6, 0.25), (5, 0.125), (4, 0.0), (3, 0.5), (2, 1.0)]);
        let top = "2:1.00000000e0,3:5.00000000e-1,6:2.50000000e-1,5:1.25000000e-1,7:1.25000000e-1";
        assert_eq!(ranked, format!("SUM=2.00000000e0 TOP={top}"));
        assert_eq!(centers([(1, -0.5, 2.0), (0, 1.0, 1e-7)]), "CENTERS=0:1.000000:0.000000,1:-0.500000:2.000000");
        assert!(peak_megabytes() > 0);
    }
}
