//! One subtask: the threads that run it, its life, and the operators of its chain.

mod broadcast;
mod chain;
mod gate;
mod guard;
mod scheduler;
mod subtask;

pub(crate) use broadcast::{BroadcastGather, SharedSet};
pub(crate) use chain::{Chain, Link};
pub(crate) use gate::{Course, Gate, GateInput};
pub(crate) use guard::catch_inside;
pub(crate) use scheduler::{Lookout, Runnable, Scheduler, TaskCell, Verdict, block_until, current_task, lock};
pub(crate) use subtask::{Task, TaskEnd};
