//! Splits text into words: maximal runs of `[A-Za-z0-9_]`, lower-cased in ASCII, 64 bytes at a time.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "SSE2, which every x86-64 processor has"))]

use crate::types::text::{INLINE_BYTES, Text, words_of};

/// The words of `line`: maximal runs of ASCII letters, digits and underscores, lower-cased.
///
/// ```
/// let words: Vec<String> = flinkrs_core::types::words("To be, or NOT to_be").map(String::from).collect();
/// assert_eq!(words, ["to", "be", "or", "not", "to_be"]);
/// ```
#[inline]
pub fn words(line: &str) -> Words<'_> {
    Words { bytes: line.as_bytes(), next: 0, base: 0, edges: 0, inside: 0 }
}

/// The iterator of [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    bytes: &'a [u8],
    /// Where the next block of 64 bytes starts.
    next: usize,
    /// Where the block of `edges` starts.
    base: usize,
    /// A bit for each byte of the block at which a word starts or ends.
    edges: u64,
    /// 1 when the last byte of the block belongs to a word.
    inside: u64,
}

impl Words<'_> {
    /// The next position at which a word starts or ends; the end of the text ends a word.
    #[inline(always)]
    fn edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            if self.next >= self.bytes.len() {
                return None;
            }
            let rest = &self.bytes[self.next..];
            let mask = match rest.first_chunk::<64>() {
                Some(block) => word_bytes(block),
                None => {
                    let mut padded = [0u8; 64];
                    padded[..rest.len()].copy_from_slice(rest);
                    word_bytes(&padded)
                }
            };
            self.edges = mask ^ (mask << 1 | self.inside);
            self.inside = mask >> 63;
            self.base = self.next;
            self.next += 64;
        }
        let position = self.base + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(position)
    }
}

impl Iterator for Words<'_> {
    type Item = Text;

    #[inline(always)]
    fn next(&mut self) -> Option<Text> {
        let start = self.edge()?;
        let end = self.edge().unwrap_or(self.bytes.len());
        Some(lower_case(self.bytes, start, end))
    }
}

#[inline(always)]
fn lower_case(bytes: &[u8], start: usize, end: usize) -> Text {
    let len = end - start;
    if len > INLINE_BYTES {
        return long_word(&bytes[start..end]);
    }
    let rest = &bytes[start..];
    let words = match rest.first_chunk::<24>() {
        Some(chunk) => words_of(chunk),
        None => {
            let mut padded = [0u8; 24];
            padded[..rest.len()].copy_from_slice(rest);
            words_of(&padded)
        }
    };
    let mask = &KEEP[len];
    Text::from_words([lower8(words[0] & mask[0]), lower8(words[1] & mask[1]), lower8(words[2] & mask[2])], len)
}

#[cold]
fn long_word(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(&bytes.to_ascii_lowercase()).into_owned())
}

/// Lower-cases eight ASCII bytes at once.
#[inline(always)]
fn lower8(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let from_a = bytes + (0x80 - b'A' as u64) * ONES;
    let past_z = bytes + (0x80 - b'Z' as u64 - 1) * ONES;
    bytes | ((from_a & !past_z & (0x80 * ONES)) >> 2)
}

/// `KEEP[len]` keeps the first `len` bytes of three words.
static KEEP: [[u64; 3]; INLINE_BYTES + 1] = {
    let mut table = [[0u64; 3]; INLINE_BYTES + 1];
    let mut len = 0;
    while len <= INLINE_BYTES {
        let mut byte = 0;
        while byte < len {
            table[len][byte / 8] |= 0xff << (8 * (byte % 8));
            byte += 1;
        }
        len += 1;
    }
    table
};

/// A bit for each of 64 bytes that is a letter, a digit or an underscore.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn word_bytes(block: &[u8; 64]) -> u64 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };
    let (quarters, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for (i, quarter) in quarters.iter().enumerate() {
        // SAFETY: SSE2 is part of x86-64, and the load reads exactly the 16 bytes of `quarter`.
        let bits = unsafe {
            let bytes = _mm_loadu_si128(quarter.as_ptr().cast::<__m128i>());
            let at_most =
                |values: __m128i, limit: i8| _mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(limit)), values);
            let lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
            let letter = at_most(_mm_add_epi8(lower, _mm_set1_epi8(-(b'a' as i8))), 25);
            let digit = at_most(_mm_add_epi8(bytes, _mm_set1_epi8(-(b'0' as i8))), 9);
            let underscore = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'_' as i8));
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), underscore))
        };
        mask |= u64::from(bits as u16) << (16 * i);
    }
    mask
}

/// A bit for each of 64 bytes that is a letter, a digit or an underscore.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn word_bytes(block: &[u8; 64]) -> u64 {
    let mut mask = 0;
    for (i, byte) in block.iter().enumerate() {
        mask |= u64::from(byte.is_ascii_alphanumeric() || *byte == b'_') << i;
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(line: &str) -> Vec<String> {
        line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect()
    }

    proptest! {
        #[test]
        fn splits_as_the_plain_definition_does(line in "[A-Za-z0-9_ ,.;@`{\\[\\]/:éß√]{0,300}") {
            let found: Vec<String> = words(&line).map(String::from).collect();
            prop_assert_eq!(found, plain(&line));
        }

        #[test]
        fn finds_words_of_any_length_at_any_place(before in 0usize..130, len in 1usize..130, after in 0usize..70) {
            let line = format!("{}{}{}", " ".repeat(before), "Ab".repeat(len), ".".repeat(after));
            let found: Vec<String> = words(&line).map(String::from).collect();
            prop_assert_eq!(found, vec!["ab".repeat(len)]);
        }
    }
}
