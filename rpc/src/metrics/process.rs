//! What this process uses, as the kernel counts it.

use flinkrs_protocol::ProcessUse;
use std::fs;
use std::time::Duration;

/// What this process uses now; zeros where `/proc` doesn't tell.
pub fn of_this_process() -> ProcessUse {
    let pages = |text: String| text.split(' ').nth(1)?.parse::<u64>().ok();
    let resident = fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0);
    let (cpu, threads) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse(&stat)).unwrap_or_default();
    // One of them is the folder that is being read.
    let open_files = fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1) as u64);
    ProcessUse { memory_bytes: resident * rustix::param::page_size() as u64, cpu, threads, open_files }
}

/// Time on cores, and threads, out of a line of `/proc/PID/stat`; the name may hold anything, and ends at the last `)`.
fn parse(stat: &str) -> Option<(Duration, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    // Fields 14, 15 and 20 of proc(5), of which the first two are cut off here.
    let (user, system, threads) = (number(11)?, number(12)?, number(17)?);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some((Duration::from_millis((user + system) * 1000 / ticks), threads))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_obstacle() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 199 0 0 0 250 50 0 0 20 0 3 0 100 200 300";
        assert_eq!(parse(line), Some((Duration::from_secs(3), 3)));
        assert_eq!(parse("7 (x) S 1"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let used = of_this_process();
        assert!(used.memory_bytes > 1 << 16 && used.threads >= 1 && used.open_files >= 3, "{used:?}");
    }
}
