//! Random programs with data, and what they have to compute.

use super::semantics::{Record, cross, mix, reference, set_sum};
use super::testing::{PlanBuilder, fields, keeps, moves};
use flinkrs_core::id::OperatorId;
use flinkrs_core::strategy::JoinType;
use flinkrs_plan::{CombineHint, ForwardedFields, OperatorKind, PartitionMethod, Plan, SortField, SortOrder};
use std::collections::{BTreeMap, HashMap};

/// Records that no data set may have more of, so that tests stay quick.
const RECORDS_MAX: usize = 600;

pub struct Program {
    pub plan: Plan,
    pub sources: HashMap<OperatorId, Vec<Record>>,
    /// Per sink, sorted.
    pub expected: BTreeMap<OperatorId, Vec<Record>>,
}

pub struct Random(u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(&[self.0 as i64], 42) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// One to three different fields in any sequence; few, so that keys meet again.
    fn key(&mut self) -> Vec<u32> {
        self.pick::<&[u32]>(&[&[0], &[0], &[1], &[0, 1], &[1, 0], &[0, 1, 2], &[2]]).to_vec()
    }

    fn forwarded(&mut self) -> ForwardedFields {
        self.pick(&[
            &[][..],
            &[(0, 0)],
            &[(0, 0), (1, 1)],
            &[(0, 1), (1, 0)],
            &[(0, 0), (1, 1), (2, 2), (3, 3)],
            &[(1, 2)],
        ])
        .iter()
        .fold(ForwardedFields::none(), |mut forwarded, pair| {
            forwarded.fields.extend(moves(&[*pair]).fields);
            forwarded
        })
    }

    fn order(&mut self) -> Vec<SortField> {
        let directions = [SortOrder::Ascending, SortOrder::Descending];
        self.key()
            .iter()
            .map(|i| SortField { field: super::testing::field(*i), order: self.pick(&directions) })
            .collect()
    }
}

struct Growing {
    builder: PlanBuilder,
    random: Random,
    sets: Vec<OperatorId>,
    results: HashMap<OperatorId, Vec<Record>>,
    sources: HashMap<OperatorId, Vec<Record>>,
}

/// A program of about `operators` operators.
pub fn program(seed: u64, operators: usize) -> Program {
    let mut random = Random(seed << 32);
    let parallelism = random.pick(&[1, 2, 3, 3, 4]);
    let builder = PlanBuilder::named(&format!("random {seed}"), parallelism);
    let mut growing = Growing { builder, random, sets: Vec::new(), results: HashMap::new(), sources: HashMap::new() };
    growing.source();
    while growing.results.len() < operators {
        growing.operator();
    }
    growing.finish()
}

impl Growing {
    fn source(&mut self) {
        let count = self.random.pick(&[0, 20, 60, 60]);
        let id = self.builder.source(self.random.pick(&[10.0, 1e4, 1e8]), 16.0);
        let records: Vec<Record> = (0..count).map(|_| [0; 4].map(|_: i64| self.random.below(6) as i64)).collect();
        self.sources.insert(id, records);
        self.finish_operator(id);
    }

    fn any(&mut self) -> OperatorId {
        // Recent ones more often, so that plans get deep.
        let count = self.sets.len() as u64;
        let back = self.random.below(count).min(self.random.below(count));
        self.sets[(count - 1 - back) as usize]
    }

