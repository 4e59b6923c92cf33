//! The hash of a key: specified, so that it may be stored and shipped, and fast.
//!
//! The key is fed through serde: numbers as their 64 bits (sign-extended), strings as length and bytes, sequences
//! with their length first, enum variants with their index first. Each 64-bit word `w` turns the state `s` into
//! `fold((s ^ w) * K)`, where `fold` is the exclusive or of the two halves of the 128-bit product.

use crate::types::walk::{Visitor, walk};
use serde::Serialize;

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const WORD: u64 = 0x9e37_79b9_7f4a_7c15;
const TAIL: u64 = 0xd6e8_feb8_6659_fd93;

/// Hashes a key; the same on every machine and in every version. Channels take the high bits.
#[inline(always)]
pub fn hash_key<K: Serialize + ?Sized>(key: &K) -> u64 {
    let mut hash = KeyHash(SEED);
    walk(&mut hash, key);
    fold(hash.0, TAIL)
}

/// A key's hash for use in a hash table, so that the keys of one channel spread over all buckets.
///
/// Tables take the lowest and the highest bits; what the keys of one channel have in common comes to lie in between.
#[inline(always)]
pub fn table_hash(hash: u64) -> u64 {
    hash.rotate_left(32)
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

struct KeyHash(u64);

impl KeyHash {
    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word, WORD);
    }
}

impl Visitor for KeyHash {
    #[inline(always)]
    fn scalar(&mut self, bits: u64, _size: usize) {
        self.word(bits);
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8], _inline: bool) {
        let len = bytes.len();
        if len <= 16 {
            let (a, b) = short_words(bytes);
            self.word(a ^ ((len as u64) << 56));
            self.word(b);
        } else {
            self.long(bytes);
        }
    }

    #[inline(always)]
    fn begin(&mut self, len: usize) {
        self.word(len as u64);
    }

    #[inline(always)]
    fn end(&mut self) {}
}

impl KeyHash {
    fn long(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, _) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        self.word(read64(bytes, bytes.len() - 8));
    }
}

/// Two words that together hold every byte of a string of at most 16 bytes.
#[inline(always)]
fn short_words(bytes: &[u8]) -> (u64, u64) {
    let len = bytes.len();
    if len >= 8 {
        (read64(bytes, 0), read64(bytes, len - 8))
    } else if len >= 4 {
        (u64::from(read32(bytes, 0)), u64::from(read32(bytes, len - 4)))
    } else if len > 0 {
        let ends = u64::from(bytes[0]) | u64::from(bytes[len / 2]) << 8 | u64::from(bytes[len - 1]) << 16;
        (ends, 0)
    } else {
        (0, 0)
    }
}

#[inline(always)]
fn read64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("the slice has 8 bytes"))
}

#[inline(always)]
fn read32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the slice has 4 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Text;

    /// The hash is part of stored formats: a change here is a change of format.
    #[test]
    fn is_pinned_per_key_type() {
        let fixture: [(u64, u64); 8] = [
            (hash_key(&0u64), hash_key(&0u32)),
            (hash_key(&-1i32), hash_key(&-1i64)),
            (hash_key("word"), hash_key(&Text::from("word"))),
            (hash_key(&(1u64, 2u64)), hash_key(&(1u32, 2u16))),
            (hash_key(""), hash_key(&String::new())),
            (hash_key(&Some(7u8)), hash_key(&(1u8, 7u8))),
            (
                hash_key("a string of more than sixteen bytes"),
                hash_key(&Text::from("a string of more than sixteen bytes")),
            ),
            (hash_key(&[1u8; 10]), hash_key(&[1u64; 10])),
        ];
        for (i, (a, b)) in fixture.iter().enumerate() {
            assert_eq!(a, b, "pair {i}");
        }
        let pinned = fixture.map(|(a, _)| a);
        assert_eq!(pinned, PINNED, "{pinned:#x?}");
    }

    const PINNED: [u64; 8] = [
        0xe88d_2cd1_7c05_8b32,
        0x71ea_84d3_7772_43c5,
        0x7b2c_cb9a_1092_6e3f,
        0x5935_f079_9340_6360,
        0x8025_1593_1879_cc47,
        0xd247_5778_18d7_70e7,
        0x5428_940b_90d9_b30b,
        0xbd66_65c1_78f1_e5d8,
    ];

    #[test]
    fn spreads_small_numbers_over_channels_and_tables() {
        let mut channels = [0u32; 8];
        let mut buckets = [0u32; 128];
        for key in 0..8000u64 {
            let hash = hash_key(&key);
            channels[(hash >> 61) as usize] += 1;
            if hash >> 61 == 0 {
                buckets[(table_hash(hash) >> 57) as usize] += 1;
            }
        }
        assert!(channels.iter().all(|&n| (800..1200).contains(&n)), "{channels:?}");
        assert!(buckets.iter().all(|&n| n < 30), "{buckets:?}");
    }
}
