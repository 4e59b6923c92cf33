//! Handles for the fields of records: `f0` … `f9` for tuples, `field!` for structs.

use crate::types::selector::rest_is_all;
use crate::types::{Key, KeyField, KeySelector};
use std::any::TypeId;
use std::marker::PhantomData;

/// A field of `T` that can be read, and changed in place by aggregations.
#[diagnostic::on_unimplemented(
    message = "`{T}` has no field `{Self}`",
    note = "`f0` to `f9` name the positions of a tuple; `field!(Type, name)` names a field of a struct"
)]
pub trait Field<T>: Clone + Send + Sync + 'static {
    /// The field's type.
    type Value;

    /// The field, borrowed.
    fn get<'a>(&self, record: &'a T) -> &'a Self::Value;

    /// The field, to be changed.
    fn get_mut<'a>(&self, record: &'a mut T) -> &'a mut Self::Value;

    /// The field's path as plans show it, such as `0` or `name`.
    fn path(&self) -> String;
}

/// A position of a tuple `T`, which can be taken apart there.
pub trait Position<T>: Field<T> {
    /// The other fields, as a tuple.
    type Rest: Clone + Send + Sync + 'static;

    /// The other fields of a record.
    fn rest(record: T) -> Self::Rest;

    /// The record that has this field and these others.
    fn whole(value: Self::Value, rest: Self::Rest) -> T;
}

macro_rules! positions {
    ($($name:ident $index:literal;)*) => {$(
        #[doc = concat!("Position ", stringify!($index), " of a tuple.")]
        #[allow(non_camel_case_types, reason = "a field handle is used as a value: group_by(f0)")]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl<T> KeySelector<T> for $name
        where
            $name: Position<T, Value: Key>,
        {
            type Key = <$name as Field<T>>::Value;
            type Rest = <$name as Position<T>>::Rest;

            #[inline(always)]
            fn rest(&self, record: T) -> Self::Rest {
                <$name as Position<T>>::rest(record)
            }

            #[inline(always)]
            fn whole(&self, key: Self::Key, rest: Self::Rest) -> T {
                <$name as Position<T>>::whole(key, rest)
            }

            #[inline(always)]
            fn with_key<R>(&self, record: &T, f: impl FnOnce(&Self::Key) -> R) -> R {
                f(self.get(record))
            }

            fn identity(&self) -> Option<Vec<KeyField>> {
                Some(vec![KeyField::Path(stringify!($index).to_owned())])
            }
        }
    )*};
}

positions! { f0 0; f1 1; f2 2; f3 3; f4 4; f5 5; f6 6; f7 7; f8 8; f9 9; }

macro_rules! tuple {
    ($all:tt; $($fields:tt)*) => {
        tuple!(@next $all () $($fields)*,);
    };
    (@next $all:tt $before:tt) => {};
    (@next $all:tt ($($before:ident)*) $name:ident $type:ident $index:tt, $($after:ident $other:ident $place:tt,)*) => {
        tuple!(@one $all ($($before)*) ($($other)*) $name $type $index);
        tuple!(@next $all ($($before)* $type) $($after $other $place,)*);
    };
    (@one ($($all:ident)*) ($($before:ident)*) ($($after:ident)*) $name:ident $type:ident $index:tt) => {
        impl<$($all: Clone + Send + Sync + 'static),*> Position<($($all,)*)> for $name {
            type Rest = ($($before,)* $($after,)*);

            #[inline(always)]
            #[allow(non_snake_case, reason = "each field is named like its type")]
            #[allow(clippy::unused_unit, reason = "nothing is left of a tuple of one")]
            fn rest(($($all,)*): ($($all,)*)) -> Self::Rest {
                let _ = $type;
                ($($before,)* $($after,)*)
            }

            #[inline(always)]
            #[allow(non_snake_case, reason = "each field is named like its type")]
            fn whole($type: $type, ($($before,)* $($after,)*): Self::Rest) -> ($($all,)*) {
                ($($all,)*)
            }
        }

        impl<$($all: 'static),*> Field<($($all,)*)> for $name {
            type Value = $type;

            #[inline(always)]
            fn get<'a>(&self, record: &'a ($($all,)*)) -> &'a $type {
                &record.$index
            }

            #[inline(always)]
            fn get_mut<'a>(&self, record: &'a mut ($($all,)*)) -> &'a mut $type {
                &mut record.$index
            }

            fn path(&self) -> String {
                stringify!($index).to_owned()
            }
        }
    };
}

tuple!((A); f0 A 0);
tuple!((A B); f0 A 0, f1 B 1);
tuple!((A B C); f0 A 0, f1 B 1, f2 C 2);
tuple!((A B C D); f0 A 0, f1 B 1, f2 C 2, f3 D 3);
tuple!((A B C D E); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4);
tuple!((A B C D E F); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4, f5 F 5);
tuple!((A B C D E F G); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4, f5 F 5, f6 G 6);
tuple!((A B C D E F G H); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4, f5 F 5, f6 G 6, f7 H 7);
tuple!((A B C D E F G H I); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4, f5 F 5, f6 G 6, f7 H 7, f8 I 8);
tuple!((A B C D E F G H I J); f0 A 0, f1 B 1, f2 C 2, f3 D 3, f4 E 4, f5 F 5, f6 G 6, f7 H 7, f8 I 8, f9 J 9);

