//! TaskExecutors on demand: as many as slots are wanted, and none that has long been idle.

use crate::resource_manager::{Member, ResourceCommand, ResourceManager};
use crate::time::Timestamp;
use flinkrs_protocol::TaskExecutorId;

impl ResourceManager {
    /// Gives back what has long been idle, and tells the driver how many TaskExecutors there should be.
    pub(super) fn start_and_release(&mut self, now: Timestamp) {
        let Some(elastic) = self.options.elastic.clone() else { return };
        let idle = |(id, member): (&TaskExecutorId, &Member)| {
            let long = member.is_idle() && member.idle_since + elastic.idle_timeout <= now;
            long.then(|| id.clone())
        };
        let released: Vec<TaskExecutorId> = self.executors.iter().filter_map(idle).collect();
        // Whoever waits has been given all that was free.
        let missing: u32 = self.queue.values().map(|id| self.applications[id].total - self.applications[id].has).sum();
        let there = (self.executors.len() - released.len()) as u32;
        let total = (there + missing.div_ceil(elastic.slots_each.max(1))).min(elastic.max.max(there));
        if total != self.wanted {
            self.wanted = total;
            // Said first: what is lost is replaced as long as so many are wanted.
            self.commands.insert(0, ResourceCommand::WantTaskExecutors { total });
        }
        for task_executor in released {
            // Said first: once it counts as lost it can't be told to end any more.
            self.commands.push(ResourceCommand::ReleaseTaskExecutor { task_executor: task_executor.clone() });
            self.lost(&task_executor, "it was idle and has been released".to_owned());
        }
    }

    /// When the next idle TaskExecutor is released.
    pub(super) fn elastic_deadline(&self) -> Option<Timestamp> {
        let elastic = self.options.elastic.as_ref()?;
        let idle = self.executors.values().filter(|member| member.is_idle());
        idle.map(|member| member.idle_since + elastic.idle_timeout).min()
    }
}

impl Member {
    /// Whether nobody needs it: no slot is used, and no application that runs can have left partitions there.
    fn is_idle(&self) -> bool {
        self.free as usize == self.slots.len() && self.served.is_empty()
    }
}
