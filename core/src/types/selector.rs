//! How a key is taken out of a record, and how the optimizer recognises the same key again.

use crate::types::{Key, hash_key};
use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One part of a key's identity; two keys of one data set are the same when all their parts are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeyField {
    /// A field by path, such as `0`, `1.name` or, for the whole record, the empty path.
    Path(String),
    /// A selector without captured values: the same closure is the same key.
    Selector(u64),
    /// A selector with captured values: equal only to itself, by a number its program gave it.
    Captured(u64),
}

impl fmt::Display for KeyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyField::Path(path) if path.is_empty() => f.write_str("*"),
            KeyField::Path(path) if path.starts_with(|c: char| c.is_ascii_digit()) => write!(f, "f{path}"),
            KeyField::Path(path) => f.write_str(path),
            KeyField::Selector(_) | KeyField::Captured(_) => f.write_str("key selector"),
        }
    }
}

/// Takes the key out of a record: a field (`f0`), several (`(f0, f2)`), or a closure `|r: &Record| r.name.clone()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't select a key of `{T}`",
    note = "a key is a field such as `f0`, several such as `(f0, f1)`, or a closure `|r: &{T}| …` that returns a key",
    note = "a key type derives Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize and Deserialize",
    note = "wrap floats in `Total`"
)]
pub trait KeySelector<T>: Clone + Send + Sync + 'static {
    /// The key's type.
    type Key: Key;

    /// What a record has beside its key: the other fields of a tuple, or all of it where the key can't be taken away.
    type Rest: Clone + Send + Sync + 'static;

    /// Calls `f` with the key, borrowed from the record where that is possible.
    fn with_key<R>(&self, record: &T, f: impl FnOnce(&Self::Key) -> R) -> R;

    /// What the optimizer compares; `None` for a selector that equals only itself.
    fn identity(&self) -> Option<Vec<KeyField>>;

    /// What the record has beside its key.
    fn rest(&self, record: T) -> Self::Rest;

    /// The record that has this key and this rest.
    fn whole(&self, key: Self::Key, rest: Self::Rest) -> T;

    /// Calls `f` with the record that has this key and this rest, and keeps its rest; `f` doesn't change the key.
    #[inline(always)]
    fn change(&self, key: Self::Key, rest: &mut Self::Rest, f: impl FnOnce(&mut T)) {
        let mut record = self.whole(key, rest.clone());
        f(&mut record);
        *rest = self.rest(record);
    }

    /// The key as a value of its own.
    #[inline(always)]
    fn key(&self, record: &T) -> Self::Key {
        self.with_key(record, Clone::clone)
    }

    /// The specified hash of the key.
    #[inline(always)]
    fn key_hash(&self, record: &T) -> u64 {
        self.with_key(record, hash_key)
    }

    /// Whether two records have the same key.
    #[inline(always)]
    fn same_key(&self, a: &T, b: &T) -> bool {
        self.with_key(a, |a| self.with_key(b, |b| a == b))
    }
}

/// For selectors whose key can't be taken away from a record of this type: its rest is the record.
macro_rules! rest_is_all {
    ($record:ty) => {
        type Rest = $record;

        #[inline(always)]
        fn rest(&self, record: $record) -> $record {
            record
        }

        #[inline(always)]
        fn whole(&self, _key: Self::Key, rest: $record) -> $record {
            rest
        }

        #[inline(always)]
        fn change(&self, _key: Self::Key, rest: &mut $record, f: impl FnOnce(&mut $record)) {
            f(rest);
        }
    };
}
pub(crate) use rest_is_all;

impl<T: Clone + Send + Sync + 'static, K: Key, F: Fn(&T) -> K + Clone + Send + Sync + 'static> KeySelector<T> for F {
    type Key = K;
    rest_is_all!(T);

    #[inline(always)]
    fn with_key<R>(&self, record: &T, f: impl FnOnce(&K) -> R) -> R {
        f(&self(record))
    }

    fn identity(&self) -> Option<Vec<KeyField>> {
        if size_of::<F>() != 0 {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        TypeId::of::<F>().hash(&mut hasher);
        Some(vec![KeyField::Selector(hasher.finish())])
    }
}

/// The whole record as its own key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whole;

impl<T: Key> KeySelector<T> for Whole {
    type Key = T;
    rest_is_all!(T);

    #[inline(always)]
    fn with_key<R>(&self, record: &T, f: impl FnOnce(&T) -> R) -> R {
        f(record)
    }

    fn identity(&self) -> Option<Vec<KeyField>> {
        Some(vec![KeyField::Path(String::new())])
    }
}

macro_rules! composite {
    ($($selector:ident.$index:tt),+) => {
        impl<T: Clone + Send + Sync + 'static, $($selector: KeySelector<T>),+> KeySelector<T> for ($($selector,)+) {
            type Key = ($($selector::Key,)+);
            rest_is_all!(T);

            #[inline(always)]
            fn with_key<R>(&self, record: &T, f: impl FnOnce(&Self::Key) -> R) -> R {
                f(&($(self.$index.key(record),)+))
            }

            fn identity(&self) -> Option<Vec<KeyField>> {
                let mut fields = Vec::new();
                $(fields.extend(self.$index.identity()?);)+
                Some(fields)
            }
        }
    };
}

composite!(A.0, B.1);
composite!(A.0, B.1, C.2);
composite!(A.0, B.1, C.2, D.3);
composite!(A.0, B.1, C.2, D.3, E.4);
composite!(A.0, B.1, C.2, D.3, E.4, F.5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{f0, f1};

    #[test]
    fn one_closure_is_one_key_and_two_are_two() {
        let first = |r: &(u32, u32)| r.0;
        let other = |r: &(u32, u32)| r.0;
        let again = first;
        assert_eq!(KeySelector::<(u32, u32)>::identity(&first), KeySelector::<(u32, u32)>::identity(&again));
        assert_ne!(KeySelector::<(u32, u32)>::identity(&first), KeySelector::<(u32, u32)>::identity(&other));
    }

    #[test]
    fn a_selector_that_captures_has_no_identity() {
        let modulus = std::hint::black_box(3);
        let selector = move |r: &u32| r % modulus;
        assert_eq!(KeySelector::<u32>::identity(&selector), None);
    }

    #[test]
    fn several_fields_make_a_composite_key() {
        let key = (f1, f0);
        assert_eq!(key.key(&(1u8, 2u16)), (2, 1));
        let identity = KeySelector::<(u8, u16)>::identity(&key).expect("fields have an identity");
        assert_eq!(identity, [KeyField::Path("1".into()), KeyField::Path("0".into())]);
    }
}
