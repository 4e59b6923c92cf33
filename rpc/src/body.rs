//! Messages as bytes, in the engine's own codec.

use flinkrs_core::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message's bytes.
///
/// Errors when the value can't be serialized, which is a bug of its type.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>> {
    bitcode::serialize(message).map_err(|error| Error::internal(format!("a message can't be serialized: {error}")))
}

/// The message that [`encode`] made into `bytes`.
///
/// Errors when they are something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    bitcode::deserialize(bytes).map_err(|error| Error::internal(format!("a message can't be read: {error}")))
}
