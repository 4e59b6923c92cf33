//! TaskExecutors on demand: started while slots are missing, released when idle.

use crate::resource_manager::{Member, ResourceCommand, ResourceManager};
use crate::time::Timestamp;
use flinkrs_protocol::TaskExecutorId;
use std::collections::VecDeque;

/// TaskExecutors that were asked for and haven't registered, by when they should have.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(VecDeque<Timestamp>);

impl Pending {
    pub(super) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn registered(&mut self) {
        self.0.pop_front();
    }
}

impl ResourceManager {
    /// Asks the driver for what is missing, and gives back what has long been idle.
    pub(super) fn start_and_release(&mut self, now: Timestamp) {
        let Some(elastic) = self.options.elastic.clone() else { return };
        while self.pending.0.front().is_some_and(|due| *due <= now) {
            self.pending.0.pop_front();
        }
        let missing: u32 = self.queue.values().map(|id| self.applications[id].total - self.applications[id].has).sum();
        let wanted = missing.div_ceil(elastic.slots_each.max(1));
        let room = elastic.max.saturating_sub(self.executors.len() as u32);
        let count = wanted.min(room).saturating_sub(self.pending.count());
        if count > 0 {
            self.pending.0.extend((0..count).map(|_| now + elastic.start_timeout));
            self.commands.push(ResourceCommand::StartTaskExecutors { count });
        }
        let idle = |(id, member): (&TaskExecutorId, &Member)| {
            let long = member.is_idle() && member.idle_since + elastic.idle_timeout <= now;
            long.then(|| id.clone())
        };
        let released: Vec<TaskExecutorId> = self.executors.iter().filter_map(idle).collect();
        for task_executor in released {
            self.lost(&task_executor, "it was idle and has been released".to_owned());
            self.commands.push(ResourceCommand::ReleaseTaskExecutor { task_executor });
        }
    }

    /// When the next pending TaskExecutor is late, or the next idle one released.
    pub(super) fn elastic_deadline(&self) -> Option<Timestamp> {
        let elastic = self.options.elastic.as_ref()?;
        let idle = self.executors.values().filter(|member| member.is_idle());
        let idle = idle.map(|member| member.idle_since + elastic.idle_timeout);
        idle.chain(self.pending.0.front().copied()).min()
    }
}

impl Member {
    fn is_idle(&self) -> bool {
        self.free as usize == self.slots.len()
    }
}
