//! Forwarded fields: which fields a user function passes on unchanged, and where to.

use flinkrs_core::types::KeyField;
use serde::{Deserialize, Serialize};

/// For one input: the fields that arrive unchanged in the output record made from the input record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedFields {
    /// Every field keeps its place, as in a filter.
    pub all: bool,
    /// From a field of the input to a field of the output.
    pub fields: Vec<(KeyField, KeyField)>,
}

impl ForwardedFields {
    /// Nothing is known to be forwarded.
    pub fn none() -> ForwardedFields {
        ForwardedFields::default()
    }

    /// Records pass unchanged.
    pub fn all() -> ForwardedFields {
        ForwardedFields { all: true, fields: Vec::new() }
    }

    /// Where `field` of the input lies in the output, if it is forwarded.
    pub fn target(&self, field: &KeyField) -> Option<KeyField> {
        if self.all {
            return Some(field.clone());
        }
        self.fields.iter().find(|(from, _)| from == field).map(|(_, to)| to.clone())
    }

    /// Where all fields of a key lie in the output, if all are forwarded.
    pub fn targets(&self, key: &[KeyField]) -> Option<Vec<KeyField>> {
        key.iter().map(|field| self.target(field)).collect()
    }
}