    fn operator(&mut self) {
        let input = self.any();
        let key = self.random.key();
        match self.random.below(22) {
            0 => self.source(),
            1 | 2 => self.record_wise(OperatorKind::Map, input),
            3 => self.record_wise(OperatorKind::FlatMap, input),
            4 => self.record_wise(OperatorKind::Filter, input),
            5 => self.record_wise(OperatorKind::MapPartition, input),
            6 => self.record_wise(OperatorKind::MapBatches, input),
            7 => self.group_combine(input, &key),
            8 | 9 => {
                let key = if self.random.chance(10) { Vec::new() } else { key };
                let hint = self.random.pick(&[
                    CombineHint::OptimizerChooses,
                    CombineHint::Sort,
                    CombineHint::Hash,
                    CombineHint::None,
                ]);
                let id = self.builder.reduce_hinted(input, &key, hint);
                self.finish_operator(id);
            }
            10 => {
                let id = self.builder.distinct(input, &key);
                self.finish_operator(id);
            }
            11 | 12 => self.group_reduce(input, key),
            13..=15 => self.join(input, key),
            16 => self.co_group(input),
            17 => self.cross(input),
            18 => {
                let inputs: Vec<OperatorId> = (0..2 + self.random.below(2)).map(|_| self.any()).collect();
                if inputs.iter().map(|id| self.results[id].len()).sum::<usize>() <= RECORDS_MAX {
                    let id = self.builder.union(&inputs);
                    self.finish_operator(id);
                }
            }
            19 | 20 => {
                let method = self.random.pick(&[
                    PartitionMethod::Hash,
                    PartitionMethod::Hash,
                    PartitionMethod::Range,
                    PartitionMethod::Custom,
                    PartitionMethod::Rebalance,
                ]);
                let key = if method == PartitionMethod::Rebalance { Vec::new() } else { key };
                let id = self.builder.partition(input, method, &key);
                self.finish_operator(id);
            }
            _ => {
                let order = self.random.order();
                let id = self.builder.sort_partition(input, &order);
                self.finish_operator(id);
            }
        }
    }

    fn record_wise(&mut self, kind: OperatorKind, input: OperatorId) {
        let forwarded = if kind == OperatorKind::Filter { ForwardedFields::all() } else { self.random.forwarded() };
        let id = self.builder.add(&format!("{} {}", kind.pact(), self.sets.len()), kind.clone(), &[input]);
        self.builder.forwards(id, 0, forwarded);
        if kind == OperatorKind::Map && self.random.chance(30) {
            let set = self.any();
            self.builder.broadcast(id, "set", set);
        }
        self.finish_operator(id);
    }

    /// Its result depends on what is together, so only what a reduce makes of it is seen.
    fn group_combine(&mut self, input: OperatorId, key: &[u32]) {
        let kind = OperatorKind::GroupCombine { key: fields(key), group_order: Vec::new() };
        let id = self.builder.add("group combine", kind, &[input]);
        self.builder.forwards(id, 0, keeps(key));
        let result = self.reference(id);
        self.results.insert(id, result);
        let reduce = self.builder.reduce(id, key);
        self.finish_operator(reduce);
    }

    fn group_reduce(&mut self, input: OperatorId, key: Vec<u32>) {
        let key = if self.random.chance(10) { Vec::new() } else { key };
        let order = if self.random.chance(40) { self.random.order() } else { Vec::new() };
        let combinable = order.is_empty() && self.random.chance(50);
        let id = self.builder.group_reduce(input, &key, &order, combinable);
        self.finish_operator(id);
    }

    fn join(&mut self, first: OperatorId, key: Vec<u32>) {
        let second = self.any();
        let other = if self.random.chance(70) { key.clone() } else { self.random.key() };
        let (key, other) = if key.len() == other.len() { (key, other) } else { (vec![0], vec![1]) };
        let types = [
            JoinType::Inner,
            JoinType::LeftOuter,
            JoinType::RightOuter,
            JoinType::FullOuter,
            JoinType::Semi,
            JoinType::Anti,
        ];
        let join_type = self.random.pick(&types);
        let id = self.builder.join(join_type, first, second, &fields(&key), &fields(&other));
        let forwards = match join_type {
            JoinType::Semi | JoinType::Anti => [ForwardedFields::all(), ForwardedFields::none()],
            _ => self.random.pick(&[0, 1, 2]).pipe(|i| match i {
                0 => [moves(&[(0, 0), (1, 1)]), moves(&[(0, 2), (1, 3)])],
                1 => [moves(&[(2, 1), (3, 3)]), moves(&[(0, 0), (1, 2)])],
                _ => [moves(&[(0, 0), (2, 2)]), moves(&[(1, 1), (3, 3)])],
            }),
        };
        for (i, forwarded) in forwards.into_iter().enumerate() {
            self.builder.forwards(id, i, forwarded);
        }
        if self.too_large(id) {
            self.builder.op(id).kind = OperatorKind::CoGroup {
                first_key: fields(&key),
                second_key: fields(&other),
                first_order: Vec::new(),
                second_order: Vec::new(),
            };
            self.builder.forwards(id, 0, moves(&[(key[0], 0)]));
            self.builder.forwards(id, 1, moves(&[(other[0], 0)]));
        }
        self.finish_operator(id);
    }

