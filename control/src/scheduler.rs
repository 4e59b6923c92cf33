//! Which slots a region gets.
//!
//! Subtask `i` of every vertex may share a slot, as the memory of a slot is divided among all vertices of the graph;
//! two subtasks of one vertex never do. So a slot has at most one region of each component, and for each component
//! there is a list of slots without one.

use crate::regions::Component;
use std::collections::{BTreeMap, BTreeSet};

/// A slot: the JobMaster's number of its TaskExecutor, and its index there.
pub(crate) type SlotKey = (u32, u32);

/// The slots of a job, and which of its components run in them.
#[derive(Clone, Debug)]
pub(crate) struct SlotTable {
    /// How many components run in each slot.
    load: BTreeMap<SlotKey, u32>,
    /// Slots in which nothing runs.
    idle: BTreeSet<SlotKey>,
    /// By component, the slots in which it doesn't run.
    free: Vec<BTreeSet<SlotKey>>,
}

impl SlotTable {
    /// A table without slots.
    pub(crate) fn new(components: usize) -> SlotTable {
        SlotTable { load: BTreeMap::new(), idle: BTreeSet::new(), free: vec![BTreeSet::new(); components] }
    }

    /// Adds an idle slot.
    pub(crate) fn add(&mut self, slot: SlotKey) {
        let new = self.load.insert(slot, 0).is_none();
        assert!(new, "slot {slot:?} was given twice");
        self.idle.insert(slot);
        for free in &mut self.free {
            free.insert(slot);
        }
    }

    /// Removes the slots of a TaskExecutor, whatever runs there.
    pub(crate) fn remove_executor(&mut self, executor: u32) {
        let slots: Vec<SlotKey> =
            self.load.range((executor, 0)..=(executor, u32::MAX)).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.load.remove(&slot);
            self.idle.remove(&slot);
            for free in &mut self.free {
                free.remove(&slot);
            }
        }
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.load.len()
    }

    /// Whether nothing runs in any slot.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.len() == self.load.len()
    }

    /// Whether a component could get `count` slots now.
    pub(crate) fn has(&self, component: usize, count: u32) -> bool {
        self.free[component].len() >= count as usize
    }

    /// Takes a slot for one region of a component: on the first preferred TaskExecutor that has one, or else any, idle
    /// ones first.
    pub(crate) fn take(&mut self, component: usize, preferred: impl IntoIterator<Item = u32>) -> Option<SlotKey> {
        let near = preferred.into_iter().find_map(|executor| self.on(component, executor));
        let slot = near.or_else(|| self.idle.first().or_else(|| self.free[component].first()).copied())?;
        self.occupy(component, slot);
        Some(slot)
    }

    /// Takes as many slots as a whole component needs: subtasks with the number of a preferred TaskExecutor's position
    /// get a slot there if it has one.
    pub(crate) fn take_all(&mut self, at: usize, component: &Component, preferred: &[Option<u32>]) -> Vec<SlotKey> {
        let mut slots = vec![None; component.slots as usize];
        for (slot, executor) in slots.iter_mut().zip(preferred) {
            *slot = executor.and_then(|executor| self.on(at, executor)).inspect(|found| self.occupy(at, *found));
        }
        let none = std::iter::empty;
        slots.into_iter().map(|slot| slot.or_else(|| self.take(at, none())).expect("there are enough")).collect()
    }

    /// A slot on a TaskExecutor, an idle one if there is one.
    fn on(&self, component: usize, executor: u32) -> Option<SlotKey> {
        let all = (executor, 0)..=(executor, u32::MAX);
        let idle = self.idle.range(all.clone()).next();
        idle.or_else(|| self.free[component].range(all).next()).copied()
    }

    fn occupy(&mut self, component: usize, slot: SlotKey) {
        let was_free = self.free[component].remove(&slot);
        assert!(was_free, "slot {slot:?} got two regions of component {component}");
        self.idle.remove(&slot);
        *self.load.entry(slot).or_default() += 1;
    }

    /// Gives a slot back; does nothing if it has been removed.
    pub(crate) fn give_back(&mut self, component: usize, slot: SlotKey) {
        let Some(load) = self.load.get_mut(&slot) else { return };
        let is_new = self.free[component].insert(slot);
        assert!(is_new, "slot {slot:?} was given back twice by component {component}");
        *load -= 1;
        if *load == 0 {
            self.idle.insert(slot);
        }
    }
}

/// `1 slot`, `2 slots`.
pub(crate) fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(slots: &[SlotKey], components: usize) -> SlotTable {
        let mut table = SlotTable::new(components);
        slots.iter().for_each(|slot| table.add(*slot));
        table
    }

    #[test]
    fn idle_slots_go_first_and_then_slots_are_shared() {
        let mut table = table(&[(0, 0), (1, 0)], 2);
        let none = std::iter::empty;
        assert_eq!(table.take(0, none()), Some((0, 0)));
        assert_eq!(table.take(1, none()), Some((1, 0)), "an idle one");
        assert_eq!(table.take(0, none()), Some((1, 0)), "shared with the other component");
        assert_eq!(table.take(0, none()), None);
        assert!(table.has(1, 1) && !table.is_idle());
        table.give_back(0, (0, 0));
        assert_eq!(table.take(0, none()), Some((0, 0)));
    }

    #[test]
    fn near_slots_are_preferred() {
        let mut table = table(&[(0, 0), (1, 0), (1, 1), (2, 0)], 1);
        assert_eq!(table.take(0, [7, 2]), Some((2, 0)));
        let component = Component { whole: true, slots: 3, ..Component::default() };
        let slots = table.take_all(0, &component, &[Some(1), None, Some(1)]);
        assert_eq!(slots, [(1, 0), (0, 0), (1, 1)]);
    }

    #[test]
    fn slots_of_a_lost_executor_are_gone() {
        let mut table = table(&[(0, 0), (1, 0)], 1);
        let slot = table.take(0, [1]).unwrap();
        table.remove_executor(1);
        table.give_back(0, slot);
        assert_eq!((table.len(), table.is_idle()), (1, true));
    }
}
