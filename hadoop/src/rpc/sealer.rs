//! What protects the messages of one direction, by whichever login.

use crate::{digest, kerberos};

/// Protects the messages of one direction, in their order.
pub(super) enum Sealer {
    /// With the key of a login by token.
    Digest(Box<digest::Sealer>),
    /// With the context of a login by Kerberos.
    Kerberos(kerberos::Half),
}

impl Sealer {
    /// The protected form of the next message.
    pub(super) fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Sealer::Digest(sealer) => Ok(sealer.seal(message)),
            Sealer::Kerberos(half) => half.seal(message),
        }
    }

    /// The next message out of its protected form, or what is wrong with it.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Sealer::Digest(sealer) => sealer.open(sealed),
            Sealer::Kerberos(half) => half.open(sealed),
        }
    }
}
