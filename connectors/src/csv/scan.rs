//! Finds delimiters eight bytes at a time: columns are short, and a search that starts anew for each costs more.

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const ALL_BUT_HIGH: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Where the delimiter number `nth`, counted from 0, stands in `bytes`.
#[inline(always)]
pub(crate) fn nth_delimiter(bytes: &[u8], delimiter: u8, nth: usize) -> Option<usize> {
    let pattern = u64::from(delimiter) * LOW_BITS;
    let mut left = nth;
    let (words, rest) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let different = u64::from_le_bytes(*word) ^ pattern;
        // The high bit of each byte that is zero, and no other.
        let mut found = !(((different & ALL_BUT_HIGH) + ALL_BUT_HIGH) | different | ALL_BUT_HIGH);
        let count = ((found >> 7).wrapping_mul(LOW_BITS) >> 56) as usize;
        if count > left {
            for _ in 0..left {
                found &= found - 1;
            }
            return Some(i * 8 + found.trailing_zeros() as usize / 8);
        }
        left -= count;
    }
    let start = bytes.len() - rest.len();
    let in_rest = rest.iter().enumerate().filter(|(_, byte)| **byte == delimiter).nth(left);
    in_rest.map(|(position, _)| start + position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_each_delimiter_where_it_stands(bytes in "[|{}~\u{0}a]{0,40}", delimiter in prop::sample::select(b"|{\0\xff".to_vec())) {
            let bytes = bytes.as_bytes();
            let expected: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i] == delimiter).collect();
            for nth in 0..expected.len() + 1 {
                prop_assert_eq!(nth_delimiter(bytes, delimiter, nth), expected.get(nth).copied());
            }
        }
    }
}
