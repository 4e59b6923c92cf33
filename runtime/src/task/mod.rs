//! One subtask: the threads that run it, its life, and the operators of its chain.

mod chain;
mod gate;
mod guard;
mod scheduler;
mod subtask;

pub(crate) use chain::{Chain, Link};
pub(crate) use gate::{Gate, GateInput};
pub(crate) use scheduler::{Runnable, Scheduler, TaskCell, Verdict, block_until, current_task};
pub(crate) use subtask::{BroadcastGather, Task, TaskEnd};
