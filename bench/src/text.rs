//! The text input: lines of lower-case words whose frequencies follow Zipf's law.

use std::io::{Result, Write};

use hashbrown::HashSet;

use crate::hasher;
use crate::rng::{SEED, SplitMix64};

/// Distinct words.
const VOCABULARY: usize = 200_000;
/// Pieces the cumulated frequencies are indexed by.
const GUIDES: usize = 1 << 16;

/// Writes lines of 8 to 16 words until there are `bytes` bytes; returns the number of lines.
pub fn write(out: &mut impl Write, bytes: u64) -> Result<usize> {
    let mut random = SplitMix64::new(SEED);
    let words = vocabulary(&mut random);
    let zipf = Zipf::new(words.len());
    let (mut written, mut lines) = (0, 0);
    let mut line = Vec::new();
    while written < bytes {
        line.clear();
        for _ in 0..8 + random.below(9) {
            line.extend_from_slice(&words[zipf.rank(random.unit())]);
            line.push(b' ');
        }
        // Every line has a word, so the last byte is a blank.
        if let Some(last) = line.last_mut() {
            *last = b'\n';
        }
        out.write_all(&line)?;
        written += line.len() as u64;
        lines += 1;
    }
    Ok(lines)
}

/// Distinct pronounceable words by falling frequency; frequent ones are shorter.
fn vocabulary(random: &mut SplitMix64) -> Vec<Vec<u8>> {
    const CONSONANTS: &[u8] = b"bcdfghjklmnpqrstvwz";
    const VOWELS: &[u8] = b"aeiouy";
    let pick = |random: &mut SplitMix64, letters: &[u8]| letters[random.below(letters.len() as u64) as usize];
    let mut seen = HashSet::with_capacity_and_hasher(VOCABULARY, hasher());
    let mut words = Vec::with_capacity(VOCABULARY);
    while words.len() < VOCABULARY {
        let least = match words.len() {
            0..300 => 1,
            300..100_000 => 2,
            _ => 3,
        };
        let mut word = Vec::new();
        for _ in 0..least + random.below(3) {
            word.push(pick(random, CONSONANTS));
            word.push(pick(random, VOWELS));
            if random.below(3) == 0 {
                word.push(pick(random, CONSONANTS));
            }
        }
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}

/// Ranks with a frequency proportional to 1 / (rank + 1).
struct Zipf {
    /// The share of all ranks up to and with this one.
    cumulated: Vec<f64>,
    /// The first rank that can belong to a number in each of [`GUIDES`] equal intervals.
    guides: Vec<usize>,
}

impl Zipf {
    fn new(ranks: usize) -> Zipf {
        let total: f64 = (1..=ranks).map(|rank| 1.0 / rank as f64).sum();
        let mut sum = 0.0;
        let cumulated: Vec<f64> = (1..=ranks)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum / total
            })
            .collect();
        let guides = (0..GUIDES)
            .map(|guide| cumulated.partition_point(|&share| share <= guide as f64 / GUIDES as f64))
            .collect();
        Zipf { cumulated, guides }
    }

    /// The rank that `unit`, a number in `0.0..1.0`, falls on.
    fn rank(&self, unit: f64) -> usize {
        let mut rank = self.guides[(unit * GUIDES as f64) as usize];
        while rank + 1 < self.cumulated.len() && self.cumulated[rank] <= unit {
            rank += 1;
        }
        rank
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_follow_the_law() {
        let zipf = Zipf::new(1000);
        let mut random = SplitMix64::new(1);
        let mut counts = vec![0u32; 1000];
        for _ in 0..1_000_000 {
            counts[zipf.rank(random.unit())] += 1;
        }
        let harmonic: f64 = (1..=1000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [0usize, 1, 9, 99] {
            let expected = 1e6 / (rank + 1) as f64 / harmonic;
            assert!((f64::from(counts[rank]) / expected - 1.0).abs() < 0.1, "rank {rank}: {}", counts[rank]);
        }
    }
}
