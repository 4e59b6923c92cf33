//! The shape of a type: what its `Deserialize` asks for, as a text that two types share if they read the same bytes.
//!
//! A deserializer without data plays along and takes notes: numbers are 0, texts are empty, options and sequences have
//! one value. Of an enum only the first variant is looked into; the names of the others count.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor, value::Error, value::U32Deserializer,
};
use std::fmt::Write;

/// Options and sequences further inside are empty: a recursive type has an end there.
const DEPTH_MAX: usize = 6;

/// Notes end after so many bytes.
const NOTES_MAX: usize = 4096;

/// What there is to say of type `T`; of one that asks for more than a dummy can give, what it has asked for until then.
pub(crate) fn shape<T: DeserializeOwned>() -> String {
    let mut notes = String::new();
    // An error ends the notes, and ends them in the same place each time.
    let _ = T::deserialize(Dummy { notes: &mut notes, depth: 0 });
    notes.trim_end().to_owned()
}

struct Dummy<'a> {
    notes: &'a mut String,
    depth: usize,
}

impl Dummy<'_> {
    fn note(&mut self, what: &str) -> Result<(), Error> {
        if self.notes.len() + what.len() > NOTES_MAX {
            return Err(Error::custom("enough"));
        }
        // A string takes all that is written.
        let _ = write!(self.notes, "{what} ");
        Ok(())
    }

    fn inner(&mut self) -> Dummy<'_> {
        Dummy { notes: self.notes, depth: self.depth + 1 }
    }

    /// Shows the visitor a sequence of so many values.
    fn sequence<'de, V: Visitor<'de>>(mut self, name: &str, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.note(&format!("{name}("))?;
        let value = visitor.visit_seq(Values { dummy: self.inner(), left: len })?;
        self.note(")")?;
        Ok(value)
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            self.note(&stringify!($method)["deserialize_".len()..])?;
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Dummy<'_> {
    type Error = Error;

    plain! {
        deserialize_bool visit_bool false;
        deserialize_i8 visit_i8 0;
        deserialize_i16 visit_i16 0;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_i128 visit_i128 0;
        deserialize_u8 visit_u8 0;
        deserialize_u16 visit_u16 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_u128 visit_u128 0;
        deserialize_f32 visit_f32 0.0;
        deserialize_f64 visit_f64 0.0;
        deserialize_char visit_char ' ';
        deserialize_str visit_str "";
        deserialize_string visit_str "";
        deserialize_bytes visit_bytes &[];
        deserialize_byte_buf visit_bytes &[];
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("a type that takes anything"))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(0)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("option")?;
        if self.depth < DEPTH_MAX { visitor.visit_some(self.inner()) } else { visitor.visit_none() }
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("unit")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(name)?;
        visitor.visit_newtype_struct(self.inner())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let len = usize::from(self.depth < DEPTH_MAX);
        self.sequence("seq", len, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.sequence("", len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.sequence(name, len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        self.note("map(")?;
        let left = usize::from(self.depth < DEPTH_MAX);
        let value = visitor.visit_map(Values { dummy: self.inner(), left })?;
        self.note(")")?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.sequence(&format!("{name}:{}", fields.join(",")), fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(&format!("{name}:{}", variants.join("|")))?;
        visitor.visit_enum(Dummy { depth: self.depth + 1, ..self })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The values of a sequence, or the entries of a map.
struct Values<'a> {
    dummy: Dummy<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Values<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.dummy.inner()).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Values<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.dummy.inner())
    }
}

impl<'de> EnumAccess<'de> for Dummy<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        Ok((seed.deserialize(U32Deserializer::<Error>::new(0))?, self))
    }
}

impl<'de> VariantAccess<'de> for Dummy<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.sequence("", len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.sequence(&fields.join(","), fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Text, Total};
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    #[derive(Serialize, Deserialize)]
    struct Point {
        x: f32,
        y: u32,
    }

    #[derive(Serialize, Deserialize)]
    enum Tree {
        Node(Vec<Tree>, Option<Box<Tree>>),
        Leaf,
    }

    #[derive(Serialize, Deserialize)]
    enum Endless {
        More(Box<Endless>),
    }

    #[test]
    fn a_shape_says_what_is_read() {
        assert_eq!(shape::<(u64, Option<String>)>(), "( u64 option string )");
        assert_eq!(shape::<Point>(), "Point:x,y( f32 u32 )");
        assert_eq!(shape::<BTreeMap<u8, Vec<bool>>>(), "map( u8 seq( bool ) )");
        assert_ne!(shape::<Text>(), "");
        assert_ne!(shape::<Total<f64>>(), shape::<Total<f32>>());
    }

    #[test]
    fn a_type_without_an_end_or_a_dummy_has_a_shape() {
        assert!(shape::<Tree>().starts_with("Tree:Node|Leaf ( seq( Tree:Node|Leaf "));
        assert!(shape::<Endless>().len() <= NOTES_MAX);
        assert_eq!(shape::<(NonZeroU32, u8)>(), "( u32");
    }
}
