//! [`Text`]: a string of 24 bytes that holds short text inline and shares longer text with the buffer it was read into.
#![expect(unsafe_code, reason = "one representation for inline and shared text")]

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Borrow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The name under which serde sees a `Text`, so that a walk knows that short ones own no heap.
pub(crate) const TEXT_NEWTYPE: &str = "flinkrs::Text";

/// Text of up to this many bytes lies in the record itself.
pub(crate) const INLINE_BYTES: usize = 23;

/// The value of the last byte of a shared text; an inline text has its length there.
const SHARED: u8 = 0xff;

thread_local! {
    /// Whether clones made on this thread own their bytes.
    static COMPACTING: Cell<bool> = const { Cell::new(false) };
}

const LEN_MASK: u64 = (1 << 56) - 1;

/// Immutable UTF-8 text. Cloning copies 24 bytes and, for text of more than 23 bytes, counts a reference.
///
/// A piece of shared text keeps the whole buffer alive: [`Text::compact`] cuts it loose.
///
/// ```
/// use flinkrs_core::types::Text;
/// let text = Text::from("short");
/// assert_eq!(text, "short");
/// assert_eq!(text.len(), 5);
/// ```
#[repr(C)]
pub struct Text {
    /// Inline: the bytes, padded with zeros, the length in the last byte. Shared: address, owner, length.
    words: [u64; 3],
    /// Shared text owns a reference to an `Arc<TextBuffer>`.
    owner: PhantomData<Arc<TextBuffer>>,
}

const _: () = assert!(size_of::<Text>() == 24 && cfg!(target_endian = "little") && usize::BITS == 64);

/// A block of valid UTF-8 of which texts are pieces.
#[derive(Debug)]
pub struct TextBuffer(Vec<u8>);

impl TextBuffer {
    /// Checks that `bytes` are UTF-8 and makes them shareable; the error says where they are not.
    pub fn new(bytes: Vec<u8>) -> Result<Arc<TextBuffer>, std::str::Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Arc::new(TextBuffer(bytes)))
    }

    /// The whole buffer.
    pub fn as_str(&self) -> &str {
        // SAFETY: `new` is the only constructor and checked the bytes.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// A piece of the buffer: copied when short, shared when longer than 23 bytes.
    ///
    /// Panics when the range is out of bounds or cuts a character.
    #[inline]
    pub fn text(self: &Arc<Self>, range: Range<usize>) -> Text {
        let piece = &self.as_str()[range];
        if piece.len() <= INLINE_BYTES {
            Text::inline(piece.as_bytes())
        } else {
            Text::shared(Arc::clone(self), piece.as_ptr(), piece.len())
        }
    }

    /// The bytes again, if no text shares them any more: for reuse as a read buffer.
    pub fn reclaim(self: Arc<Self>) -> Option<Vec<u8>> {
        Arc::into_inner(self).map(|buffer| buffer.0)
    }
}

impl Text {
    /// The empty text.
    pub const fn new() -> Text {
        Text { words: [0; 3], owner: PhantomData }
    }

    /// `words` hold `len` bytes of UTF-8 followed by zeros.
    #[inline(always)]
    pub(crate) fn from_words(mut words: [u64; 3], len: usize) -> Text {
        debug_assert!(len <= INLINE_BYTES && words[2] >> 56 == 0, "an inline text has at most {INLINE_BYTES} bytes");
        words[2] |= (len as u64) << 56;
        Text { words, owner: PhantomData }
    }

    #[inline]
    fn inline(bytes: &[u8]) -> Text {
        let mut padded = [0u8; 24];
        padded[..bytes.len()].copy_from_slice(bytes);
        Text::from_words(words_of(&padded), bytes.len())
    }

    #[inline]
    fn shared(owner: Arc<TextBuffer>, start: *const u8, len: usize) -> Text {
        debug_assert!(len > INLINE_BYTES, "short text is inline, so that equal texts have equal words");
        let words = [start as u64, Arc::into_raw(owner) as u64, len as u64 | u64::from(SHARED) << 56];
        Text { words, owner: PhantomData }
    }

    #[inline(always)]
    fn is_shared(&self) -> bool {
        (self.words[2] >> 56) as u8 == SHARED
    }

