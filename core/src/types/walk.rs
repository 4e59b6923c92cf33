//! Walks a record through serde without encoding it: to hash a key, or to count the heap a record owns.

use crate::types::Data;
use crate::types::text::{TEXT_NEWTYPE, Text};
use serde::ser::{self, Serialize};
use std::fmt;

/// What a walk meets, in the order of the record's fields.
pub(crate) trait Visitor {
    /// A number, character, flag or variant index of `size` bytes.
    fn scalar(&mut self, bits: u64, size: usize);
    /// A string or byte string; `inline` when it is a [`Text`](crate::types::Text).
    fn bytes(&mut self, bytes: &[u8], inline: bool);
    /// A sequence or map of `len` entries begins.
    fn begin(&mut self, len: usize);
    /// The innermost sequence or map is over.
    fn end(&mut self);
    /// Whether the walk may stop here.
    fn enough(&self) -> bool {
        false
    }
}

/// Shows `value` to `visitor`; stops early once it has enough.
#[inline(always)]
pub(crate) fn walk<V: Visitor, T: Serialize + ?Sized>(visitor: &mut V, value: &T) {
    // An error here is only the early stop: a walk writes nowhere.
    let _ = value.serialize(Walker { visitor, inline: false });
}

/// Heap that `record` owns, in bytes and estimated with the allocator's overhead; counting stops past `limit`.
///
/// Compiles to nothing for types that own none.
#[inline(always)]
pub fn heap_bytes<T: Serialize>(record: &T, limit: usize) -> usize {
    if !std::mem::needs_drop::<T>() {
        return 0;
    }
    let mut count = HeapCount { bytes: 0, limit, depth: 0, shares: false };
    walk(&mut count, record);
    count.bytes
}

/// Makes `record` the owner of all its heap, and says how much that is, in bytes.
///
/// A long [`Text`](crate::types::Text) may be a piece of a large buffer, which it keeps alive: whoever keeps a record
/// for longer than a batch calls this, so that what it counts is what it holds. Copies the text only if it has to.
#[inline(always)]
pub fn own_heap<T: Data>(record: &mut T) -> usize {
    if !std::mem::needs_drop::<T>() {
        return 0;
    }
    let mut count = HeapCount { bytes: 0, limit: usize::MAX, depth: 0, shares: false };
    walk(&mut count, record);
    if count.shares {
        *record = Text::compacting(|| record.clone());
    }
    count.bytes
}

/// Overhead of one heap allocation: the allocator's rounding and the owner's counters.
const ALLOCATION_BYTES: usize = 16;

/// Strings up to this length are stored inside a `Text` record.
const INLINE_TEXT_BYTES: usize = 23;

struct HeapCount {
    bytes: usize,
    limit: usize,
    depth: u32,
    /// Whether there is a text that may share a larger buffer.
    shares: bool,
}

impl Visitor for HeapCount {
    #[inline(always)]
    fn scalar(&mut self, _bits: u64, size: usize) {
        if self.depth > 0 {
            self.bytes += size;
        }
    }
    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8], inline: bool) {
        let handle = if self.depth > 0 { 24 } else { 0 };
        let heap = if inline && bytes.len() <= INLINE_TEXT_BYTES { 0 } else { bytes.len() + ALLOCATION_BYTES };
        self.shares |= inline && heap > 0;
        self.bytes += handle + heap;
    }
    #[inline(always)]
    fn begin(&mut self, _len: usize) {
        self.bytes += ALLOCATION_BYTES + if self.depth > 0 { 24 } else { 0 };
        self.depth += 1;
    }
    #[inline(always)]
    fn end(&mut self) {
        self.depth -= 1;
    }
    #[inline(always)]
    fn enough(&self) -> bool {
        self.bytes > self.limit
    }
}

/// The walk's early end; never shown to anyone.
#[derive(Debug)]
pub(crate) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record refused to be serialized")
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    fn custom<M: fmt::Display>(_message: M) -> Stop {
        Stop
    }
}

struct Walker<'a, V> {
    visitor: &'a mut V,
    inline: bool,
}

macro_rules! scalars {
    ($($method:ident($type:ty) = $bits:expr;)*) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Result<(), Stop> {
            let bits: fn($type) -> u64 = $bits;
            self.visitor.scalar(bits(value), size_of::<$type>());
            Ok(())
        }
    )*};
}

