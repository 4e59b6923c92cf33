//! Writes a record's fields through serde: every scalar is one field, and tuples, structs and sequences write theirs in
//! order.

use crate::text_output::Utf8;
use serde::Serialize;
use serde::ser::{self, Serializer};
use std::fmt::{self, Display, Write};

/// Which bytes separate and enclose fields.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    /// Whether a field that holds the byte must be quoted.
    special: [bool; 256],
}

impl Dialect {
    pub(crate) fn new(delimiter: u8, quote: Option<u8>) -> Dialect {
        let mut special = [false; 256];
        if let Some(quote) = quote {
            for byte in [delimiter, quote, b'\n', b'\r'] {
                special[usize::from(byte)] = true;
            }
        }
        Dialect { delimiter, quote, special }
    }

    /// The same with another delimiter.
    pub(crate) fn delimiter(&self, delimiter: u8) -> Dialect {
        Dialect::new(delimiter, self.quote)
    }

    /// The same with another quote.
    pub(crate) fn quote(&self, quote: Option<u8>) -> Dialect {
        Dialect::new(self.delimiter, quote)
    }
}

/// Appends the fields of `record` to `out`, without a newline.
#[inline]
pub(crate) fn write_fields<T: Serialize>(record: &T, dialect: &Dialect, out: &mut Vec<u8>) -> Result<(), NoLine> {
    record.serialize(&mut LineSerializer { out, dialect, first: true })
}

/// Why a record can't be written as a line.
#[derive(Debug)]
pub(crate) struct NoLine(String);

impl Display for NoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoLine {}

impl ser::Error for NoLine {
    #[cold]
    fn custom<M: Display>(message: M) -> NoLine {
        NoLine(message.to_string())
    }
}

struct LineSerializer<'a> {
    out: &'a mut Vec<u8>,
    dialect: &'a Dialect,
    first: bool,
}

impl LineSerializer<'_> {
    #[inline(always)]
    fn next_field(&mut self) {
        if !self.first {
            self.out.push(self.dialect.delimiter);
        }
        self.first = false;
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.next_field();
        let start = self.out.len();
        self.out.extend_from_slice(text);
        self.quote_from(start);
    }

    /// Encloses the field at the end of the output, from `start` on, if its content could be taken for something else.
    #[inline]
    fn quote_from(&mut self, start: usize) {
        let special = &self.dialect.special;
        if self.out[start..].iter().any(|byte| special[usize::from(*byte)]) {
            self.enclose(start);
        }
    }

    #[cold]
    fn enclose(&mut self, start: usize) {
        let Some(quote) = self.dialect.quote else { return };
        let field = self.out.split_off(start);
        self.out.push(quote);
        for byte in field {
            if byte == quote {
                self.out.push(quote);
            }
            self.out.push(byte);
        }
        self.out.push(quote);
    }
}

macro_rules! integers {
    ($($method:ident $type:ty;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Result<(), NoLine> {
            self.next_field();
            self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        }
    )*};
}

impl Serializer for &mut LineSerializer<'_> {
    type Ok = ();
    type Error = NoLine;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = ser::Impossible<(), NoLine>;
    type SerializeMap = ser::Impossible<(), NoLine>;
    type SerializeStruct = Self;
    type SerializeStructVariant = ser::Impossible<(), NoLine>;

    integers! {
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), NoLine> {
        self.next_field();
        self.out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), NoLine> {
        self.next_field();
        self.out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), NoLine> {
        self.next_field();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), NoLine> {
        self.text(value.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), NoLine> {
        self.text(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), NoLine> {
        self.text(value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), NoLine> {
        self.next_field();
        let start = self.out.len();
        write!(Utf8(self.out), "{value}").map_err(|_| NoLine(String::from("a field can't be displayed")))?;
        self.quote_from(start);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), NoLine> {
        self.next_field();
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NoLine> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NoLine> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), NoLine> {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<(), NoLine> {
        self.text(variant.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), NoLine> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<(), NoLine> {
        Err(with_content(variant))
    }

    #[inline]
    fn serialize_seq(self, _len: Option<usize>) -> Result<Self, NoLine> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Self, NoLine> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self, NoLine> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<ser::Impossible<(), NoLine>, NoLine> {
        Err(with_content(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<ser::Impossible<(), NoLine>, NoLine> {
        Err(NoLine(String::from("a map can't be written as a line")))
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self, NoLine> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<ser::Impossible<(), NoLine>, NoLine> {
        Err(with_content(variant))
    }
}

fn with_content(variant: &str) -> NoLine {
    NoLine(format!("variant {variant} has content, which a line can't hold"))
}

macro_rules! compounds {
    ($($trait:ident $method:ident($($key:ty)?);)*) => {$(
        impl ser::$trait for &mut LineSerializer<'_> {
            type Ok = ();
            type Error = NoLine;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_key: $key,)? value: &T) -> Result<(), NoLine> {
                value.serialize(&mut **self)
            }

            #[inline(always)]
            fn end(self) -> Result<(), NoLine> {
                Ok(())
            }
        }
    )*};
}

compounds! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeStruct serialize_field(&'static str);
}
