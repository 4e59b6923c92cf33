//! Strangers at the listener: garbage, other versions, wrong secrets.