    /// The length in bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        if self.is_shared() { (self.words[2] & LEN_MASK) as usize } else { (self.words[2] >> 56) as usize }
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        let start = if self.is_shared() { self.words[0] as *const u8 } else { (&raw const self.words).cast::<u8>() };
        // SAFETY: inline text lies in `words`, which live as long as `self`; shared text lies in the buffer whose
        // reference `self` owns, at an address and a length that `TextBuffer::text` checked.
        unsafe { std::slice::from_raw_parts(start, self.len()) }
    }

    /// The text as a string slice.
    #[inline(always)]
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes its bytes from a `str`, or ASCII words.
        unsafe { std::str::from_utf8_unchecked(self.as_bytes()) }
    }

    /// A piece of the text; longer pieces share the buffer.
    ///
    /// Panics when the range is out of bounds or cuts a character.
    pub fn slice(&self, range: Range<usize>) -> Text {
        let piece = &self.as_str()[range];
        match self.buffer() {
            Some(owner) if piece.len() > INLINE_BYTES => Text::shared(owner, piece.as_ptr(), piece.len()),
            _ => Text::from(piece),
        }
    }

    /// Copies the text out of a shared buffer that is larger than it, so that the buffer can go.
    pub fn compact(&mut self) {
        if self.buffer().is_some_and(|buffer| buffer.0.len() > self.len()) {
            *self = Text::from(self.as_str());
        }
    }

    /// Runs `clone`, in which every cloned text becomes the owner of its bytes.
    pub(crate) fn compacting<R>(clone: impl FnOnce() -> R) -> R {
        let before = COMPACTING.replace(true);
        let result = clone();
        COMPACTING.set(before);
        result
    }

    /// A clone that shares nothing with a buffer larger than the text.
    #[cold]
    fn clone_compact(&self) -> Text {
        match self.buffer() {
            Some(buffer) if buffer.0.len() > self.len() => Text::from(self.as_str()),
            Some(buffer) => Text::shared(buffer, self.as_bytes().as_ptr(), self.len()),
            None => Text { words: self.words, owner: PhantomData },
        }
    }

    fn buffer(&self) -> Option<Arc<TextBuffer>> {
        self.is_shared().then(|| {
            let owner = self.words[1] as *const TextBuffer;
            // SAFETY: a shared text owns one reference to the buffer at this address, so it can be counted up.
            unsafe {
                Arc::increment_strong_count(owner);
                Arc::from_raw(owner)
            }
        })
    }
}

#[inline(always)]
pub(crate) fn words_of(bytes: &[u8; 24]) -> [u64; 3] {
    let (words, _) = bytes.as_chunks::<8>();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]), u64::from_le_bytes(words[2])]
}

impl Drop for Text {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_shared() {
            // SAFETY: a shared text owns one reference, which ends here.
            drop(unsafe { Arc::from_raw(self.words[1] as *const TextBuffer) });
        }
    }
}

impl Clone for Text {
    #[inline(always)]
    fn clone(&self) -> Text {
        if self.is_shared() {
            if COMPACTING.get() {
                return self.clone_compact();
            }
            // SAFETY: a shared text owns a reference, so the buffer is alive and can be counted up for the clone.
            unsafe { Arc::increment_strong_count(self.words[1] as *const TextBuffer) };
        }
        Text { words: self.words, owner: PhantomData }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::new()
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Text {
        if text.len() <= INLINE_BYTES { Text::inline(text.as_bytes()) } else { Text::from(text.to_owned()) }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        if text.len() <= INLINE_BYTES {
            return Text::inline(text.as_bytes());
        }
        let buffer = Arc::new(TextBuffer(text.into_bytes()));
        let (start, len) = (buffer.0.as_ptr(), buffer.0.len());
        Text::shared(buffer, start, len)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.as_str().to_owned()
    }
}

impl Deref for Text {
    type Target = str;

    #[inline(always)]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    #[inline(always)]
    fn eq(&self, other: &Text) -> bool {
        // Short text is always inline and padded with zeros, so two different last words are two different texts
        // unless both are shared.
        if self.is_shared() { self.as_bytes() == other.as_bytes() } else { self.words == other.words }
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    #[inline]
    fn cmp(&self, other: &Text) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Serialize for Text {
    #[inline(always)]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TEXT_NEWTYPE, self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::from(text))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Text, E> {
                Ok(Text::from(text))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
                deserializer.deserialize_str(TextVisitor)
            }
        }
        deserializer.deserialize_newtype_struct(TEXT_NEWTYPE, TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::codec;
    use proptest::prelude::*;

    #[test]
    fn short_text_is_inline_and_long_text_shares_its_buffer() {
        let buffer =
            TextBuffer::new(b"a line that is longer than twenty-three bytes and a tail".to_vec()).expect("ASCII");
        let (line, tail) = (buffer.text(0..45), buffer.text(50..56));
        assert_eq!(line, "a line that is longer than twenty-three bytes");
        assert_eq!(tail, "a tail".trim_start_matches('?').get(0..6).expect("six bytes"));
        assert_eq!(Arc::strong_count(&buffer), 2, "only the long text counts a reference");
        let copy = line.clone();
        assert_eq!(Arc::strong_count(&buffer), 3);
        let mut compact = copy;
        compact.compact();
        assert_eq!(Arc::strong_count(&buffer), 2);
        assert_eq!(compact, line);
        drop(line);
        assert!(buffer.reclaim().is_some());
    }

    proptest! {
        #[test]
        fn behaves_as_a_string(a in ".{0,40}", b in ".{0,40}") {
            let (ta, tb) = (Text::from(a.as_str()), Text::from(b.clone()));
            prop_assert_eq!(ta.as_str(), a.as_str());
            prop_assert_eq!(ta.len(), a.len());
            prop_assert_eq!(ta == tb, a == b);
            prop_assert_eq!(ta.cmp(&tb), a.cmp(&b));
            let mut bytes = Vec::new();
            codec::encode(&[(ta.clone(), 1u8), (tb.clone(), 2)], &mut bytes).expect("text encodes");
            prop_assert_eq!(codec::decode::<(Text, u8)>(&bytes).expect("and decodes"), vec![(ta, 1), (tb, 2)]);
        }
    }
}
