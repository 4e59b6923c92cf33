//! Records and keys: what they must be able to do, and how they are hashed, measured, compared and encoded.

pub mod codec;
mod data;
mod fields;
mod float;
mod hash;
mod prefix;
mod scan;
mod selector;
mod shape;
mod text;
mod walk;
mod words;

pub use data::{Data, Key};
pub use fields::{Field, FieldOf, Position, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9};
pub use float::{Float, Total};
pub use hash::{hash_key, table_hash};
pub use prefix::{KeyPrefix, key_prefix};
pub use scan::byte_mask;
pub use selector::{KeyField, KeySelector, Whole};
pub(crate) use shape::shape;
pub use text::{Text, TextBuffer};
pub use walk::{heap_bytes, own_heap};
pub use words::{Words, words};
