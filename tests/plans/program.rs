//! Random programs: which operators on which data sets, as values that can be printed and made smaller.

use crate::reference;
use crate::semantics::{Key, Order, Rec, Recs, fill};
use flinkrs_plan::{CombineHint, JoinHint};

/// What one step of a program does; its inputs are numbers of earlier steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// The numbers of the records, and how many of them are read at a time.
    Source(Vec<(u64, i64, u64)>, Option<usize>),
    /// The first input itself: what a step becomes when a failing program is made smaller.
    Same,
    Map(u8),
    FlatMap(u8),
    MapBatches(u8),
    MapPartition(u8),
    Filter(u64),
    /// Adds the sum of the second input, a broadcast set.
    MapWithSet,
    /// Keeps what is in the second input, a broadcast set.
    FilterWithSet,
    Reduce(Key, CombineHint),
    Aggregate(CombineHint),
    MinBy,
    Distinct,
    DistinctBy(Key),
    GroupReduce(Key),
    GroupReduceSorted(Key, Order),
    GroupReduceCombinable(Key),
    CombineThenReduce(Key),
    FirstOfSortedGroup(usize),
    FirstOfGroup(Key, usize),
    FirstOfAll(usize),
    FirstOfSorted(usize),
    ReduceAll,
    GroupReduceAll,
    /// The kind of join, which keys, and which fields the function makes.
    Join(JoinKind, Pair, JoinHint, u8),
    CoGroup(Pair, bool),
    Cross(u8),
    Union,
    Partition(Spread, Key),
    SortPartition(Order),
    /// Partitions, and keeps one record per key of each partition.
    PartitionThenDistinct(Spread, Key),
    /// Sorts partitions, and marks them if they aren't sorted.
    SortThenCheck(Order),
    /// Sorted over all partitions, when it is written.
    RangeSort(Key),
    ZipWithIndex,
}

/// The kinds of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    First,
    Second,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

/// The keys of joins, first and second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    F0F0,
    F0F2,
    F02F02,
    F02F20,
    ModF0,
    CapturedF2,
}

impl Pair {
    /// The keys of both sides.
    pub(crate) fn keys(self) -> (Key, Key) {
        match self {
            Pair::F0F0 => (Key::F0, Key::F0),
            Pair::F0F2 => (Key::F0, Key::F2),
            Pair::F02F02 => (Key::F02, Key::F02),
            Pair::F02F20 => (Key::F02, Key::F20),
            Pair::ModF0 => (Key::Mod, Key::F0),
            Pair::CapturedF2 => (Key::Captured(3), Key::F2),
        }
    }
}

/// How records are partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    Hash,
    Range,
    Custom,
    Rebalance,
}

/// One step of a program.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) inputs: Vec<usize>,
    pub(crate) parallelism: Option<u32>,
    pub(crate) records: Option<u64>,
    pub(crate) chaining: u8,
}

/// A program, and the machine it runs on.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) seed: u64,
    pub(crate) parallelism: u32,
    pub(crate) memory_bytes: usize,
    /// The length of the text that makes each record larger.
    pub(crate) filler: usize,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sinks: Vec<usize>,
    /// The step after which a function panics.
    pub(crate) panics: Option<usize>,
}

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn key(&mut self) -> Key {
        self.pick(&[Key::F0, Key::F0, Key::F2, Key::F02, Key::F20, Key::F01, Key::Mod, Key::Captured(3)])
    }

    fn order(&mut self) -> Order {
        self.pick(&[Order::Up1, Order::Down1, Order::Down2Up1])
    }

    fn combine(&mut self) -> CombineHint {
        self.pick(&[CombineHint::OptimizerChooses, CombineHint::Sort, CombineHint::Hash, CombineHint::None])
    }
}

struct Growing {
    random: Random,
    program: Program,
    results: Vec<Recs>,
    /// Records that no data set may have more of.
    most: usize,
}

