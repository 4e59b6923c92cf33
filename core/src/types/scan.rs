//! Finds a byte in 64 at once.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "SSE2, which every x86-64 processor has"))]

/// A bit for each of 64 bytes that is `byte`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn byte_mask(block: &[u8; 64], byte: u8) -> u64 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let (quarters, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for (i, quarter) in quarters.iter().enumerate() {
        // SAFETY: SSE2 is part of x86-64, and the load reads exactly the 16 bytes of `quarter`.
        let bits = unsafe {
            let bytes = _mm_loadu_si128(quarter.as_ptr().cast::<__m128i>());
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8)))
        };
        mask |= u64::from(bits as u16) << (16 * i);
    }
    mask
}

/// A bit for each of 64 bytes that is `byte`.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub fn byte_mask(block: &[u8; 64], byte: u8) -> u64 {
    block.iter().enumerate().fold(0, |mask, (i, other)| mask | u64::from(*other == byte) << i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_bit_where_the_byte_is() {
        let mut block = [b'.'; 64];
        for position in [0, 15, 16, 40, 63] {
            block[position] = 0xff;
        }
        assert_eq!(byte_mask(&block, 0xff), 1 | 1 << 15 | 1 << 16 | 1 << 40 | 1 << 63);
    }
}
