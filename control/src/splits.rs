//! Input splits: handed out on request, the nearest first, and taken back from attempts that came to nothing.

use flinkrs_core::source::Split;
use std::collections::{BTreeMap, BTreeSet};

/// The splits of one source vertex: which are left, and who has which.
#[derive(Clone, Debug)]
pub(crate) struct SplitAssigner {
    /// Positions of splits that nobody has.
    left: BTreeSet<u32>,
    /// Of these, which have a host near; by host.
    near: BTreeMap<String, BTreeSet<u32>>,
    /// The hosts of each split.
    hosts: Vec<Vec<String>>,
    subtasks: Vec<Assigned>,
}

/// What one subtask has been given.
#[derive(Clone, Debug, Default)]
struct Assigned {
    /// To the present attempt, in the order of requests.
    given: Vec<u32>,
    /// Exactly what the attempt has to get: another one has finished with these, and what it wrote has been read in
    /// part.
    pinned: Option<Vec<u32>>,
}

impl SplitAssigner {
    /// Nothing is handed out yet.
    pub(crate) fn new(splits: &[Split], parallelism: u32) -> SplitAssigner {
        let hosts: Vec<Vec<String>> = splits.iter().map(|split| split.hosts.clone()).collect();
        let mut assigner = SplitAssigner {
            left: BTreeSet::new(),
            near: BTreeMap::new(),
            hosts,
            subtasks: vec![Assigned::default(); parallelism as usize],
        };
        (0..splits.len() as u32).for_each(|split| assigner.put(split));
        assigner
    }

    fn put(&mut self, split: u32) {
        self.left.insert(split);
        for host in &self.hosts[split as usize] {
            self.near.entry(host.clone()).or_default().insert(split);
        }
    }

    fn take(&mut self, split: u32) {
        self.left.remove(&split);
        for host in &self.hosts[split as usize] {
            let Some(splits) = self.near.get_mut(host) else { continue };
            splits.remove(&split);
            if splits.is_empty() {
                self.near.remove(host);
            }
        }
    }

    /// The next split for a subtask on `host`: one that is near, or else the first; `None` when there are no more.
    pub(crate) fn next(&mut self, subtask: u32, host: &str) -> Option<u32> {
        let assigned = &self.subtasks[subtask as usize];
        let split = match &assigned.pinned {
            Some(pinned) => *pinned.get(assigned.given.len())?,
            None => {
                let near = self.near.get(host).and_then(BTreeSet::first);
                let split = *near.or_else(|| self.left.first())?;
                self.take(split);
                split
            }
        };
        self.subtasks[subtask as usize].given.push(split);
        Some(split)
    }

    /// Takes back what an attempt was given, before the next one starts. With `pinned` it had finished, and its next
    /// attempt gets the same again.
    pub(crate) fn reset(&mut self, subtask: u32, pinned: bool) {
        let assigned = &mut self.subtasks[subtask as usize];
        let given = std::mem::take(&mut assigned.given);
        if assigned.pinned.is_some() {
            return;
        }
        if pinned {
            assigned.pinned = Some(given);
        } else {
            given.into_iter().for_each(|split| self.put(split));
        }
    }

    /// Hosts that have splits near which nobody has taken, in the order of their names.
    pub(crate) fn near_hosts(&self) -> impl Iterator<Item = &str> {
        self.near.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(hosts: &[&str]) -> Vec<Split> {
        let split = |host: &&str| Split { payload: Vec::new(), bytes: 1, hosts: vec![(*host).to_owned()] };
        hosts.iter().map(split).collect()
    }

    #[test]
    fn near_splits_go_first() {
        let mut assigner = SplitAssigner::new(&splits(&["a", "b", "a", "c"]), 2);
        assert_eq!(assigner.next(0, "b"), Some(1));
        assert_eq!(assigner.next(0, "b"), Some(0));
        assert_eq!(assigner.next(1, "c"), Some(3));
        assert_eq!(assigner.near_hosts().collect::<Vec<_>>(), ["a"]);
        assert_eq!((assigner.next(1, "c"), assigner.next(1, "c")), (Some(2), None));
    }

    #[test]
    fn splits_of_a_failed_attempt_go_back() {
        let mut assigner = SplitAssigner::new(&splits(&["a", "a"]), 2);
        assert_eq!(assigner.next(0, ""), Some(0));
        assigner.reset(0, false);
        assert_eq!((assigner.next(1, ""), assigner.next(1, ""), assigner.next(0, "")), (Some(0), Some(1), None));
    }

    #[test]
    fn an_attempt_that_repeats_a_finished_one_gets_the_same() {
        let mut assigner = SplitAssigner::new(&splits(&["a", "a", "a", "a"]), 2);
        assert_eq!((assigner.next(0, ""), assigner.next(1, ""), assigner.next(0, "")), (Some(0), Some(1), Some(2)));
        assigner.reset(0, true);
        assigner.reset(1, false);
        assert_eq!((assigner.next(0, ""), assigner.next(1, "")), (Some(0), Some(1)));
        // It fails half way: the next one still gets all of them.
        assigner.reset(0, false);
        assert_eq!((assigner.next(0, ""), assigner.next(0, ""), assigner.next(0, "")), (Some(0), Some(2), None));
        assert_eq!(assigner.next(1, ""), Some(3));
    }
}
