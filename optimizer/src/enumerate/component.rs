//! Partial plans whose open operators depend on each other.

use flinkrs_core::id::OperatorId;
use std::collections::HashMap;

/// A partial plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Of the component's open operators, in their order.
    pub(super) properties: Vec<u32>,
    pub(super) cost: f64,
    /// The newest choice, until it is written down in `past`.
    pub(super) choice: Option<u32>,
    pub(super) past: Option<u32>,
}

/// Alternatives for the same operators.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Component {
    /// Decided operators with undecided consumers.
    pub(super) open: Vec<OperatorId>,
    /// Never empty; cheapest first after [`prune`](Component::prune).
    pub(super) entries: Vec<Entry>,
}

impl Component {
    /// Nothing decided at no cost.
    pub(super) fn start() -> Component {
        Component {
            open: Vec::new(),
            entries: vec![Entry { properties: Vec::new(), cost: 0.0, choice: None, past: None }],
        }
    }

    /// One operator of which only one state is left; its cost and past are in the component it comes from.
    pub(super) fn settled(operator: OperatorId, properties: u32) -> Component {
        Component {
            open: vec![operator],
            entries: vec![Entry { properties: vec![properties], cost: 0.0, choice: None, past: None }],
        }
    }

    pub(super) fn position(&self, operator: OperatorId) -> usize {
        self.open.iter().position(|id| *id == operator).expect("an input is open until its consumer is decided")
    }

    /// Keeps the cheapest of all with equal properties, and of these the cheapest `limit`; the earlier of equals.
    pub(super) fn prune(&mut self, limit: usize) {
        let mut best: HashMap<&[u32], usize> = HashMap::new();
        for (i, entry) in self.entries.iter().enumerate() {
            let kept = best.entry(&entry.properties).or_insert(i);
            if entry.cost < self.entries[*kept].cost {
                *kept = i;
            }
        }
        let mut kept: Vec<usize> = best.into_values().collect();
        kept.sort_by(|a, b| self.entries[*a].cost.total_cmp(&self.entries[*b].cost).then(a.cmp(b)));
        kept.truncate(limit);
        self.entries = kept.into_iter().map(|i| self.entries[i].clone()).collect();
    }

    /// Takes out the operators that have the same properties in all partial plans.
    pub(super) fn split_settled(&mut self) -> Vec<(OperatorId, u32)> {
        let first = self.entries[0].properties.clone();
        let same: Vec<bool> =
            (0..self.open.len()).map(|i| self.entries.iter().all(|entry| entry.properties[i] == first[i])).collect();
        let settled = self.open.iter().zip(&first).zip(&same).filter(|(_, same)| **same);
        let settled = settled.map(|((id, properties), _)| (*id, *properties)).collect();
        let mut keep = same.iter().map(|same| !same);
        self.open.retain(|_| keep.next().unwrap_or(false));
        for entry in &mut self.entries {
            let mut keep = same.iter().map(|same| !same);
            entry.properties.retain(|_| keep.next().unwrap_or(false));
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(properties: &[u32], cost: f64) -> Entry {
        Entry { properties: properties.to_vec(), cost, choice: None, past: None }
    }

    #[test]
    fn of_equal_partial_plans_the_cheapest_stays() {
        let mut component = Component {
            open: vec![OperatorId(0), OperatorId(1)],
            entries: vec![entry(&[1, 2], 5.0), entry(&[1, 3], 4.0), entry(&[1, 2], 3.0), entry(&[1, 4], 9.0)],
        };
        component.prune(2);
        assert_eq!(component.entries, [entry(&[1, 2], 3.0), entry(&[1, 3], 4.0)]);
    }

    #[test]
    fn operators_with_one_state_leave() {
        let mut component = Component {
            open: vec![OperatorId(0), OperatorId(1)],
            entries: vec![entry(&[1, 2], 3.0), entry(&[1, 3], 4.0)],
        };
        assert_eq!(component.split_settled(), [(OperatorId(0), 1)]);
        assert_eq!(component.open, [OperatorId(1)]);
        assert_eq!(component.entries, [entry(&[2], 3.0), entry(&[3], 4.0)]);
    }
}