    fn too_large(&mut self, id: OperatorId) -> bool {
        self.reference(id).len() > RECORDS_MAX
    }

    fn co_group(&mut self, first: OperatorId) {
        let second = self.any();
        let (a, b) = self.random.pick(&[(0, 0), (0, 1), (1, 0), (2, 0)]);
        let id = self.builder.co_group(first, second, &[a], &[b]);
        self.builder.forwards(id, 0, moves(&[(a, 0)]));
        self.builder.forwards(id, 1, moves(&[(b, 0)]));
        let orders = (self.random.chance(30), self.random.order(), self.random.order());
        if let (true, first, second) = orders
            && let OperatorKind::CoGroup { first_order, second_order, .. } = &mut self.builder.op(id).kind
        {
            *first_order = first;
            *second_order = second;
        }
        self.finish_operator(id);
    }

    fn cross(&mut self, first: OperatorId) {
        let second = self.any();
        if self.results[&first].len() * self.results[&second].len() > 5 * RECORDS_MAX {
            return;
        }
        let id = self.builder.cross(first, second);
        self.builder.forwards(id, 0, moves(&[(0, 0), (1, 1)]));
        self.builder.forwards(id, 1, moves(&[(0, 2), (1, 3)]));
        let op = self.builder.op(id).clone();
        assert!(cross(&op, &self.results[&first], &self.results[&second]).len() <= 5 * RECORDS_MAX);
        self.finish_operator(id);
    }

    fn reference(&mut self, id: OperatorId) -> Vec<Record> {
        let op = self.builder.op(id).clone();
        let inputs: Vec<&Vec<Record>> = op.inputs.iter().map(|input| &self.results[input]).collect();
        let set = op.broadcast_inputs.iter().map(|(_, set)| set_sum(&self.results[set])).sum();
        let source = self.sources.get(&id).map(Vec::as_slice).unwrap_or_default();
        reference(&op, &inputs, set, source)
    }

    fn finish_operator(&mut self, id: OperatorId) {
        if self.random.chance(15) {
            let parallelism = self.random.below(4) as u32 + 1;
            self.builder.parallelism(id, parallelism);
        }
        if self.random.chance(20) {
            self.builder.op(id).hints.records = Some(self.random.pick(&[1.0, 1e3, 1e7]));
        }
        let result = self.reference(id);
        self.results.insert(id, result);
        self.sets.push(id);
    }

    /// A sink for the last operator and for some others.
    fn finish(mut self) -> Program {
        let mut sunk = vec![self.sets[self.sets.len() - 1]];
        for _ in 0..self.random.below(3) {
            sunk.push(self.any());
        }
        let mut expected = BTreeMap::new();
        for id in sunk {
            let sink = self.builder.sink(id);
            let mut records = self.results[&id].clone();
            records.sort();
            expected.insert(sink, records);
        }
        Program { plan: self.builder.build(), sources: self.sources, expected }
    }
}

trait Pipe: Sized {
    fn pipe<R>(self, f: impl FnOnce(Self) -> R) -> R {
        f(self)
    }
}

impl<T> Pipe for T {}
