//! Bit masks of byte classes, 64 bytes a mask: word characters, capital letters, separators of `.tbl` files.

/// The masks of one block of 64 bytes; bit `i` is byte `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// Words: `[A-Za-z0-9_]`. Tables: `|` and `\n`.
    pub hit: u64,
    /// Words: `[A-Z]`. Tables: `\n`.
    pub special: u64,
}

/// Number of blocks in one [`MaskBuffer`].
const BLOCKS: usize = 64;
/// Bytes in one block.
const BLOCK: usize = 64;
/// The most bytes one call fills masks for.
pub const BATCH: usize = BLOCKS * BLOCK;

/// Masks of up to [`BATCH`] bytes.
pub type MaskBuffer = [Masks; BLOCKS];

/// An empty [`MaskBuffer`].
pub fn buffer() -> MaskBuffer {
    [Masks::default(); BLOCKS]
}

/// Which bytes the masks mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Word characters and capital letters.
    Words,
    /// The separators of `.tbl` files.
    Table,
}

/// Finds the masks of the first [`BATCH`] bytes of `data` (or of all of it); bits behind the end of the data are 0.
pub fn fill<'m>(class: Class, data: &[u8], masks: &'m mut MaskBuffer) -> &'m [Masks] {
    let data = &data[..data.len().min(BATCH)];
    let (blocks, rest) = data.as_chunks::<BLOCK>();
    fill_blocks(class, blocks, masks);
    let mut filled = blocks.len();
    if !rest.is_empty() {
        // A NUL byte belongs to neither class.
        let mut padded = [[0u8; BLOCK]];
        padded[0][..rest.len()].copy_from_slice(rest);
        fill_blocks(class, &padded, &mut masks[filled..]);
        filled += 1;
    }
    &masks[..filled]
}

fn fill_blocks(class: Class, blocks: &[[u8; BLOCK]], masks: &mut [Masks]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as just asked.
        return unsafe { avx2::fill(class, blocks, masks) };
    }
    fill_portable(class, blocks, masks);
}

/// Whether a byte is in a class.
type Test = fn(u8) -> bool;

fn fill_portable(class: Class, blocks: &[[u8; BLOCK]], masks: &mut [Masks]) {
    let (hit, special): (Test, Test) = match class {
        Class::Words => (is_word, |byte| byte.is_ascii_uppercase()),
        Class::Table => (|byte| byte == b'|' || byte == b'\n', |byte| byte == b'\n'),
    };
    for (block, mask) in blocks.iter().zip(masks) {
        let bits =
            |test: Test| block.iter().enumerate().fold(0u64, |bits, (i, &byte)| bits | u64::from(test(byte)) << i);
        *mask = Masks { hit: bits(hit), special: bits(special) };
    }
}

/// Whether a byte belongs to a word: `[A-Za-z0-9_]`.
#[inline]
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Class, Masks};

    // Each byte class is a bit; a byte is in a class when both its low and its high half say so.
    const DIGIT: i8 = 1;
    const UPPER_A_O: i8 = 2;
    const UPPER_P_Z: i8 = 4;
    const LOWER_A_O: i8 = 8;
    const LOWER_P_Z: i8 = 16;
    const UNDERSCORE: i8 = 32;

    const fn low_half() -> [i8; 16] {
        let mut table = [0; 16];
        let mut low = 0;
        while low < 16 {
            let digit = if low <= 9 { DIGIT } else { 0 };
            let a_o = if low >= 1 { UPPER_A_O | LOWER_A_O } else { 0 };
            let p_z = if low <= 10 { UPPER_P_Z | LOWER_P_Z } else { 0 };
            let underscore = if low == 15 { UNDERSCORE } else { 0 };
            table[low] = digit | a_o | p_z | underscore;
            low += 1;
        }
        table
    }

    const LOW_HALF: [i8; 16] = low_half();
    const HIGH_HALF: [i8; 16] = {
        let mut table = [0; 16];
        table[3] = DIGIT;
        table[4] = UPPER_A_O;
        table[5] = UPPER_P_Z | UNDERSCORE;
        table[6] = LOWER_A_O;
        table[7] = LOWER_P_Z;
        table
    };

    #[target_feature(enable = "avx2")]
    pub(super) fn fill(class: Class, blocks: &[[u8; BLOCK]], masks: &mut [Masks]) {
        let tables = (both_lanes(&LOW_HALF), both_lanes(&HIGH_HALF));
        for (block, mask) in blocks.iter().zip(masks) {
            let (first, second) = load(block);
            *mask = match class {
                Class::Words => words(first, tables).join(words(second, tables)),
                Class::Table => separators(first).join(separators(second)),
            };
        }
    }

    /// The masks of 32 bytes.
    struct Half {
        hit: u32,
        special: u32,
    }

    impl Half {
        fn join(self, upper: Half) -> Masks {
            let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
            Masks { hit: join(self.hit, upper.hit), special: join(self.special, upper.special) }
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn load(block: &[u8; BLOCK]) -> (__m256i, __m256i) {
        let start = block.as_ptr();
        // SAFETY: both unaligned loads of 32 bytes lie inside the block of 64.
        unsafe { (_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(32).cast())) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn both_lanes(table: &[i8; 16]) -> __m256i {
        // SAFETY: the unaligned load reads the table's 16 bytes.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn words(bytes: __m256i, (low, high): (__m256i, __m256i)) -> Half {
        let half = _mm256_set1_epi8(15);
        let by_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
        let by_high = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half));
        let classes = _mm256_and_si256(by_low, by_high);
        let upper = _mm256_and_si256(classes, _mm256_set1_epi8(UPPER_A_O | UPPER_P_Z));
        Half { hit: nonzero(classes), special: nonzero(upper) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn separators(bytes: __m256i) -> Half {
        let bars = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'|' as i8));
        let line_ends = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\n' as i8));
        let special = _mm256_movemask_epi8(line_ends) as u32;
        Half { hit: _mm256_movemask_epi8(bars) as u32 | special, special }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn nonzero(bytes: __m256i) -> u32 {
        !(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_in_all_places() {
        let data: Vec<u8> = (0..3 * BATCH).map(|i| (i * 7 + i / 256) as u8).collect();
        for class in [Class::Words, Class::Table] {
            for length in [0, 1, 63, 64, 65, 1000, BATCH, BATCH + 1] {
                let data = &data[length..][..length];
                let (mut masks, mut expected) = (buffer(), buffer());
                let filled = fill(class, data, &mut masks);
                let mut padded = data[..length.min(BATCH)].to_vec();
                padded.resize(padded.len().next_multiple_of(64), 0);
                fill_portable(class, padded.as_chunks().0, &mut expected);
                assert_eq!(filled, &expected[..padded.len() / 64]);
            }
        }
    }
}
