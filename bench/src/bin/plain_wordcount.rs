//! Counts the words of a text by hand: mapped file, vector word finding, one table of borrowed words per thread.

use std::hash::{BuildHasher, Hasher as _};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use flinkrs_bench::cli::{Args, Outcome, about, run};
use flinkrs_bench::files::{create, map_file, split_behind};
use flinkrs_bench::masks::{self, Class, is_word};
use flinkrs_bench::parallel::parallel;
use flinkrs_bench::{Hasher, hasher};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

fn main() -> ExitCode {
    run("plain_wordcount IN OUT [THREADS]", wordcount)
}

fn wordcount(args: Args) -> Result<Outcome, String> {
    args.at_most(3)?;
    let (input, output, threads) = (args.required(0)?, args.required(1)?, args.threads(2)?);
    let start = Instant::now();
    let text = map_file(input)?;
    let pieces = split_behind(text, threads, |byte| !is_word(byte));
    let mut tables = parallel(pieces, |piece| Ok(count(piece)))?.into_iter();
    let mut counts = tables.next().unwrap_or_default();
    for table in tables {
        counts.merge(table);
    }
    counts.write(output)?;
    Ok(Outcome::since(start, counts.table.len()))
}

/// Counts of distinct words, borrowed from the mapped text or, when lower-cased, from leaked copies.
struct Counts {
    table: HashTable<(&'static [u8], u64)>,
    hasher: Hasher,
    /// Room for the lower-cased copy of one word.
    lower: Vec<u8>,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { table: HashTable::with_capacity(1 << 18), hasher: hasher(), lower: Vec::new() }
    }
}

impl Counts {
    #[inline]
    fn hash(hasher: &Hasher, word: &[u8]) -> u64 {
        let mut hasher = hasher.build_hasher();
        hasher.write(word);
        hasher.finish()
    }

    /// Adds to the count of `word`; `keep` makes the key when the word is new.
    #[inline]
    fn add(&mut self, word: &[u8], count: u64, keep: impl FnOnce() -> &'static [u8]) {
        let Counts { table, hasher, .. } = self;
        let hash = Counts::hash(hasher, word);
        match table.entry(hash, |entry| entry.0 == word, |entry| Counts::hash(hasher, entry.0)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 += count,
            Entry::Vacant(entry) => {
                entry.insert((keep(), count));
            }
        }
    }

    /// Counts a word of the text that has capital letters.
    #[cold]
    fn add_lower_cased(&mut self, word: &[u8]) {
        let mut lower = std::mem::take(&mut self.lower);
        lower.clear();
        lower.extend(word.iter().map(u8::to_ascii_lowercase));
        // Only distinct words are kept, and the process ends soon after.
        self.add(&lower, 1, || Box::leak(lower.clone().into_boxed_slice()));
        self.lower = lower;
    }

    fn merge(&mut self, other: Counts) {
        for (word, count) in other.table {
            self.add(word, count, || word);
        }
    }

    fn write(&self, path: &str) -> Result<(), String> {
        let mut out = create(path)?;
        let mut line = Vec::new();
        for (word, count) in &self.table {
            line.clear();
            line.extend_from_slice(word);
            writeln!(line, ",{count}").and_then(|()| out.write_all(&line)).map_err(about(path))?;
        }
        out.flush().map_err(about(path))
    }
}

/// Counts the words of one piece of the text.
fn count(text: &'static [u8]) -> Counts {
    let mut counts = Counts::default();
    let mut buffer = masks::buffer();
    // An open word began in an earlier block; capitals are those seen since then.
    let (mut open, mut start, mut capitals) = (0u64, 0usize, 0u64);
    for (number, batch) in text.chunks(masks::BATCH).enumerate() {
        let base = number * masks::BATCH;
        for (block, mask) in masks::fill(Class::Words, batch, &mut buffer).iter().enumerate() {
            let base = base + block * 64;
            let before = mask.hit << 1 | open;
            let mut starts = mask.hit & !before;
            let mut ends = !mask.hit & before;
            capitals = mask.special | if open == 1 { capitals } else { 0 };
            if open == 0 {
                start = base + starts.trailing_zeros() as usize;
                starts &= starts.wrapping_sub(1);
            }
            while ends != 0 {
                let word = &text[start..base + ends.trailing_zeros() as usize];
                if capitals != 0 && word.iter().any(u8::is_ascii_uppercase) {
                    counts.add_lower_cased(word);
                } else {
                    counts.add(word, 1, || word);
                }
                ends &= ends - 1;
                start = base + starts.trailing_zeros() as usize;
                starts &= starts.wrapping_sub(1);
            }
            open = mask.hit >> 63;
        }
    }
    if open == 1 {
        let word = &text[start..];
        counts.add_lower_cased(word);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &'static [u8]) -> Vec<(&'static [u8], u64)> {
        let mut words: Vec<_> = count(text).table.into_iter().collect();
        words.sort();
        words
    }

    #[test]
    fn words_are_lower_cased_runs() {
        assert_eq!(
            counted(b"Snake_case, 42 times; SNAKE_CASE \xc3\x84snake_case\ta-A"),
            [(&b"42"[..], 1), (b"a", 2), (b"snake_case", 3), (b"times", 1)]
        );
        assert!(counted(b"").is_empty() && counted(b" .,-\n").is_empty());
    }

    #[test]
    fn words_over_block_and_batch_borders() {
        for lead in 0..70 {
            for length in [1, 5, 63, 64, 65, 128, 200, 4096, 5000] {
                let text = format!("{}{} b", " ".repeat(lead), "Z".repeat(length));
                let expected = "z".repeat(length);
                for text in [text.trim_end_matches(" b").to_string(), text.clone()] {
                    let ends_in_b = text.ends_with('b');
                    let words = counted(Box::leak(text.into_bytes().into_boxed_slice()));
                    assert_eq!(words.last(), Some(&(expected.as_bytes(), 1)));
                    assert_eq!(words.len(), 1 + usize::from(ends_in_b));
                }
            }
        }
    }
}
