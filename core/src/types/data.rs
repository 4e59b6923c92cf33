//! The bounds on records and keys; both are satisfied by deriving, never by hand.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::hash::Hash;

/// A record: any plain value that can be cloned, sent and serialized. Implemented for every type that qualifies.
pub trait Data: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Data for T {}

/// A record that can be grouped, joined and sorted by. Implemented for every type that qualifies.
///
/// Floats don't, for want of a total order: wrap them in [`Total`](crate::types::Total).
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    note = "a key derives Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize and Deserialize",
    note = "wrap a float in `Total` to give it a total order"
)]
pub trait Key: Data + Eq + Hash + Ord {}

impl<T: Data + Eq + Hash + Ord> Key for T {}