/// A field of a struct, made by [`field!`](crate::field).
pub struct FieldOf<T, V, G, M> {
    name: &'static str,
    get: G,
    get_mut: M,
    types: PhantomData<fn(&T) -> V>,
}

impl<T, V, G: Clone, M: Clone> Clone for FieldOf<T, V, G, M> {
    fn clone(&self) -> Self {
        FieldOf { name: self.name, get: self.get.clone(), get_mut: self.get_mut.clone(), types: PhantomData }
    }
}

impl<T, V, G, M> FieldOf<T, V, G, M>
where
    G: Fn(&T) -> &V,
    M: Fn(&mut T) -> &mut V,
{
    /// Names a field by its two accessors; [`field!`](crate::field) is the short way.
    pub fn new(name: &'static str, get: G, get_mut: M) -> Self {
        FieldOf { name, get, get_mut, types: PhantomData }
    }
}

impl<T, V, G, M> Field<T> for FieldOf<T, V, G, M>
where
    T: 'static,
    V: 'static,
    G: Fn(&T) -> &V + Clone + Send + Sync + 'static,
    M: Fn(&mut T) -> &mut V + Clone + Send + Sync + 'static,
{
    type Value = V;

    #[inline(always)]
    fn get<'a>(&self, record: &'a T) -> &'a V {
        (self.get)(record)
    }

    #[inline(always)]
    fn get_mut<'a>(&self, record: &'a mut T) -> &'a mut V {
        (self.get_mut)(record)
    }

    fn path(&self) -> String {
        self.name.to_owned()
    }
}

impl<T, V, G, M> KeySelector<T> for FieldOf<T, V, G, M>
where
    T: Clone + Send + Sync + 'static,
    V: Key,
    G: Fn(&T) -> &V + Clone + Send + Sync + 'static,
    M: Fn(&mut T) -> &mut V + Clone + Send + Sync + 'static,
{
    type Key = V;
    rest_is_all!(T);

    #[inline(always)]
    fn with_key<R>(&self, record: &T, f: impl FnOnce(&V) -> R) -> R {
        f((self.get)(record))
    }

    fn identity(&self) -> Option<Vec<KeyField>> {
        debug_assert_ne!(TypeId::of::<T>(), TypeId::of::<()>(), "a unit has no fields");
        Some(vec![KeyField::Path(self.name.to_owned())])
    }
}

/// A handle for a field of a struct, usable as a key and in aggregations: `field!(Person, name)`,
/// `field!(Person, address.city)`.
#[macro_export]
macro_rules! field {
    ($type:ty, $($path:ident).+) => {
        $crate::types::FieldOf::new(
            stringify!($($path).+),
            |record: &$type| &record.$($path).+,
            |record: &mut $type| &mut record.$($path).+,
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Person {
        name: String,
        age: u32,
    }

    #[test]
    fn struct_fields_are_keys_with_a_path() {
        let by_name = field!(Person, name);
        let mut person = Person { name: "Ada".into(), age: 36 };
        assert_eq!(by_name.key(&person), "Ada");
        assert_eq!(KeySelector::<Person>::identity(&by_name), Some(vec![KeyField::Path("name".into())]));
        *field!(Person, age).get_mut(&mut person) += 1;
        assert_eq!(person.age, 37);
    }

    #[test]
    fn a_tuple_is_taken_apart_at_its_key_and_put_together_again() {
        type Record = (u8, u16, String);
        let record: Record = (1, 2, "three".to_owned());
        assert_eq!(KeySelector::<Record>::rest(&f0, record.clone()), (2, "three".to_owned()));
        let mut rest = KeySelector::<Record>::rest(&f1, record.clone());
        assert_eq!(rest, (1, "three".to_owned()));
        assert_eq!(KeySelector::<Record>::whole(&f1, 2, rest.clone()), record);
        KeySelector::<Record>::change(&f1, 2, &mut rest, |(first, key, _)| *first += *key as u8);
        assert_eq!(rest.0, 3);
        let by_sum = |record: &(u8, u16)| u16::from(record.0) + record.1;
        assert_eq!(by_sum.rest((1, 2)), (1, 2), "a computed key can't be taken away");
    }

    #[test]
    fn tuple_positions_read_and_write() {
        let mut record = ("a".to_owned(), 1u64, true);
        *f1.get_mut(&mut record) += 4;
        assert_eq!(*f1.get(&record), 5);
        assert_eq!(Field::<(String, u64, bool)>::path(&f2), "2");
    }
}