impl<'a, V: Visitor> ser::Serializer for Walker<'a, V> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Compound<'a, V, true>;
    type SerializeTuple = Compound<'a, V, false>;
    type SerializeTupleStruct = Compound<'a, V, false>;
    type SerializeTupleVariant = Compound<'a, V, false>;
    type SerializeMap = Compound<'a, V, true>;
    type SerializeStruct = Compound<'a, V, false>;
    type SerializeStructVariant = Compound<'a, V, false>;

    scalars! {
        serialize_bool(bool) = u64::from;
        serialize_u8(u8) = u64::from;
        serialize_u16(u16) = u64::from;
        serialize_u32(u32) = u64::from;
        serialize_u64(u64) = |v| v;
        serialize_i8(i8) = |v| v as u64;
        serialize_i16(i16) = |v| v as u64;
        serialize_i32(i32) = |v| v as u64;
        serialize_i64(i64) = |v| v as u64;
        serialize_f32(f32) = |v| u64::from(v.to_bits());
        serialize_f64(f64) = f64::to_bits;
        serialize_char(char) = |v| u64::from(u32::from(v));
    }

    #[inline(always)]
    fn serialize_u128(self, value: u128) -> Result<(), Stop> {
        self.visitor.scalar(value as u64, 8);
        self.visitor.scalar((value >> 64) as u64, 8);
        Ok(())
    }
    #[inline(always)]
    fn serialize_i128(self, value: i128) -> Result<(), Stop> {
        self.serialize_u128(value as u128)
    }
    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<(), Stop> {
        self.visitor.bytes(value.as_bytes(), self.inline);
        Ok(())
    }
    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Stop> {
        self.visitor.bytes(value, self.inline);
        Ok(())
    }
    #[inline(always)]
    fn serialize_none(self) -> Result<(), Stop> {
        self.serialize_u8(0)
    }
    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        self.visitor.scalar(1, 1);
        value.serialize(Walker { visitor: self.visitor, inline: false })
    }
    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Stop> {
        Ok(())
    }
    #[inline(always)]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Stop> {
        Ok(())
    }
    #[inline(always)]
    fn serialize_unit_variant(self, _name: &'static str, index: u32, _variant: &'static str) -> Result<(), Stop> {
        self.serialize_u32(index)
    }
    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), Stop> {
        let inline = std::ptr::eq(name, TEXT_NEWTYPE) || name == TEXT_NEWTYPE;
        value.serialize(Walker { visitor: self.visitor, inline })
    }
    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.visitor.scalar(u64::from(index), 4);
        value.serialize(Walker { visitor: self.visitor, inline: false })
    }
    #[inline(always)]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Stop> {
        self.visitor.begin(len.unwrap_or(usize::MAX));
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple, Stop> {
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeTupleStruct, Stop> {
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Stop> {
        self.visitor.scalar(u64::from(index), 4);
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Stop> {
        self.visitor.begin(len.unwrap_or(usize::MAX));
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Self::SerializeStruct, Stop> {
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, Stop> {
        self.visitor.scalar(u64::from(index), 4);
        Ok(Compound { visitor: self.visitor })
    }
    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a tuple or struct, or (`COUNTED`) the entries of a sequence or map.
pub(crate) struct Compound<'a, V, const COUNTED: bool> {
    visitor: &'a mut V,
}

impl<V: Visitor, const COUNTED: bool> Compound<'_, V, COUNTED> {
    #[inline(always)]
    fn entry<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        if self.visitor.enough() {
            return Err(Stop);
        }
        value.serialize(Walker { visitor: &mut *self.visitor, inline: false })
    }
    #[inline(always)]
    fn finish(self) -> Result<(), Stop> {
        if COUNTED {
            self.visitor.end();
        }
        Ok(())
    }
}

macro_rules! compounds {
    ($($trait:ident::$method:ident($($key:ty)?);)*) => {$(
        impl<V: Visitor, const COUNTED: bool> ser::$trait for Compound<'_, V, COUNTED> {
            type Ok = ();
            type Error = Stop;
            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_key: $key,)? value: &T) -> Result<(), Stop> {
                self.entry(value)
            }
            #[inline(always)]
            fn end(self) -> Result<(), Stop> {
                self.finish()
            }
        }
    )*};
}

compounds! {
    SerializeSeq::serialize_element();
    SerializeTuple::serialize_element();
    SerializeTupleStruct::serialize_field();
    SerializeTupleVariant::serialize_field();
    SerializeStruct::serialize_field(&'static str);
    SerializeStructVariant::serialize_field(&'static str);
}

impl<V: Visitor, const COUNTED: bool> ser::SerializeMap for Compound<'_, V, COUNTED> {
    type Ok = ();
    type Error = Stop;
    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        self.entry(key)
    }
    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.entry(value)
    }
    #[inline(always)]
    fn end(self) -> Result<(), Stop> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TextBuffer;

    #[test]
    fn counts_only_what_lies_on_the_heap() {
        assert_eq!(heap_bytes(&(1u64, [2u8; 16]), usize::MAX), 0);
        assert_eq!(heap_bytes(&(Text::from("short"), 1u64), usize::MAX), 0);
        assert_eq!(heap_bytes(&String::from("short"), usize::MAX), 5 + ALLOCATION_BYTES);
        assert_eq!(heap_bytes(&vec![1u64; 10], usize::MAX), 80 + ALLOCATION_BYTES);
        assert_eq!(heap_bytes(&Text::from("x".repeat(40)), usize::MAX), 40 + ALLOCATION_BYTES);
    }

    #[test]
    fn owning_cuts_texts_loose_wherever_they_are() {
        let buffer = TextBuffer::new(vec![b'x'; 1000]).expect("ASCII");
        let mut record = (1u8, vec![Some(buffer.text(0..100)), None], buffer.text(0..5));
        let counted = heap_bytes(&record, usize::MAX);
        assert_eq!(own_heap(&mut record), counted);
        assert!(buffer.reclaim().is_some(), "nobody shares the buffer any more");
        assert_eq!(record.1[0].as_ref().map(Text::len), Some(100));
    }

    #[test]
    fn stops_counting_past_the_limit() {
        let long = vec![0u64; 1 << 20];
        assert!(heap_bytes(&long, 1000) <= 1000 + ALLOCATION_BYTES + 8);
    }
}
