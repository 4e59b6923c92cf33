//! What the functions of random programs compute; every one of them keeps the fields that its step declares.

use flinkrs_core::types::Text;
use std::cmp::Ordering;

/// The text that makes records as large as a program wants them.
pub(crate) type Filler = Text;

/// A record: two small keys, a number, and something that takes space.
pub(crate) type Rec = (u64, i64, u64, Filler);

/// The records of a data set.
pub(crate) type Recs = Vec<Rec>;

/// Stands for the fields of an absent side.
const NULL: u64 = 9;

/// What records are grouped, joined or partitioned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    F0,
    F2,
    F02,
    F20,
    F01,
    /// [`modulo`], a function that captures nothing.
    Mod,
    /// [`captured`], a closure that captures its number.
    Captured(u64),
}

impl Key {
    /// The key's fields, as numbers.
    pub(crate) fn of(self, r: &Rec) -> Vec<i64> {
        match self {
            Key::F0 => vec![r.0 as i64],
            Key::F2 => vec![r.2 as i64],
            Key::F02 => vec![r.0 as i64, r.2 as i64],
            Key::F20 => vec![r.2 as i64, r.0 as i64],
            Key::F01 => vec![r.0 as i64, r.1],
            Key::Mod => vec![modulo(r) as i64],
            Key::Captured(m) => vec![captured(m)(r) as i64],
        }
    }

    /// The fields, as forwarded fields name them.
    pub(crate) fn fields(self) -> &'static str {
        match self {
            Key::F0 => "f0",
            Key::F2 => "f2",
            Key::F02 | Key::F20 => "f0;f2",
            Key::F01 => "f0;f1",
            Key::Mod | Key::Captured(_) => "",
        }
    }

    /// The record with nothing but the key in it.
    pub(crate) fn only(self, r: Rec) -> Rec {
        match self {
            Key::F0 => (r.0, 0, 0, r.3),
            Key::F2 => (0, 0, r.2, r.3),
            Key::F02 | Key::F20 => (r.0, 0, r.2, r.3),
            Key::F01 => (r.0, r.1, 0, r.3),
            Key::Mod => (modulo(&r), 0, 0, r.3),
            Key::Captured(m) => (0, 0, captured(m)(&r), r.3),
        }
    }
}

/// A key that is a function.
pub(crate) fn modulo(r: &Rec) -> u64 {
    r.0 % 3
}

/// A key that captures a number.
pub(crate) fn captured(m: u64) -> impl Fn(&Rec) -> u64 + Clone + Send + Sync + 'static {
    move |r| r.2 % m
}

/// An order of partitions and groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Up1,
    Down1,
    Down2Up1,
}

impl Order {
    pub(crate) fn compare(self, a: &Rec, b: &Rec) -> Ordering {
        match self {
            Order::Up1 => a.1.cmp(&b.1),
            Order::Down1 => b.1.cmp(&a.1),
            Order::Down2Up1 => b.2.cmp(&a.2).then(a.1.cmp(&b.1)),
        }
    }

    /// What the order sees of a record.
    fn seen(self, r: &Rec) -> i64 {
        if self == Order::Down2Up1 { r.1 ^ (r.2 as i64) << 20 } else { r.1 }
    }
}

/// A filler of so many bytes.
pub(crate) fn fill(bytes: usize) -> Filler {
    Text::from("x".repeat(bytes))
}

