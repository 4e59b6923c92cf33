//! Finds the delimiters of a line 64 bytes at a time: columns are short, and a search that starts anew for each costs
//! more.

use flinkrs_core::types::byte_mask;

/// The delimiters of a line, from its start to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delimiters {
    /// A bit for each delimiter of the current block that has not been passed.
    mask: u64,
    /// Where the current block starts.
    base: usize,
    /// Where the next block starts.
    next: usize,
}

impl Delimiters {
    /// Passes `skip` delimiters and the one after them, and says where that one stands.
    #[inline(always)]
    pub(crate) fn pass(&mut self, line: &[u8], delimiter: u8, mut skip: usize) -> Option<usize> {
        loop {
            if self.mask == 0 {
                if self.next >= line.len() {
                    return None;
                }
                self.load(line, delimiter);
                continue;
            }
            let position = self.base + self.mask.trailing_zeros() as usize;
            self.mask &= self.mask - 1;
            if skip == 0 {
                return Some(position);
            }
            skip -= 1;
        }
    }

    #[inline(always)]
    fn load(&mut self, line: &[u8], delimiter: u8) {
        let rest = &line[self.next..];
        self.mask = match rest.first_chunk::<64>() {
            Some(block) => byte_mask(block, delimiter),
            None => {
                let mut padded = [0; 64];
                padded[..rest.len()].copy_from_slice(rest);
                byte_mask(&padded, delimiter) & ((1 << rest.len()) - 1)
            }
        };
        self.base = self.next;
        self.next += 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_each_delimiter_where_it_stands(
            bytes in "[|{}~\u{0}a]{0,200}",
            delimiter in prop::sample::select(b"|{\0\xff".to_vec()),
            skips in prop::collection::vec(0usize..9, 0..60),
        ) {
            let bytes = bytes.as_bytes();
            let mut expected = (0..bytes.len()).filter(|&i| bytes[i] == delimiter);
            let mut found = Delimiters::default();
            for skip in skips {
                prop_assert_eq!(found.pass(bytes, delimiter, skip), expected.nth(skip));
            }
        }
    }
}
