//! The ResourceManager: TaskExecutors come and go, their slots are given to applications in the order of a queue.

mod elastic;
mod message;

pub use message::{Registration, ResourceCommand, ResourceEvent, ResourceView, TaskExecutorView};

use crate::jobmaster::GrantedSlot;
use crate::options::ResourceOptions;
use crate::time::Timestamp;
use flinkrs_protocol::{ApplicationId, SlotId, TaskExecutorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The decisions about slots.
pub struct ResourceManager {
    options: ResourceOptions,
    executors: BTreeMap<TaskExecutorId, Member>,
    /// TaskExecutors with free slots, by how many they have.
    free: BTreeSet<(u32, TaskExecutorId)>,
    applications: BTreeMap<ApplicationId, Wants>,
    /// Applications that want more than they have, in the order in which they began to exist.
    queue: BTreeMap<u64, ApplicationId>,
    next_order: u64,
    /// When to look whether a TaskExecutor is still alive.
    deadlines: BTreeSet<(Timestamp, TaskExecutorId)>,
    /// How many TaskExecutors the driver was told that there should be.
    wanted: u32,
    wake_at: Option<Timestamp>,
    commands: Vec<ResourceCommand>,
}

/// A registered TaskExecutor.
struct Member {
    registration: Registration,
    slots: Vec<Option<ApplicationId>>,
    free: u32,
    since: Timestamp,
    last_heartbeat: Timestamp,
    /// Applications that have not ended and may have partitions there: they have had slots of it, or it came with some.
    served: BTreeSet<ApplicationId>,
    /// Since when nobody needs it.
    idle_since: Timestamp,
}

/// What an application wants and has.
struct Wants {
    order: u64,
    total: u32,
    has: u32,
    /// What it was told about the cluster.
    told: Option<(u32, u32, u32)>,
}

impl ResourceManager {
    /// Nobody is there yet.
    pub fn new(options: ResourceOptions) -> ResourceManager {
        ResourceManager {
            options,
            executors: BTreeMap::new(),
            free: BTreeSet::new(),
            applications: BTreeMap::new(),
            queue: BTreeMap::new(),
            next_order: 0,
            deadlines: BTreeSet::new(),
            wanted: 0,
            wake_at: None,
            commands: Vec::new(),
        }
    }

    /// Takes in what has happened, and says what is to be done.
    pub fn handle(&mut self, event: ResourceEvent, now: Timestamp) -> Vec<ResourceCommand> {
        match event {
            ResourceEvent::Register(registration) => self.register(registration, now),
            ResourceEvent::Heartbeat { task_executor } => {
                if let Some(member) = self.executors.get_mut(&task_executor) {
                    member.last_heartbeat = now;
                }
                // There are thousands of these a second, and nothing follows from one.
                return Vec::new();
            }
            ResourceEvent::Disconnected { task_executor, reason } => self.lost(&task_executor, reason),
            ResourceEvent::PartitionsFound { task_executor, application } => {
                if let Some(member) = self.executors.get_mut(&task_executor) {
                    member.served.insert(application);
                }
            }
            ResourceEvent::SlotsWanted { application, total } => self.wanted(application, total),
            ResourceEvent::SlotsReleased { application, slots } => self.released(application, &slots),
            ResourceEvent::ApplicationClosed { application } => self.closed(application, now),
            ResourceEvent::Tick => self.tick(now),
        }
        self.grant();
        self.tell_missing();
        self.start_and_release(now);
        self.wake();
        std::mem::take(&mut self.commands)
    }

    /// The cluster's slots.
    pub fn view(&self) -> ResourceView {
        let member = |member: &Member| TaskExecutorView {
            registration: member.registration.clone(),
            slots: member.slots.clone(),
            since: member.since,
            last_heartbeat: member.last_heartbeat,
        };
        let waiting = |id: &ApplicationId| {
            let wants = &self.applications[id];
            (*id, wants.total, wants.has)
        };
        ResourceView {
            task_executors: self.executors.values().map(member).collect(),
            waiting: self.queue.values().map(waiting).collect(),
            pending_task_executors: self.wanted.saturating_sub(self.executors.len() as u32),
        }
    }

    fn register(&mut self, registration: Registration, now: Timestamp) {
        let task_executor = registration.task_executor.clone();
        let refused = if registration.slots == 0 {
            Some("it has no slots: set taskmanager.numberOfTaskSlots to at least 1".to_owned())
        } else if self.executors.contains_key(&task_executor) {
            Some(format!("a TaskExecutor named {task_executor} is registered already"))
        } else {
            None
        };
        if let Some(message) = refused {
            self.commands.push(ResourceCommand::Refused { task_executor, message });
            return;
        }
        self.free.insert((registration.slots, task_executor.clone()));
        self.deadlines.insert((now + self.options.heartbeat_timeout, task_executor.clone()));
        let member = Member {
            slots: vec![None; registration.slots as usize],
            free: registration.slots,
            since: now,
            last_heartbeat: now,
            served: BTreeSet::new(),
            idle_since: now,
            registration,
        };
        self.executors.insert(task_executor.clone(), member);
        self.commands.push(ResourceCommand::Registered { task_executor });
    }

    /// A TaskExecutor is gone; its slots are missing to whoever had them.
    fn lost(&mut self, id: &TaskExecutorId, reason: String) {
        let Some(member) = self.executors.remove(id) else { return };
        self.free.remove(&(member.free, id.clone()));
        for application in member.slots.iter().flatten() {
            let wants = self.applications.get_mut(application).expect("a slot belongs to an application that is known");
            wants.has -= 1;
        }
        let affected: BTreeSet<ApplicationId> = member.slots.into_iter().flatten().collect();
        affected.into_iter().for_each(|application| self.requeue(application));
        self.commands.push(ResourceCommand::TaskExecutorLost { task_executor: id.clone(), reason });
    }

    fn wanted(&mut self, application: ApplicationId, total: u32) {
        let order = self.next_order;
        let wants = self.applications.entry(application).or_insert(Wants { order, total, has: 0, told: None });
        if wants.order == order {
            self.next_order += 1;
        }
        wants.total = total;
        self.requeue(application);
    }

    /// Puts an application into the queue, or takes it out.
    fn requeue(&mut self, application: ApplicationId) {
        let Some(wants) = self.applications.get_mut(&application) else { return };
        if wants.has < wants.total {
            self.queue.insert(wants.order, application);
        } else {
            wants.told = None;
            self.queue.remove(&wants.order);
        }
    }

    fn released(&mut self, application: ApplicationId, slots: &[SlotId]) {
        for slot in slots {
            self.free_slot(application, &slot.task_executor, slot.index as usize);
        }
        self.requeue(application);
    }

    fn free_slot(&mut self, application: ApplicationId, id: &TaskExecutorId, index: usize) {
        let Some(member) = self.executors.get_mut(id) else { return };
        let Some(owner) = member.slots.get_mut(index).filter(|owner| **owner == Some(application)) else { return };
        *owner = None;
        self.free.remove(&(member.free, id.clone()));
        member.free += 1;
        self.free.insert((member.free, id.clone()));
        if let Some(wants) = self.applications.get_mut(&application) {
            wants.has -= 1;
        }
    }

    fn closed(&mut self, application: ApplicationId, now: Timestamp) {
        let held = |(id, member): (&TaskExecutorId, &Member)| {
            let mine = member.slots.iter().enumerate().filter(|(_, owner)| **owner == Some(application));
            mine.map(|(index, _)| (id.clone(), index)).collect::<Vec<_>>()
        };
        if self.applications.get(&application).is_some_and(|wants| wants.has > 0) {
            let slots: Vec<(TaskExecutorId, usize)> = self.executors.iter().flat_map(held).collect();
            slots.into_iter().for_each(|(id, index)| self.free_slot(application, &id, index));
        }
        if let Some(wants) = self.applications.remove(&application) {
            self.queue.remove(&wants.order);
        }
        for member in self.executors.values_mut() {
            if member.served.remove(&application) {
                member.idle_since = now;
            }
        }
    }

    /// Gives free slots to the first in the queue until it has enough, then to the next. So no two of them hold some
    /// and wait for each other's.
    fn grant(&mut self) {
        while let Some((order, application)) = self.queue.first_key_value().map(|(order, id)| (*order, *id)) {
            let missing = self.applications.get(&application).map_or(0, |wants| wants.total - wants.has);
            let slots: Vec<GrantedSlot> = (0..missing).map_while(|_| self.grant_one(application)).collect();
            let enough = slots.len() == missing as usize;
            if let Some(wants) = self.applications.get_mut(&application) {
                wants.has += slots.len() as u32;
                if enough {
                    wants.told = None;
                }
            }
            if !slots.is_empty() {
                self.commands.push(ResourceCommand::Grant { application, slots });
            }
            if !enough {
                return;
            }
            self.queue.remove(&order);
        }
    }

    /// A free slot of the TaskExecutor with the most of them, or with the fewest, as the option says.
    fn grant_one(&mut self, application: ApplicationId) -> Option<GrantedSlot> {
        let (free, id) = if self.options.spread { self.free.pop_last()? } else { self.free.pop_first()? };
        let member = self.executors.get_mut(&id).expect("a TaskExecutor with free slots is registered");
        let index = member.slots.iter().position(Option::is_none).expect("a slot is free");
        member.slots[index] = Some(application);
        member.served.insert(application);
        member.free = free - 1;
        if member.free > 0 {
            self.free.insert((member.free, id.clone()));
        }
        Some(GrantedSlot {
            slot: SlotId { task_executor: id, index: index as u32 },
            host: Arc::clone(&member.registration.host),
            data_address: Arc::clone(&member.registration.data_address),
        })
    }

    /// Tells those who wait what there is, when that has changed.
    fn tell_missing(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let slots = self.executors.values().map(|member| member.slots.len() as u32).sum();
        let free_slots = self.free.iter().map(|(free, _)| free).sum();
        let task_executors = self.executors.len() as u32;
        for application in self.queue.values() {
            let wants = self.applications.get_mut(application).expect("who waits is known");
            if wants.told.replace((task_executors, slots, free_slots)) != Some((task_executors, slots, free_slots)) {
                let application = *application;
                self.commands.push(ResourceCommand::Missing { application, task_executors, slots, free_slots });
            }
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.wake_at = None;
        while let Some((_, id)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            self.deadlines.pop_first();
            let Some(member) = self.executors.get(&id) else { continue };
            let due = member.last_heartbeat + self.options.heartbeat_timeout;
            if due > now {
                self.deadlines.insert((due, id));
                continue;
            }
            let seconds = self.options.heartbeat_timeout.as_secs_f64();
            self.commands.push(ResourceCommand::Disconnect { task_executor: id.clone() });
            self.lost(&id, format!("no heartbeat for {seconds} s (heartbeat.timeout)"));
        }
    }

    fn wake(&mut self) {
        let first = self.deadlines.first().map(|(at, _)| *at);
        let next = first.into_iter().chain(self.elastic_deadline()).min();
        if next.is_some() && next != self.wake_at {
            self.wake_at = next;
            self.commands.extend(next.map(ResourceCommand::WakeAt));
        }
    }
}

#[cfg(test)]
mod tests;
