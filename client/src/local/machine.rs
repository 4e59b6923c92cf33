//! What this machine has.

use std::fs;

/// The memory of a process that is not managed: code, threads, batches on their way, what user functions take.
const UNMANAGED_BYTES: u64 = 24 << 20;

/// The part of the rest that is managed: for sorters, hash tables and blocking exchanges. The other part covers what
/// the allocator loses and the batches in queues.
const MANAGED_PART: f64 = 0.6;

/// How many threads can run at once.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Memory of the machine, or of the control group if that has less, in bytes.
pub(crate) fn memory_bytes() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = limits.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).min();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    });
    machine.map_or(4 << 30, |kilobytes| kilobytes << 10).min(group.unwrap_or(u64::MAX))
}

/// How much of a process's memory its operators may reserve.
pub(crate) fn managed_bytes(process: u64) -> u64 {
    (process.saturating_sub(UNMANAGED_BYTES) as f64 * MANAGED_PART) as u64
}
