//! Loops: what the tasks of a loop share, and what each of them knows of it.
//!
//! ```text
//!   initial ─▶ head ─▶ … ─▶ tail ─▶ result          records: through queues, as everywhere
//!               ▲            │
//!               └─ feedback ─┘                      by pointer, subtask to subtask
//! ```
//!
//! In each superstep the head's subtasks emit what was fed back, then the superstep's end; every task on the way ends
//! its superstep when it has that of all its inputs from inside the loop. The last of the tail's subtasks to do so
//! decides, with nothing but counters, whether another superstep begins, and wakes the heads. A task sees no record
//! of the next superstep before it has ended this one: it lies between head and tail itself.

mod control;
mod history;
mod members;
mod snapshots;
mod task_loop;

pub(crate) use control::{LoopControl, LoopRule, Next};
pub use control::{LoopReport, SuperstepReport};
pub use members::LoopMessages;
pub(crate) use members::Members;
pub(crate) use snapshots::LoopSnapshots;
pub(crate) use task_loop::{LoopResult, OutputLoop, RestoredFeedback, TaskLoop};
