//! Makes a record of a line through serde: every scalar takes one field, and tuples and structs take theirs in order.

use crate::csv::error::FieldError;
use crate::csv::number::{parse, parse_f64, parse_i64, parse_u64};
use crate::csv::row::Row;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, SeqAccess, VariantAccess, Visitor,
};
use std::marker::PhantomData;

/// The name under which a type that reads itself from a field's bytes asks for them; to other formats it is text.
pub(crate) const FIELD_NEWTYPE: &str = "flinkrs::Field";

/// The record that the wanted fields of `row` make.
#[inline(always)]
pub(crate) fn record<T: for<'de> Deserialize<'de>>(row: &mut Row<'_>) -> Result<T, FieldError> {
    T::deserialize(RowDeserializer { row })
}

struct RowDeserializer<'r, 'a> {
    row: &'r mut Row<'a>,
}

impl<'a> RowDeserializer<'_, 'a> {
    #[inline(always)]
    fn take(&mut self, expected: &'static str) -> Result<&'a [u8], FieldError> {
        self.row.take().map_err(|reason| FieldError::no_field(reason, expected))
    }

    #[inline(always)]
    fn text(&mut self, expected: &'static str) -> Result<&'a str, FieldError> {
        std::str::from_utf8(self.take(expected)?).map_err(|_| FieldError::is_not("UTF-8 text"))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $parse:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, FieldError> {
            const EXPECTED: &str = concat!("a number (", stringify!($type), ")");
            let field = self.take(EXPECTED)?;
            let number = $parse(field).map_err(|reason| FieldError::number(reason, EXPECTED))?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(FieldError::number(crate::csv::number::NotNumber::OutOfRange, EXPECTED)),
            }
        }
    )*};
}

macro_rules! parsed {
    ($($method:ident $visit:ident $parse:path, $type:ty, $expected:expr;)*) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, FieldError> {
            let field = self.take($expected)?;
            let value: $type = $parse(field).ok_or_else(|| FieldError::is_not($expected))?;
            visitor.$visit(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for RowDeserializer<'_, '_> {
    type Error = FieldError;

    integers! {
        deserialize_u8 visit_u8 parse_u64 u8;
        deserialize_u16 visit_u16 parse_u64 u16;
        deserialize_u32 visit_u32 parse_u64 u32;
        deserialize_u64 visit_u64 parse_u64 u64;
        deserialize_i8 visit_i8 parse_i64 i8;
        deserialize_i16 visit_i16 parse_i64 i16;
        deserialize_i32 visit_i32 parse_i64 i32;
        deserialize_i64 visit_i64 parse_i64 i64;
    }

    parsed! {
        deserialize_u128 visit_u128 parse, u128, "a number (u128)";
        deserialize_i128 visit_i128 parse, i128, "a number (i128)";
        deserialize_f32 visit_f32 parse, f32, "a number (f32)";
        deserialize_f64 visit_f64 parse_f64, f64, "a number (f64)";
        deserialize_bool visit_bool parse_bool, bool, "true or false";
        deserialize_char visit_char parse_char, char, "a single character";
    }

    #[inline(always)]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_str(self.text("text")?)
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_bytes(self.take("bytes")?)
    }

    #[inline(always)]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_bytes(visitor)
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        let field = self.row.peek().map_err(|reason| FieldError::no_field(reason, "a field that may be empty"))?;
        if field.is_empty() {
            let _ = self.row.take();
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        if name == FIELD_NEWTYPE {
            return self.deserialize_bytes(visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(RestOfRow { row: self.row })
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(Fields { row: self.row, names: &[], given: 0, len })
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_tuple(len, visitor)
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_seq(Fields { row: self.row, names, given: 0, len: names.len() })
    }

    fn deserialize_map<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, FieldError> {
        Err(FieldError::custom("a map can't be read from a line"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let expected = variants.first().copied().unwrap_or("a variant");
        visitor.visit_enum(UnitVariant { name: self.text(expected)? })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, FieldError> {
        self.take("a field")?;
        visitor.visit_unit()
    }
}

#[inline(always)]
fn parse_char(field: &[u8]) -> Option<char> {
    match field {
        [byte] if byte.is_ascii() => Some(char::from(*byte)),
        _ => parse(field),
    }
}

fn parse_bool(field: &[u8]) -> Option<bool> {
    match field {
        b"1" => Some(true),
        b"0" => Some(false),
        _ if field.eq_ignore_ascii_case(b"true") => Some(true),
        _ if field.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

/// The fields of a tuple or struct.
struct Fields<'r, 'a> {
    row: &'r mut Row<'a>,
    names: &'static [&'static str],
    given: usize,
    len: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, '_> {
    type Error = FieldError;

    #[inline(always)]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        if self.given == self.len {
            return Ok(None);
        }
        self.given += 1;
        match seed.deserialize(RowDeserializer { row: &mut *self.row }) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(match self.names.get(self.given - 1) {
                Some(name) => error.in_field(name),
                None => error,
            }),
        }
    }

    #[inline(always)]
    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>, FieldError> {
        self.next_element_seed(PhantomData)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.given)
    }
}

/// All fields that are left, for a sequence of unknown length.
struct RestOfRow<'r, 'a> {
    row: &'r mut Row<'a>,
}

impl<'de> SeqAccess<'de> for RestOfRow<'_, '_> {
    type Error = FieldError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, FieldError> {
        if !self.row.has_more() {
            return Ok(None);
        }
        seed.deserialize(RowDeserializer { row: &mut *self.row }).map(Some)
    }
}

struct UnitVariant<'a> {
    name: &'a str,
}

impl<'de> EnumAccess<'de> for UnitVariant<'_> {
    type Error = FieldError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), FieldError> {
        let name: StrDeserializer<'_, FieldError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for UnitVariant<'_> {
    type Error = FieldError;

    fn unit_variant(self) -> Result<(), FieldError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, FieldError> {
        Err(with_content(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, FieldError> {
        Err(with_content(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, FieldError> {
        Err(with_content(self.name))
    }
}

fn with_content(name: &str) -> FieldError {
    FieldError::custom(format!("variant {name} has content, which a line can't hold"))
}
