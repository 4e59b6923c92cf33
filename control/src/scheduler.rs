//! Which slots a region gets.
//!
//! Subtask `i` of every vertex of a slot sharing group may share a slot, as the memory of a slot is divided among all
//! vertices of the graph; two subtasks of one vertex never do, nor do vertices of different groups. The vertices of one
//! group in a component are a *lane*. So a slot has at most one region of each lane, and lanes of one group only; for
//! each lane there is a list of slots that it can have.

use crate::regions::Component;
use std::collections::{BTreeMap, BTreeSet};

/// A slot: the JobMaster's number of its TaskExecutor, and its index there.
pub(crate) type SlotKey = (u32, u32);

/// The slots of a job, and which of its components run in them.
#[derive(Clone, Debug)]
pub(crate) struct SlotTable {
    /// How many lanes run in each slot.
    load: BTreeMap<SlotKey, u32>,
    /// Slots in which nothing runs: every lane can have them.
    idle: BTreeSet<SlotKey>,
    /// By lane, the slots that it can have: in which it doesn't run, nor anything of another group.
    free: Vec<BTreeSet<SlotKey>>,
    /// By lane, its slot sharing group.
    groups: Vec<u32>,
    /// By slot sharing group, the lanes of all others.
    others: Vec<Vec<usize>>,
}

