//! The two inputs of the join that doesn't fit into memory, made so that its answer is known without joining.

use std::hash::BuildHasher;
use std::io::Write;
use std::path::Path;

use crate::cli::about;
use crate::files::create;
use crate::hasher;
use crate::parallel::parallel;
use crate::rng::{SEED, SplitMix64};

/// Bytes of a record's key, at its beginning, big-endian.
pub const KEY: usize = 8;
/// Bytes behind the key.
pub const PAYLOAD: usize = 92;

/// A key and what lies behind it.
pub type Pair = (u64, [u8; PAYLOAD]);

/// Coprime to every number of distinct keys in use.
const STRIDE: u64 = 7_368_787;

/// The sizes of both inputs.
///
/// The first has `records` distinct keys. The second has twice as many records with half as many keys again, mixed: a
/// third of its keys have no partner, and the others come once or twice.
#[derive(Clone, Copy, Debug)]
pub struct JoinInput {
    /// Records of the first input.
    pub records: u64,
}

impl JoinInput {
    /// Record `index` of the first input.
    fn first(self, index: u64) -> Pair {
        record(index, index)
    }

    /// Record `index` of the second input.
    fn second(self, index: u64) -> Pair {
        record(self.second_key(index), !index)
    }

    /// The number of the key of record `index` of the second input; those below `records` have a partner.
    fn second_key(self, index: u64) -> u64 {
        let keys = self.records + self.records / 2;
        index.wrapping_mul(STRIDE) % keys
    }

    /// Writes both inputs.
    pub fn write(self, first: &Path, second: &Path) -> Result<(), String> {
        let work = vec![(first, false, self.records), (second, true, 2 * self.records)];
        parallel(work, |(path, is_second, count)| {
            let mut out = create(path)?;
            for index in 0..count {
                let (key, payload) = if is_second { self.second(index) } else { self.first(index) };
                out.write_all(&key.to_be_bytes())
                    .and_then(|()| out.write_all(&payload))
                    .map_err(about(path.display()))?;
            }
            out.flush().map_err(about(path.display()))
        })?;
        Ok(())
    }

    /// The number of joined pairs and the wrapping sum of their [`checksum`]s.
    pub fn answer(self, threads: u64) -> Result<(u64, u64), String> {
        let all = 2 * self.records;
        let ranges: Vec<_> = (0..threads).map(|i| (all * i / threads, all * (i + 1) / threads)).collect();
        let answers = parallel(ranges, |(start, end)| {
            let partners = (start..end).filter(|&index| self.second_key(index) < self.records);
            Ok(partners.fold((0, 0u64), |(count, sum), index| {
                let (first, second) = (self.first(self.second_key(index)), self.second(index));
                (count + 1, sum.wrapping_add(checksum(&first.1, &second.1)))
            }))
        })?;
        Ok(answers.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1.wrapping_add(one.1))))
    }
}

/// The record with the key of number `key` and a payload made of `content`.
fn record(key: u64, content: u64) -> Pair {
    let mut payload = [b'.'; PAYLOAD];
    let mut random = SplitMix64::at(SEED, content);
    for word in payload.as_chunks_mut::<8>().0 {
        *word = random.next_u64().to_be_bytes();
    }
    // The step from number to key is a bijection: distinct numbers are distinct keys.
    (SplitMix64::at(SEED + 1, key).next_u64(), payload)
}

/// The checksum of a joined pair's payloads.
#[inline]
pub fn checksum(first: &[u8; PAYLOAD], second: &[u8; PAYLOAD]) -> u64 {
    let hasher = hasher();
    hasher.hash_one(first).wrapping_mul(31) ^ hasher.hash_one(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn the_answer_is_that_of_a_join() -> Result<(), String> {
        let input = JoinInput { records: 1000 };
        let first: HashMap<u64, _> = (0..1000).map(|index| input.first(index)).collect();
        assert_eq!(first.len(), 1000);
        let (mut count, mut sum) = (0, 0u64);
        for (key, payload) in (0..2000).map(|index| input.second(index)) {
            if let Some(partner) = first.get(&key) {
                count += 1;
                sum = sum.wrapping_add(checksum(partner, &payload));
            }
        }
        assert!((1000..2000).contains(&count));
        assert_eq!(input.answer(3)?, (count, sum));
        Ok(())
    }
}