/// The program of a seed, with at most `operators` steps.
pub(crate) fn random(seed: u64, operators: usize) -> Program {
    let mut random = Random::new(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let parallelism = random.pick(&[1, 3, 3, 8]);
    let memory_bytes = random.pick(&[64 << 10, 256 << 10, 1 << 20, 1 << 20]);
    let filler = random.pick(&[0, 0, 0, 30, 30, 200, 200, 2_000, 2_000, 16_000, 16_000, 60_000]);
    let program =
        Program { seed, parallelism, memory_bytes, filler, nodes: Vec::new(), sinks: Vec::new(), panics: None };
    let most = if filler > 1_000 { 800 } else { random.pick(&[400, 400, 3_000]) };
    let count = random.below(operators) + 1;
    let mut growing = Growing { random, program, results: Vec::new(), most };
    while growing.results.len() < count {
        let (op, inputs) = if growing.results.is_empty() { growing.source() } else { growing.operator() };
        growing.add(op, inputs);
    }
    let mut sinks = vec![growing.results.len() - 1];
    sinks.extend((0..growing.random.below(3)).map(|_| growing.any()));
    let last_sorted = growing.program.nodes.iter().rposition(|node| matches!(node.op, Op::RangeSort(_)));
    sinks.extend(last_sorted);
    sinks.sort_unstable();
    sinks.dedup();
    growing.program.sinks = sinks;
    growing.program
}

impl Growing {
    fn add(&mut self, op: Op, inputs: Vec<usize>) {
        let mut node = Node { op, inputs, parallelism: None, records: None, chaining: 0 };
        let result = reference::step(&node, &self.results, &fill(self.program.filler), self.most);
        let Some(result) = result else { return };
        if self.random.chance(12) {
            node.parallelism = Some(self.random.pick(&[1, 2, 5]));
        }
        if self.random.chance(15) {
            node.records = Some(self.random.pick(&[1, 1_000, 10_000_000]));
        }
        node.chaining = self.random.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        self.program.nodes.push(node);
        self.results.push(result);
    }

    fn any(&mut self) -> usize {
        // Recent ones more often, so that plans get deep.
        let count = self.results.len();
        let back = self.random.below(count).min(self.random.below(count));
        count - 1 - back
    }

    fn source(&mut self) -> (Op, Vec<usize>) {
        let most = if self.most > 800 { 2_500 } else { 300 };
        let count = self.random.pick(&[0, 1, 40, most / 2, most, most]);
        let keys = self.random.pick(&[1, 4, 8, 8, 50]);
        let random = &mut self.random;
        let mut record = |_| (random.below(keys) as u64, random.below(40) as i64 - 20, random.below(keys) as u64);
        let records = (0..count).map(&mut record).collect();
        let step = self.random.pick(&[None, None, None, Some(1), Some(3)]);
        (Op::Source(records, step), Vec::new())
    }

    fn operator(&mut self) -> (Op, Vec<usize>) {
        let input = vec![self.any()];
        let key = self.random.key();
        let kind = self.random.below(7) as u8;
        let op = match self.random.below(44) {
            0 | 1 => return self.source(),
            2 | 3 => Op::Map(kind),
            4 => Op::FlatMap(kind),
            5 => Op::MapBatches(kind),
            6 => Op::MapPartition(kind),
            7 | 8 => Op::Filter(u64::from(kind)),
            9 => return (Op::MapWithSet, vec![input[0], self.any()]),
            10 => return (Op::FilterWithSet, vec![input[0], self.any()]),
            11..=13 => Op::Reduce(key, self.random.combine()),
            14 => Op::Aggregate(self.random.combine()),
            15 => Op::MinBy,
            16 => Op::Distinct,
            17 => Op::DistinctBy(key),
            18 => Op::GroupReduce(key),
            19 => Op::GroupReduceSorted(self.random.pick(&[Key::F0, Key::F02, Key::Mod]), self.random.order()),
            20 => Op::GroupReduceCombinable(key),
            21 => Op::CombineThenReduce(key),
            22 => self.first(key),
            23 if self.random.chance(50) => Op::ReduceAll,
            23 => Op::GroupReduceAll,
            24..=30 => return (self.join(), vec![input[0], self.any()]),
            31 | 32 => return (Op::CoGroup(self.pair(), self.random.chance(40)), vec![input[0], self.any()]),
            33 => return (Op::Cross(self.random.below(3) as u8), vec![input[0], self.any()]),
            34 | 35 => return (Op::Union, vec![input[0], self.any()]),
            36 | 37 => Op::Partition(self.spread(), key),
            38 => Op::SortPartition(self.random.order()),
            39 => Op::PartitionThenDistinct(self.random.pick(&[Spread::Hash, Spread::Range, Spread::Custom]), key),
            40 => Op::SortThenCheck(self.random.order()),
            41 | 42 => Op::RangeSort(key),
            _ => Op::ZipWithIndex,
        };
        (op, input)
    }

    fn first(&mut self, key: Key) -> Op {
        let count = self.random.pick(&[0, 1, 3, 50]);
        match self.random.below(4) {
            0 => Op::FirstOfGroup(key, count),
            1 => Op::FirstOfSortedGroup(count),
            2 => Op::FirstOfAll(count),
            _ => Op::FirstOfSorted(count),
        }
    }

    fn spread(&mut self) -> Spread {
        self.random.pick(&[Spread::Hash, Spread::Hash, Spread::Range, Spread::Custom, Spread::Rebalance])
    }

    fn pair(&mut self) -> Pair {
        self.random.pick(&[
            Pair::F0F0,
            Pair::F0F0,
            Pair::F0F2,
            Pair::F02F02,
            Pair::F02F20,
            Pair::ModF0,
            Pair::CapturedF2,
        ])
    }

    fn join(&mut self) -> Op {
        use JoinKind::{Anti, First, Full, Inner, Left, Right, Second, Semi};
        let kind = self.random.pick(&[Inner, Inner, Inner, First, Second, Left, Right, Full, Semi, Anti]);
        let hints = [
            JoinHint::OptimizerChooses,
            JoinHint::OptimizerChooses,
            JoinHint::OptimizerChooses,
            JoinHint::BroadcastHashFirst,
            JoinHint::BroadcastHashSecond,
            JoinHint::RepartitionHashFirst,
            JoinHint::RepartitionHashSecond,
            JoinHint::RepartitionSortMerge,
        ];
        let hint = match (self.random.pick(&hints), kind) {
            // A side that the join keeps can't be sent everywhere.
            (JoinHint::BroadcastHashFirst, Left | Full | Semi | Anti) => JoinHint::OptimizerChooses,
            (JoinHint::BroadcastHashSecond, Right | Full) => JoinHint::OptimizerChooses,
            (hint, _) => hint,
        };
        Op::Join(kind, self.pair(), hint, self.random.below(2) as u8)
    }
}

/// A record of its numbers.
pub(crate) fn record((a, b, c): (u64, i64, u64), filler: &crate::semantics::Filler) -> Rec {
    (a, b, c, filler.clone())
}