impl SlotTable {
    /// A table without slots, for lanes of these slot sharing groups.
    pub(crate) fn new(groups: Vec<u32>) -> SlotTable {
        let count = groups.iter().max().map_or(0, |last| last + 1);
        let of_others = |group: u32| (0..groups.len()).filter(|lane| groups[*lane] != group).collect();
        let others = (0..count).map(of_others).collect();
        let free = vec![BTreeSet::new(); groups.len()];
        SlotTable { load: BTreeMap::new(), idle: BTreeSet::new(), free, groups, others }
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

    /// Whether a region of a component could get its slots now.
    pub(crate) fn has(&self, component: &Component) -> bool {
        let needs: Vec<u32> = component.lanes.iter().map(|lane| lane.slots).collect();
        self.idle_needed(component.first_lane, &needs) <= self.idle.len()
    }

    /// How many idle slots lanes need for so many slots each, beside those that they can share.
    fn idle_needed(&self, first_lane: usize, needs: &[u32]) -> usize {
        let of = |(at, need): (usize, &u32)| (*need as usize).saturating_sub(self.shared(first_lane + at));
        needs.iter().enumerate().map(of).sum()
    }

    /// How many slots in which others of its group run a lane can have.
    fn shared(&self, lane: usize) -> usize {
        self.free[lane].len() - self.idle.len()
    }

    /// Takes a slot for a region that needs no other: on the first preferred TaskExecutor that has one, or else any,
    /// idle ones first.
    pub(crate) fn take(&mut self, lane: usize, preferred: impl IntoIterator<Item = u32>) -> Option<SlotKey> {
        let near = preferred.into_iter().find_map(|executor| self.on(lane, executor, true));
        let slot = near.or_else(|| self.idle.first().or_else(|| self.free[lane].first()).copied())?;
        self.occupy(lane, slot);
        Some(slot)
    }

    /// Takes as many slots as a region of a component needs, which are there: each on a preferred TaskExecutor if that
    /// has one, or else any, idle ones first as long as there are enough of them for the lanes that can't share.
    pub(crate) fn take_all(&mut self, component: &Component, preferred: &[Option<u32>]) -> Vec<SlotKey> {
        let mut needs: Vec<u32> = component.lanes.iter().map(|lane| lane.slots).collect();
        let lanes = component.lanes.iter().enumerate();
        let lanes: Vec<usize> = lanes.flat_map(|(at, lane)| (0..lane.slots).map(move |_| at)).collect();
        let mut slots = vec![None; lanes.len()];
        for is_near in [true, false] {
            for ((at, slot), executor) in lanes.iter().zip(&mut slots).zip(preferred) {
                if slot.is_some() {
                    continue;
                }
                let lane = component.first_lane + at;
                let spares = self.idle_needed(component.first_lane, &needs) < self.idle.len();
                let may_idle = needs[*at] as usize > self.shared(lane) || spares;
                let found = match executor {
                    Some(executor) if is_near => self.on(lane, *executor, may_idle),
                    _ if is_near => None,
                    _ => self.any(lane, may_idle),
                };
                if let Some(found) = found {
                    self.occupy(lane, found);
                    needs[*at] -= 1;
                    *slot = Some(found);
                }
            }
        }
        slots.into_iter().map(|slot| slot.expect("there are enough")).collect()
    }

    /// A slot on a TaskExecutor, an idle one if that may be and there is one.
    fn on(&self, lane: usize, executor: u32, may_idle: bool) -> Option<SlotKey> {
        let all = (executor, 0)..=(executor, u32::MAX);
        let idle = self.idle.range(all.clone()).next().filter(|_| may_idle);
        idle.or_else(|| self.free[lane].range(all).find(|slot| may_idle || !self.idle.contains(slot))).copied()
    }

    fn any(&self, lane: usize, may_idle: bool) -> Option<SlotKey> {
        let idle = self.idle.first().filter(|_| may_idle);
        idle.or_else(|| self.free[lane].iter().find(|slot| may_idle || !self.idle.contains(slot))).copied()
    }

    fn occupy(&mut self, lane: usize, slot: SlotKey) {
        let was_free = self.free[lane].remove(&slot);
        assert!(was_free, "slot {slot:?} got two regions of lane {lane}");
        if self.idle.remove(&slot) {
            for other in &self.others[self.groups[lane] as usize] {
                self.free[*other].remove(&slot);
            }
        }
        *self.load.entry(slot).or_default() += 1;
    }

    /// Gives a slot back; does nothing if it has been removed.
    pub(crate) fn give_back(&mut self, lane: usize, slot: SlotKey) {
        let Some(load) = self.load.get_mut(&slot) else { return };
        let is_new = self.free[lane].insert(slot);
        assert!(is_new, "slot {slot:?} was given back twice by lane {lane}");
        *load -= 1;
        if *load == 0 {
            self.idle.insert(slot);
            for other in &self.others[self.groups[lane] as usize] {
                self.free[*other].insert(slot);
            }
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
    use crate::regions::Lane;

    fn table(slots: &[SlotKey], groups: &[u32]) -> SlotTable {
        let mut table = SlotTable::new(groups.to_vec());
        slots.iter().for_each(|slot| table.add(*slot));
        table
    }

    /// A component with lanes of these groups that need so many slots.
    fn component(first_lane: usize, lanes: &[(u32, u32)]) -> Component {
        let lane = |(group, slots): &(u32, u32)| Lane { group: *group, slots: *slots, ..Lane::default() };
        let slots = lanes.iter().map(|(_, slots)| slots).sum();
        Component { whole: true, slots, first_lane, lanes: lanes.iter().map(lane).collect(), ..Component::default() }
    }

    #[test]
    fn idle_slots_go_first_and_then_slots_are_shared() {
        let mut table = table(&[(0, 0), (1, 0)], &[0, 0]);
        let none = std::iter::empty;
        assert_eq!(table.take(0, none()), Some((0, 0)));
        assert_eq!(table.take(1, none()), Some((1, 0)), "an idle one");
        assert_eq!(table.take(0, none()), Some((1, 0)), "shared with the other component");
        assert_eq!(table.take(0, none()), None);
        assert!(table.has(&component(1, &[(0, 1)])) && !table.is_idle());
        table.give_back(0, (0, 0));
        assert_eq!(table.take(0, none()), Some((0, 0)));
    }

    #[test]
    fn near_slots_are_preferred() {
        let mut table = table(&[(0, 0), (1, 0), (1, 1), (2, 0)], &[0]);
        assert_eq!(table.take(0, [7, 2]), Some((2, 0)));
        let slots = table.take_all(&component(0, &[(0, 3)]), &[Some(1), None, Some(1)]);
        assert_eq!(slots, [(1, 0), (0, 0), (1, 1)]);
    }

    #[test]
    fn slots_of_a_lost_executor_are_gone() {
        let mut table = table(&[(0, 0), (1, 0)], &[0]);
        let slot = table.take(0, [1]).unwrap();
        table.remove_executor(1);
        table.give_back(0, slot);
        assert_eq!((table.len(), table.is_idle()), (1, true));
    }

    #[test]
    fn groups_share_no_slots() {
        let mut table = table(&[(0, 0), (1, 0)], &[0, 1, 0]);
        let none = std::iter::empty;
        assert_eq!(table.take(0, none()), Some((0, 0)));
        let both = component(1, &[(1, 1), (0, 1)]);
        assert!(table.has(&both) && !table.has(&component(1, &[(1, 2), (0, 1)])));
        assert_eq!(table.take_all(&both, &[None, None]), [(1, 0), (0, 0)], "only one of them can share");
        assert_eq!(table.take(1, none()), None);
        table.give_back(0, (0, 0));
        assert_eq!(table.take(1, none()), None, "one of another group is still there");
        table.give_back(2, (0, 0));
        assert_eq!(table.take(1, none()), Some((0, 0)));
        assert_eq!(table.take(0, none()), None);
    }

    #[test]
    fn lanes_that_can_share_leave_idle_slots_to_those_that_cannot() {
        let mut table = table(&[(0, 0), (1, 0), (2, 0)], &[0, 0, 1]);
        assert_eq!(table.take(0, [1]), Some((1, 0)));
        let both = component(1, &[(0, 1), (1, 2)]);
        assert!(table.has(&both));
        assert_eq!(table.take_all(&both, &[Some(0), Some(0), None]), [(1, 0), (0, 0), (2, 0)]);
    }
}