fn mix(r: &Rec, salt: u64) -> u64 {
    let mut state = salt ^ 0x9e37_79b9_7f4a_7c15;
    for value in [r.0, r.1 as u64, r.2] {
        state = (state ^ value).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    state
}

/// The fields that [`apply`] forwards.
pub(crate) const FORWARDED: [&str; 7] = ["", "f0", "f0;f2", "f0->f2;f2->f0", "f0;f0->f2", "f1", "*"];

/// A map-like function of that kind.
pub(crate) fn apply(kind: u8, r: Rec) -> Rec {
    let (a, b, c) = (mix(&r, 1) % 8, (mix(&r, 2) % 40) as i64 - 20, mix(&r, 3) % 8);
    match kind {
        1 => (r.0, b, c, r.3),
        2 => (r.0, b, r.2, r.3),
        3 => (r.2, b, r.0, r.3),
        4 => (r.0, b, r.0, r.3),
        5 => (a, r.1, c, r.3),
        6 => r,
        _ => (a, b, c, r.3),
    }
}

/// None to two records.
pub(crate) fn several(kind: u8, r: &Rec) -> Vec<Rec> {
    let made = apply(kind, r.clone());
    vec![made; (mix(r, 7) % 3) as usize]
}

/// A filter.
pub(crate) fn keep(salt: u64, r: &Rec) -> bool {
    !mix(r, salt + 10).is_multiple_of(3)
}

/// What a broadcast set means to its functions.
pub(crate) fn set_sum(records: &[Rec]) -> i64 {
    records.iter().fold(0i64, |sum, r| sum.wrapping_add(r.1)).rem_euclid(1000)
}

/// Merges records of a key in any sequence: what is key stays.
pub(crate) fn merge(key: Option<Key>, a: &mut Rec, b: &Rec) {
    a.0 = a.0.max(b.0);
    a.2 = a.2.max(b.2);
    if key != Some(Key::F01) {
        a.1 = a.1.wrapping_add(b.1);
    }
}

/// A group in no order: one or two records.
pub(crate) fn group(key: Option<Key>, records: &[Rec]) -> Vec<Rec> {
    let mut sum = records[0].clone();
    records[1..].iter().for_each(|r| merge(key, &mut sum, r));
    if !records.len().is_multiple_of(2) {
        return vec![sum];
    }
    let mut second = sum.clone();
    if key != Some(Key::F01) {
        second.1 = records.len() as i64;
    }
    vec![sum, second]
}

/// A group in an order that may leave records equal.
pub(crate) fn group_sorted(order: Order, records: &[Rec]) -> Rec {
    let mut out = records[0].clone();
    records[1..].iter().for_each(|r| merge(None, &mut out, r));
    out.1 = records.iter().fold(0i64, |fold, r| fold.wrapping_mul(31).wrapping_add(order.seen(r)));
    out
}

/// The fields of the first and of the second that [`pair`] forwards.
pub(crate) const PAIRED: [(&str, &str); 2] = [("f0", "f2"), ("f2->f0", "f0->f2")];

/// A pair of a join.
pub(crate) fn pair(kind: u8, first: Option<&Rec>, second: Option<&Rec>) -> Rec {
    let (l, r) = (first.map_or(0, |l| l.1), second.map_or(0, |r| r.1));
    let number = l.wrapping_mul(3).wrapping_add(r.wrapping_mul(5)).rem_euclid(50);
    let filler = first.or(second).map(|r| r.3.clone()).unwrap_or_default();
    match kind {
        0 => (first.map_or(NULL, |l| l.0), number, second.map_or(NULL, |r| r.2), filler),
        _ => (first.map_or(NULL, |l| l.2), number, second.map_or(NULL, |r| r.0), filler),
    }
}

/// Whether a cross keeps a pair.
pub(crate) fn crossed(first: &Rec, second: &Rec) -> bool {
    (mix(first, 3) ^ mix(second, 4)).is_multiple_of(7)
}

/// A co-group; `sorted` if both groups are in the order [`Order::Down1`].
pub(crate) fn co_group(sorted: bool, first: &[Rec], second: &[Rec]) -> Rec {
    let side = |records: &[Rec]| {
        let sum = records.iter().fold(0i64, |fold, r| {
            let fold = if sorted { fold.wrapping_mul(31) } else { fold };
            fold.wrapping_add(r.1)
        });
        (sum, records.iter().map(|r| r.0).max(), records.iter().map(|r| r.2).max())
    };
    let (l, r) = (side(first), side(second));
    let filler = first.first().or(second.first()).map(|r| r.3.clone()).unwrap_or_default();
    let number = l.0.wrapping_mul(7).wrapping_add(r.0).rem_euclid(1000);
    (l.1.unwrap_or(NULL), number, r.2.unwrap_or(NULL), filler)
}
