//! What the ResourceManager hears and what it says.

use crate::jobmaster::GrantedSlot;
use crate::time::Timestamp;
use flinkrs_protocol::{ApplicationId, SlotId, TaskExecutorId};
use std::sync::Arc;

/// A TaskExecutor that introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its name: another one for each start of the process and for each registration after a broken connection.
    pub task_executor: TaskExecutorId,
    /// Its host, as splits name hosts.
    pub host: Arc<str>,
    /// Host and port where it serves finished partitions.
    pub data_address: Arc<str>,
    /// How many slots it has.
    pub slots: u32,
    /// Memory of each slot, in bytes; for views only.
    pub slot_bytes: u64,
}

/// What the ResourceManager hears.
#[derive(Clone, Debug)]
pub enum ResourceEvent {
    /// A TaskExecutor offers its slots, all of them free; answered by [`ResourceCommand::Registered`] or
    /// [`ResourceCommand::Refused`].
    Register(Registration),
    /// A TaskExecutor is alive.
    Heartbeat {
        /// Which.
        task_executor: TaskExecutorId,
    },
    /// The connection of a TaskExecutor has broken: it is lost, and comes back as a new one.
    Disconnected {
        /// Which.
        task_executor: TaskExecutorId,
        /// How it was noticed.
        reason: String,
    },
    /// A TaskExecutor has come with partitions of an application that runs: it is needed as if it had served that.
    PartitionsFound {
        /// Which TaskExecutor.
        task_executor: TaskExecutorId,
        /// Whose partitions.
        application: ApplicationId,
    },
    /// [`JobCommand::RequestSlots`](crate::jobmaster::JobCommand::RequestSlots).
    SlotsWanted {
        /// Who wants them.
        application: ApplicationId,
        /// How many in all.
        total: u32,
    },
    /// [`JobCommand::ReleaseSlots`](crate::jobmaster::JobCommand::ReleaseSlots).
    SlotsReleased {
        /// Who had them.
        application: ApplicationId,
        /// Which.
        slots: Vec<SlotId>,
    },
    /// [`JobCommand::Closed`](crate::jobmaster::JobCommand::Closed): the application has no slots and wants none.
    ApplicationClosed {
        /// Which.
        application: ApplicationId,
    },
    /// Time has passed: due at the moment that [`ResourceCommand::WakeAt`] named last.
    Tick,
}

/// What the ResourceManager wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceCommand {
    /// To a TaskExecutor: it is registered.
    Registered {
        /// Which.
        task_executor: TaskExecutorId,
    },
    /// To a TaskExecutor: it can't be registered.
    Refused {
        /// Which.
        task_executor: TaskExecutorId,
        /// Why.
        message: String,
    },
    /// To the connection of a TaskExecutor that counts as lost: close it.
    Disconnect {
        /// Which.
        task_executor: TaskExecutorId,
    },
    /// To a JobMaster, as [`JobEvent::SlotsGranted`](crate::jobmaster::JobEvent::SlotsGranted).
    Grant {
        /// Whose.
        application: ApplicationId,
        /// Which.
        slots: Vec<GrantedSlot>,
    },
    /// To a JobMaster, as [`JobEvent::SlotsMissing`](crate::jobmaster::JobEvent::SlotsMissing).
    Missing {
        /// Whose.
        application: ApplicationId,
        /// TaskExecutors that are registered.
        task_executors: u32,
        /// Slots that they have.
        slots: u32,
        /// Slots of these that nobody uses.
        free_slots: u32,
    },
    /// To every JobMaster, as [`JobEvent::TaskExecutorLost`](crate::jobmaster::JobEvent::TaskExecutorLost): also those
    /// without slots there may have partitions there.
    TaskExecutorLost {
        /// Which.
        task_executor: TaskExecutorId,
        /// How it was noticed.
        reason: String,
    },
    /// To the driver: so many TaskExecutors there should be, with those that are registered; replaces the number named
    /// before. Only where [`ResourceOptions::elastic`](crate::options::ResourceOptions) is set. One that
    /// [is lost](ResourceCommand::TaskExecutorLost) is not to come back: the driver ends it, unless it has ended.
    WantTaskExecutors {
        /// How many in all.
        total: u32,
    },
    /// To the driver, and to the TaskExecutor, which would register again: it was idle for long and ends by this. That
    /// it is lost is said next.
    ReleaseTaskExecutor {
        /// Which.
        task_executor: TaskExecutorId,
    },
    /// To the timer: hand in [`ResourceEvent::Tick`] then; replaces the moment named before.
    WakeAt(Timestamp),
}

/// The cluster's slots, for REST and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceView {
    /// By name.
    pub task_executors: Vec<TaskExecutorView>,
    /// Applications that want more slots than they have: which, how many they want, how many they have.
    pub waiting: Vec<(ApplicationId, u32, u32)>,
    /// TaskExecutors that were asked for and haven't registered.
    pub pending_task_executors: u32,
}

/// One TaskExecutor.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskExecutorView {
    /// What it said of itself.
    pub registration: Registration,
    /// Who has each slot.
    pub slots: Vec<Option<ApplicationId>>,
    /// When it registered.
    pub since: Timestamp,
    /// When it was last heard of.
    pub last_heartbeat: Timestamp,
}
