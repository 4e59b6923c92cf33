//! Kerberos as a SASL mechanism (RFC 4752): the client's steps, and what protects messages afterwards.

use super::Login;
use super::gssapi::{Context, Failure};
use crate::digest::Protection;
use std::sync::{Arc, Mutex, PoisonError};

/// A login on its way. Steps block: the first one asks the KDC.
pub(crate) struct Mechanism {
    login: Login,
    context: Context,
    stage: Stage,
}

/// What the next step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Both prove who they are.
    Proof,
    /// They agree how messages are protected.
    Layer,
    /// Done, with this.
    Agreed(Protection),
}

/// One direction of a connection that is protected. Both share the context.
pub(crate) struct Half {
    context: Arc<Mutex<Context>>,
    encrypts: bool,
}

impl Mechanism {
    /// A login to the server with this principal.
    pub(crate) fn new(login: &Login, service: &str) -> Result<Mechanism, String> {
        let context = login.acquire().and_then(|credential| Context::new(credential, service));
        let context = context.map_err(|failure| login.explain(&failure))?;
        Ok(Mechanism { login: login.clone(), context, stage: Stage::Proof })
    }

    /// What to answer to the server's last word, the first one being empty; of the protections that are `allowed` the
    /// first that it offers is taken.
    pub(crate) fn step(&mut self, said: &[u8], allowed: &[Protection]) -> Result<Vec<u8>, String> {
        let failed = |failure: Failure| self.login.explain(&failure);
        match self.stage {
            Stage::Proof => {
                let (answer, is_done) = self.context.step(said).map_err(failed)?;
                if is_done {
                    self.stage = Stage::Layer;
                }
                Ok(answer)
            }
            Stage::Layer => {
                let (offer, _) = self.context.unwrap(said).map_err(failed)?;
                let protection = choose(&offer, allowed)?;
                self.stage = Stage::Agreed(protection);
                self.context.wrap(&answer(protection), false).map_err(|failure| failure.text)
            }
            Stage::Agreed(_) => Err("the server goes on with a login that is done".to_owned()),
        }
    }

    /// Whether the server has proven who it is, and all is agreed.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Agreed(_))
    }

    /// What seals this side's messages, and opens the other's; `None` if they aren't protected.
    pub(crate) fn into_halves(self) -> Option<(Half, Half)> {
        let Stage::Agreed(protection) = self.stage else { return None };
        let encrypts = match protection {
            Protection::Auth => return None,
            Protection::Integrity => false,
            Protection::Privacy => true,
        };
        let context = Arc::new(Mutex::new(self.context));
        Some((Half { context: Arc::clone(&context), encrypts }, Half { context, encrypts }))
    }
}

impl Half {
    /// The protected form of the next message.
    pub(crate) fn seal(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        context.wrap(message, self.encrypts).map_err(|failure| failure.text)
    }

    /// The next message out of its protected form.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        match context.unwrap(sealed) {
            Ok((_, false)) if self.encrypts => Err("a message isn't encrypted, as was agreed".to_owned()),
            Ok((message, _)) => Ok(message),
            Err(failure) => Err(format!("a protected message: {}", failure.text)),
        }
    }
}

/// The bit of a protection in the server's offer and the client's answer.
fn bit(protection: Protection) -> u8 {
    match protection {
        Protection::Auth => 1,
        Protection::Integrity => 2,
        Protection::Privacy => 4,
    }
}

/// Takes one of those that the server offers: a byte of bits, and three of the longest message that it takes.
fn choose(offer: &[u8], allowed: &[Protection]) -> Result<Protection, String> {
    let [bits, _, _, _] = *offer else {
        return Err(format!("the server's offer of protection has {} bytes, and not 4", offer.len()));
    };
    allowed.iter().copied().find(|protection| bits & bit(*protection) != 0).ok_or_else(|| {
        let names = |is_one: &dyn Fn(Protection) -> bool| {
            let all = [Protection::Auth, Protection::Integrity, Protection::Privacy];
            all.into_iter().filter(|one| is_one(*one)).map(Protection::qop).collect::<Vec<_>>().join(" or ")
        };
        let offered = names(&|one| bits & bit(one) != 0);
        let wanted = names(&|one| allowed.contains(&one));
        format!("the server offers the protection '{offered}', and hadoop.rpc.protection asks for {wanted}")
    })
}

/// The choice, and the longest message that this side takes, which matters only with protection.
fn answer(protection: Protection) -> [u8; 4] {
    let longest = if protection == Protection::Auth { 0 } else { 0xff };
    [bit(protection), longest, longest, longest]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_protection_that_is_offered_is_taken() {
        let all = [Protection::Privacy, Protection::Integrity, Protection::Auth];
        assert_eq!(choose(&[7, 1, 0, 0], &all), Ok(Protection::Privacy));
        assert_eq!(choose(&[3, 1, 0, 0], &all), Ok(Protection::Integrity));
        assert_eq!(choose(&[7, 1, 0, 0], &all[2..]), Ok(Protection::Auth));
        let said = choose(&[1, 0, 0, 0], &all[..2]).unwrap_err();
        assert_eq!(
            said,
            "the server offers the protection 'auth', and hadoop.rpc.protection asks for auth-int or auth-conf"
        );
        assert!(choose(&[1], &all).unwrap_err().contains("has 1 bytes"));
        assert_eq!((answer(Protection::Auth), answer(Protection::Privacy)), ([1, 0, 0, 0], [4, 255, 255, 255]));
    }
}
