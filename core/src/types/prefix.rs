//! Eight bytes of a key that order like the key, so that most comparisons of a sort touch no record.

use crate::types::{Text, Total};
use std::any::Any;

/// What a key's prefix says about the order of two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPrefix {
    /// Nothing: every prefix is 0.
    None,
    /// A smaller prefix is a smaller key; equal prefixes say nothing.
    Partial,
    /// The prefix is the key: equal prefixes are equal keys.
    Full,
}

macro_rules! prefixes {
    ($any:ident; $($type:ty => $kind:ident, $prefix:expr;)*) => {
        $(if let Some(key) = $any.downcast_ref::<$type>() {
            let prefix: fn(&$type) -> u64 = $prefix;
            return (prefix(key), KeyPrefix::$kind);
        })*
    };
}

macro_rules! byte_arrays {
    ($any:ident; $($len:literal)*) => {
        $(if let Some(key) = $any.downcast_ref::<[u8; $len]>() {
            return (of_bytes(key), if $len <= 8 { KeyPrefix::Full } else { KeyPrefix::Partial });
        })*
    };
}

/// The first eight bytes of `key` as an ordered number, for key types whose order is known; compiles to one branch.
///
/// Types that may order themselves in ways of their own have no prefix.
#[inline(always)]
pub fn key_prefix<K: 'static>(key: &K) -> (u64, KeyPrefix) {
    let any: &dyn Any = key;
    prefixes! { any;
        u64 => Full, |k| *k;
        i64 => Full, |k| (*k as u64) ^ (1 << 63);
        u32 => Full, |k| u64::from(*k);
        i32 => Full, |k| (i64::from(*k) as u64) ^ (1 << 63);
        u16 => Full, |k| u64::from(*k);
        i16 => Full, |k| (i64::from(*k) as u64) ^ (1 << 63);
        u8 => Full, |k| u64::from(*k);
        i8 => Full, |k| (i64::from(*k) as u64) ^ (1 << 63);
        usize => Full, |k| *k as u64;
        isize => Full, |k| (*k as u64) ^ (1 << 63);
        bool => Full, |k| u64::from(*k);
        char => Full, |k| u64::from(u32::from(*k));
        u128 => Partial, |k| (*k >> 64) as u64;
        Text => Partial, |k| of_bytes(k.as_bytes());
        String => Partial, |k| of_bytes(k.as_bytes());
        Vec<u8> => Partial, |k| of_bytes(k);
        Total<f64> => Full, |k| of_float(k.get());
        (u32, u32) => Full, |k| u64::from(k.0) << 32 | u64::from(k.1);
        (u64, u64) => Partial, |k| k.0;
        (i64, i64) => Partial, |k| (k.0 as u64) ^ (1 << 63);
    }
    byte_arrays! { any; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 24 32 }
    (0, KeyPrefix::None)
}

#[inline(always)]
fn of_bytes(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0u8; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(padded)
}

#[inline(always)]
fn of_float(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn agrees<K: Ord + 'static>(a: &K, b: &K) -> bool {
        let ((pa, kind), (pb, _)) = (key_prefix(a), key_prefix(b));
        match pa.cmp(&pb) {
            Ordering::Equal => kind != KeyPrefix::Full || a == b,
            order => order == a.cmp(b),
        }
    }

    proptest! {
        #[test]
        fn orders_as_the_key_does(
            i in any::<(i64, i64)>(),
            s in any::<(String, String)>(),
            f in any::<(f64, f64)>(),
            h in any::<(i16, i16)>(),
        ) {
            prop_assert!(agrees(&i.0, &i.1));
            prop_assert!(agrees(&s.0, &s.1));
            prop_assert!(agrees(&Text::from(s.0.as_str()), &Text::from(s.1.as_str())));
            prop_assert!(agrees(&Total::new(f.0), &Total::new(f.1)));
            prop_assert!(agrees(&h.0, &h.1));
            prop_assert!(agrees(&i, &(i.1, i.0)));
        }
    }

    #[test]
    fn types_with_an_order_of_their_own_have_none() {
        assert_eq!(key_prefix(&std::cmp::Reverse(1u64)), (0, KeyPrefix::None));
    }
}
