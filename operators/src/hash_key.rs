//! What hash operators make of a key: a hash, or, where keys are integers, a number that may be a place in an array.

use flinkrs_core::types::{Key, KeySelector, table_hash};
use std::any::{Any, TypeId};

/// The hash of which tables and partitions use different bits.
#[inline(always)]
pub(crate) fn hash_of<T, S: KeySelector<T>>(selector: &S, record: &T) -> u64 {
    table_hash(selector.key_hash(record))
}

/// The key as a number, if keys are integers: equal for equal keys only, and in the order of the keys.
#[inline(always)]
pub(crate) fn number_of<T, S: KeySelector<T>>(selector: &S, record: &T) -> Option<u64> {
    selector.with_key(record, number)
}

macro_rules! integers {
    ($($unsigned:ty),*; $($signed:ty),*) => {
        /// Whether keys of this type are integers; the compiler knows.
        #[inline(always)]
        pub(crate) fn is_integer<K: Key>() -> bool {
            let key = TypeId::of::<K>();
            false $(|| key == TypeId::of::<$unsigned>())* $(|| key == TypeId::of::<$signed>())*
        }

        /// A key as a number, if it is an integer.
        #[inline(always)]
        pub(crate) fn number<K: Key>(key: &K) -> Option<u64> {
            let key: &dyn Any = key;
            $(if let Some(key) = key.downcast_ref::<$unsigned>() {
                return Some(*key as u64);
            })*
            $(if let Some(key) = key.downcast_ref::<$signed>() {
                return Some(*key as i64 as u64 ^ 1 << 63);
            })*
            None
        }

        /// The key that [`number`] makes this number of.
        #[inline(always)]
        pub(crate) fn key_of_number<K: Key>(number: u64) -> Option<K> {
            fn same<K: Key, N: Any>(key: N) -> Option<K> {
                (&key as &dyn Any).downcast_ref::<K>().cloned()
            }
            $(if TypeId::of::<K>() == TypeId::of::<$unsigned>() {
                return same(number as $unsigned);
            })*
            $(if TypeId::of::<K>() == TypeId::of::<$signed>() {
                return same((number ^ 1 << 63) as $signed);
            })*
            None
        }
    };
}

integers!(u8, u16, u32, u64, usize; i8, i16, i32, i64, isize);

#[cfg(test)]
mod tests {
    use super::*;
    use flinkrs_core::types::{Whole, f1};

    #[test]
    fn numbers_are_in_the_order_of_the_keys() {
        let signed: Vec<u64> = [i64::MIN, -1, 0, 1, i64::MAX].iter().filter_map(|key| number_of(&Whole, key)).collect();
        assert_eq!(signed, [0, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX]);
        let small: Vec<u64> = [i8::MIN, -1, 0].iter().filter_map(|key| number_of(&Whole, key)).collect();
        assert_eq!(small, [(1 << 63) - 128, (1 << 63) - 1, 1 << 63]);
        assert_eq!(number_of(&f1, &("seven", 7u16)), Some(7));
        assert_eq!(number_of(&Whole, &u64::MAX), Some(u64::MAX));
    }

    #[test]
    fn a_number_becomes_its_key_again() {
        fn check<K: Key + std::fmt::Debug>(keys: &[K]) {
            for key in keys {
                assert_eq!(number(key).and_then(key_of_number::<K>).as_ref(), Some(key));
            }
        }
        check(&[0u8, 7, u8::MAX]);
        check(&[0u64, u64::MAX]);
        check(&[i8::MIN, -1, 0, i8::MAX]);
        check(&[i32::MIN, -1, 0, i32::MAX]);
        check(&[isize::MIN, -1, 0, isize::MAX]);
        assert_eq!(key_of_number::<String>(7), None);
    }

    #[test]
    fn other_keys_are_no_numbers() {
        assert_eq!(number_of(&Whole, &"7".to_owned()), None);
        assert_eq!(number_of(&Whole, &(7u8, 7u8)), None);
        assert!(is_integer::<usize>() && is_integer::<i16>() && !is_integer::<bool>() && !is_integer::<u128>());
    }
}
