//! How programs that hand plans to the optimizer and the runtime themselves run in their own process.

use std::sync::Arc;

use flinkrs_optimizer::OptimizerOptions;
use flinkrs_runtime::RuntimeOptions;

/// Subtasks of every operator, and threads.
pub const PARALLELISM: u32 = 2;

/// Managed memory of one slot: nothing spills.
const SLOT_BYTES: u64 = 512 << 20;

/// What the optimizer is told.
pub fn optimizer_options() -> OptimizerOptions {
    OptimizerOptions { memory_bytes: SLOT_BYTES, ..OptimizerOptions::in_process() }
}

/// What the runtime is told.
pub fn runtime_options() -> RuntimeOptions {
    RuntimeOptions {
        job: Arc::from(format!("bench-{}", std::process::id())),
        threads: PARALLELISM as usize,
        memory_bytes: (SLOT_BYTES * u64::from(PARALLELISM)) as usize,
        temp_dir: std::env::temp_dir(),
        snapshots: None,
    }
}
