//! How batches become bytes on a local disk or a wire within one version of the engine.
//!
//! The format is bitcode's and may change between its versions: what outlives a process says by [`NAME`] which it is.

use crate::error::{Error, Result};
use crate::types::Data;

/// The format and its version.
pub const NAME: &str = "bitcode 0.6";

/// Appends `records`, encoded, to `out`.
pub fn encode<T: Data>(records: &[T], out: &mut Vec<u8>) -> Result<()> {
    match bitcode::serialize(records) {
        Ok(bytes) => {
            out.extend_from_slice(&bytes);
            Ok(())
        }
        Err(error) => {
            Err(Error::data(format!("a record of type {} can't be serialized: {error}", std::any::type_name::<T>())))
        }
    }
}

/// The records that [`encode`] wrote.
pub fn decode<T: Data>(bytes: &[u8]) -> Result<Vec<T>> {
    bitcode::deserialize(bytes).map_err(|error| {
        Error::data(format!("serialized records of type {} can't be read: {error}", std::any::type_name::<T>()))
    })
}
